// The wiring as SVG: drawn once for a cell and a size, afterwards only colours and numbers change.

import { foreign } from "../../data/foreign.js";
import { number, signed } from "../../data/formatting.js";
import { chosenLayer, isSigned, sampleUnits, signalOf, symbolOf } from "../../figures/description.js";
import { pulse, retext } from "../../figures/figure.js";
import { write, writeAttribute } from "../../figures/writing.js";
import { isUnsquashed } from "./wiring.js";

const ROWS = 12;
const SPACE = "http://www.w3.org/2000/svg";

function svg(parent, tag, attributes = {}, text) {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) writeAttribute(element, name, value);
  if (text !== undefined) write(element, text);
  parent.append(element);
  return element;
}

/** A letter with a small index below it. */
function letters(parent, attributes, letter, index) {
  const text = svg(parent, "text", attributes, letter);
  svg(text, "tspan", { dy: 3, "font-size": 10 }, index);
  return text;
}

function paint(element, colour) {
  if (element.seenFill === colour) return;
  element.seenFill = colour;
  element.setAttribute("fill", colour);
}

/**
 * Draws a placed cell into an element; returns {update(context), flow(duration, back), mark(signal, focused)}.
 * `open(signal)` is called for a click on a box.
 */
export function drawCell(holder, stage, placed, open) {
  const { colour, description, timeline } = stage;
  const { width, height } = placed;
  const root = svg(holder, "svg", { width, height, viewBox: `0 0 ${width} ${height}` });
  const readouts = [];
  const way = timeline.layers[chosenLayer(stage)].reverse ? "+" : "−"; // what came before comes later in the text
  const before = `t${way}1`;
  for (const road of placed.roads) drawRoad(root, road, placed, readouts, before);
  for (const tap of placed.taps) svg(root, "path", { d: tap, class: "cell-tap" });
  const wires = placed.wires.join("");
  svg(root, "path", { d: wires, class: "cell-wire" });
  for (const head of placed.heads) svg(root, "path", { d: head, class: "cell-head" });
  const flow = svg(root, "path", { d: wires, class: "cell-flow" });
  for (const box of placed.boxes) if (!box.signal) drawUnnamed(root, box, placed, description);
  const boxes = placed.boxes
    .filter(({ signal }) => signal)
    .map((box) => drawBox(root, box, placed, stage, open, readouts));
  for (const { x, y, sign } of placed.operators) {
    const word = sign.length > 1;
    const half = word ? 4 + 4 * Math.max(2, sign.length) : 0;
    if (word)
      svg(root, "rect", {
        x: x - half,
        y: y - placed.radius + 1,
        width: 2 * half,
        height: 2 * placed.radius - 2,
        rx: 10,
        class: "cell-operator",
      });
    else svg(root, "circle", { cx: x, cy: y, r: placed.radius, class: "cell-operator" });
    svg(root, "text", { x, y: y + (word ? 4 : 5), class: word ? "cell-function" : "cell-sign" }, sign);
  }
  for (const { state, x, y } of placed.sources) letters(root, { x, y, class: "cell-letter" }, state, before);
  for (const { state, x, y } of placed.outputs) {
    svg(root, "path", { d: `M${x - 6} ${y - 4}l6 4l-6 4z`, class: "cell-head" });
    letters(root, { x: x + 4, y: y + 4, class: "cell-letter" }, state, "t");
    readouts.push({
      signal: state,
      back: 0,
      text: svg(root, "text", { x: x + 22, y: y + 20, "text-anchor": "end", class: "cell-number" }),
      strip: [],
    });
  }
  const from = svg(root, "text", {
    visibility: placed.bare ? "hidden" : "visible",
    x: placed.busFrom,
    y: placed.bus + 19,
    class: "cell-letter",
  });
  placed.buses.forEach((source, k) => {
    // an earlier input is named with how long ago
    const [name, ago = source.op === "state" ? 1 : 0] = source.name.split("−");
    svg(from, "tspan", { dy: k ? -3 : 0 }, (k ? ", " : "") + name);
    svg(from, "tspan", { dy: 3, "font-size": 10 }, Number(ago) ? `t${way}${ago}` : "t");
  });
  const given = svg(from, "tspan", { dy: -3, class: "cell-soft" });
  // the boxes are buttons; of the rest the words beneath say more
  for (const child of root.children)
    if (child.getAttribute("role") !== "button") child.setAttribute("aria-hidden", "true");
  const most = new Map();

  return {
    update({ position, layer, unit, read }) {
      const back = position.pass === "backward";
      const { reverse } = timeline.layers[layer];
      for (const { signal, lag = 0, text, strip } of readouts) {
        const t = position.t - (reverse ? -lag : lag);
        const outside = t < 0 || t >= timeline.steps;
        const width = timeline.width(layer, signal);
        const shown = sampleUnits(width, ROWS, unit);
        const table = back ? timeline.gradients(layer, signal) : timeline.values(layer, signal);
        const scale = back ? colour.diverging : colour.scale(signal);
        const unit0 = back ? top(most, table) : 1;
        strip.forEach((rect, k) => {
          paint(rect, outside ? colour.ghost : scale.css(table[t * width + shown[k]] / unit0));
        });
        const value = outside ? 0 : unit < width ? table[t * width + unit] : NaN;
        retext(
          text,
          back
            ? outside
              ? ""
              : short(value)
            : isSigned(signalOf(description, signal))
              ? signed(value)
              : value >= 0
                ? value.toFixed(2)
                : "–",
        );
      }
      root.classList.toggle("is-back", back);
      retext(given, ` = ${read}`);
    },
    flow(duration, back) {
      pulse(
        flow,
        [
          { strokeDashoffset: back ? -30 : 30, opacity: 1 },
          { strokeDashoffset: 0, opacity: 0 },
        ],
        duration,
      );
    },
    mark(signal, focused) {
      for (const box of boxes) {
        box.element.setAttribute("aria-pressed", String(box.signal === signal));
        if (box.signal === focused) box.element.focus();
      }
    },
  };
}

/** A number where there is little room: one digit if it needs a power of ten. */
function short(value) {
  const size = Math.abs(value);
  return size > 0 && (size < 0.01 || size >= 1000)
    ? value.toExponential(0).replaceAll("-", "−").replace("e+", "e")
    : number(value);
}

function top(most, table) {
  if (!most.has(table)) {
    let size = 0;
    for (const value of table) if (Math.abs(value) > size) size = Math.abs(value);
    most.set(table, size || 1);
  }
  return most.get(table);
}

function drawRoad(root, { state, y, height, end }, { width, side }, readouts, before) {
  svg(root, "rect", { x: 0, y: y - height / 2, width, height, rx: height / 2, class: "cell-road" });
  const strip = (left) =>
    Array.from({ length: ROWS }, (_, k) => svg(root, "rect", { x: left + k * 3.2, y: y - 7, width: 2.6, height: 14 }));
  const above = y - height / 2 - 8;
  letters(root, { x: 4, y: above, class: "cell-letter" }, state, before);
  readouts.push({
    signal: state,
    lag: 1,
    strip: strip(10),
    text: svg(root, "text", { x: 34, y: above, class: "cell-number" }),
  });
  letters(root, { x: width - 52, y: above, "text-anchor": "end", class: "cell-letter" }, state, "t");
  readouts.push({
    signal: state,
    lag: 0,
    strip: strip(width - 48),
    text: svg(root, "text", { x: width - 4, y: above, "text-anchor": "end", class: "cell-number" }),
  });
  // an arrow head where the road leaves the cell
  const tip = Math.min(width - side + 4, Math.max(end + 24, width - side + 2));
  svg(root, "path", { d: `M${tip - 4} ${y - 5}l6 5l-6 5`, class: "cell-chevron" });
}

// A sum of matrix maps in the midst of an equation: it has no name, so there is nothing of it to show or to open.
function drawUnnamed(root, { x, y, node }, { box: { width, height } }, description) {
  svg(root, "rect", { x: x - width / 2, y: y - height / 2, width, height, rx: 7, class: "cell-operator" });
  const lines = isUnsquashed(description, node) ? ["sum"] : [symbolOf(description, node), "(sum)"]; // the box is narrow
  lines.forEach((line, k) => {
    svg(root, "text", { x, y: y + 4 + 13 * (k - (lines.length - 1) / 2), class: "cell-function" }, line);
  });
}

function drawBox(root, box, { box: size, bare }, stage, open, readouts) {
  const { colour, description } = stage;
  const { signal } = box;
  const described = signalOf(description, signal);
  const left = box.x - size.width / 2;
  const top = box.y - size.height / 2;
  const unsquashed = isUnsquashed(description, box.node);
  const element = svg(root, "g", {
    class: unsquashed ? "cell-box is-unsquashed" : "cell-box",
    tabindex: 0,
    role: "button",
    "data-signal": signal,
    "data-explain": `signal ${chosenLayer(stage)} ${signal}`,
    "aria-label": `open ${foreign(described?.title ?? signal)}${unsquashed ? ", a sum that nothing squashes" : ""}`,
  });
  element.style.setProperty("--hue", colour.hue(signal));
  svg(element, "rect", { x: left, y: top, width: size.width, height: size.height, rx: 7, class: "cell-case" });
  svg(element, "text", { x: left + size.width * 0.3, y: box.y + 5, class: "cell-name" }, signal);
  const rows = Math.min(ROWS, stage.timeline.width(chosenLayer(stage), signal));
  const tall = (size.height - 10) / rows;
  const wide = Math.min(15, size.width * 0.34);
  const strip = Array.from({ length: rows }, (_, k) =>
    svg(element, "rect", {
      x: left + size.width - wide - 6,
      y: top + 5 + k * tall,
      width: wide,
      height: Math.max(1.5, tall - 0.8),
    }),
  );
  const text = svg(root, "text", {
    x: box.x + 5,
    y: top + size.height + 15,
    class: "cell-number",
    visibility: bare ? "hidden" : "visible",
  });
  readouts.push({ signal, strip, text });
  element.addEventListener("click", () => open(signal));
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    open(signal);
  });
  return { signal, element };
}
