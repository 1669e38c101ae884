// The description of a cell that comes with a file: checked, then completed with all that the views can do without.

const KINDS = ["leaf", "map", "activation", "arithmetic", "function", "reduction"];
const ROLES = ["gate", "candidate", "state"];

const isName = (text) => typeof text === "string" && /^\w{1,20}$/.test(text);

/**
 * What a description lacks for the views to draw from it, in words; null when it is whole. `known`: the operations of
 * the cells that the page knows, for a description that says nothing of its own.
 */
export function faultOf(description, known) {
  const { id, states, signals, graph, operations = known } = description ?? {};
  if (!isName(id)) return "it lacks an “id”";
  if (!isListOf(signals, (signal) => isName(signal?.id) && ROLES.includes(signal.role)))
    return `it lacks “signals”, each with an “id” and a “role” out of ${ROLES.join(", ")}`;
  const isState = (state) => signals.some((signal) => signal.id === state && signal.role === "state");
  if (!isListOf(states, isState)) return "it lacks “states” that are among its signals";
  if (!signals.every(isWellTyped)) return "a signal’s “title”, “purpose”, “equation” or “range” is of the wrong type";
  if (!isTable(operations)) return "its “operations” lack an “arity”, a “symbol” or a “kind”";
  if (!isGraph(graph, operations) || !signals.every((signal) => graph.some((node) => node.signal === signal.id)))
    return "its “graph” does not make each signal out of nodes before it";
  return null;
}

const isListOf = (list, holds) => Array.isArray(list) && list.length > 0 && list.every(holds);

function isWellTyped({ title = "", purpose = "", equation = "", range = [0, 1] }) {
  const isRange = range === null || (range.length === 2 && range.every(Number.isFinite));
  return [title, purpose, equation].every((text) => typeof text === "string") && isRange;
}

function isTable(operations) {
  const isRow = ({ arity, symbol, kind }) =>
    Number.isInteger(arity) && (symbol === null || typeof symbol === "string") && KINDS.includes(kind);
  return (
    operations !== null && typeof operations === "object" && Object.values(operations).every((row) => isRow(row ?? {}))
  );
}

// Nodes in an order in which each reads only those before it, as many as its operation takes.
function isGraph(graph, operations) {
  const isNode = (node, k) =>
    node &&
    Object.hasOwn(operations, node.op) &&
    Array.isArray(node.reads) &&
    node.reads.length === operations[node.op].arity &&
    node.reads.every((read) => Number.isInteger(read) && read >= 0 && read < k) &&
    (node.op !== "state" || isName(node.name));
  return Array.isArray(graph) && graph.every(isNode);
}

/** Calls the signals of cells by the textbooks’ names or by the course’s, where a description has both. */
export function callBy(names, descriptions) {
  for (const { signals } of descriptions)
    for (const signal of signals) {
      signal.textbook_title ??= signal.title;
      const { course_title: course = "", textbook_title: textbook } = signal;
      Object.assign(signal, { title: (names === "course" && course) || textbook });
    }
}

/** A sound description with a default for all that the views can do without. */
export function completed(description, known) {
  const signals = description.signals.map((signal) => ({
    range: signal.role === "gate" ? [0, 1] : [-1, 1],
    title: signal.id,
    purpose: "",
    equation: "",
    reads: [],
    road: false,
    ...signal,
  }));
  return { title: description.id, operations: known, ...description, signals };
}
