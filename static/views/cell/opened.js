// A signal opened for one unit: what each linear map adds, their sum, the squashed sum.

import { isSigned, signalOf } from "../../figures/description.js";
import { make, restyle, retext } from "../../figures/figure.js";
import { signed } from "../../core/words.js";
import { squash } from "./expression.js";

/** Builds the lines for a signal; returns step(t), which changes bars and numbers only. */
export function openSignal(panel, stage, { signal, layer, unit }) {
  const { description, timeline, colour, arithmetic } = stage, described = signalOf(description, signal);
  panel.replaceChildren();
  panel.style.setProperty("--hue", colour.hue(signal));
  const head = make(panel, "h3", "opened-title");
  head.append(`Unit ${unit}, `);
  make(head, "span", "opened-signal", { text: described.title });
  const fits = arithmetic && arithmetic.layer === layer && arithmetic.unit === unit, terms = fits ? arithmetic.terms[signal] : null;
  const lines = make(panel, "div", "opened-lines");
  if (!terms) {
    make(lines, "p", "opened-wait", { text: fits ? "" : "adding up …" });
    return () => {};
  }
  const sums = terms[0].values.map((_, t) => terms.reduce((sum, { values }) => sum + values[t], 0));
  const widest = Math.max(1e-9, ...[...terms.map(({ values }) => values), sums].flatMap((values) => values.map(Math.abs)));
  const rows = terms.map(({ reads, values }) => ({ values, ...line(lines, ...termWords(stage, reads, layer)) }));
  rows.push({ values: sums, ...line(lines, "sum", "") });
  const root = description.graph.find((node) => node.signal === signal), last = line(lines, `${squash(root.op)}(sum)`, "", "is-result");
  const table = timeline.values(layer, signal), low = isSigned(described) ? -1 : 0;
  return (t) => {
    for (const { values, bar, count } of rows) {
      const share = values[t] / widest;
      restyle(bar, "transform", `scaleX(${share.toFixed(3)})`);
      restyle(bar, "background", share < 0 ? "var(--negative)" : "var(--positive)");
      retext(count, signed(values[t]));
    }
    const value = table[t * timeline.hidden + unit];
    last.rail.classList.toggle("is-signed", low < 0);
    restyle(last.bar, "transform", `scaleX(${Number.isFinite(value) ? value.toFixed(3) : 0})`);
    retext(last.count, low < 0 ? signed(value) : value >= 0 ? value.toFixed(3) : "–");
  };
}

function line(lines, symbol, words, kind = "") {
  make(lines, "b", `opened-symbol ${kind}`, { text: symbol });
  make(lines, "span", `opened-words ${kind}`, { text: words });
  const rail = make(lines, "span", `opened-rail ${kind}`);
  return { rail, bar: make(rail, "i", "opened-bar"), count: make(lines, "span", `opened-count ${kind}`) };
}

// A map of the input is W, of the output before it U, of anything else V; a bias reads nothing.
function termWords({ description }, reads, layer) {
  const source = /^(.*)_prev$/.exec(reads)?.[1], signal = signalOf(description, source ?? reads);
  if (signal) return [`${source === description.states[0] ? "U" : "V"}·${signal.id}`, signal.title];
  if (description.graph.some((node) => node.op === "input" && node.name === reads)) return [`W·${reads}`, layer ? `what layer ${layer} says` : "the character read"];
  return [reads[0], `the ${reads}`];
}
