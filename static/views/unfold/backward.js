// The gradient coming back: for every state a ribbon of arrows whose width is its norm, with the number every few
// columns.

import { number } from "../../data/formatting.js";
import { largest, statesOf } from "../../figures/description.js";
import { Path, ribbon, ribbonWidth } from "./paths.js";

const NUMBER_WIDTH = 56; // px a printed norm takes
const NUMBER_HEIGHT = 13;
const WIDEST = 88; // px of the widest arrow

/** The largest norm of all states and layers: what the widest ribbon stands for. */
export function widestNorm(stage) {
  const { timeline } = stage;
  let most = 0;
  timeline.layers.forEach(({ cell }, layer) => {
    for (const state of statesOf(cell)) most = largest(timeline.gradientNorm(layer, state.id), most);
  });
  return most;
}

/** Bands a gradient runs through, with the height its widest arrow may take and where its number stands. */
export function ribbonBands(bands) {
  return bands
    .filter(({ carried }) => carried)
    .map((band) => {
      const outside = band.kind === "lane" && band.room >= NUMBER_HEIGHT;
      const inside = band.kind === "tiles" && band.height > 3 * NUMBER_HEIGHT;
      return {
        ...band,
        widest: inside ? Math.min(WIDEST, band.height - 2 * NUMBER_HEIGHT - 4) : band.height * 0.86,
        numberAt: outside
          ? band.top - NUMBER_HEIGHT / 2 - 1
          : inside
            ? (width) => band.middle - width / 2 - NUMBER_HEIGHT / 2 - 2
            : null,
      };
    });
}

/** The gradient's way from one step to another as one filled path. */
export function ribbonTrace(stage, { bands, from, to }) {
  const { timeline, axis, colour } = stage;
  const most = widestNorm(stage);
  const path = new Path();
  for (const band of ribbonBands(bands)) {
    const width = widthsIn(band, timeline, most);
    for (let t = from; t < to; t++)
      ribbon(
        path,
        t,
        band.middle,
        [width(t - 1) || width(t), width(t), width(t + 1) || width(t)],
        axis.column,
        band.reverse,
      );
  }
  return path.trace(colour.gradient);
}

/** The norms in figures, every few columns of the window in sight. */
export function numberTrace(stage, { bands }) {
  const { timeline, colour, axis } = stage;
  const from = axis.first;
  const to = axis.first + axis.count;
  const most = widestNorm(stage);
  const every = columnsPerNumber(stage);
  const x = [];
  const y = [];
  const text = [];
  for (const band of ribbonBands(bands)) {
    const norms = timeline.gradientNorm(band.layer, band.signal.id);
    const width = widthsIn(band, timeline, most);
    for (let t = from; t < to; t++) {
      if (band.numberAt === null || !isNumbered(stage, t) || !width(t)) continue;
      x.push(t - 0.5);
      y.push(
        typeof band.numberAt === "function"
          ? band.numberAt(largest(Array.from({ length: every }, (_, k) => width(t + k))))
          : band.numberAt,
      );
      text.push(number(norms[t]));
    }
  }
  return {
    type: "scatter",
    mode: "text",
    x,
    y,
    text,
    textposition: "middle right",
    hoverinfo: "skip",
    textfont: { color: colour.ink, size: 11, weight: 600 },
  };
}

function widthsIn(band, timeline, most) {
  const norms = timeline.gradientNorm(band.layer, band.signal.id);
  return (t) => ribbonWidth(norms[Math.max(0, Math.min(timeline.steps - 1, t))], most, band.widest);
}

const columnsPerNumber = ({ axis }) => Math.ceil(NUMBER_WIDTH / axis.column);

// Counted from the window's end, where the gradient comes in, so that no number sticks out there.
function isNumbered(stage, t) {
  const { first, count } = stage.axis;
  const every = columnsPerNumber(stage);
  return (first + count - 1 - t) % every === every - 1;
}

/** The first numbered step from t on: numbers left of it would stick out of what the gradient has not reached. */
export function firstNumbered(stage, t) {
  const end = stage.axis.first + stage.axis.count;
  while (t < end && !isNumbered(stage, t)) t++;
  return t;
}
