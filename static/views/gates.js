// One signal of one layer, every unit at every step; its gradient over it when the gradient comes back, or when asked
// for.

import { foreign } from "../data/foreign.js";
import { number } from "../data/formatting.js";
import { signalChips, wordRow } from "../figures/choices.js";
import { chosenLayer, chosenUnit, isSigned, shortTitle, signalOf } from "../figures/description.js";
import {
  clearPlot,
  drawnFrom,
  drawPlot,
  frontier,
  leftSpan,
  make,
  newly,
  restyle,
  retext,
  returned,
  spanAround,
  turnPlot,
} from "../figures/figure.js";
import { watchPointer } from "../figures/pointer.js";
import { writeAttribute, writeMore } from "../figures/writing.js";

const SHOWN = [
  ["pass", "auto", "values forwards, gradients backwards"],
  ["value", "value", "values in both passes"],
  ["gradient", "gradient", "gradients in both passes"],
];
const ORDERS = [
  ["natural", "unit", "units in their own order"],
  ["mean", "mean", "units with the highest mean at the top"],
];
const inHundredths = (value) => (Number.isFinite(value) ? value.toFixed(2) : "–");
const CONTROLS = 30; // px above the drawing
const SMALLEST_WITH_CONTROLS = 96;

function mount(element, stage) {
  const root = make(element, "div", "figure gates");
  const bar = make(root, "div", "figure-bar");
  const markSignal = signalChips(bar, stage, (signal) => stage.choose({ signal }));
  const markShown = wordRow(bar, "what is shown", SHOWN, (shown) => stage.choose({ shown }));
  const markOrder = wordRow(bar, "order of the units", ORDERS, (order) => stage.choose({ order }));
  const range = make(bar, "span", "figure-range");
  const body = make(root, "div", "gates-body", { role: "img" });
  const value = make(body, "div", "gates-layer gates-value");
  const veil = make(body, "div", "gates-veil");
  const gradient = make(body, "div", "gates-layer gates-gradient");
  const label = make(body, "div", "figure-label");
  const pin = make(body, "div", "gates-pin");
  const changed = newly();
  let drawn = null;

  function draw() {
    const { timeline, axis } = stage;
    const signal = signalOf(stage.description, stage.state.signal);
    const layer = chosenLayer(stage);
    const shown = stage.state.shown ?? "pass";
    const order = stage.state.order ?? "natural";
    markSignal(signal.id);
    markShown(shown);
    markOrder(order);
    const top = root.clientHeight >= SMALLEST_WITH_CONTROLS ? CONTROLS : 0;
    const height = root.clientHeight - top;
    bar.hidden = !top;
    bar.style.paddingLeft = `${axis.gutter < 80 ? 0 : axis.gutter}px`;
    bar.classList.toggle("is-narrow", axis.gutter < 80);
    if (changed(...drawnFrom(stage, root), signal.id, layer, order)) {
      const values = timeline.values(layer, signal.id);
      const gradients = timeline.gradients(layer, signal.id);
      const width = timeline.width(layer, signal.id);
      const span = spanAround(stage);
      const units = orderOf(values, timeline.steps, width, order);
      const most = largestSize(gradients);
      drawn = { signal, layer, width, units, values, gradients, height, most, ends: endsOf(values), ...span };
      const y = { range: [width - 0.5, -0.5] };
      body.style.height = `${height}px`;
      const scale = stage.colour.scale(signal.id);
      const { diverging } = stage.colour;
      drawPlot(value, [heatmap(values, units, width, span, scale.plotly, scale.low, scale.high)], stage, height, y);
      drawPlot(
        gradient,
        [heatmap(gradients, units, width, span, diverging.plotly, -most || -1, most || 1)],
        stage,
        height,
        y,
      );
    }
    drawn.shown = shown;
    lay();
  }

  function lay() {
    const { axis, timeline, state } = stage;
    const { signal, layer, width, units, height, ends, most } = drawn;
    const { title } = timeline.layers[layer];
    const narrow = axis.gutter < 80;
    Object.assign(veil.style, { left: `${axis.gutter}px`, width: `${axis.width}px` });
    const unit = chosenUnit(stage);
    const row = units.indexOf(unit);
    const at = ((row + 0.5) / units.length) * height;
    Object.assign(pin.style, { top: `${at}px`, left: `${axis.gutter - 6}px`, width: `${axis.width + 6}px` });
    pin.style.setProperty("--hue", stage.colour.hue(signal.id));
    label.replaceChildren();
    const room = at > height * 0.3 && at < height * 0.62 ? (at > height * 0.46 ? 0.2 : 0.78) : 0.5;
    Object.assign(label.style, { top: `${height * room}px`, width: `${axis.gutter - 10}px` });
    const name = make(label, "span", "figure-label-name");
    name.style.color = stage.colour.hue(signal.id);
    if (!narrow) writeMore(name, `${foreign(shortTitle(signal))} `);
    make(name, "b", "", { text: signal.id });
    if (height > 60)
      make(label, "small", "", {
        text: timeline.layers.length > 1 ? title : narrow ? String(width) : `${width} units`,
      });
    make(body, "small", "gates-pin-name", {
      text: narrow ? String(unit) : `unit ${unit}`,
      style: `top:${at}px;width:${axis.gutter - 10}px`,
    });
    for (const old of [...body.querySelectorAll(".gates-pin-name")].slice(0, -1)) old.remove();
    drawn.said = {
      value: ends.map(isSigned(signal) ? number : inHundredths).join(" … "),
      gradient: most
        ? `∂L/∂${signal.id} within ±${number(most)}`
        : timeline.done
          ? "no gradient"
          : `∂L/∂${signal.id} not there yet`,
    };
    writeAttribute(
      body,
      "aria-label",
      `${foreign(signal.title)} ${signal.id}, ${foreign(title)}: ${width} units over ${timeline.steps} steps, from ` +
        `${number(ends[0])} to ${number(ends[1])}, ` +
        `units ${(state.order ?? "natural") === "mean" ? "sorted by mean" : "in natural order"}; ` +
        `gradients within ±${number(most)}.`,
    );
  }

  function step(position) {
    if (!drawn) return;
    const ahead = position.pass === "forward";
    const { shown } = drawn;
    const back = shown === "gradient" || (shown === "pass" && !ahead);
    restyle(value, "opacity", back ? (shown === "gradient" ? "0" : "0.25") : "1");
    restyle(
      veil,
      "clipPath",
      stage.timeline.layers[drawn.layer].reverse
        ? "inset(0 0 0 100%)" // it has read everything before the first guess
        : ahead
          ? `inset(0 0 0 ${frontier(stage, position)}px)`
          : shown === "gradient"
            ? "inset(0)"
            : "inset(0 0 0 100%)",
    );
    restyle(veil, "visibility", shown === "gradient" ? "hidden" : "visible");
    restyle(gradient, "visibility", back ? "visible" : "hidden");
    restyle(gradient, "opacity", shown === "gradient" && ahead ? "0.35" : "1");
    restyle(gradient, "clipPath", ahead ? "none" : `inset(0 0 0 ${stage.axis.gutter + returned(stage, position)}px)`);
    retext(range, back ? drawn.said.gradient : drawn.said.value);
  }

  function find(x, y) {
    const { axis, timeline, task } = stage;
    const t = axis.at(x);
    const inside = y - (root.clientHeight - (drawn?.height ?? 0));
    if (t === null || !drawn || inside < 0) return null;
    const unit =
      drawn.units[
        Math.max(0, Math.min(drawn.units.length - 1, Math.floor((inside / drawn.height) * drawn.units.length)))
      ];
    const { signal, layer } = drawn;
    const slope =
      timeline.backwardFrom < timeline.steps
        ? `; ∂L/∂${signal.id} ${number(timeline.gradientAt(layer, signal.id, t, unit))}`
        : "";
    return {
      t,
      unit,
      about: `signal ${layer} ${signal.id}`,
      text:
        `${signal.id} of unit ${unit} at ${task.said(t)}: ` +
        `${number(timeline.valueAt(layer, signal.id, t, unit))}${slope}`,
    };
  }

  const unwatch = watchPointer(root, stage, find, ({ unit }) => stage.choose({ unit }));
  return {
    draw,
    step,
    page() {
      if (!drawn) return;
      turnPlot(value, stage);
      turnPlot(gradient, stage);
      if (leftSpan(stage, drawn)) stage.requestDraw();
    },
    destroy() {
      unwatch();
      clearPlot(value);
      clearPlot(gradient);
      root.remove();
    },
  };
}

function heatmap(table, units, width, { from, to }, colorscale, zmin, zmax) {
  const x = Array.from({ length: to - from }, (_, k) => from + k);
  return {
    type: "heatmap",
    x,
    z: units.map((unit) => x.map((t) => table[t * width + unit])),
    colorscale,
    zmin,
    zmax,
    showscale: false,
    hoverinfo: "skip",
  };
}

/** Units from top to bottom. */
function orderOf(values, steps, width, order) {
  const units = Array.from({ length: width }, (_, unit) => unit);
  if (order !== "mean") return units;
  const means = units.map((unit) => {
    let sum = 0;
    for (let t = 0; t < steps; t++) sum += values[t * width + unit] || 0;
    return sum / steps;
  });
  return units.sort((a, b) => means[b] - means[a]);
}

function endsOf(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [NaN, NaN];
}

function largestSize(values) {
  let most = 0;
  for (const value of values) if (Math.abs(value) > most) most = Math.abs(value);
  return most;
}

export default { id: "gates", title: "Gates over time", mount };
