// What every figure is made of: a Plotly drawing that stands still, and light layers above it that move with the clock.

import { write, writeAttribute } from "./writing.js";

const STILL = { staticPlot: true, displayModeBar: false, responsive: false, doubleClick: false, scrollZoom: false };

/** A new element inside `parent`; `attributes` may hold text, style and any attribute. */
export function make(parent, tag, className, { text, ...attributes } = {}) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) write(element, text);
  for (const [name, value] of Object.entries(attributes)) writeAttribute(element, name, value);
  parent.append(element);
  return element;
}

// The drawing library is large and comes when it can; until then the last drawing of each layer waits, and all else
// works.
const waiting = new Map();
document.getElementById("plotly")?.addEventListener("load", () => {
  for (const [layer, drawing] of waiting) drawPlot(layer, ...drawing);
  waiting.clear();
});

/** Draws into a layer: `y` is the range of the vertical axis, everything horizontal comes from the time axis. */
export function drawPlot(layer, traces, stage, height, y) {
  if (!globalThis.Plotly) return void waiting.set(layer, [traces, stage, height, y]);
  const shared = stage.axis.plotly();
  const layout = {
    ...shared,
    height,
    yaxis: { visible: false, fixedrange: true, autorange: false, ...y },
    showlegend: false,
    hovermode: false,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(layer).fontFamily, size: 11, color: stage.colour.ink },
  };
  return globalThis.Plotly.react(layer, traces, layout, STILL);
}

/** Moves a drawing to another window of the text without drawing it again. */
export function turnPlot(layer, stage) {
  if (layer.layout) globalThis.Plotly.relayout(layer, { "xaxis.range": stage.axis.range() });
}

export function clearPlot(layer) {
  waiting.delete(layer);
  if (layer.layout) globalThis.Plotly.purge(layer);
}

// Beyond three windows a long text costs more to draw than to draw anew when its reader gets there.
const WINDOWS_AROUND = 1;

/** Steps a drawing should hold: the window in sight and one on either side. */
export function spanAround(stage) {
  const { first, count } = stage.axis;
  const around = WINDOWS_AROUND * count;
  return { from: Math.max(0, first - around), to: Math.min(stage.timeline.steps, first + count + around) };
}

/** Whether the window in sight has left the steps that were drawn. */
export function leftSpan(stage, { from, to }) {
  const { first, count } = stage.axis;
  return first < from || Math.min(first + count, stage.timeline.steps) > to;
}

/** Where the part not reached yet begins, in pixels from the plot's left edge, for the forward pass. */
export function frontier(stage, position) {
  const { axis } = stage;
  const edge = axis.x(position.t) + axis.column / 2 - axis.gutter;
  return Math.max(0, Math.min(axis.width, edge));
}

/** Where the part the gradient has come back to begins, in pixels from the plot's left edge. */
export function returned(stage, position) {
  const { axis } = stage;
  const edge = axis.x(position.t) - axis.column / 2 - axis.gutter;
  return Math.max(0, Math.min(axis.width, edge));
}

/** Sets a style only when it differs: most steps leave most of the overlay as it is. */
export function restyle(element, property, value) {
  element.seenStyles ??= {};
  const seen = element.seenStyles;
  if (seen[property] === value) return;
  seen[property] = value;
  element.style[property] = value;
}

export function retext(element, text) {
  if (element.seenText === text) return;
  element.seenText = text;
  write(element, text);
}

/** A movement that follows the data, once; nothing at all for people who asked for less motion. */
const calm = matchMedia("(prefers-reduced-motion: reduce)");
export function pulse(element, frames, duration, delay = 0) {
  for (const running of element.running ?? []) running.cancel();
  element.running = calm.matches
    ? []
    : [element.animate(frames, { duration, delay, easing: "ease-out", fill: "both" })];
}

/** Says whether anything a drawing depends on has changed since it was last asked; `parts` are compared one by one. */
export function newly() {
  let seen = [];
  return (...parts) => {
    const same = parts.length === seen.length && parts.every((part, k) => Object.is(part, seen[k]));
    seen = parts;
    return !same;
  };
}

/** All that every drawing depends on: the trace and how far it has come, the window, the size, the theme. */
export function drawnFrom(stage, element) {
  const { timeline, axis, colour } = stage;
  return [
    timeline,
    timeline.forwardTo,
    timeline.backwardFrom,
    timeline.done,
    axis.column,
    axis.count,
    axis.first,
    axis.gutter,
    axis.element,
    element.clientHeight,
    colour.paper,
    colour.ink,
    stage.state.names,
  ];
}
