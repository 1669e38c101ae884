// The forward pass as a drawing: unit tiles, the gates' mean openness, wires, characters and guesses.

import { escapeLabel, shortened } from "../../data/formatting.js";
import { gatesOf } from "../../figures/description.js";
import { numberLines } from "./numbers.js";
import { arrow, fitting, halfTile, LETTER, Path, stub, tileGap } from "./paths.js";

/** Traces of what the network did from one step to another. `plan` is {bands, from, to}. */
export function forwardTraces(stage, plan) {
  const { colour, axis } = stage;
  const ghost = new Path();
  const wires = new Path();
  const right = new Path();
  const gates = new Map(stage.timeline.layers.flatMap(({ cell }) => gatesOf(cell).map(({ id }) => [id, new Path()])));
  const half = halfTile(axis.column);
  for (const band of plan.bands) {
    if (band.kind === "gate") gateBars(stage, plan, band, ghost, gates.get(band.signal.id));
    else if (band.kind === "input")
      for (let t = plan.from; t < plan.to; t++)
        ghost.box(t - 0.5 + 1 / axis.column, band.top, t + 0.5 - 1 / axis.column, band.top + band.height);
    else if (band.carried)
      for (let t = plan.from; t < plan.to - 1; t++) arrow(wires, t, band.middle, axis.column, band.reverse);
  }
  wireUp(plan, wires, axis.column);
  const words = writing(stage, plan, right, half);
  return [
    tiles(stage, plan, "lane", 0),
    tiles(stage, plan, "tiles", 1),
    ghost.trace(colour.ghost),
    right.trace(colour.rightTint),
    ...[...gates].map(([id, path]) => path.trace(colour.hue(id))),
    ...plan.bands.filter((band) => isOfNumbers(stage, band)).flatMap((band) => numberLines(stage, band, plan)),
    wires.trace(colour.soft, { opacity: 0.55 }),
    words,
  ];
}

/** Whether a band shows numbers: lines, not letters. */
const isOfNumbers = ({ timeline, task }, { kind }) =>
  (kind === "input" && timeline.inputValues !== null) || (kind === "guesses" && task.counts);

function gateBars(stage, { from, to }, band, ghost, path) {
  const half = halfTile(stage.axis.column);
  const mean = stage.timeline.mean(band.layer, band.signal.id);
  const bottom = band.top + band.height;
  for (let t = from; t < to; t++) {
    ghost.box(t - half, band.top, t + half, bottom);
    if (!Number.isNaN(mean[t])) path.box(t - half, bottom - Math.max(1, mean[t] * band.height), t + half, bottom);
  }
}

// Bands of one layer hang together by short lines; what is between them is only air, so the lines stay in it.
function wireUp({ bands, from, to }, wires, column) {
  bands.forEach((band, k) => {
    if (!k || (band.kind === "gate" && bands[k - 1].kind === "gate")) return;
    const above = bands[k - 1];
    const bottom = band.top;
    const top = above.top + above.height;
    for (let t = from; t < to; t++) stub(wires, t, top, bottom, column);
  });
}

// All tiles of a kind, of all layers, are one heatmap: rows of one height in each band, empty rows between the bands.
function tiles(stage, { bands, from, to }, kind, gap) {
  const { timeline, colour, axis } = stage;
  const z = [];
  const edges = [];
  const steps = Array.from({ length: to - from }, (_, k) => from + k);
  for (const band of bands.filter((band) => band.kind === kind)) {
    const values = timeline.values(band.layer, band.signal.id);
    const width = timeline.width(band.layer, band.signal.id);
    const { units } = band;
    const inset = kind === "lane" ? Math.round(band.height * 0.12) : 0;
    const tall = (band.height - 2 * inset) / units.length;
    if (edges.length) z.push(steps.map(() => null));
    units.forEach((unit, row) => {
      edges.push(band.top + inset + row * tall);
      z.push(steps.map((t) => values[t * width + unit]));
    });
    edges.push(band.top + inset + units.length * tall);
  }
  const { plotly, low, high } = colour.diverging;
  return {
    type: "heatmap",
    x: steps,
    y: edges,
    z,
    colorscale: plotly,
    zmin: low,
    zmax: high,
    showscale: false,
    hoverinfo: "skip",
    xgap: tileGap(axis.column),
    ygap: gap,
  };
}

const FAINTEST = 0.3;
const UNJUDGED = 0.4; // how much of it is left where a guess does not count

function writing(stage, { bands, from, to }, right, half) {
  const { timeline, task, colour, axis } = stage;
  const x = [];
  const y = [];
  const text = [];
  const ink = [];
  const size = [];
  const weight = [];
  const write = (t, at, character, { alpha = 1, bold = false, points = 12 }) => {
    x.push(t);
    y.push(at);
    text.push(escapeLabel(shortened(character, Math.max(1, Math.floor((axis.column - 2) / (points * LETTER))))));
    ink.push(colour.ink.replace("rgb(", "rgba(").replace(")", `,${alpha.toFixed(2)})`));
    size.push(points);
    weight.push(bold ? 700 : 400);
  };
  for (const band of bands) {
    if (isOfNumbers(stage, band)) continue;
    if (band.kind === "input") {
      const points = Math.min(task.reads === "words" ? 13 : 18, band.height / 2 + 2);
      for (let t = from; t < to; t++) {
        const token = task.read(t);
        const most = task.reads === "characters" ? fitting(token, axis.column - 3) : points;
        write(t, band.middle, token, { points: Math.min(points, most) });
      }
    }
    if (band.kind !== "guesses") continue;
    const line = band.height / band.rows;
    for (let t = from; t < to; t++) {
      (timeline.top[t] ?? []).slice(0, band.rows).forEach(([token, probability], k) => {
        const hit = token === task.wanted(t);
        const judged = task.judges(t);
        const at = band.top + (k + 0.5) * line;
        if (hit)
          right.box(t - Math.max(half, 0.32), at - line / 2 + 0.5, t + Math.max(half, 0.32), at + line / 2 - 0.5);
        write(t, at, task.named(token, true), {
          alpha: (judged ? 1 : UNJUDGED) * (FAINTEST + (1 - FAINTEST) * Math.sqrt(probability)),
          bold: hit || (task.first > 0 && judged),
          points: Math.max(11, Math.min(16, line - 3)),
        });
      });
    }
  }
  return {
    type: "scatter",
    mode: "text",
    x,
    y,
    text,
    hoverinfo: "skip",
    textposition: "middle center",
    textfont: { color: ink, size, weight },
    cliponaxis: true,
  };
}
