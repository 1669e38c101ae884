// Where the folded network stands: one column, and for every state a loop that leads from its right side round to its
// left.

import { outputOf } from "../../figures/description.js";
import { stackBands } from "./bands.js";

const BETWEEN = 9; // px between one loop and the next
const ROAD = { least: 8, most: 26 };
const THIN = 2;
const WIDEST = 30; // px of the widest gradient
const EDGE = 6;
const ROUND = 30;
const WIDE = 720; // px from which words stand beside the loops
const CAPTION = 20; // px for the words below, where they have no room beside

/**
 * {bands, loops, widest, …}: loops are {layer, signal, path, thick, y, left, right, far}; `widest` is the width of the
 * largest gradient.
 */
export function placeFolded({ timeline }, { width, height, chosen, guesses, pinned }) {
  const beside = width >= WIDE;
  const column = Math.max(64, Math.min(230, Math.round(width * 0.19)));
  const centre = Math.round(beside ? width * 0.4 : width / 2);
  const [left, right] = [centre - column / 2, centre + column / 2];
  const clear = Math.max(44, Math.min(220, width * 0.172));
  const caption = beside || height < 110 ? 0 : CAPTION;
  const wanted = { chosen, column: 0, guesses };
  const broad = Math.max(ROAD.least, Math.min(ROAD.most, height * 0.055, (clear * 0.45) / timeline.layers.length));
  const widest = Math.min(WIDEST, clear * 0.2, (height * 0.07) / timeline.layers.length);
  const thick = (signal) => (signal.road ? broad : THIN);
  const reserve = (bands) => {
    const room = { above: EDGE, below: EDGE };
    for (const { signal, side } of loopedStates(timeline.layers, bands))
      room[side] += Math.max(thick(signal), widest) + BETWEEN;
    return room;
  };
  // which layers there is room for depends on the loops, whose room depends on the layers
  let bands = stackBands(timeline.layers, { ...wanted, height: height - caption - 40 });
  const room = reserve(bands);
  bands = stackBands(timeline.layers, { ...wanted, height: height - caption - room.above - room.below });
  for (const band of bands) {
    band.top += room.above;
    band.middle += room.above;
  }
  const end = { above: bands[0].top, below: bands.at(-1).top + bands.at(-1).height };
  const out = { above: 0, below: 0 };
  const at = { above: clear, below: clear, widest };
  const loops = loopedStates(timeline.layers, bands).map(({ band, signal, side }) => {
    const wide = Math.max(thick(signal), widest);
    const across = at[side] + wide / 2;
    const away = out[side] + BETWEEN - 2 + wide / 2;
    at[side] += wide + BETWEEN;
    out[side] += wide + BETWEEN;
    const far = side === "above" ? end.above - away : end.below + away;
    const loop = {
      layer: band.layer,
      signal,
      side,
      reverse: band.reverse,
      thick: thick(signal),
      y: band.middle,
      far,
      left: left - across,
      right: right + across,
    };
    return { ...loop, path: way(loop, left, right) };
  });
  return {
    bands,
    loops,
    left,
    right,
    column,
    width,
    height,
    beside,
    caption,
    chosen,
    pinned,
    outer: Math.max(at.above, at.below),
    clear,
    widest,
  };
}

// A cell's output goes round above, what it keeps for itself round below; the nearer layer stays inside.
function loopedStates(layers, bands) {
  const found = [];
  for (const band of bands) {
    if (band.kind === "tiles" && band.carried)
      found.push({ band, signal: outputOf(layers[band.layer].cell), side: "above" });
    if (band.kind === "lane") found.push({ band, signal: band.signal, side: "below" });
  }
  return [...found.filter(({ side }) => side === "above"), ...found.filter(({ side }) => side === "below").reverse()];
}

// Out at the right, round the far side, in at the left: the way the state goes from one step to the next.
function way({ y, far, left, right, side }, inner, outer) {
  const r = Math.min(ROUND, Math.abs(y - far) / 2);
  const up = side === "above" ? -1 : 1;
  const sweep = side === "above" ? 0 : 1;
  const turn = (x, to) => `A${r} ${r} 0 0 ${sweep} ${x} ${to}`;
  return (
    `M${outer} ${y}H${right - r}${turn(right, y + up * r)}V${far - up * r}${turn(right - r, far)}` +
    `H${left + r}${turn(left, far - up * r)}V${y + up * r}${turn(left + r, y)}H${inner}`
  );
}
