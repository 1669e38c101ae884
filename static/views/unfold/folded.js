// The network folded: the same cell at every step, what it remembers going round in loops.

import { foreign } from "../../data/foreign.js";
import { number } from "../../data/formatting.js";
import { chosenLayer, chosenUnit, shortTitle } from "../../figures/description.js";
import { make, pulse, restyle, retext } from "../../figures/figure.js";
import { write, writeMore } from "../../figures/writing.js";
import { widestNorm } from "./backward.js";
import { canvasPen, gridOf, paintColumn } from "./column.js";
import { placeFolded } from "./loops.js";
import { ribbonWidth } from "./paths.js";
import { pulseTime } from "./pulses.js";

const SPACE = "http://www.w3.org/2000/svg";
const AIR = 10;
const NAMED = 132; // px beside the column from which names are written out

function path(parent, className, d) {
  const element = document.createElementNS(SPACE, "path");
  element.setAttribute("class", className);
  element.setAttribute("d", d);
  parent.append(element);
  return element;
}

/**
 * Draws the folded network into a layer; returns {place, label, step(position), find(x, y), unroll(duration, delay)}.
 */
export function drawFolded(layer, stage, { width, height, guesses }) {
  const { timeline, description, network, task } = stage;
  const place = placeFolded(stage, { width, height, chosen: chosenLayer(stage), pinned: chosenUnit(stage), guesses });
  layer.replaceChildren();
  layer.style.fontSize = `${Math.max(12, Math.min(15, height / 36))}px`;
  const svg = document.createElementNS(SPACE, "svg");
  for (const [name, value] of Object.entries({ width, height, "aria-hidden": "true" })) svg.setAttribute(name, value);
  layer.append(svg);
  const most = widestNorm(stage);
  const { widest } = place;
  const loops = place.loops.map((loop) => {
    const line = path(svg, loop.signal.road ? "folded-road" : "folded-line", loop.path);
    line.style.strokeWidth = loop.thick;
    const back = path(svg, "folded-back", loop.path);
    const [into, out] = loop.reverse
      ? [head(place.right + 3, loop.y, -1), head(place.left - 3, loop.y, 1)]
      : [head(place.left - 3, loop.y, 1), head(place.right + 3, loop.y, -1)];
    path(svg, "folded-head is-forward", into);
    path(svg, "folded-head is-backward", out);
    return { ...loop, line, back, norms: timeline.gradientNorm(loop.layer, loop.signal.id) };
  });
  const pen = canvasPen(
    make(layer, "canvas", "folded-column", { style: `left:${place.left}px` }),
    place.column,
    height,
  );
  for (const loop of loops) {
    loop.dot = make(layer, "i", "folded-dot");
    loop.dot.style.offsetPath = `path("${loop.path}")`;
  }
  const words = writeWords();

  function writeWords() {
    const named = place.clear >= NAMED;
    const numbers = [];
    for (const band of place.bands) {
      const loop = loops.find(({ layer: of, signal }) => of === band.layer && signal === band.signal);
      const y = band.middle - (loop ? Math.max(loop.thick, widest) / 2 + 9 : 0);
      const aside = AIR + (loop ? 4 : 0);
      const tag = make(layer, "div", "folded-name", {
        style: `right:${place.width - place.left + aside}px;top:${y}px`,
      });
      nameBand(tag, stage, band, { named, isLoop: Boolean(loop) });
      if (band.kind !== "gate" && !loop) continue;
      const count = make(layer, "div", `folded-count${loop ? " is-loop" : ""}`, {
        style: `left:${place.right + aside}px;top:${y}px`,
      });
      numbers.push({ band, loop, count });
    }
    return { named, numbers, at: writeBeside(layer, stage, place, loops) };
  }

  function step({ t, pass }) {
    const back = pass === "backward";
    const duration = pulseTime(stage.clock);
    layer.dataset.pass = pass;
    paintColumn(pen, stage, place, t, { width: place.column, height, all: true, faint: back });
    for (const loop of loops) {
      const norm = loop.norms[t];
      const way = back === loop.reverse; // round with the loop, or against it
      const [first, last] = way ? ["0%", "100%"] : ["100%", "0%"];
      restyle(loop.back, "strokeWidth", `${back ? ribbonWidth(norm, most, widest) : 0}px`);
      pulse(
        loop.dot,
        back
          ? [
              { offsetDistance: first, opacity: norm > 0 ? 1 : 0 },
              { offsetDistance: last, opacity: norm > 0 ? 1 : 0 },
            ]
          : [
              { offsetDistance: first, opacity: t ? 1 : 0 },
              { offsetDistance: last, opacity: t ? 1 : 0, offset: 0.9 },
              { opacity: 0 },
            ],
        duration,
      );
    }
    for (const { band, loop, count } of words.numbers) {
      const mean = loop ? 0 : timeline.mean(band.layer, band.signal.id)[t];
      if (!loop) retext(count, `${words.named ? "mean " : ""}${number(mean)}`);
      else if (back) retext(count, number(loop.norms[t]));
      else retext(count, toStep(t, loop.reverse));
    }
    const at = `Step ${t + 1} of ${timeline.steps}`;
    if (place.beside) retext(words.at, `${at} ${back ? "takes the gradient back through" : "reads"} ${task.said(t)}.`);
    else if (place.caption) retext(words.at, `${at}.`);
  }

  // Where a state goes from step t, as its loop says it.
  function toStep(t, reverse) {
    const next = reverse ? t - 1 : t + 1;
    return next >= 0 && next < timeline.steps ? `${words.named ? "to step" : reverse ? "←" : "→"} ${next + 1}` : "";
  }

  /** The unit under a point. */
  function find(x, y) {
    const { t, pass } = stage.position;
    const band = place.bands.find(({ top, height: tall }) => y >= top && y < top + tall);
    if (!band?.signal || x < place.left || x >= place.right) return null;
    if (band.kind === "gate")
      return { text: `${foreign(band.signal.title)}, mean: ${number(timeline.mean(band.layer, band.signal.id)[t])}` };
    const inset = band.kind === "lane" ? Math.round(band.height * 0.12) : 0;
    const many = timeline.width(band.layer, band.signal.id);
    const { columns, rows } = gridOf(many, place.column, band.height - 2 * inset);
    const row = Math.floor(((y - band.top - inset) / (band.height - 2 * inset)) * rows);
    const unit = Math.max(0, row) * columns + Math.floor(((x - place.left) / place.column) * columns);
    if (unit >= many) return null;
    const value =
      pass === "backward"
        ? timeline.gradientAt(band.layer, band.signal.id, t, unit)
        : timeline.valueAt(band.layer, band.signal.id, t, unit);
    const what = pass === "backward" ? `∂L/∂${band.signal.id}` : band.signal.id;
    return { unit, layer: band.layer, text: `${what} of unit ${unit}: ${number(value)}` };
  }

  return {
    place,
    step,
    find,
    label:
      `${foreign(network.title ?? network.id)} folded: one cell of ${foreign(description.title)}, ` +
      `the same weights at all ${timeline.steps} steps, ` +
      `its states ${description.states.join(", ")} going round in loops.`,
    /** The loops draw themselves, from where a state leaves the cell to where it comes in again. */
    unroll(duration, delay) {
      for (const { line } of loops) {
        const long = line.getTotalLength();
        line.animate([{ strokeDasharray: `0 ${long}` }, { strokeDasharray: `${long} 0` }], {
          duration,
          delay,
          easing: "ease-in-out",
          fill: "backwards",
        });
      }
    },
  };
}

const head = (x, y, way) => `M${x - way * 9} ${y - 6}L${x} ${y}L${x - way * 9} ${y + 6}z`;

// The name of a band at its left: its title where there is room; of a loop its layer, where there are several.
function nameBand(tag, { timeline, colour, task }, { kind, layer, signal }, { named, isLoop }) {
  if (!signal) {
    write(tag, kind === "input" ? "input" : task.counts ? "gives" : "guesses");
    return;
  }
  const several = isLoop && timeline.layers.length > 1;
  if (named) writeMore(tag, `${foreign(several ? timeline.layers[layer].title : shortTitle(signal))} `);
  make(tag, "b", "", { text: signal.id });
  if (several && !named) writeMore(tag, ` ${layer + 1}`);
  if (kind === "gate") tag.style.color = colour.hue(signal.id);
}

// What stands beside the folded cell, or below it where it is narrow; returns the line that says where the clock is.
function writeBeside(parent, { timeline, network }, place, loops) {
  const box = make(parent, "div", `folded-words${place.beside ? "" : " is-below"}`);
  if (place.beside) {
    const { length } = timeline.layers;
    const times = `${timeline.steps} ${timeline.steps > 1 ? "times" : "time"}`;
    box.style.left = `${place.right + place.outer + 28}px`;
    make(box, "h3", "", { text: `${length > 1 ? `${length} cells` : "One cell"}, ${times}` });
  }
  if (place.beside || place.caption) make(box, "p", "", { text: "The same weights at every step." });
  if (place.beside) {
    const many = network.parameters ? `${network.parameters.toLocaleString("en")} numbers, learnt once. ` : "";
    const carried = loops.length ? "and what it remembers " : "";
    make(box, "p", "folded-more", { text: `${many}From step to step only what it reads ${carried}is new.` });
  }
  return make(box, "p", "folded-at");
}
