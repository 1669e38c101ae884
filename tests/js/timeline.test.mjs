// A trace as the page holds it: half precision, and frames of any size in any order.

import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, Timeline } from "../../static/data/timeline.js";

const CELL = { id: "one", states: ["s"], signals: [{ id: "s" }, { id: "q" }] };
const encode = (values) => new Uint8Array(new Float16Array(values).buffer).toBase64();
const bits = (...patterns) => decode(new Uint8Array(Uint16Array.from(patterns).buffer).toBase64());

/** The numbers of a signal in a test: each in its place, exact in half precision. */
const value = (layer, t, unit) => layer + t / 8 + unit / 64;

test("half precision is read to the last bit", () => {
  const known = [
    [0x0000, 0],
    [0x8000, -0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x8200, -(2 ** -15)],
    [0x0400, 2 ** -14],
    [0x3555, 0.333251953125],
    [0x3c00, 1],
    [0xc000, -2],
    [0x7bff, 65504],
    [0x7c00, Infinity],
    [0xfc00, -Infinity],
    [0x7c01, NaN],
    [0x7e00, NaN],
    [0xfe00, NaN],
  ];
  const read = bits(...known.map(([pattern]) => pattern));
  assert.ok(read instanceof Float32Array);
  for (const [k, [pattern, expected]] of known.entries())
    assert.ok(Object.is(read[k], expected), `${pattern.toString(16)}: ${read[k]}, not ${expected}`);
  assert.equal(decode("").length, 0);
});

const begun = (steps, more = {}) =>
  new Timeline({ model: "m", tokens: Array(steps).fill(0), layers: 2, hidden: 3, cell: "one", ...more }, [CELL]);

/** The frame of steps t … t + n − 1, with `width` numbers of q. */
function forward(t, n, width = 2) {
  const rows = (layer, units) =>
    encode(Array.from({ length: n * units }, (_, k) => value(layer, t + Math.floor(k / units), k % units)));
  const layers = [0, 1].map((layer) => ({ s: rows(layer, 3), q: rows(layer, width) }));
  const steps = Array.from({ length: n }, (_, k) => t + k);
  return { t, n, layers, loss: encode(steps.map((step) => step / 4)), top: steps.map((step) => [[step, 1]]) };
}

// The frame of steps t, t − 1, … t − n + 1, in that order.
function backward(t, n) {
  const steps = Array.from({ length: n }, (_, k) => t - k);
  const layers = [0, 1].map((layer) => ({
    s: encode(steps.flatMap((step) => [0, 1, 2].map((unit) => value(layer, step, unit)))),
  }));
  const norms = [0, 1].map((layer) => ({ weight_s: encode(steps.map((step) => layer + step)) }));
  return { t, n, layers, norms };
}

const means = (timeline, layer, signal, width) =>
  Array.from(timeline.mean(layer, signal), (mean, t) => [
    mean,
    Math.fround(Array.from({ length: width }, (_, unit) => value(layer, t, unit)).reduce((a, b) => a + b) / width),
  ]);

for (const sizes of [[10], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [3, 3, 3, 1], [1, 9], [7, 2, 1]])
  test(`frames of ${sizes.join(", ")} steps make the same tables`, () => {
    const timeline = begun(10);
    let t = 0;
    for (const n of sizes) {
      timeline.add("forward", forward(t, n));
      t += n;
      assert.equal(timeline.forwardTo, t);
      // asked after every frame: what came before must not be worked out anew to be right
      for (const [mean, expected] of means(timeline, 1, "q", 2).slice(0, t)) assert.equal(mean, expected);
      for (const [mean] of means(timeline, 1, "q", 2).slice(t)) assert.ok(Number.isNaN(mean));
    }
    t = 9;
    for (const n of sizes) {
      timeline.add("backward", backward(t, n));
      t -= n;
      assert.equal(timeline.backwardFrom, t + 1);
      const norms = timeline.gradientNorm(0, "s");
      for (let step = t + 1; step < 10; step++)
        assert.equal(norms[step], Math.fround(Math.hypot(...[0, 1, 2].map((unit) => value(0, step, unit)))));
      for (let step = 0; step <= t; step++) assert.ok(Number.isNaN(norms[step]));
    }
    for (const layer of [0, 1])
      for (let step = 0; step < 10; step++) {
        for (const unit of [0, 1, 2]) {
          assert.equal(timeline.valueAt(layer, "s", step, unit), value(layer, step, unit));
          assert.equal(timeline.gradientAt(layer, "s", step, unit), value(layer, step, unit));
        }
        for (const unit of [0, 1]) assert.equal(timeline.valueAt(layer, "q", step, unit), value(layer, step, unit));
        assert.equal(timeline.norms(layer, "weight_s")[step], layer + step);
        assert.equal(timeline.losses[step], step / 4);
        assert.deepEqual(timeline.top[step], [[step, 1]]);
      }
    assert.deepEqual(timeline.parameters(1), ["weight_s"]);
    timeline.add("end", { loss: 1, targets: [1] });
    assert.deepEqual([timeline.done, timeline.summary.loss, timeline.targets], [true, 1, [1]]);
  });

test("where nothing has come, nothing is a number", () => {
  const timeline = begun(4);
  assert.ok(timeline.values(0, "s").every(Number.isNaN));
  assert.equal(timeline.values(0, "s").length, 12);
  for (const [t, unit] of [
    [-1, 0],
    [4, 0],
    [0, 3],
  ])
    assert.ok(Number.isNaN(timeline.valueAt(0, "s", t, unit)));
});

test("a mean that was asked for too early is right later, of a signal of another width too", () => {
  const timeline = begun(4);
  assert.ok(timeline.mean(0, "q").every(Number.isNaN));
  timeline.add("forward", forward(0, 4, 5));
  for (const [mean, expected] of means(timeline, 0, "q", 5)) assert.equal(mean, expected);
});

test("norms in single precision go before those in half", () => {
  const timeline = begun(3);
  const sizes = [{ s: [1e-20, 1e-21, 0], weight_s: [1e-30, 1e-31, 1e-32] }, {}];
  timeline.add("backward", { ...backward(2, 3), gradient_norms: sizes });
  assert.deepEqual([...timeline.gradientNorm(0, "s")], [0, 1e-21, 1e-20].map(Math.fround));
  assert.deepEqual([...timeline.norms(0, "weight_s")], [1e-32, 1e-31, 1e-30].map(Math.fround));
  assert.equal(
    timeline.gradientNorm(1, "s")[2],
    Math.fround(Math.hypot(...[0, 1, 2].map((unit) => value(1, 2, unit)))),
  );
});

test("layers have the names and cells that the beginning tells of", () => {
  const other = { id: "two", states: ["r"], signals: [{ id: "r" }] };
  const parts = [
    { name: "convolution", hidden: 4, reverse: false, description: other },
    { name: "layer0", hidden: 3, reverse: false },
    { name: "layer0_reverse", hidden: 3, reverse: true },
  ];
  const { layers, cell } = begun(2, { parts });
  assert.deepEqual(
    layers.map(({ title, cell: { id }, hidden }) => [title, id, hidden]),
    [
      ["convolution", "two", 4],
      ["layer 1 →", "one", 3],
      ["layer 1 ←", "one", 3],
    ],
  );
  assert.equal(cell, CELL);
});

test("numbers it reads and gives stand a step each", () => {
  const timeline = begun(2, { tokens: undefined, values: [[1], [2]] });
  timeline.add("forward", { ...forward(0, 2), top: undefined, outputs: encode([0.5, 0.25, -1, 2]) });
  assert.deepEqual(timeline.inputValues, [[1], [2]]);
  assert.deepEqual(timeline.outputs, [
    [0.5, 0.25],
    [-1, 2],
  ]);
  assert.equal(timeline.steps, 2);
});
