// How a cell is drawn and said from its description alone: boxes, operators, roads, equations, numbers and sentences.

import assert from "node:assert/strict";
import { test } from "node:test";
import { numbersAt, sentenceOf, tokensOf } from "../../static/views/cell/expression.js";
import { placeCell } from "../../static/views/cell/layout.js";
import { inside, isUnsquashed, wire } from "../../static/views/cell/wiring.js";
import { MIXING, OPERATIONS, QUOTIENT } from "./cells.mjs";

const elementsOf = (cell, kind) => [...wire(cell).elements.values()].filter((element) => element.kind === kind);
const letters = (cell, state) => tokensOf(cell, state).map((token) => token.letters);

test("a sum of matrix maps is a box, squashed or not", () => {
  assert.deepEqual(
    Object.fromEntries(elementsOf(MIXING, "box").map(({ signal, node }) => [signal, isUnsquashed(MIXING, node)])),
    { z: false, n: true },
  );
  const named = elementsOf(QUOTIENT, "box").map(({ signal }) => signal);
  assert.deepEqual(named.sort(), [null, "i", "o"].sort());
  assert.equal(inside(MIXING, 10), null);
  const { maps, direct } = inside(QUOTIENT, 4);
  assert.deepEqual([[...maps], [...direct]], [[0], [2]]);
});

test("every operation outside a box is an operator with its sign, a constant beside it", () => {
  assert.deepEqual(
    elementsOf(MIXING, "operator")
      .map(({ sign }) => sign)
      .sort(),
    ["+", "1−", "×", "×"].sort(),
  );
  const signs = elementsOf(QUOTIENT, "operator").map(({ sign }) => sign);
  assert.deepEqual(signs.sort(), ["+", "+", "/", "×", "×", "×", "mean", "relu", "−2"].sort());
});

test("a road runs through all arithmetic from a state to its next", () => {
  assert.deepEqual(
    wire(MIXING).roads.map(({ state, stops }) => [state, stops]),
    [["h", [8, 10]]],
  );
  const { roads, outputs } = wire(QUOTIENT);
  assert.deepEqual(
    roads.map(({ state, stops }) => [state, stops]),
    [
      ["c", [11]],
      ["n", [13]],
    ],
  );
  assert.deepEqual(
    outputs.map(({ state }) => state),
    ["h", "m"],
  );
});

test("what an operator reads of the step before stands beside it", () => {
  const { sources, taps } = placeCell(wire(QUOTIENT), 500, 300);
  assert.deepEqual(
    sources.map(({ state }) => state),
    ["m"],
  );
  assert.ok([...taps, ...sources.map(({ x, y }) => `${x} ${y}`)].every((path) => !/NaN|undefined/.test(path)));
});

test("every cell is placed in numbers", () => {
  for (const cell of [MIXING, QUOTIENT])
    for (const [width, height] of [
      [300, 150],
      [500, 340],
    ]) {
      const { boxes, operators, wires, outputs } = placeCell(wire(cell), width, height);
      for (const { x, y } of [...boxes, ...operators, ...outputs]) assert.ok(x >= 0 && x <= width && y <= height);
      assert.doesNotMatch(wires.join(""), /NaN|undefined/);
    }
});

test("an equation is written with brackets where they are needed, and only there", () => {
  assert.equal(letters(MIXING, "h").join(" "), "( 1 − z ) × h + z × n = h");
  assert.equal(letters(QUOTIENT, "h").join(" "), "o × c / n = h");
  assert.equal(letters(QUOTIENT, "c").join(" "), "i × tanh(sum) + c = c");
  assert.equal(letters(QUOTIENT, "m").join(" "), "relu( m − 2 ) × mean( c ) = m");
});

/** A state s made by a tree of operations over a, b, c: ["sub", "a", ["add", "b", "c"]]. */
function cellOf(tree) {
  const graph = ["a", "b", "c"].map((name) => ({ op: "state", reads: [], signal: null, name }));
  const build = (node) => {
    if (typeof node === "string") return graph.findIndex(({ name }) => name === node);
    const reads = node.slice(1).map(build);
    return graph.push({ op: node[0], reads, signal: null, name: null }) - 1;
  };
  graph[build(tree)].signal = "s";
  return { graph, signals: [{ id: "s", role: "state" }], states: ["s"], operations: OPERATIONS };
}

for (const [tree, written] of [
  [["sub", "a", ["add", "b", "c"]], "a − ( b + c )"],
  [["sub", ["sub", "a", "b"], "c"], "a − b − c"],
  [["div", "a", ["mul", "b", "c"]], "a / ( b × c )"],
  [["div", ["mul", "a", "b"], "c"], "a × b / c"],
  [["mul", ["add", "a", "b"], ["sub", "b", "c"]], "( a + b ) × ( b − c )"],
  [["div", "a", ["sqrt", ["add", "b", "c"]]], "a / √( b + c )"],
  [["add", "a", ["mul", "b", "c"]], "a + b × c"],
])
  test(`written: ${written}`, () => assert.equal(letters(cellOf(tree), "s").join(" "), `${written} = s`));

test("numbers without a name are worked out, those of units together are not", () => {
  const known = { a: 3, b: -2, c: 0.5 };
  const value = (tree) => {
    const cell = cellOf(["add", tree, "a"]); // the root itself is a signal and would be read
    const read = numbersAt(cell, (name, lag) => (lag === -1 ? known[name] : NaN), assert.fail);
    return read(cell.graph.at(-1).reads[0]);
  };
  assert.equal(value(["add", "a", "b"]), 1);
  assert.equal(value(["sub", "a", "b"]), 5);
  assert.equal(value(["mul", "a", "b"]), -6);
  assert.equal(value(["div", "a", "b"]), -1.5);
  assert.equal(value(["exp", "b"]), Math.exp(-2));
  assert.equal(value(["sqrt", "c"]), Math.sqrt(0.5));
  assert.equal(value(["sigmoid", "b"]), 1 / (1 + Math.exp(2)));
  assert.equal(value(["tanh", "c"]), Math.tanh(0.5));
  assert.equal(value(["relu", "b"]), 0);
  assert.equal(value(["identity", "b"]), -2);
  assert.ok(Number.isNaN(value(["mean", "a"])));
});

test("what is inside a box is its opened sum, and of one that nothing squashes its own value", () => {
  const read = numbersAt(
    MIXING,
    (name) => ({ n: 7, z: 0.25 })[name],
    (name) => (name === "z" ? -1.5 : NaN),
  );
  assert.equal(read(3), 7);
  assert.equal(read(1), -1.5);
  assert.equal(read(7), 0.75);
});

test("a sentence says what a state does, and that nothing squashes a sum", () => {
  const values = { z: 0.25, n: 2, h: 1, o: 0.5, c: 4, i: 3 };
  const say = (cell, state) => {
    const read = numbersAt(
      cell,
      (name) => values[name],
      () => NaN,
    );
    return sentenceOf(cell, state)(read, 5);
  };
  assert.equal(say(MIXING, "h"), "It keeps 75% of what unit 5 remembered and lets in 25% of the new.");
  assert.equal(say(QUOTIENT, "h"), "It shows 50% of its title of c, divided by its title of n.");
  const linear = {
    ...MIXING,
    graph: MIXING.graph.map((node) => ({ ...node, signal: node.signal === "n" ? "h" : null })),
  };
  assert.equal(say(linear, "h"), "Nothing squashes the sum: it is +1.00, and written anew at every step.");
  linear.graph[4] = { ...linear.graph[4], op: "tanh" };
  assert.equal(say(linear, "h"), "The sum is squashed to +1.00, and written anew at every step.");
});
