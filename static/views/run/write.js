// The network of a run writes, as it is at its latest checkpoint: the bench's own view, once there is something to
// write with.

import { known, takenAlong } from "../../data/networks.js";
import { make } from "../../figures/figure.js";
import generate from "../generate.js";

const PROMPT = "The ";

function mount(element, stage) {
  const [run] = stage.runs;
  const hint = make(element, "p", "hint", { text: "It can write from its first checkpoint on." });
  let inner = null;

  function draw() {
    if (inner) return inner.draw();
    if (!run.model?.id) return;
    const {
      cell,
      model,
      recipe: { layers },
    } = run;
    const { id: signal } = cell.signals.find(({ role }) => role === "gate") ?? cell.signals[0];
    Object.assign(stage.state, {
      model: run.id,
      text: known(takenAlong({ text: PROMPT }, model).text, model).text,
      signal,
      unit: 0,
      clamp: [],
    });
    // what the bench knows of a network that was read with
    const listed = Array.from({ length: layers }, (_, layer) => ({
      cell,
      title: `layer ${layer + 1}`,
      reverse: false,
    }));
    Object.assign(stage, {
      network: model,
      timeline: { layers: listed },
      task: { gives: "next", kind: "character" },
      address: { model: run.id, signal, unit: 0 },
    });
    hint.remove();
    inner = generate.mount(element, stage);
    inner.draw();
  }
  return {
    draw,
    step() {},
    destroy() {
      inner?.destroy();
    },
  };
}

export default { id: "write", title: "Write", mount };
