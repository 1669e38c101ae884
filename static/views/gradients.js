// How much of the gradient is left at every step: norms against time on a log axis, read from right to left.

import { foreign } from "../data/foreign.js";
import { number, percent } from "../data/formatting.js";
import { wordRow } from "../figures/choices.js";
import { chosenLayer, gatesOf, powerOfTen, roadFirst } from "../figures/description.js";
import {
  clearPlot,
  drawnFrom,
  drawPlot,
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
import { write, writeAttribute } from "../figures/writing.js";

const BAR = 28; // px above the drawing
const SMALLEST_WITH_BAR = 84;
const LABEL_HEIGHT = 12;
const HALF_LABEL = 8;
const MOST_DECADES = 12;
const NORMS = [
  ["signals", "signals", "‖∂L/∂signal‖ at every step"],
  ["weights", "weights", "each step’s share of the weights’ gradients"],
];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];

function mount(element, stage) {
  const root = make(element, "div", "figure gradients");
  const bar = make(root, "div", "figure-bar");
  const label = make(bar, "span", "figure-bar-label");
  const words = make(bar, "span", "figure-words");
  const markNorms = wordRow(bar, "whose gradient", NORMS, (norms) => stage.choose({ norms }));
  const body = make(root, "div", "gradients-body", { role: "img" });
  const grid = make(body, "div", "gradients-layer");
  const plot = make(body, "div", "gradients-layer gradients-lines");
  const names = make(body, "div", "gradients-names");
  const changed = newly();
  let drawn = null;

  function draw() {
    const { axis, timeline } = stage;
    const layer = chosenLayer(stage);
    const norms = stage.state.norms ?? "signals";
    markNorms(norms);
    const top = root.clientHeight >= SMALLEST_WITH_BAR ? BAR : 0;
    const height = root.clientHeight - top;
    const narrow = axis.gutter < 80;
    bar.hidden = !top;
    label.style.width = `${axis.gutter - 10}px`;
    label.hidden = narrow;
    if (!changed(...drawnFrom(stage, root), layer, norms)) return;
    const lines = norms === "weights" ? weightLines(stage, layer) : signalLines(stage, layer);
    const span = spanAround(stage);
    const decades = decadesOf(lines, height);
    drawn = {
      lines,
      layer,
      norms,
      height,
      decades,
      task: stage.task,
      reverse: timeline.layers[layer].reverse,
      ...span,
    };
    body.style.height = `${height}px`;
    const y = { type: "log", range: [decades.low - decades.room, decades.high + decades.room] };
    drawPlot(grid, [{ type: "scatter", mode: "none", x: [0], y: [10 ** decades.high] }], stage, height, {
      ...y,
      visible: true,
      ...ticks(decades, height, stage.colour),
    });
    drawPlot(
      plot,
      lines.map((line) => trace(line, span)),
      stage,
      height,
      y,
    );
    write(label, timeline.layers.length > 1 ? `∂L, ${foreign(timeline.layers[layer].title)}` : "gradient");
    nameLines();
    writeAttribute(
      body,
      "aria-label",
      `Gradient norms of ${foreign(timeline.layers[layer].title)} on a log axis, from the last step back: ` +
        lines
          .map(
            (line) =>
              `${foreign(line.name)} ${number(line.values[line.start] ?? NaN)} to ` +
              `${number(line.values.find((norm) => norm > 0) ?? NaN)}`,
          )
          .join("; "),
    );
  }

  // Names stand at the lines' right ends, where the gradient comes from, pushed apart where they would meet.
  function nameLines() {
    const { axis } = stage;
    const { decades, height, lines } = drawn;
    names.replaceChildren();
    const shown = lines.map((line) => ({ line, t: lastSeen(line, axis) })).filter(({ t }) => t >= 0);
    const at = (norm) =>
      (height * (decades.high + decades.room - Math.log10(norm))) / (decades.high - decades.low + 2 * decades.room);
    for (const name of shown) name.y = at(name.line.values[name.t]);
    shown.sort((a, b) => a.y - b.y);
    let below = LABEL_HEIGHT / 2 + 1;
    for (const name of shown) {
      name.y = Math.max(name.y, below);
      below = name.y + LABEL_HEIGHT;
    }
    let above = height - LABEL_HEIGHT / 2;
    for (const name of shown.toReversed()) {
      name.y = Math.min(name.y, above);
      above = name.y - LABEL_HEIGHT;
    }
    const right = axis.element - axis.gutter - axis.width;
    for (const { line, y, t } of shown) {
      const tag = make(names, "b", "", { text: line.name });
      const outside = right >= 16 && line.name.length < 3;
      tag.style.cssText =
        `top:${y}px;color:${line.colour};` +
        (outside
          ? `left:${axis.x(t) + axis.column / 2}px`
          : `right:${Math.max(2, axis.element - axis.x(t) - axis.column / 2)}px`);
    }
  }

  function step(position) {
    if (!drawn) return;
    const ahead = position.pass === "forward";
    restyle(plot, "opacity", ahead ? "0.28" : "1");
    restyle(names, "opacity", ahead ? "0.5" : "1");
    restyle(plot, "clipPath", ahead ? "none" : `inset(0 0 0 ${stage.axis.gutter + returned(stage, position)}px)`);
    retext(words, said(drawn, position, stage.axis.gutter < 80));
  }

  function find(x) {
    const t = stage.axis.at(x);
    if (t === null || !drawn) return null;
    const { norms, layer, lines } = drawn;
    const about = norms === "weights" ? "weights" : `gradient ${layer} ${lines[0]?.name}`;
    return { t, about, text: inNumbers(lines, t).join(", ") };
  }

  const unwatch = watchPointer(body, stage, find, () => {});
  return {
    draw,
    step,
    page() {
      if (!drawn) return;
      turnPlot(grid, stage);
      turnPlot(plot, stage);
      nameLines();
      if (leftSpan(stage, drawn)) stage.requestDraw();
    },
    destroy() {
      unwatch();
      clearPlot(grid);
      clearPlot(plot);
      root.remove();
    },
  };
}

function signalLines({ timeline, description, colour }, layer) {
  const line = (signal, main) => ({
    name: signal.id,
    main,
    values: timeline.gradientNorm(layer, signal.id),
    colour: colour.hue(signal.id),
    width: main ? 2.6 : 1.2,
    dash: main ? "solid" : colour.dash(signal.id) === "solid" ? "4px,2px" : colour.dash(signal.id),
  });
  return [
    ...roadFirst(description).map((state) => line(state, true)),
    ...gatesOf(description).map((gate) => line(gate, false)),
  ].map(withStart);
}

function weightLines({ timeline, colour }, layer) {
  return timeline.parameters(layer).map((parameter, k) =>
    withStart({
      name: parameter,
      main: k === 0,
      values: timeline.norms(layer, parameter),
      colour: k % 2 ? colour.soft : colour.ink,
      width: 1.6,
      dash: DASHES[k % DASHES.length],
    }),
  );
}

// Where the gradient of a line starts: the last step that has one.
function withStart(line) {
  let start = line.values.length - 1;
  while (start >= 0 && !(line.values[start] > 0)) start--;
  return { ...line, start };
}

function trace({ values, colour, width, dash }, { from, to }) {
  const x = Array.from({ length: to - from }, (_, k) => from + k);
  return {
    type: "scatter",
    mode: "lines",
    x,
    y: x.map((t) => (values[t] > 0 ? values[t] : null)),
    line: { color: colour, width, dash, shape: "linear" },
    hoverinfo: "skip",
  };
}

// From one power of ten to another, with room for half a tick's label at either end.
function decadesOf(lines, height) {
  let [low, high] = [Infinity, -Infinity];
  for (const { values } of lines)
    for (const norm of values) if (norm > 0) [low, high] = [Math.min(low, norm), Math.max(high, norm)];
  const top = low <= high ? Math.ceil(Math.log10(high)) : 0;
  const bottom = low <= high ? Math.max(top - MOST_DECADES, Math.min(top - 1, Math.floor(Math.log10(low)))) : -2;
  return { low: bottom, high: top, room: ((top - bottom) * HALF_LABEL) / Math.max(1, height - 2 * HALF_LABEL) };
}

function ticks({ low, high }, height, colour) {
  const every = Math.max(1, Math.ceil((high - low) / Math.max(1, Math.floor(height / 24))));
  const exponents = [];
  for (let exponent = high; exponent >= low; exponent -= every) exponents.push(exponent);
  return {
    tickvals: exponents.map((exponent) => 10 ** exponent),
    ticktext: exponents.map(powerOfTen),
    tickfont: { size: 11, color: colour.soft },
    gridcolor: colour.line,
    zeroline: false,
    ticks: "",
  };
}

function lastSeen({ values }, { first, count }) {
  for (let t = Math.min(values.length, first + count) - 1; t >= first; t--) if (values[t] > 0) return t;
  return -1;
}

const inNumbers = (lines, t) => lines.map(({ name, values }) => `${foreign(name)} ${number(values[t])}`);

/** The gradient at the cursor in words. */
function said({ lines, norms, task, reverse }, { t, pass }, briefly) {
  if (!lines.length || lines.every(({ start }) => start < 0)) return task.whyNoGradient;
  if (norms === "weights") return `Share of step ${t + 1}: ${inNumbers(lines, t).join(", ")}`;
  const line = lines[0];
  const here = line.values[t];
  const back = line.start - t;
  if (reverse)
    return `‖∂L/∂${line.name}‖ = ${number(here)} at step ${t + 1}; here it goes from the first step to the last`;
  if (pass === "forward") return `‖∂L/∂${line.name}‖ will be ${number(here)} here`;
  if (back < 0) return "The loss asks nothing of this step yet.";
  if (back === 0) return `The gradient starts: ‖∂L/∂${line.name}‖ = ${number(here)}`;
  const share = here / line.values[line.start];
  const much = share < 0.0005 ? number(share) : share < 2 ? percent(share) : `${number(share)} times`;
  if (briefly) return `${back} back: ‖∂L/∂${line.name}‖ ${number(here)}, ${much}`;
  return (
    `${back} ${back > 1 ? "steps" : "step"} back, ‖∂L/∂${line.name}‖ = ${number(here)}: ${much} ` +
    `${share < 2 ? "of " : ""}what it was`
  );
}

export default { id: "gradients", title: "The gradient over time", mount };
