// Traces out of files: laid into a timeline, or refused in a sentence that says what does not fit.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BadFile, Safetensors } from "../../static/data/safetensors.js";
import { isTrace, readTrace } from "../../static/data/tracefile.js";
import { OPERATIONS } from "./cells.mjs";
import { fileOfTensors } from "./files.mjs";

const gate = (id) => ({ id, role: "gate", range: [0, 1], title: id, equation: "", reads: [], road: false });
const CELL = {
  id: "known",
  states: ["s"],
  signals: [gate("q"), { ...gate("s"), role: "state" }],
  operations: OPERATIONS,
  graph: [
    { op: "input", reads: [], signal: null, name: "x" },
    { op: "linear", reads: [0], signal: null, name: "q" },
    { op: "sigmoid", reads: [1], signal: "q", name: null },
    { op: "state", reads: [], signal: null, name: "s" },
    { op: "mul", reads: [2, 3], signal: "s", name: null },
  ],
};
const MODEL = {
  id: "m",
  vocabulary: ["a", "b", "c"],
  form: { reads: "characters", gives: "next", pattern: "many-to-many" },
};
const HERE = { cells: [CELL], models: [MODEL] };
const numbers = (count, from = 0) => Array.from({ length: count }, (_, k) => from + k);
const VALUES = { "layer0.q": [[3, 2], numbers(6)], "layer0.s": [[3, 2], numbers(6, 10)] };
const json = JSON.stringify;

const read = async (tensors, metadata = {}, here = HERE) =>
  readTrace(await Safetensors.open(fileOfTensors(tensors, { cell: "known", ...metadata })), here);

const refuses = (tensors, metadata, message) =>
  assert.rejects(read(tensors, metadata), (problem) => {
    assert.ok(problem instanceof BadFile, problem.stack);
    assert.match(problem.message, message);
    return true;
  });

test("signals, gradients, norms and losses stand where a timeline has them", async () => {
  const { timeline, network, aside, objective } = await read(
    {
      ...VALUES,
      "grad.layer0.q": [[3, 2], numbers(6, 20)],
      "norm.layer0.weight_q": [[3], [1, 2, 3]],
      "grad.parameters.w": [[1], [0]],
      loss: [[2], [0.5, 0.25]],
      other: [[1], [0]],
    },
    { tokens: json([0, 1, 2]), model: "m", objective: "every" },
  );
  assert.equal(timeline.steps, 3);
  assert.deepEqual([...timeline.values(0, "s")], numbers(6, 10));
  assert.deepEqual([...timeline.gradients(0, "q")], numbers(6, 20));
  assert.deepEqual([...timeline.norms(0, "weight_q")], [1, 2, 3]);
  assert.deepEqual([...timeline.losses], [0.5, 0.25, NaN]);
  assert.deepEqual([timeline.done, timeline.backwardFrom, timeline.forwardTo], [true, 0, 3]);
  assert.deepEqual([...timeline.mean(0, "q")], [0.5, 2.5, 4.5]);
  assert.deepEqual([network.vocabulary, network.numbered, network.opened], [["a", "b", "c"], false, true]);
  assert.deepEqual([aside, objective], [["other"], "every"]);
});

test("without gradients the backward pass stays empty", async () => {
  const { timeline } = await read(VALUES);
  assert.equal(timeline.backwardFrom, 3);
});

test("the likeliest classes stand in their order with their probabilities", async () => {
  const logits = [
    [3, 6],
    [0, 1, 2, 3, 4, 5, 5, 4, 3, 2, 1, 0, 0, 0, 0, 0, 0, 0],
  ];
  const { timeline } = await read({ ...VALUES, logits });
  assert.deepEqual(
    timeline.top.map((guesses) => guesses.map(([token]) => token)),
    [
      [5, 4, 3, 2, 1],
      [0, 1, 2, 3, 4],
      [0, 1, 2, 3, 4],
    ],
  );
  const sum = numbers(6).reduce((total, each) => total + Math.exp(each), 0);
  assert.ok(Math.abs(timeline.top[0][0][1] - Math.exp(5) / sum) < 1e-12);
  assert.ok(timeline.top[2].every(([, share]) => Math.abs(share - 1 / 6) < 1e-12));
});

test("numbers that are read and given stay numbers", async () => {
  const { timeline, network } = await read(
    {
      ...VALUES,
      logits: [
        [3, 1],
        [0.5, 1, 1.5],
      ],
    },
    { values: json([[1], [2], [3]]) },
  );
  assert.deepEqual(timeline.inputValues, [[1], [2], [3]]);
  assert.deepEqual(timeline.outputs, [[0.5], [1], [1.5]]);
  assert.deepEqual([network.valued, network.channels], [true, 1]);
});

test("what each step read is taken from tokens, a text, a known network, or is a dot", async () => {
  const texts = async (metadata, tensors = VALUES) => {
    const { timeline, network } = await read(tensors, metadata);
    return [timeline.tokens.map((token) => network.vocabulary[token]).join("|"), network.numbered];
  };
  assert.deepEqual(await texts({ tokens: json([0, 1, 1]), vocabulary: json(["x", "y"]) }), ["x|y|y", false]);
  assert.deepEqual(await texts({ tokens: json([5, 0, 5]) }), ["5|0|5", true]);
  assert.deepEqual(await texts({ tokens: json([5, 0, 5]), text: "🙂é🙂" }), ["🙂|é|🙂", false]);
  assert.deepEqual(await texts({ tokens: json([2, 0, 1]), model: "m" }), ["c|a|b", false]);
  assert.deepEqual(await texts({ tokens: json([2, 0, 9]), model: "m" }), ["2|0|9", true]);
  assert.deepEqual(await texts({ text: "aba" }), ["a|b|a", false]);
  assert.deepEqual(await texts({ text: "to be or", task: "words" }), ["to|be|or", false]);
  assert.deepEqual(await texts({}), ["·|·|·", false]);
});

test("both directions are two layers, and each layer has its own width", async () => {
  const { timeline } = await read({
    "layer0.s": [[3, 2], numbers(6)],
    "layer0_reverse.s": [[3, 2], numbers(6, 6)],
    "layer1.s": [[3, 4], numbers(12)],
    "layer1.q": [[3, 1], numbers(3)],
  });
  assert.deepEqual(
    timeline.layers.map(({ title, hidden, reverse }) => [title, hidden, reverse]),
    [
      ["layer 1 →", 2, false],
      ["layer 1 ←", 2, true],
      ["layer 2 →", 4, false],
      ["layer 2 ←", 2, true],
    ],
  );
  assert.equal(timeline.width(2, "q"), 1);
  assert.deepEqual([...timeline.values(1, "s")], numbers(6, 6));
});

test("a layer of another cell is described in the file", async () => {
  const description = { id: "window", states: ["r"], signals: [{ id: "r", role: "state" }] };
  const graph = [
    { op: "input", reads: [], name: "x" },
    { op: "linear", reads: [0], name: "r" },
    { op: "tanh", reads: [1], signal: "r" },
  ];
  const parts = json([{ name: "front", description: { ...description, graph } }, { name: "layer0" }]);
  const { timeline } = await read({ "front.r": [[3, 5], numbers(15)], ...VALUES }, { parts });
  assert.deepEqual(
    timeline.layers.map(({ title, cell: { id }, hidden }) => [title, id, hidden]),
    [
      ["front", "window", 5],
      ["layer 1", "known", 2],
    ],
  );
  assert.deepEqual(timeline.layers[0].cell.signals[0].range, [-1, 1]);
  await refuses(VALUES, { parts: json([{ name: "front" }]) }, /“parts” takes a list of layers/);
  await refuses(VALUES, { parts: json({}) }, /“parts” takes a list of layers/);
  await refuses(VALUES, { parts: "[" }, /“parts” is not JSON/);
});

test("a cell of one's own is taken where its description is whole", async () => {
  const { timeline } = await read(VALUES, { cell: json({ ...CELL, id: "mine" }) });
  assert.deepEqual([timeline.cell.id, timeline.cell.title], ["mine", "mine"]);
});

test("a description without a table of operations takes that of the cells the page knows", async () => {
  const { operations, ...rest } = CELL;
  const { timeline } = await read(VALUES, { cell: json({ ...rest, id: "mine" }) });
  assert.deepEqual(timeline.cell.operations, operations);
  const own = { ...operations, cube: { arity: 1, symbol: "³", kind: "activation" } };
  const graph = CELL.graph.map((node) => (node.op === "sigmoid" ? { ...node, op: "cube" } : node));
  const other = await read(VALUES, { cell: json({ ...CELL, id: "mine", graph, operations: own }) });
  assert.equal(other.timeline.cell.operations.cube.symbol, "³");
});

const without = (key) => ({ ...CELL, id: "mine", [key]: undefined });
const withNode = (k, node) => ({ ...CELL, id: "mine", graph: CELL.graph.map((each, at) => (at === k ? node : each)) });
for (const [wrong, message] of [
  [undefined, /needs “cell”, one of known/],
  ["", /needs “cell”/],
  ["unknown", /not a cell this page knows \(known\), and as a description it lacks “signals”/],
  ["{", /“cell” is not JSON/],
  ["[]", /it lacks an “id”/],
  ["null", /it lacks “signals”/],
  [json({ ...CELL, id: "<b>" }), /it lacks an “id”/],
  [json(without("signals")), /it lacks “signals”/],
  [json({ ...CELL, id: "mine", signals: [{ id: "q", role: "king" }] }), /a “role” out of gate, candidate, state/],
  [json(without("states")), /it lacks “states”/],
  [json({ ...CELL, id: "mine", states: ["q"] }), /“states” that are among its signals/],
  [
    json({ ...CELL, id: "mine", signals: [{ ...gate("s"), role: "state", range: [0] }] }),
    /“range” is of the wrong type/,
  ],
  [json({ ...CELL, id: "mine", operations: { sigmoid: {} } }), /its “operations” lack an “arity”/],
  [json({ ...CELL, id: "mine", operations: null }), /its “operations” lack/],
  [json(without("graph")), /its “graph” does not make each signal/],
  [json(withNode(2, { op: "conjure", reads: [1], signal: "q" })), /its “graph”/],
  [json(withNode(2, { op: "sigmoid", reads: [2], signal: "q" })), /its “graph”/],
  [json(withNode(2, { op: "sigmoid", reads: [], signal: "q" })), /its “graph”/],
  [json(withNode(2, { op: "toString", reads: [], signal: "q" })), /its “graph”/],
  [json(withNode(3, { op: "state", reads: [] })), /its “graph”/],
  [json(withNode(4, { op: "mul", reads: [2, 3] })), /its “graph”/],
])
  test(`a cell that is ${wrong?.slice(0, 40)} is refused: ${message}`, () =>
    refuses(VALUES, { cell: wrong ?? "" }, message));

for (const [tensors, metadata, message] of [
  [{ "layer0.other": [[3, 2], numbers(6)] }, {}, /No tensor is a signal of the cell “known”: .*“layer0.q”, “layer0.s”/],
  [{ "grad.layer0.q": [[3, 2], numbers(6)] }, {}, /No tensor is a signal/],
  [{ "layer0.q": [[6], numbers(6)] }, {}, /“layer0.q” has the shape \(6\); a signal takes \(N, H\)/],
  [{ "layer0.q": [[0, 2], []] }, {}, /shape \(0, 2\)/],
  [{ "layer0.q": [[20001, 1], numbers(20001)] }, {}, /20,001 steps; at most 20,000/],
  [
    { ...VALUES, "layer1.q": [[2, 2], numbers(4)] },
    {},
    /“layer1.q” has the shape \(2, 2\), but “layer0.q” has \(3, 2\)/,
  ],
  [
    { ...VALUES, "grad.layer0.q": [[3, 1], numbers(3)] },
    {},
    /“grad.layer0.q” has the shape \(3, 1\), but “layer0.q” has \(3, 2\)/,
  ],
  [{ ...VALUES, "norm.layer0.w": [[2], [1, 2]] }, {}, /“norm.layer0.w” has the shape \(2\), but 3 steps take \(3\)/],
  [{ ...VALUES, logits: [[2, 3], numbers(6)] }, {}, /“logits” has the shape \(2, 3\), but 3 steps take \(3, 3\)/],
  [{ ...VALUES, loss: [[3], numbers(3)] }, {}, /“loss” has the shape \(3\), but 3 steps have \(2\)/],
  [{ ...VALUES, loss: [[3], numbers(3)] }, { pattern: "many-to-one" }, /3 steps have \(1\)/],
  [{ ...VALUES, "layer64.q": [[3, 2], numbers(6)] }, {}, /“layer64” is named in the file; .* there may be 64/],
  [VALUES, { tokens: "a" }, /“tokens” is not JSON/],
  [VALUES, { tokens: json([0, 1]) }, /“tokens” has 2 entries, but the signals have 3 steps/],
  [VALUES, { tokens: json([0, 1, -1]) }, /whole numbers from 0 on/],
  [VALUES, { tokens: json([0, 1, 1.5]) }, /whole numbers from 0 on/],
  [VALUES, { tokens: json({}) }, /whole numbers from 0 on/],
  [VALUES, { tokens: json([0, 1, 2]), vocabulary: json(["a", "b"]) }, /“tokens” has 2, but “vocabulary” ends at 1/],
  [VALUES, { vocabulary: json([1]) }, /“vocabulary” takes a JSON list of strings/],
  [VALUES, { vocabulary: json([]) }, /“vocabulary” takes a JSON list of strings/],
  [
    { ...VALUES, logits: [[3, 3], numbers(9)] },
    { vocabulary: json(["a"]) },
    /has 1 entries, but “logits” has 3 columns/,
  ],
  [VALUES, { text: "ab" }, /“text” has 2 characters, but the signals have 3 steps/],
  [VALUES, { values: json([[1], [2]]) }, /“values” has 2 entries, but the signals have 3 steps/],
  [VALUES, { values: json([[1], [2, 3], [4]]) }, /a JSON list of steps, each a list of as many numbers/],
  [VALUES, { values: json([[], [], []]) }, /a JSON list of steps/],
  [VALUES, { labels: json([1]) }, /“labels” takes a JSON list of names/],
  [VALUES, { targets: "[" }, /“targets” is not JSON/],
])
  test(`refused: ${message}`, () => refuses(tensors, metadata, message));

test("a trace is told from the weights of a network", () => {
  const file = (names, metadata = {}) => ({ names, metadata });
  assert.ok(isTrace(file([], { cell: "known" })));
  assert.ok(isTrace(file(["layer0.q"])));
  assert.ok(isTrace(file(["layer0_reverse.q", "grad.parameters.weight_ih_l0"])));
  assert.ok(!isTrace(file(["rnn.weight_ih_l0", "layer0.q"])));
  assert.ok(!isTrace(file(["weight", "embedding.weight"])));
});
