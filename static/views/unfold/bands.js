// Where everything in the unfolded network stands: horizontal bands from the guesses above to the input below, one
// stack a layer.

import { gatesOf, isCarried, lanesOf, outputOf, sampleUnits } from "../../figures/description.js";

const DENSITIES = [
  { guess: 15, tile: 7, rows: 12, lane: 40, gate: 20, input: 26, gap: 11, above: 17, between: 5 },
  { guess: 14, tile: 6, rows: 8, lane: 30, gate: 15, input: 24, gap: 9, above: 15, between: 4 },
  { guess: 13, tile: 5, rows: 6, lane: 22, gate: 11, input: 20, gap: 7, above: 14, between: 3 },
  { guess: 12, tile: 4, rows: 4, lane: 16, gate: 10, input: 17, gap: 5, above: 5, between: 2 },
];
// What is left out first when there is no room: the gates of the other layers, all gates, two of three guesses, the
// other layers.
const SACRIFICES = [
  {},
  { gates: "chosen" },
  { gates: "none" },
  { gates: "none", guesses: 1 },
  { gates: "none", guesses: 1, shownLayers: "chosen" },
  { gates: "none", guesses: 0, shownLayers: "chosen" },
];
const MOST_ROWS = 16;
const MOST_GROWTH = 0.6;
const WIDEST_GAP = 14; // px more than needed
const BETWEEN_LAYERS = 6;
const TALLEST_TILE = 19; // px; wider columns take taller ones
const WIDE = 40; // px, as far as that goes

/**
 * Bands that fill `height` pixels: [{kind: guesses|tiles|lane|gate|input, layer, signal, carried, reverse, top, height,
 * room}], `room` the free pixels above; `input`: how many times as tall as a character, 0 for none; `carried`: on to
 * the next step (`reverse`: to the one before).
 */
export function stackBands(layers, { chosen, height, column, guesses = 3, input = 1 }) {
  const tallest = Math.max(TALLEST_TILE, Math.min(WIDE, column) * 0.9);
  for (const sacrifice of SACRIFICES) {
    for (const density of DENSITIES) {
      const wanted = wantedBands(layers, density, { chosen, guesses, input, ...sacrifice });
      const least = wanted.reduce((sum, band) => sum + band.room + band.height, 0);
      if (least <= height) return spread(wanted, height - least, density, tallest);
    }
  }
  const density = DENSITIES.at(-1);
  return spread(
    wantedBands(layers, density, { shownLayers: "chosen", chosen, gates: "none", guesses: 0, input: 0 }),
    0,
    density,
    tallest,
  );
}

function wantedBands(layers, density, { shownLayers, chosen, gates = "all", guesses, input }) {
  const bands = [];
  const shown = shownLayers === "chosen" ? [chosen] : layers.map((_, k) => layers.length - 1 - k);
  const put = (kind, height, room, more = {}) => bands.push({ kind, height, room: bands.length ? room : 2, ...more });
  if (guesses) put("guesses", density.guess * guesses, 0, { rows: guesses });
  for (const layer of shown) {
    const { cell, reverse } = layers[layer];
    put("tiles", density.tile * density.rows, density.gap + (layer === shown[0] ? 0 : BETWEEN_LAYERS), {
      layer,
      signal: outputOf(cell),
      carried: isCarried(cell, outputOf(cell)),
      reverse,
    });
    for (const lane of lanesOf(cell))
      put("lane", density.lane, density.above, { layer, signal: lane, carried: true, reverse });
    if (gates === "none" || (gates === "chosen" && layer !== chosen)) continue;
    gatesOf(cell).forEach((gate, k) => {
      put("gate", density.gate, k ? density.between : density.gap, { layer, signal: gate, reverse });
    });
  }
  if (input) put("input", density.input * input, density.gap);
  return bands;
}

// What is left over goes to the tiles; what they cannot use, to everything else alike, then to the gaps; the rest stays
// above and below.
function spread(bands, spare, density, tallest) {
  const tiles = bands.filter((band) => band.kind === "tiles");
  const share = Math.min(spare / tiles.length, MOST_ROWS * tallest - density.tile * density.rows);
  for (const band of tiles) band.height += share;
  const others = bands.filter((band) => band.kind !== "tiles");
  const tall = others.reduce((sum, { height }) => sum + height, 0);
  let rest = Math.max(0, spare - share * tiles.length - 2);
  const growth = Math.min(MOST_GROWTH, rest / Math.max(1, tall));
  for (const band of others) band.height *= 1 + growth;
  rest -= growth * tall;
  const gaps = bands.filter((band, k) => k && band.room >= density.gap);
  const wider = Math.min(WIDEST_GAP, rest / Math.max(1, gaps.length));
  for (const band of gaps) band.room += wider;
  bands[0].room += (rest - wider * gaps.length) / 2;
  let top = 0;
  for (const band of bands) {
    band.top = Math.round(top + band.room);
    top += band.room + band.height;
    band.height = Math.round(top) - band.top;
    band.middle = band.top + band.height / 2;
  }
  return bands;
}

/**
 * Gives every band of units those it shows: the most of a few counts that the tiles have room for, the same in every
 * layer that has as many.
 */
export function chooseUnits(bands, timeline, pinned) {
  const lowest = Math.min(...bands.filter((band) => band.kind === "tiles").map((band) => band.height));
  const rows = [16, 12, 8, 6].find((count) => lowest / count >= 5) ?? 4;
  for (const band of bands)
    if (band.kind === "tiles" || band.kind === "lane")
      band.units = sampleUnits(timeline.width(band.layer, band.signal.id), rows, pinned);
}
