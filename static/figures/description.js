// What the figures ask of a cell's description: which signals are gates, which states are carried along a road, how
// they are called.

export const gatesOf = (cell) => cell.signals.filter((signal) => signal.role === "gate");
export const statesOf = (cell) => cell.states.map((id) => signalOf(cell, id));
export const roadFirst = (cell) => statesOf(cell).sort((a, b) => Number(b.road) - Number(a.road));
export const outputOf = (cell) => signalOf(cell, cell.states[0]);
export const signalOf = (cell, id) => cell.signals.find((signal) => signal.id === id);

/** The states that stand in a lane of their own: carried along a road and not what the cell shows outside. */
export const lanesOf = (cell) => statesOf(cell).filter((state) => state.road && state.id !== cell.states[0]);

/** Whether the next step reads a state: not every cell hands on what it shows. */
export const isCarried = (cell, state) => cell.graph.some(({ op, name }) => op === "state" && name === state.id);

/** A node of a cell’s graph is `leaf`, `map` (by a matrix), `activation`, `arithmetic`, `function` or `reduction`. */
export const kindOf = ({ graph, operations }, index) => operations[graph[index].op].kind;

/** How a node's operation is written: its sign, or the name of its function; "" for a sum that nothing squashes. */
export function symbolOf({ graph, operations }, index) {
  const { op } = graph[index];
  return operations[op].symbol ?? op;
}

/** The layer and unit that are chosen, within what the network has; layers count from 0 here. */
export function chosenLayer(stage) {
  return within(stage.state.layer, stage.timeline.layers.length);
}
export function chosenUnit(stage) {
  return within(stage.state.unit, stage.timeline.width(chosenLayer(stage), stage.state.signal));
}

/** What a layer reads, in words: what the layers below say; null for the input itself. */
export function givenBy({ timeline: { layers } }, layer) {
  const level = ({ title }) => title.replace(/ [→←]$/, "");
  const below = layers.slice(0, layer).findLast((each) => level(each) !== level(layers[layer]));
  return below ? `what ${/\d/.test(below.title) ? "" : "the "}${level(below)} says` : null;
}

/** How many steps of its input a cell reads at once: more than one where it has a window. */
export const windowOf = (cell) => Math.max(1, cell.graph.filter(({ op }) => op === "input").length);

function within(value, count) {
  return Math.max(0, Math.min(count - 1, Number(value) || 0));
}

/** A title without what stands in brackets and the word every gate's title ends in: a gutter has no room for it. */
export function shortTitle(signal) {
  return signal.title.replace(/ \(.*\)$/, "").replace(/ gate$/, "");
}

export const isSigned = (signal) => signal.range?.[0] !== 0;

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
export function powerOfTen(exponent) {
  return `10${[...String(exponent)].map((digit) => RAISED[digit]).join("")}`;
}

/**
 * Rows to show of so many units: evenly spread, the pinned one, if it is there, always among them, in the same way for
 * every network.
 */
export function sampleUnits(hidden, rows, pinned) {
  const count = Math.min(hidden, rows);
  const units = Array.from({ length: count }, (_, k) => Math.floor(((k + 0.5) * hidden) / count));
  if (pinned < hidden && !units.includes(pinned)) {
    const nearest = units.reduce(
      (best, unit, k) => (Math.abs(unit - pinned) < Math.abs(units[best] - pinned) ? k : best),
      0,
    );
    units[nearest] = pinned;
  }
  return units.sort((a, b) => a - b);
}

/** Largest finite value of a list; `floor` when there is none. */
export function largest(values, floor = 0) {
  let most = floor;
  for (const value of values) if (value > most) most = value;
  return most;
}
