// A cell's graph as a diagram needs it: boxes (a sum of matrix maps, squashed as a rule), operators, roads, and who
// feeds whom. Places are in slots from the left and levels from the bottom; nothing here knows a cell by name.

import { kindOf, symbolOf } from "../../figures/description.js";

const BESIDE = 0.8; // slots
const MAP = "P"; // the sign of a matrix that stands alone
const SUM = "Σ"; // of the matrix maps that a step adds up without naming what comes out

/** The diagram of a description: {elements: Map(node → element), roads, outputs, taps, slots, levels}. */
export function wire(cell) {
  const wiring = { cell, graph: cell.graph, elements: new Map(), roads: [], outputs: [], slots: 0 };
  const roads = cell.signals.filter((signal) => signal.road);
  for (const { id } of roads) layRoad(wiring, id);
  for (const state of cell.states) {
    if (roads.some(({ id }) => id === state)) continue;
    const end = endOf(cell.graph, state);
    place(wiring, end);
    wiring.outputs.push({ state, end });
  }
  wiring.levels =
    Math.max(1, ...[...wiring.elements.values()].map((element) => element.level ?? 0)) + (wiring.roads.length ? 1 : 0);
  return wiring;
}

const endOf = (graph, signal) => graph.findIndex((node) => node.signal === signal);

/**
 * What a sum of matrix maps reads under its activation: the maps' sources, other vectors taken as they are, signals
 * made in the same step; null if no matrix is in it.
 */
export function inside(cell, root) {
  if (kindOf(cell, root) !== "activation") return null;
  const { graph } = cell;
  const found = { maps: new Set(), direct: new Set(), signals: new Set() };
  let mapped = false;
  const look = (index, through) => {
    const node = graph[index];
    const isMap = kindOf(cell, index) === "map";
    if (node.signal && index !== root) return void found.signals.add(index);
    if (node.op === "state" || node.op === "input") return void found[through].add(index);
    if (isMap) mapped = true;
    for (const read of node.reads) look(read, isMap ? "maps" : through);
  };
  look(root, "direct");
  return mapped ? found : null;
}

/** Whether a node without a name adds up matrix maps and nothing else, each of the input or of a state. */
export function isSumOfMaps(cell, index) {
  const { op, reads, signal } = cell.graph[index];
  if (signal) return false;
  if (kindOf(cell, index) === "map") return kindOf(cell, reads[0]) === "leaf";
  return op === "add" && reads.every((read) => isSumOfMaps(cell, read));
}

/** Whether nothing squashes a sum: its activation is none. */
export const isUnsquashed = (cell, index) => kindOf(cell, index) === "activation" && symbolOf(cell, index) === "";

// A road runs from the state before the step to the state after it, through everything that only adds or multiplies.
function layRoad(wiring, state) {
  const { cell, graph } = wiring;
  const end = endOf(graph, state);
  const stops = [];
  const carries = (index) => {
    const node = graph[index];
    if (node.op === "state" && node.name === state) return true;
    return kindOf(cell, index) === "arithmetic" && node.reads.some(carries);
  };
  for (let index = end; graph[index].op !== "state"; index = graph[index].reads.find(carries)) stops.unshift(index);
  wiring.roads.push({ state, end, stops });
  let furthest = -Infinity;
  for (const stop of stops) {
    const element = { kind: "operator", sign: signOf(cell, stop), road: state, node: stop, feeders: [], before: [] };
    wiring.elements.set(stop, element);
    const beside = graph[stop].reads.filter((read) => !stops.includes(read) && graph[read].op !== "state");
    element.before = statesBefore(graph, stop).filter((name) => name !== state);
    const fed = beside.map((read) => place(wiring, read)).filter(Boolean);
    element.feeders = fed.map(({ node }) => node);
    const wanted = fed.length ? fed.reduce((sum, { slot }) => sum + slot, 0) / fed.length : wiring.slots++;
    furthest = element.slot = Math.max(wanted, furthest + 0.6);
  }
}

// The states that an operator reads as they were before the step, without a matrix.
const statesBefore = (graph, index) =>
  graph[index].reads.filter((read) => graph[read].op === "state").map((read) => graph[read].name);

// What an operator says: its sign, with a constant that it takes; 1 − a is one thing to do with a, not two vectors that
// meet.
function signOf(cell, index) {
  const { graph } = cell;
  if (isSumOfMaps(cell, index)) return SUM;
  const { reads } = graph[index];
  const sign = kindOf(cell, index) === "map" ? MAP : symbolOf(cell, index) || graph[index].op;
  if (kindOf(cell, index) !== "arithmetic") return sign;
  const [left, right] = reads.map((read) => (graph[read].op === "constant" ? graph[read].name : ""));
  return `${left}${sign}${right}`;
}

function place(wiring, index) {
  const { cell, elements } = wiring;
  if (elements.has(index)) return elements.get(index);
  if (kindOf(cell, index) === "leaf") return null;
  const reads = inside(cell, index);
  return reads ? placeBox(wiring, index, reads) : placeOperator(wiring, index);
}

function placeBox(wiring, index, reads) {
  for (const signal of reads.signals) if (!onRoad(wiring, signal)) place(wiring, signal);
  const element = {
    kind: "box",
    node: index,
    signal: wiring.graph[index].signal,
    slot: wiring.slots++,
    level: 0,
    reads,
  };
  wiring.elements.set(index, element);
  return element;
}

const onRoad = (wiring, index) => wiring.roads.find((road) => road.end === index);

function placeOperator(wiring, index) {
  const { cell, graph, elements } = wiring;
  const node = graph[index];
  const element = { kind: "operator", node: index, sign: signOf(cell, index), feeders: [], before: [] };
  element.before = statesBefore(graph, index);
  elements.set(index, element);
  if (isSumOfMaps(cell, index)) return Object.assign(element, { before: [], slot: wiring.slots++, level: 1 });
  const hanging = node.reads.length === 1 ? onRoad(wiring, node.reads[0]) : null;
  if (hanging) return Object.assign(element, { hangs: hanging.state, slot: null, level: null });
  const fed = node.reads
    .map((read) => [elements.has(read), place(wiring, read), onRoad(wiring, read)])
    .filter(([, feeder]) => feeder);
  const upward = fed.filter(([, feeder, road]) => !road && !feeder.hangs);
  const fresh = upward.filter(([known]) => !known);
  element.feeders = fed.map(([, feeder]) => feeder.node);
  element.slot = fresh.length
    ? mean(fresh.map(([, { slot }]) => slot))
    : upward.length
      ? mean(upward.map(([, { slot }]) => slot)) + 0.5
      : wiring.slots++;
  element.level = 1 + Math.max(0, ...upward.map(([, { level }]) => level ?? 0));
  // a matrix of its own stands beside what it reads: from above something may come down to that
  if (kindOf(cell, index) === "map" && upward.length) {
    Object.assign(element, { level: element.level - 1, slot: element.slot + BESIDE });
    wiring.slots = Math.max(wiring.slots, element.slot + 1);
  }
  // what comes down from a road stands over the operator that takes it
  for (const [, feeder] of fed)
    if (feeder.hangs && feeder.slot === null) Object.assign(feeder, { slot: element.slot, level: element.level + 1 });
  return element;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
