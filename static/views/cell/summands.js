// What adds up inside a sum of matrix maps, for one unit: the maps from the server's arithmetic, products worked out
// from the graph.

import { foreign } from "../../data/foreign.js";
import { givenBy, kindOf, signalOf } from "../../figures/description.js";
import { flattened } from "./expression.js";

/**
 * The summands of a signal: [{symbol, words, values}], values one number a step; none where it is no plain sum of such
 * terms, null while the arithmetic is not there.
 */
export function summandsOf(stage, signal, layer, unit) {
  const { arithmetic, description, timeline } = stage;
  const { graph } = description;
  if (arithmetic?.layer !== layer || arithmetic.unit !== unit) return null;
  const terms = arithmetic.terms[signal];
  if (!terms) return [];
  if (terms[0].values.length !== timeline.steps) return null;
  const { reads } = graph.find((node) => node.signal === signal);
  const found = flattened(description, reads[0], "+").map((summand) => rowOf(stage, terms, summand, layer, unit));
  if (found.includes(null)) return [];
  const bias = terms.find(({ reads: name }) => name === "bias");
  return bias ? [...found, { symbol: "b", words: "the bias", values: bias.values }] : found;
}

// One summand: a map by a matrix, times signals; a weight of the unit's own times one. Null for anything else.
function rowOf(stage, terms, summand, layer, unit) {
  const { description } = stage;
  const { graph } = description;
  const factors = flattened(description, summand, "×");
  const map = factors.find((index) => kindOf(description, index) === "map");
  const others = factors.filter((index) => index !== map && graph[index].op !== "parameter");
  // a weight of the unit's own: the server has the product
  const looked = factors.some((index) => graph[index].op === "parameter");
  const source = looked ? others[0] : map === undefined ? undefined : graph[map].reads[0];
  const given = source === undefined ? undefined : terms.find(({ reads }) => reads === readName(graph[source]));
  const isVector = (index) => graph[index].signal || graph[index].op === "state" || graph[index].op === "constant";
  if (((looked || source !== undefined) && !given) || !others.every(isVector)) return null;
  const row = nameOf(stage, { map, others, looked }, layer);
  if (looked) return { ...row, values: given.values };
  const start = given?.values ?? Array(stage.timeline.steps).fill(1);
  const vectors = others.map((index) => vectorOf(stage, graph[index], layer, unit));
  return { ...row, values: vectors.reduce((product, each) => product.map((value, t) => value * each[t]), start) };
}

// The numbers of one unit at every step: of a signal, of a state as it was before the step, of a constant.
function vectorOf({ timeline }, { op, name, signal }, layer, unit) {
  const { steps } = timeline;
  if (op === "constant") return Array(steps).fill(Number(name));
  const lag = op !== "state" ? 0 : timeline.layers[layer].reverse ? -1 : 1;
  return Array.from({ length: steps }, (_, t) =>
    t - lag < 0 || t - lag >= steps ? 0 : timeline.valueAt(layer, signal ?? name, t - lag, unit),
  );
}

const readName = ({ op, name, signal }) => (op === "state" ? `${name}_prev` : (signal ?? name));

// A map of the input is W, of a state before it U, of a signal of the same step V; a weight of the unit's own is w.
function nameOf(stage, { map, others, looked }, layer) {
  const { description, task } = stage;
  const { graph } = description;
  const called = (index) => graph[index].signal ?? graph[index].name;
  const title = (index) => signalOf(description, called(index))?.title;
  if (looked) return { symbol: `w·${called(others[0])}`, words: `a look at the ${foreign(title(others[0]) ?? "")}` };
  if (map === undefined) return { symbol: others.map(called).join("·"), words: title(others[0]) ?? "" };
  const source = graph[map].reads[0];
  const { op, name, signal } = graph[source];
  const before = others.map((index) => `${called(index)}·`).join("");
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
