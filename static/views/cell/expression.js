// A state's equation for one unit, read off the graph: letters above, numbers beneath, and the same in words.

import { percent, signed } from "../../data/formatting.js";
import { VALUES } from "../../data/operations.js";
import { kindOf, symbolOf } from "../../figures/description.js";
import { inside, isSumOfMaps, isUnsquashed } from "./wiring.js";

const [PLUS, MINUS, TIMES, OVER] = "+−×/"; // signs whose place in a sum, a product or a quotient has words of its own

/**
 * Tokens of the equation of a state: [{letters, signal, value(read) → text}], `read(node index)` gives a node's number.
 */
export function tokensOf(cell, state) {
  const { graph } = cell;
  const root = graph.findIndex((node) => node.signal === state);
  const tokens = [];
  const put = (letters) => tokens.push({ letters, plain: true });
  const write = (index, bracketed = false) => {
    const { signal, reads } = graph[index];
    const kind = kindOf(cell, index);
    if (index !== root && (signal || kind === "leaf")) return tokens.push(leaf(cell, index));
    if (inside(cell, index)) return tokens.push(squashedSum(cell, index));
    if (isSumOfMaps(cell, index)) return put("sum");
    // a matrix of its own, of all units
    if (kind === "map") return put(`P·${graph[reads[0]].signal ?? "…"}`);
    if (kind !== "arithmetic" || reads.length === 1) {
      put(`${symbolOf(cell, index)}(`);
      for (const [place, read] of reads.entries()) {
        if (place) put(",");
        write(read);
      }
      return put(")");
    }
    if (bracketed) put("(");
    write(reads[0], isBracketed(cell, index, 0));
    tokens.push({ letters: symbolOf(cell, index), plain: true, between: true });
    write(reads[1], isBracketed(cell, index, 1));
    if (bracketed) put(")");
  };
  write(root);
  return [
    ...tokens,
    { letters: "=", plain: true, between: true },
    { letters: state, signal: state, value: (read) => signed(read(root)), strong: true },
  ];
}

const plain = (value) => (Number.isFinite(value) ? value.toFixed(2) : "–");
/** A sum as its activation writes it. */
export const squashed = (cell, index, sum = "sum") =>
  isUnsquashed(cell, index) ? sum : `${symbolOf(cell, index)}(${sum})`;

function squashedSum(cell, index) {
  const [sum] = cell.graph[index].reads;
  return { letters: squashed(cell, index), value: (read) => squashed(cell, index, signed(read(sum))) };
}

// A sum within a product is bracketed, and so is what stands right of a minus or a stroke and binds no stronger.
function isBracketed(cell, outer, side) {
  const { signal } = cell.graph[cell.graph[outer].reads[side]];
  if (signal) return false;
  const inner = bindingOf(cell, cell.graph[outer].reads[side]);
  const undoes = side === 1 && [MINUS, OVER].includes(symbolOf(cell, outer));
  return undoes ? inner <= bindingOf(cell, outer) : inner < bindingOf(cell, outer);
}

// How strongly an operation binds what it reads: sums least, then products, then all that brackets its own.
function bindingOf(cell, index) {
  if (kindOf(cell, index) !== "arithmetic") return 2;
  return [TIMES, OVER].includes(symbolOf(cell, index)) ? 1 : 0;
}

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
    if (node.signal) return at(node.signal, 0);
    if (node.op === "state") return at(node.name, -1);
    if (node.op === "constant") return Number(node.name);
    const box = graph.findIndex((other, at) => other.reads.includes(index) && other.signal && inside(cell, at));
    if (box >= 0) return isUnsquashed(cell, box) ? read(box) : sums(graph[box].signal);
    return VALUES[node.op]?.(...node.reads.map(read)) ?? NaN;
  };
  return read;
}

/** What a state's equation does, as a function of the numbers that writes a sentence. */
export function sentenceOf(cell, state) {
  const { graph } = cell;
  const root = graph.findIndex((node) => node.signal === state);
  if (kindOf(cell, root) === "map") return () => "One matrix makes its few numbers out of all units.";
  if (inside(cell, root)) {
    const whole = isUnsquashed(cell, root) ? "Nothing squashes the sum: it is" : "The sum is squashed to";
    return (read) => `${whole} ${signed(read(root))}, and written anew at every step.`;
  }
  const clauses = flattened(cell, root, PLUS)
    .map((term) => clause(cell, state, flattened(cell, term, TIMES)))
    .filter(Boolean);
  return (read, unit) => {
    const said = clauses.sort((a, b) => a.order - b.order).map((write) => write.say(read, unit));
    return said.length ? `It ${said.join(" and ")}.` : "";
  };
}

/** The operands of nested sums (or products, by their sign) as one list; what has a name of its own is one operand. */
export function flattened(cell, index, sign, root = index) {
  const node = cell.graph[index];
  const isNested = kindOf(cell, index) === "arithmetic" && symbolOf(cell, index) === sign;
  return isNested && (index === root || !node.signal)
    ? node.reads.flatMap((read) => flattened(cell, read, sign, root))
    : [index];
}

// One summand in words: how much (its gates) of what (the memory before, the new, another state).
function clause(cell, state, factors) {
  const { graph, signals } = cell;
  const signal = (index) => signals.find(({ id }) => id === graph[index].signal);
  const isShare = (index) =>
    signal(index)?.role === "gate" ||
    (symbolOf(cell, index) === MINUS && graph[graph[index].reads[0]].op === "constant");
  const gates = factors.filter(isShare);
  const content = factors.filter((index) => !isShare(index));
  if (!gates.length || content.length !== 1) return null;
  const [what] = content;
  const { op, name, reads } = graph[what];
  const share = (read) => percent(gates.reduce((product, gate) => product * read(gate), 1));
  if (op === "state" && name === state)
    return { order: 0, say: (read, unit) => `keeps ${share(read)} of what unit ${unit} remembered` };
  if (signal(what)?.role === "candidate") return { order: 1, say: (read) => `lets in ${share(read)} of the new` };
  const [shown, divisor] = (reads.length === 1 || symbolOf(cell, what) === OVER ? reads : [what]).map(signal);
  const quotient = divisor ? `, divided by its ${divisor.title}` : "";
  return shown ? { order: 2, say: (read) => `shows ${share(read)} of its ${shown.title}${quotient}` } : null;
}
