// The network of a run writes, as it is at its latest checkpoint: the bench's own view, once there is something to write with.

import { make } from "../../figures/figure.js";
import { legible } from "../../core/networks.js";
import generate from "../generate.js";

const PROMPT = "The ";

function mount(element, stage) {
  const [run] = stage.runs, hint = make(element, "p", "hint", { text: "It can write from its first checkpoint on." });
  let inner = null;

  function draw() {
    if (inner) return inner.draw();
    if (!run.model?.id) return;
    stage.network = run.model;
    const { signals } = run.cell, { id: signal } = signals.find(({ role }) => role === "gate") ?? signals[0];
    Object.assign(stage.state, { model: run.id, text: legible(PROMPT, stage.network), signal, unit: 0, clamp: [] });
    hint.remove();
    inner = generate.mount(element, stage);
    inner.draw();
  }
  return { draw, step() {}, destroy() { inner?.destroy(); } };
}

export default { id: "write", title: "Write", mount };
