// A state's equation for one unit, read off the graph: letters above, numbers beneath, and the same in words.

import { percent, signed } from "../../data/formatting.js";
import { inside } from "./wiring.js";

const SIGNS = { add: "+", sub: "−", mul: "×" };

/**
 * Tokens of the equation of a state: [{letters, signal, value(read) → text}], `read(node index)` gives a node's number.
 */
export function tokensOf(cell, state) {
  const { graph } = cell;
  const root = graph.findIndex((node) => node.signal === state);
  const tokens = [];
  const write = (index, outer) => {
    const node = graph[index];
    if (index !== root && (node.signal || ["state", "input", "constant", "parameter"].includes(node.op)))
      return tokens.push(leaf(cell, index));
    if (inside(graph, index))
      return tokens.push({
        letters: `${squash(node.op)}(sum)`,
        value: (read) => `${squash(node.op)}(${signed(read(node.reads[0]))})`,
      });
    // a matrix of its own, of all units
    if (node.op === "linear") return tokens.push({ letters: `P·${graph[node.reads[0]].signal ?? "…"}`, plain: true });
    if (node.reads.length === 1) {
      tokens.push({ letters: `${squash(node.op)}(`, plain: true });
      write(node.reads[0]);
      return tokens.push({ letters: ")", plain: true });
    }
    const wrapped = outer === "mul" && node.op !== "mul";
    if (wrapped) tokens.push({ letters: "(", plain: true });
    write(node.reads[0], node.op);
    tokens.push({ letters: SIGNS[node.op], plain: true, between: true });
    write(node.reads[1], node.op);
    if (wrapped) tokens.push({ letters: ")", plain: true });
  };
  write(root);
  return [
    ...tokens,
    { letters: "=", plain: true, between: true },
    { letters: state, signal: state, value: (read) => signed(read(root)), strong: true },
  ];
}

const plain = (value) => (Number.isFinite(value) ? value.toFixed(2) : "–");
export const squash = (op) => ({ sigmoid: "σ" })[op] ?? op;

function leaf(cell, index) {
  const node = cell.graph[index];
  if (node.op === "constant") return { letters: node.name, plain: true };
  const id = node.signal ?? node.name;
  const gate = cell.signals.find((signal) => signal.id === id)?.role === "gate";
  return {
    letters: id,
    before: node.op === "state",
    signal: id,
    value: (read) => (gate ? plain(read(index)) : signed(read(index))),
  };
}

/**
 * A reader of numbers for one unit at one step: node index → number. Sums inside a box come from `sums`: signal →
 * number.
 */
export function numbersAt(cell, at, sums) {
  const { graph } = cell;
  const known = new Map();
  const read = (index) => {
    if (!known.has(index)) known.set(index, work(index));
    return known.get(index);
  };
  const work = (index) => {
    const node = graph[index];
    const [a, b] = node.reads;
    if (node.signal) return at(node.signal, 0);
    if (node.op === "state") return at(node.name, -1);
    if (node.op === "constant") return Number(node.name);
    const box = graph.find(
      (other) => other.reads.includes(index) && other.signal && inside(graph, graph.indexOf(other)),
    );
    if (box) return sums(box.signal);
    if (node.op === "add") return read(a) + read(b);
    if (node.op === "sub") return read(a) - read(b);
    if (node.op === "mul") return read(a) * read(b);
    if (node.op === "tanh") return Math.tanh(read(a));
    if (node.op === "sigmoid") return 1 / (1 + Math.exp(-read(a)));
    return node.op === "relu" ? Math.max(0, read(a)) : NaN;
  };
  return read;
}

/** What a state's equation does, as a function of the numbers that writes a sentence. */
export function sentenceOf(cell, state) {
  const { graph } = cell;
  const root = graph.findIndex((node) => node.signal === state);
  if (graph[root].op === "linear") return () => "One matrix makes its few numbers out of all units.";
  if (inside(graph, root))
    return (read) => `The sum is squashed to ${signed(read(root))}, and written anew at every step.`;
  const clauses = flattened(graph, root, "add")
    .map((term) => clause(cell, state, flattened(graph, term, "mul")))
    .filter(Boolean);
  return (read, unit) => {
    const said = clauses.sort((a, b) => a.order - b.order).map((write) => write.say(read, unit));
    return said.length ? `It ${said.join(" and ")}.` : "";
  };
}

/** The operands of nested additions (or multiplications) as one list; what has a name of its own is one operand. */
export function flattened(graph, index, op, root = index) {
  const node = graph[index];
  return node.op === op && (index === root || !node.signal)
    ? node.reads.flatMap((read) => flattened(graph, read, op, root))
    : [index];
}

// One summand in words: how much (its gates) of what (the memory before, the new, another state).
function clause(cell, state, parts) {
  const { graph, signals } = cell;
  const role = (index) => signals.find((signal) => signal.id === graph[index].signal)?.role;
  const gating = (index) =>
    role(index) === "gate" || (graph[index].op === "sub" && graph[graph[index].reads[0]].op === "constant");
  const gates = parts.filter(gating);
  const content = parts.filter((index) => !gating(index));
  if (!gates.length || content.length !== 1) return null;
  const [what] = content;
  const share = (read) => percent(gates.reduce((product, gate) => product * read(gate), 1));
  if (graph[what].op === "state" && graph[what].name === state)
    return { order: 0, say: (read, unit) => `keeps ${share(read)} of what unit ${unit} remembered` };
  if (role(what) === "candidate") return { order: 1, say: (read) => `lets in ${share(read)} of the new` };
  const shown = graph[what].reads.length === 1 ? graph[graph[what].reads[0]].signal : graph[what].signal;
  const memory = signals.find((signal) => signal.id === shown);
  return memory ? { order: 2, say: (read) => `shows ${share(read)} of its ${memory.title}` } : null;
}
