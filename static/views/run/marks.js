// What the figures of a training share: how runs are told apart, names at the ends of lines that keep out of each
// other's way, ticks in the gutter.

import { make } from "../../figures/figure.js";

export const DASHES = ["solid", "dash", "dot", "dashdot"];
const HUES = ["ink", "run-1", "run-2", "run-3"];
const LINE = 13; // px between two names

/** A run's own colour: ink where it is alone. */
export const hueOf = (stage, run) => stage.colour[HUES[run.place % HUES.length]];
export const numberOf = (run) => String.fromCodePoint(0x2460 + run.place); // ①

/**
 * Names at the right of a track; `entries`: [{y, name, hue, title}…]. Those that would touch are moved apart, in their
 * order; of too many the last are left out.
 */
export function nameEnds(layer, entries, { left, height }) {
  layer.replaceChildren();
  const sorted = entries
    .filter(({ y }) => Number.isFinite(y))
    .slice(0, Math.floor(height / LINE))
    .sort((a, b) => a.y - b.y);
  let last = -LINE / 2;
  for (const entry of sorted) {
    entry.at = Math.max(entry.y, last + LINE);
    last = entry.at;
  }
  let most = height - LINE / 2;
  for (const entry of sorted.toReversed()) {
    entry.at = Math.min(entry.at, most);
    most = entry.at - LINE;
  }
  for (const { at, name, hue, title } of sorted) {
    make(layer, "span", "end-name", {
      text: name,
      style: `left:${left}px;top:${at}px;color:${hue}`,
      title: title ?? name,
    });
  }
}

/** Numbers in the gutter with a fine line through the track; `ticks`: [[y, text]…]. */
export function nameTicks(layer, ticks, { gutter, width }) {
  layer.replaceChildren();
  for (const [y, text] of ticks) {
    make(layer, "i", "tick-line", { style: `left:${gutter}px;width:${width}px;top:${y}px` });
    make(layer, "span", "tick-name", { text, style: `width:${gutter - 8}px;top:${y}px` });
  }
}
