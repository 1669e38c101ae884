// The unfolded network: one column a character, the layers' units, their memories' road, gates and guesses; backwards,
// the gradient coming back.

import { foreign } from "../data/foreign.js";
import { number, percent } from "../data/formatting.js";
import { inNumbers } from "../data/task.js";
import { chosenLayer, chosenUnit, windowOf } from "../figures/description.js";
import {
  clearPlot,
  drawnFrom,
  drawPlot,
  frontier,
  leftSpan,
  make,
  newly,
  restyle,
  returned,
  spanAround,
  turnPlot,
} from "../figures/figure.js";
import { watchPointer } from "../figures/pointer.js";
import { writeAttribute } from "../figures/writing.js";
import { firstNumbered, numberTrace, ribbonTrace, widestNorm } from "./unfold/backward.js";
import { chooseUnits, stackBands } from "./unfold/bands.js";
import { drawFolded } from "./unfold/folded.js";
import { foldButton, turnOver } from "./unfold/folding.js";
import { forwardTraces } from "./unfold/forward.js";
import { captioned, writeLabels } from "./unfold/labels.js";
import { tileGap } from "./unfold/paths.js";
import { movingMarks } from "./unfold/pulses.js";

const LINES = 2.4; // as tall as so many characters, for an input of numbers
const FUNNEL = 14; // px below the network, for what leads to a window of its input

function mount(element, stage) {
  const root = make(element, "div", `figure unfold is-${stage.layout}`, { role: "group" });
  const roads = make(root, "div", "unfold-roads");
  const forward = make(root, "div", "unfold-forward");
  const veil = make(root, "div", "unfold-veil");
  const backward = make(root, "div", "unfold-backward");
  const numbers = make(root, "div", "unfold-backward");
  const labels = make(root, "div", "figure-labels");
  const moving = make(root, "div", "unfold-moving");
  const cell = make(root, "div", "unfold-folded");
  const button = foldButton(root, stage);
  const changed = newly();
  const backChanged = newly();
  const foldChanged = newly();
  let plan = null;
  let marks = null;
  let folded = null;
  let isFolded = null;
  let pass = null;

  function draw() {
    const { timeline } = stage;
    const height = root.clientHeight;
    const { dataset } = element;
    const chosen = chosenLayer(stage);
    const pinned = chosenUnit(stage);
    const inputless = dataset.input === "none";
    const bands = stackBands(timeline.layers, {
      chosen,
      height: height - (inputless && windowOf(timeline.layers[0].cell) > 1 ? FUNNEL : 0),
      column: stage.axis.column,
      guesses: dataset.guesses === "none" ? 0 : 3,
      input: inputless ? 0 : timeline.inputValues ? LINES : 1,
    });
    chooseUnits(bands, timeline, pinned);
    plan = { bands, chosen, pinned, height, ...spanAround(stage) };
    const parts = [...drawnFrom(stage, root), chosen, dataset.guesses, dataset.input];
    const was = isFolded;
    isFolded = stage.state.fold === "1";
    root.classList.toggle("is-folded", isFolded);
    button.show(isFolded, plan);
    if (isFolded) drawFold(parts);
    else drawFlat(parts);
    if (was !== null && was !== isFolded) turnOver(root, stage, { plan, cell, folded, fold: isFolded });
    pass = null;
  }

  function drawFold(parts) {
    if (!foldChanged(...parts, plan.pinned)) return;
    folded = drawFolded(cell, stage, {
      width: root.clientWidth,
      height: root.clientHeight,
      guesses: element.dataset.guesses === "none" ? 0 : 3,
    });
    writeAttribute(root, "aria-label", folded.label);
  }

  function drawFlat(parts) {
    const { height } = plan;
    const y = { range: [height, 0] };
    if (backChanged(...parts)) {
      drawPlot(backward, [ribbonTrace(stage, plan)], stage, height, y);
      writeNumbers();
    }
    if (changed(...parts, plan.pinned)) {
      drawPlot(forward, forwardTraces(stage, plan), stage, height, y);
      lay();
    }
    write();
  }

  const writeNumbers = () =>
    drawPlot(numbers, [numberTrace(stage, plan)], stage, plan.height, { range: [plan.height, 0] });

  // Labels, roads and veil stand still until something else is chosen.
  function lay() {
    const { axis } = stage;
    const left = axis.gutter;
    const { column } = axis;
    for (const layer of [roads, veil]) {
      layer.replaceChildren();
      Object.assign(layer.style, { left: `${left}px`, width: `${axis.width}px` });
    }
    veil.style.setProperty("--column", `${column}px`);
    veil.style.setProperty("--tile-gap", `${tileGap(column) / 2}px`);
    for (const band of plan.bands) {
      const place = { style: `top:${band.top}px;height:${band.height}px` };
      if (band.signal?.road) make(roads, "div", `unfold-road${band.kind === "lane" ? "" : " is-wide"}`, place);
      if (band.reverse) continue; // it has read everything before the first guess
      if (band.kind === "tiles" && band.signal.road) make(veil, "div", "veil-road", place);
      if (band.kind !== "input") make(veil, "div", `veil-${band.kind}`, place);
    }
    const inputs = plan.bands.find(({ kind }) => kind === "input");
    if (inputs) make(veil, "div", "veil-input", { style: `top:${inputs.top}px;height:${inputs.height}px` });
    writeLabels(labels, stage, plan);
    marks = movingMarks(moving, stage, plan);
    const tiles = captioned(plan);
    if (tiles)
      make(moving, "span", "unfold-scale is-free", {
        style: `left:${left + 6}px;top:${tiles.top + tiles.height - 14}px`,
        text: `arrow width ∝ √‖∂L/∂state‖, the widest is ${number(widestNorm(stage))}`,
      });
  }

  function write() {
    const { timeline, network } = stage;
    const most = widestNorm(stage);
    const layers = timeline.layers.map(
      ({ title, hidden, cell }) => `${foreign(title)} of ${hidden} units (${cell.states.join(", ")})`,
    );
    writeAttribute(
      root,
      "aria-label",
      `${timeline.steps} steps of ${foreign(network.title ?? network.id)}, unfolded: ${layers.join("; ")}. ` +
        (timeline.backwardFrom < timeline.steps
          ? `The largest gradient norm coming back is ${number(most)}.`
          : stage.task.whyNoGradient),
    );
  }

  function step(position) {
    if (!plan) return;
    if (isFolded) return void folded.step(position);
    const { axis } = stage;
    const ahead = position.pass === "forward";
    if (position.pass !== pass) root.dataset.pass = pass = position.pass;
    restyle(veil, "clipPath", ahead ? `inset(0 -40px 0 ${frontier(stage, position)}px)` : "inset(0 0 0 100%)");
    restyle(
      backward,
      "clipPath",
      ahead ? "inset(0 0 0 100%)" : `inset(0 0 0 ${axis.gutter + returned(stage, position)}px)`,
    );
    restyle(
      numbers,
      "clipPath",
      ahead
        ? "inset(0 0 0 100%)"
        : `inset(0 0 0 ${Math.max(0, axis.x(firstNumbered(stage, position.t)) - axis.column / 2)}px)`,
    );
    marks(position);
  }

  // The step and, over the tiles, the unit under a point.
  function find(x, y) {
    const { axis, timeline, task } = stage;
    const t = axis.at(x);
    if (isFolded) return folded.find(x, y);
    if (t === null || !plan) return null;
    const read = task.said(t);
    const band = plan.bands.find(({ top, height }) => y >= top - 2 && y < top + height + 2);
    if (!band) return null;
    if (band.kind === "gate")
      return {
        t,
        about: `signal ${band.layer} ${band.signal.id}`,
        text: `${foreign(band.signal.title)}, mean at ${read}: ${number(timeline.mean(band.layer, band.signal.id)[t])}`,
      };
    if (band.kind === "input") return { t, about: "input", text: `step ${t + 1} reads ${read}` };
    if (band.kind === "guesses") {
      if (task.counts)
        return task.outputs(t)
          ? {
              t,
              about: "guesses",
              text:
                `after ${read}: gives ` +
                `${inNumbers(task.outputs(t))}${task.target(t) ? `, wanted ${inNumbers(task.target(t))}` : ""}`,
            }
          : null;
      const guesses = (timeline.top[t] ?? []).map(([token, share]) => `${task.called(token)} ${percent(share)}`);
      return guesses.length ? { t, about: "guesses", text: `after ${read}: ${guesses.join("  ")}` } : null;
    }
    const { units } = band;
    const unit =
      units[Math.max(0, Math.min(units.length - 1, Math.floor(((y - band.top) / band.height) * units.length)))];
    if (stage.position.pass === "backward")
      return {
        t,
        unit,
        layer: band.layer,
        about: `gradient ${band.layer} ${band.signal.id}`,
        text: `‖∂L/∂${band.signal.id}‖ at ${read}: ${number(timeline.gradientNorm(band.layer, band.signal.id)[t])}`,
      };
    return {
      t,
      unit,
      layer: band.layer,
      about: `signal ${band.layer} ${band.signal.id}`,
      text:
        `${band.signal.id} of unit ${unit} at ${read}: ` +
        `${number(timeline.valueAt(band.layer, band.signal.id, t, unit))}`,
    };
  }

  const unwatch = watchPointer(root, stage, find, ({ unit, layer }) => {
    if (unit !== undefined) stage.choose({ unit, layer });
  });
  // a folded cell has no columns: nothing there stands for a step
  for (const kind of ["pointermove", "click"])
    root.addEventListener(kind, (event) => isFolded && event.preventDefault());
  return {
    draw,
    step,
    page() {
      if (!plan || isFolded) return;
      turnPlot(forward, stage);
      turnPlot(backward, stage);
      writeNumbers();
      if (leftSpan(stage, plan)) stage.requestDraw();
    },
    destroy() {
      unwatch();
      clearPlot(forward);
      clearPlot(backward);
      clearPlot(numbers);
      root.remove();
    },
  };
}

export default { id: "unfold", title: "The network, unfolded", mount };
