// The gradient coming back: for every state a ribbon of arrows whose width is its norm, with the number every few columns.

import { largest, statesOf } from "../../figures/description.js";
import { number } from "../../core/words.js";
import { Path, ribbon, ribbonWidth } from "./paths.js";

const NUMBER_WIDTH = 56; // px a printed norm takes
const NUMBER_HEIGHT = 13;

/** The largest norm of all states and layers: what the widest ribbon stands for. */
export function widestNorm(stage) {
  const { timeline, description } = stage;
  let most = 0;
  for (const state of statesOf(description)) {
    for (let layer = 0; layer < timeline.layers; layer++) most = largest(timeline.gradientNorm(layer, state.id), most);
  }
  return most;
}

/** Bands a gradient runs through, with the height its widest arrow may take and where its number stands. */
export function ribbonBands(bands) {
  return bands.filter(({ kind }) => kind === "tiles" || kind === "lane").map((band) => {
    const outside = band.kind === "lane" && band.room >= NUMBER_HEIGHT;
    const inside = band.kind === "tiles" && band.height > 3 * NUMBER_HEIGHT;
    return {
      ...band,
      widest: inside ? Math.min(64, band.height - 2 * NUMBER_HEIGHT - 4) : band.height * 0.86,
      numberAt: outside ? band.top - NUMBER_HEIGHT / 2 - 1 : inside ? (width) => band.middle - width / 2 - NUMBER_HEIGHT / 2 - 2 : null,
    };
  });
}

/** Traces of the gradient's way from one step to another: one filled path, one of numbers. */
export function backwardTraces(stage, { bands, from, to }) {
  const { timeline, axis, colour } = stage, most = widestNorm(stage), path = new Path();
  const numbers = { x: [], y: [], text: [] }, every = Math.ceil(NUMBER_WIDTH / axis.column);
  for (const band of ribbonBands(bands)) {
    const norms = timeline.gradientNorm(band.layer, band.signal.id);
    const width = (t) => ribbonWidth(norms[Math.max(0, Math.min(timeline.steps - 1, t))], most, band.widest);
    for (let t = from; t < to; t++) {
      const here = width(t);
      ribbon(path, t, band.middle, [width(t - 1) || here, here, width(t + 1) || here], axis.column);
      // counted from the text's end, where the gradient starts from
      if (band.numberAt === null || (timeline.steps - 1 - t) % every !== every - 1 || !here) continue;
      numbers.x.push(t - 0.5);
      numbers.y.push(typeof band.numberAt === "function" ? band.numberAt(largest(Array.from({ length: every }, (_, k) => width(t + k)))) : band.numberAt);
      numbers.text.push(number(norms[t]));
    }
  }
  return [
    path.trace(colour.accent),
    { type: "scatter", mode: "text", ...numbers, textposition: "middle right", hoverinfo: "skip", textfont: { color: colour.ink, size: 11, weight: 600 } },
  ];
}
