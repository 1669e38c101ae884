// The address of a page: what it reads, what it refuses in words, and that what is written is read again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readAddress, withDefaults, writeAddress } from "../../static/data/address.js";

// One value of every parameter, none of them what is taken when nothing is said.
const EVERY = {
  model: "My Book-gru",
  text: "Straße & “∂” + 50 % = ?\n🙂",
  values: "0.5,-1e-3;2,+3",
  target: "книга; b",
  pass: "backward",
  t: 17,
  layer: 2,
  signal: "q",
  unit: 65535,
  loss: "last",
  clamp: [
    { layer: 0, signal: "q", units: [1, 12], value: -0.25, from: 3, to: null },
    { layer: 1, signal: "s", units: "all", value: 2, from: 0, to: 4 },
  ],
  run: ["a1", "b2"],
  step: 9999999,
  gradient: "signals",
  panel: "write",
  order: "mean",
  shown: "values",
  norms: "weights",
  speed: 1250,
  fold: "1",
  theme: "dark",
  hide: ["text", "transport"],
  play: "0",
};

test("every parameter that is written is read again", () => {
  assert.deepEqual(readAddress(writeAddress(EVERY)), { state: EVERY, notices: [] });
  for (const [key, value] of Object.entries(EVERY)) {
    const query = writeAddress({ [key]: value });
    assert.ok(query.startsWith(`${key}=`), query);
    assert.deepEqual(readAddress(`?${query}`).state, { [key]: value });
  }
});

test("a network is called as its maker called it", () => {
  for (const model of ["книга-lstm", "My Book-gru", "a/b?c#d", "日本語", "x".repeat(200), "🙂".repeat(200)]) {
    assert.deepEqual(readAddress(writeAddress({ model })), { state: { model }, notices: [] });
  }
  for (const model of ["", "x".repeat(201)]) {
    const { state, notices } = readAddress(new URLSearchParams({ model }).toString());
    assert.deepEqual([state, notices.length], [{}, 1]);
    assert.match(notices[0], /“model”: it takes .*200/);
  }
});

const WRONG = {
  text: ["", "a".repeat(2001)],
  values: ["", "one", "1 2", "1;2;".repeat(2001)],
  target: [""],
  pass: ["back", "Forward"],
  t: ["-1", "1.5", "20001", "", "1e3"],
  layer: ["64", "x"],
  signal: ["a b", "", "x".repeat(81)],
  unit: ["65536"],
  loss: ["first"],
  clamp: ["0.q.1.0.5", "0.q.1.0.3.3", "0.q.1.0.4.3", "0.q.one.0.0.end", "0.q.1.nan.0.end", "100.q.1.0.0.end"],
  trace: ["other"],
  run: ["a b", "x".repeat(201)],
  speed: ["19", "10001"],
  fold: ["2"],
  theme: ["light-dark"],
  hide: ["<b>"],
};

test("what a parameter does not take is said in a sentence and changes nothing", () => {
  for (const [key, texts] of Object.entries(WRONG))
    for (const text of texts) {
      const { state, notices } = readAddress(new URLSearchParams({ [key]: text, play: "0" }));
      assert.deepEqual(state, { play: "0" }, `${key}=${text}`);
      assert.equal(notices.length, 1, `${key}=${text}`);
      assert.match(notices[0], new RegExp(`^The address has a wrong “${key}”: it takes .+\\.$`));
    }
});

test("parameters of others are left alone", () => {
  assert.deepEqual(readAddress("?utm_source=x&t=3&__proto__=1&constructor=2"), { state: { t: 3 }, notices: [] });
});

test("four things may be held at once, and of many values of another parameter the last one counts", () => {
  const clamp = Array.from({ length: 6 }, (_, unit) => ["clamp", `0.q.${unit}.1.0.end`]);
  const { state } = readAddress(new URLSearchParams([...clamp, ["t", "1"], ["t", "2"]]));
  assert.deepEqual(
    state.clamp.map(({ units }) => units),
    [[0], [1], [2], [3]],
  );
  assert.equal(state.t, 2);
});

test("what is as it is taken anyway is not written", () => {
  assert.equal(writeAddress(withDefaults({})), "");
  assert.equal(writeAddress(withDefaults({ model: "m", loss: "every", hide: [] })), "model=m");
  assert.equal(withDefaults({ speed: undefined, pass: "backward" }).speed, 200);
  assert.equal(withDefaults({ pass: "backward" }).pass, "backward");
});

test("what cannot be read again is not written", () => {
  assert.equal(writeAddress({ text: "a".repeat(2001), t: 3 }), "t=3");
});

test("the address of a file says nothing that the service would read", () => {
  assert.equal(writeAddress({ ...EVERY, trace: "file", t: 1 }).includes("model="), false);
  assert.deepEqual(
    Object.keys(readAddress(writeAddress({ ...EVERY, trace: "file" })).state).sort(),
    [
      ...Object.keys(EVERY).filter((key) => !["model", "text", "values", "target", "loss", "clamp"].includes(key)),
      "trace",
    ].sort(),
  );
});
