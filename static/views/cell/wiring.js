// A cell's graph as a diagram needs it: boxes (a squashed sum of matrix maps), operators, roads, and who feeds whom.
// Places are in slots from the left and levels from the bottom; nothing here knows a cell by name.

const BESIDE = 0.8; // slots
const SQUASHING = ["sigmoid", "tanh", "relu"];
const SIGNS = { add: "+", sub: "−", mul: "×", linear: "P" };

/** The diagram of a description: {elements: Map(node → element), roads, outputs, taps, slots, levels}. */
export function wire(cell) {
  const wiring = { graph: cell.graph, elements: new Map(), roads: [], outputs: [], slots: 0 };
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
 * What a squashed sum reads: matrix maps' sources, other vectors taken as they are, signals made in the same step; null
 * if no matrix is in it.
 */
export function inside(graph, root) {
  if (!SQUASHING.includes(graph[root].op)) return null;
  const found = { maps: new Set(), direct: new Set(), signals: new Set() };
  let mapped = false;
  const look = (index, through) => {
    const node = graph[index];
    if (node.signal && index !== root) return void found.signals.add(index);
    if (node.op === "state" || node.op === "input") return void found[through].add(index);
    if (node.op === "linear") mapped = true;
    for (const read of node.reads) look(read, node.op === "linear" ? "maps" : through);
  };
  look(root, "direct");
  return mapped ? found : null;
}

// A road runs from the state before the step to the state after it, through everything that only adds or multiplies.
function layRoad(wiring, state) {
  const { graph } = wiring;
  const end = endOf(graph, state);
  const stops = [];
  const carries = (index) => {
    const node = graph[index];
    if (node.op === "state" && node.name === state) return true;
    return ["add", "sub", "mul"].includes(node.op) && node.reads.some(carries);
  };
  for (let index = end; graph[index].op !== "state"; index = graph[index].reads.find(carries)) stops.unshift(index);
  wiring.roads.push({ state, end, stops });
  let furthest = -Infinity;
  for (const stop of stops) {
    const element = { kind: "operator", sign: SIGNS[graph[stop].op], road: state, node: stop, feeders: [] };
    wiring.elements.set(stop, element);
    const beside = graph[stop].reads.filter((read) => !stops.includes(read) && graph[read].op !== "state");
    const fed = beside.map((read) => place(wiring, read)).filter(Boolean);
    element.feeders = fed.map(({ node }) => node);
    const wanted = fed.length ? fed.reduce((sum, { slot }) => sum + slot, 0) / fed.length : wiring.slots++;
    furthest = element.slot = Math.max(wanted, furthest + 0.6);
  }
}

function place(wiring, index, above) {
  const { graph, elements } = wiring;
  const node = graph[index];
  if (elements.has(index)) return elements.get(index);
  if (["state", "input", "constant", "parameter"].includes(node.op)) return null;
  const reads = inside(graph, index);
  return reads ? placeBox(wiring, index, reads) : placeOperator(wiring, index, above);
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
  const { graph, elements } = wiring;
  const node = graph[index];
  const element = { kind: "operator", node: index, sign: SIGNS[node.op] ?? node.op, feeders: [] };
  elements.set(index, element);
  // 1 − a is one thing to do with a, not two vectors meeting
  if (node.op === "sub" && graph[node.reads[0]].op === "constant") element.sign = "1−";
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
  if (node.op === "linear" && upward.length) {
    Object.assign(element, { level: element.level - 1, slot: element.slot + BESIDE });
    wiring.slots = Math.max(wiring.slots, element.slot + 1);
  }
  // what comes down from a road stands over the operator that takes it
  for (const [, feeder] of fed)
    if (feeder.hangs && feeder.slot === null) Object.assign(feeder, { slot: element.slot, level: element.level + 1 });
  return element;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
