// The unfolded network: one column a character, the layers' units, their memories' road, gates and guesses; backwards, the gradient coming back.

import { percent, number, visible } from "../core/words.js";
import { chosenLayer, chosenUnit, outputOf, sampleUnits, shortTitle } from "../figures/description.js";
import {
  cellOf,
  clearPlot,
  drawnFrom,
  drawPlot,
  frontier,
  leftSpan,
  make,
  newly,
  pulse,
  restyle,
  returned,
  retext,
  spanAround,
  turnPlot,
} from "../figures/figure.js";
import { watchPointer } from "../figures/pointer.js";
import { firstNumbered, numberTrace, ribbonBands, ribbonTrace, widestNorm } from "./unfold/backward.js";
import { rowsOf, stackBands } from "./unfold/bands.js";
import { forwardTraces } from "./unfold/forward.js";
import { tileGap } from "./unfold/paths.js";

const LONGEST_PULSE = 900; // ms
const NORM_ROOM = 72; // px left of the cursor that the norm's number needs

function mount(element, stage) {
  const root = make(element, "div", "figure unfold", { role: "img" });
  const roads = make(root, "div", "unfold-roads");
  const forward = make(root, "div", "unfold-forward");
  const veil = make(root, "div", "unfold-veil");
  const backward = make(root, "div", "unfold-backward");
  const numbers = make(root, "div", "unfold-backward");
  const labels = make(root, "div", "figure-labels");
  const moving = make(root, "div", "unfold-moving");
  const changed = newly(),
    backChanged = newly();
  let plan = null,
    overlay = null,
    pass = null;

  function draw() {
    const { timeline, description } = stage,
      height = root.clientHeight,
      { dataset } = element;
    const chosen = chosenLayer(stage),
      pinned = chosenUnit(stage);
    const bands = stackBands(description, {
      layers: timeline.layers,
      chosen,
      height,
      column: stage.axis.column,
      guesses: dataset.guesses === "none" ? 0 : 3,
      input: dataset.input !== "none",
    });
    plan = { bands, units: sampleUnits(timeline.hidden, rowsOf(bands), pinned), pinned, height, ...spanAround(stage) };
    const y = { range: [height, 0] },
      parts = [...drawnFrom(stage, root), chosen, dataset.guesses, dataset.input];
    if (backChanged(...parts)) {
      drawPlot(backward, [ribbonTrace(stage, plan)], stage, height, y);
      writeNumbers();
    }
    if (!changed(...parts, pinned)) return;
    drawPlot(forward, forwardTraces(stage, plan), stage, height, y);
    lay();
    write();
    pass = null;
  }

  const writeNumbers = () => drawPlot(numbers, [numberTrace(stage, plan)], stage, plan.height, { range: [plan.height, 0] });

  // Labels, roads and veil stand still until something else is chosen.
  function lay() {
    const { axis } = stage,
      left = axis.gutter,
      { column } = axis;
    for (const layer of [roads, veil]) {
      layer.replaceChildren();
      Object.assign(layer.style, { left: `${left}px`, width: `${axis.width}px` });
    }
    veil.style.setProperty("--column", `${column}px`);
    veil.style.setProperty("--tile-gap", `${tileGap(column) / 2}px`);
    for (const band of plan.bands) {
      const place = { style: `top:${band.top}px;height:${band.height}px` };
      if (band.signal?.road) make(roads, "div", `unfold-road${band.kind === "lane" ? "" : " is-wide"}`, place);
      if (band.kind === "tiles" && band.signal.road) make(veil, "div", "veil-road", place);
      if (band.kind !== "input") make(veil, "div", `veil-${band.kind}`, place);
    }
    const inputs = plan.bands.find(({ kind }) => kind === "input");
    if (inputs) make(veil, "div", "veil-input", { style: `top:${inputs.top}px;height:${inputs.height}px` });
    labels.replaceChildren();
    for (const band of plan.bands) label(band);
    moving.replaceChildren();
    const first = plan.bands[0],
      last = plan.bands.at(-1);
    overlay = {
      up: make(moving, "i", "pulse-up", { style: `top:${first.top}px` }),
      height: last.top + last.height - first.top,
      across: ribbonBands(plan.bands).map((band) => ({
        band,
        norms: stage.timeline.gradientNorm(band.layer, band.signal.id),
        dot: make(moving, "i", "pulse-across", { style: `top:${band.middle}px` }),
        back: make(moving, "i", "pulse-back", { style: `top:${band.middle}px` }),
        now: make(moving, "b", "norm-now", { style: `top:${band.middle}px` }),
      })),
    };
    const tiles = captioned();
    if (tiles)
      make(moving, "span", "unfold-scale is-free", {
        style: `left:${left + 6}px;top:${tiles.top + tiles.height - 14}px`,
        text: `arrow width ∝ √‖∂L/∂state‖, the widest is ${number(widestNorm(stage))}`,
      });
  }

  // Where the arrows' scale is told: under the first layer's tiles, if they are tall enough.
  const captioned = () => plan.bands.find(({ kind, height }) => kind === "tiles" && height > 60);

  function label({ kind, layer, signal, top, height, middle, rows }) {
    const { axis, colour, timeline } = stage,
      narrow = axis.gutter < 80;
    const box = make(labels, "div", `figure-label is-${kind}`, { style: `top:${middle}px;width:${axis.gutter - 10}px` });
    if (kind === "guesses") {
      make(box, "span", "", { text: rows > 1 ? "guesses" : "guess" });
      if (rows > 1 && captioned() && !narrow) make(box, "small", "", { text: "shaded: right" });
      if (rows > 1 && !captioned())
        for (const text of narrow ? ["widest", number(widestNorm(stage))] : ["width ∝ √norm", `widest ${number(widestNorm(stage))}`])
          make(box, "small", "unfold-scale", { text });
      return;
    }
    if (kind === "input") return void make(box, "span", "", { text: "input" });
    const name = make(box, "span", "figure-label-name");
    const roomy = height > 30;
    if (!narrow) name.append(`${shortTitle(signal)} `);
    make(name, "b", "", { text: signal.id });
    if (kind === "gate") box.style.color = colour.hue(signal.id);
    if (kind === "tiles" && height > 58)
      make(box, "small", "", {
        text: narrow ? `${plan.units.length}/${timeline.hidden}` : `${plan.units.length} of ${timeline.hidden} units`,
      });
    if (kind === "tiles" && timeline.layers > 1) make(box, "small", "", { text: `layer ${layer + 1}` });
    if (kind !== "tiles" || layer !== chosenLayer(stage)) return;
    const row = plan.units.indexOf(plan.pinned),
      tall = height / plan.units.length;
    make(labels, "i", "unfold-pin", { style: `top:${top + (row + 0.5) * tall}px;left:${axis.gutter - 7}px`, title: `unit ${plan.pinned}` });
  }

  function write() {
    const { timeline, network, description } = stage,
      most = widestNorm(stage);
    root.setAttribute(
      "aria-label",
      `${timeline.steps} steps of ${network.title ?? network.id}, unfolded: ${timeline.layers} ${timeline.layers > 1 ? "layers" : "layer"} of ${timeline.hidden} units; ` +
        `states ${description.states.join(", ")}; the largest gradient norm coming back is ${number(most)}.`,
    );
  }

  function step(position) {
    if (!plan) return;
    const { axis, clock } = stage,
      ahead = position.pass === "forward";
    if (position.pass !== pass) root.dataset.pass = pass = position.pass;
    restyle(veil, "clipPath", ahead ? `inset(0 -40px 0 ${frontier(stage, position)}px)` : "inset(0 0 0 100%)");
    restyle(backward, "clipPath", ahead ? "inset(0 0 0 100%)" : `inset(0 0 0 ${axis.gutter + returned(stage, position)}px)`);
    restyle(
      numbers,
      "clipPath",
      ahead ? "inset(0 0 0 100%)" : `inset(0 0 0 ${Math.max(0, axis.x(firstNumbered(stage, position.t)) - axis.column / 2)}px)`,
    );
    const x = axis.x(position.t),
      duration = Math.min(LONGEST_PULSE, Math.max(160, clock.speed * 0.9));
    if (ahead) runForward(x, duration, position.t);
    else runBackward(x, duration, position.t);
  }

  const hide = [{ opacity: 0 }, { opacity: 0 }];

  // Input to guess in the new column, and along the arrows from the one before.
  function runForward(x, duration, t) {
    restyle(overlay.up, "left", `${x}px`);
    pulse(
      overlay.up,
      [
        { transform: `translateY(${overlay.height}px)`, opacity: 0.2 },
        { opacity: 0.9, offset: 0.25 },
        { opacity: 0.8, offset: 0.8 },
        { transform: "translateY(0)", opacity: 0 },
      ],
      duration,
    );
    for (const { dot } of overlay.across) {
      restyle(dot, "left", `${x}px`);
      pulse(
        dot,
        t
          ? [
              { transform: `translate(${-stage.axis.column}px, -50%)`, opacity: 0 },
              { opacity: 1, offset: 0.5 },
              { transform: "translate(0, -50%)", opacity: 0 },
            ]
          : hide,
        duration,
      );
    }
  }

  function runBackward(x, duration, t) {
    const { axis } = stage;
    for (const { back, now, norms } of overlay.across) {
      restyle(now, "transform", `translate(calc(${x - axis.column / 2 - 16}px - 100%), -50%)`);
      retext(now, x - axis.gutter > NORM_ROOM ? number(norms[t]) : "");
      restyle(back, "left", `${x}px`);
      pulse(
        back,
        [
          { transform: `translate(${axis.column}px, -50%)`, opacity: 0 },
          { opacity: 1, offset: 0.4 },
          { transform: `translate(${x - axis.gutter > axis.column ? -10 : 0}px, -50%)`, opacity: 0.9 },
        ],
        duration,
      );
    }
  }

  // The step and, over the tiles, the unit under a point.
  function find(x, y) {
    const { axis, timeline, network } = stage,
      t = axis.at(x);
    if (t === null || !plan) return null;
    const read = visible(network.vocabulary[timeline.tokens[t]]);
    const band = plan.bands.find(({ top, height }) => y >= top - 2 && y < top + height + 2);
    if (!band) return null;
    if (band.kind === "gate")
      return { t, text: `${band.signal.title}, mean at “${read}”: ${number(timeline.mean(band.layer, band.signal.id)[t])}` };
    if (band.kind === "input") return { t, text: `step ${t + 1} reads “${read}”` };
    if (band.kind === "guesses") {
      const guesses = (timeline.top[t] ?? []).map(([token, share]) => `${visible(network.vocabulary[token])} ${percent(share)}`);
      return guesses.length ? { t, text: `after “${read}”: ${guesses.join("  ")}` } : null;
    }
    const unit = plan.units[Math.max(0, Math.min(plan.units.length - 1, Math.floor(((y - band.top) / band.height) * plan.units.length)))];
    if (pass === "backward")
      return {
        t,
        unit,
        layer: band.layer,
        text: `‖∂L/∂${band.signal.id}‖ at “${read}”: ${number(timeline.gradientNorm(band.layer, band.signal.id)[t])}`,
      };
    return {
      t,
      unit,
      layer: band.layer,
      text: `${band.signal.id} of unit ${unit} at “${read}”: ${number(cellOf(timeline.values(band.layer, band.signal.id), timeline.hidden, t, unit))}`,
    };
  }

  const unwatch = watchPointer(root, stage, find, ({ unit, layer }) => {
    if (unit !== undefined) stage.choose({ unit, layer });
  });
  return {
    draw,
    step,
    page() {
      if (!plan) return;
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
