// Numbers over time as lines within a band: what is given where it is no character, and what is given back beside what
// was wanted.

import { number } from "../../data/formatting.js";

const MOST_LINES = 4;
const PAD = 3; // px above and below
const DASHES = ["solid", "4px,2px", "1px,2px", "6px,2px,1px,2px"];

/**
 * The lists of numbers a band shows, one a step: {shown, wanted}; `wanted` where there is something to compare with.
 */
function rowsOf({ timeline, task }, kind) {
  const each = (rowAt) => Array.from({ length: timeline.steps }, (_, t) => rowAt(t));
  if (kind === "input")
    return { shown: each((t) => (task.hasInput(t) ? timeline.inputValues[t] : undefined)), wanted: [] };
  return { shown: each((t) => task.outputs(t)), wanted: each((t) => task.target(t)) };
}

/** The smallest and the largest number of a band, a little apart where all are one. */
function endsOf({ shown, wanted }) {
  const all = [...shown, ...wanted].flatMap((row) => row ?? []).filter(Number.isFinite);
  const [low, high] = [all.reduce((a, b) => Math.min(a, b), Infinity), all.reduce((a, b) => Math.max(a, b), -Infinity)];
  if (!(low <= high)) return [0, 1];
  return low < high ? [low, high] : [low - 0.5, high + 0.5];
}

/** Those ends as the gutter says them. */
export const spanOf = (stage, kind) => endsOf(rowsOf(stage, kind)).map(number).join(" … ");

/** Lines of a band {kind, top, height}, channel by channel: what was wanted broad beneath, what came fine above. */
export function numberLines(stage, { kind, top, height }, { from, to }) {
  const rows = rowsOf(stage, kind);
  const [low, high] = endsOf(rows);
  const { colour, task } = stage;
  const y = (value) => top + PAD + ((high - value) / (high - low)) * (height - 2 * PAD);
  const x = Array.from({ length: to - from }, (_, k) => from + k);
  const line = (table, k, style, marked) => ({
    type: "scatter",
    mode: marked ? "lines+markers" : "lines",
    x,
    y: x.map((t) => (table[t] ? y(table[t][k]) : null)),
    line: style,
    hoverinfo: "skip",
    marker: { size: 4, color: style.color, opacity: x.map((t) => (kind === "input" || task.judges(t) ? 1 : 0.25)) },
  });
  const many = Math.min(MOST_LINES, Math.max(...rows.shown.map((row) => row?.length ?? 0)));
  const channels = Array.from({ length: many }, (_, k) => k);
  return [
    ...channels
      .filter(() => rows.wanted.some(Boolean))
      .map((k) => line(rows.wanted, k, { color: colour.rightTint, width: 6 }, false)),
    ...channels.map((k) => line(rows.shown, k, { color: colour.ink, width: 1.5, dash: DASHES[k] }, true)),
  ];
}
