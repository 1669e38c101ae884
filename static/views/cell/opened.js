// A signal opened for one unit: what each linear map adds, their sum, the squashed sum.

import { signed } from "../../data/formatting.js";
import { isSigned, signalOf } from "../../figures/description.js";
import { make, restyle, retext } from "../../figures/figure.js";
import { writeMore } from "../../figures/writing.js";
import { squashed } from "./expression.js";
import { isUnsquashed } from "./wiring.js";

const OF_A_FILE = "A trace from a file has no weights to add up.";
const NO_PLAIN_SUM = "What goes in here is more than a sum of terms.";

/**
 * Builds the lines for a signal from its summands (null: not there yet; none: no plain sum); returns step(t), which
 * changes bars and numbers only.
 */
export function openSignal(panel, stage, { signal, layer, unit, summands }) {
  const { description, timeline, colour } = stage;
  const described = signalOf(description, signal);
  panel.replaceChildren();
  panel.style.setProperty("--hue", colour.hue(signal));
  const head = make(panel, "h3", "opened-title");
  writeMore(head, `Unit ${unit}, `);
  make(head, "span", "opened-signal", { text: described.title });
  const lines = make(panel, "div", "opened-lines");
  const root = description.graph.findIndex((node) => node.signal === signal);
  const unsquashed = isUnsquashed(description, root);
  if (unsquashed) make(panel, "p", "opened-note", { text: "Nothing squashes this sum: it is handed on as it is." });
  if (!summands?.length) {
    make(lines, "p", "opened-wait", { text: stage.state.trace ? OF_A_FILE : summands ? NO_PLAIN_SUM : "adding up …" });
    return () => {};
  }
  const sums = summands[0].values.map((_, t) => summands.reduce((sum, { values }) => sum + values[t], 0));
  const widest = Math.max(
    1e-9,
    ...[...summands.map(({ values }) => values), sums].flatMap((values) => values.map((value) => Math.abs(value) || 0)),
  );
  const rows = summands.map(({ symbol, words, values }) => ({ values, ...line(lines, symbol, words) }));
  if (!unsquashed) rows.push({ values: sums, ...line(lines, "sum", "") });
  const result = squashed(description, root);
  const last = line(lines, result, "", "is-result");
  const held = stage.state.clamp.filter((each) => each.layer === layer && each.signal === signal && holds(each, unit));
  const low = isSigned(described) ? -1 : 0;
  // what has no bounds is as long as the bars above it say, or as its own largest number
  const most = unsquashed ? widest : described.range ? 1 : Math.max(1e-9, ...unitOf(timeline, layer, signal, unit));
  return (t) => {
    for (const { values, bar, count } of rows) {
      const share = values[t] / widest;
      restyle(bar, "transform", `scaleX(${share.toFixed(3)})`);
      restyle(bar, "background", share < 0 ? "var(--negative)" : "var(--positive)");
      retext(count, signed(values[t]));
    }
    const value = timeline.valueAt(layer, signal, t, unit);
    const isHeld = held.some(({ from, to }) => t >= from && t < (to ?? timeline.steps));
    retext(last.name, isHeld ? "held at" : result);
    last.rail.classList.toggle("is-signed", low < 0);
    restyle(last.bar, "transform", `scaleX(${Number.isFinite(value) ? (value / most).toFixed(3) : 0})`);
    retext(last.count, low < 0 ? signed(value) : value >= 0 ? value.toFixed(3) : "–");
  };
}

const unitOf = (timeline, layer, signal, unit) =>
  Array.from({ length: timeline.steps }, (_, t) => timeline.valueAt(layer, signal, t, unit) || 0);

const holds = ({ units }, unit) => units === "all" || units.includes(unit);

function line(lines, symbol, words, kind = "") {
  const name = make(lines, "b", `opened-symbol ${kind}`, { text: symbol });
  make(lines, "span", `opened-words ${kind}`, { text: words });
  const rail = make(lines, "span", `opened-rail ${kind}`);
  return { name, rail, bar: make(rail, "i", "opened-bar"), count: make(lines, "span", `opened-count ${kind}`) };
}
