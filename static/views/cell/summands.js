// What adds up inside a squashed sum, for one unit: matrix maps from the server's arithmetic, products worked out from
// the graph.

import { givenBy, signalOf } from "../../figures/description.js";
import { flattened } from "./expression.js";

/**
 * The summands of a signal: [{symbol, words, values}], values one number a step; null while the arithmetic is not
 * there.
 */
export function summandsOf(stage, signal, layer, unit) {
  const { arithmetic, description, timeline } = stage;
  const { graph } = description;
  const terms = arithmetic?.layer === layer && arithmetic.unit === unit ? arithmetic.terms[signal] : null;
  const root = graph.findIndex((node) => node.signal === signal);
  if (!terms || terms[0].values.length !== timeline.steps) return null;
  const vector = (index) => {
    const { op, name, signal: id } = graph[index];
    const lag = op !== "state" ? 0 : timeline.layers[layer].reverse ? -1 : 1;
    return Array.from({ length: timeline.steps }, (_, t) =>
      t - lag < 0 || t - lag >= timeline.steps ? 0 : timeline.valueAt(layer, id ?? name, t - lag, unit),
    );
  };
  const given = (index) => terms.find(({ reads }) => reads === readName(graph[index])).values;
  const found = [];
  for (const summand of flattened(graph, graph[root].reads[0], "add")) {
    const factors = flattened(graph, summand, "mul");
    const map = factors.find((index) => graph[index].op === "linear");
    // a weight of the unit's own: the server has the product
    const looked = factors.some((index) => graph[index].op === "parameter");
    const others = factors.filter((index) => index !== map && graph[index].op !== "parameter");
    const row = nameOf(stage, graph, map, others, layer);
    if (looked) found.push({ ...row, values: given(others[0]) });
    else {
      const start = map === undefined ? Array(timeline.steps).fill(1) : given(graph[map].reads[0]);
      found.push({
        ...row,
        values: others.map(vector).reduce((product, each) => product.map((value, t) => value * each[t]), start),
      });
    }
  }
  const bias = terms.find(({ reads }) => reads === "bias");
  if (bias) found.push({ symbol: "b", words: "the bias", values: bias.values });
  return found;
}

const readName = ({ op, name, signal }) => (op === "state" ? `${name}_prev` : (signal ?? name));

// A map of the input is W, of a state before it U, of a signal of the same step V; a weight of the unit's own is w.
function nameOf(stage, graph, map, others, layer) {
  const { description, task } = stage;
  const title = (index) => signalOf(description, graph[index].signal ?? graph[index].name)?.title;
  if (map === undefined)
    return {
      symbol: `w·${graph[others[0]].signal ?? graph[others[0]].name}`,
      words: `a look at the ${title(others[0])}`,
    };
  const source = graph[map].reads[0];
  const { op, name, signal } = graph[source];
  const before = others.map((index) => `${graph[index].signal}·`).join("");
  const letter = op === "input" ? "W" : op === "state" ? "U" : "V";
  const ago = op === "input" && name.split("−")[1];
  const given = ago
    ? `${ago} ${Number(ago) > 1 ? "steps" : "step"} before`
    : (givenBy(stage, layer) ?? (task.reads === "values" ? "the input" : `the ${task.kind}`));
  return {
    symbol: `${before}${letter}·${signal ?? name}`,
    words: op === "input" ? given : (title(source) ?? "a map of its own"),
  };
}
