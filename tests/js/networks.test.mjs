// Networks as the page has them: what each reads out of what people write, and what can be taken along.

import assert from "node:assert/strict";
import { test } from "node:test";
import { foreign } from "../../static/data/foreign.js";
import {
  exampleOf,
  groupedNetworks,
  inputOf,
  isAlike,
  known,
  readable,
  stepsOf,
  takenAlong,
  targetOf,
  textOf,
} from "../../static/data/networks.js";

const characters = readable({ id: "c", vocabulary: ["a", "b", " ", "🙂"] });
const words = readable({ id: "w", vocabulary: ["to", "be", "or"], form: { reads: "words", gives: "next" } });
const numbered = readable({ id: "n", vocabulary_size: 5 });
const valued = (channels, form = {}) =>
  readable({ id: "v", channels, outputs: channels, form: { reads: "values", gives: "next", labels: [], ...form } });
const once = readable({
  id: "o",
  vocabulary: ["a", "b"],
  form: { reads: "characters", pattern: "one-to-many", steps: 7 },
});
const refused = { name: "Problem", status: 0 };

test("an entry of the API says how it reads", () => {
  assert.deepEqual(numbered.vocabulary, ["0", "1", "2", "3", "4"]);
  assert.deepEqual([characters.numbered, numbered.numbered, valued(1).numbered], [false, true, false]);
  assert.deepEqual([characters.valued, numbered.valued, valued(1).valued], [false, false, true]);
});

test("networks are alike where they read the same and make the same of it", () => {
  const all = [characters, words, numbered, valued(2), valued(1), valued(2, { gives: "classes" }), once];
  for (const one of all) for (const other of all) assert.equal(isAlike(one, other), one === other);
  assert.ok(isAlike(characters, readable({ id: "d", vocabulary: ["a", "b", " ", "🙂"], hidden: 99 })));
  assert.ok(!isAlike(characters, readable({ id: "d", vocabulary: ["a", "b", " "] })));
});

test("a text is sent as it is, token numbers as numbers, numbers as rows", () => {
  assert.deepEqual(inputOf("to be", words), { text: "to be" });
  assert.deepEqual(inputOf(" 0, 4;2\n1 ", numbered), { tokens: [0, 4, 2, 1] });
  assert.deepEqual(inputOf("1, .5;-2e1\n+3.", valued(1)), { values: [[1], [0.5], [-20], [3]] });
  assert.deepEqual(inputOf("1,2; 3 4\n5,6;", valued(2)), {
    values: [
      [1, 2],
      [3, 4],
      [5, 6],
    ],
  });
});

test("what is no such number is refused in words that say what to write", () => {
  for (const text of ["", "5", "-1", "1.5", "one"])
    assert.throws(() => inputOf(text, numbered), { ...refused, message: /token numbers from 0 to 4/ }, text);
  for (const text of ["", "one", "1e", "Infinity", "0x10"])
    assert.throws(() => inputOf(text, valued(1)), { ...refused, message: /one number a step/ }, text);
  for (const text of ["1", "1,2;3", "1,2,3", "a,b"])
    assert.throws(() => inputOf(text, valued(2)), { ...refused, message: /2 numbers a step/ }, text);
});

test("steps are counted as the network will", () => {
  assert.equal(stepsOf("a🙂b", characters), 3);
  assert.equal(stepsOf(" to  be ", words), 2);
  assert.equal(stepsOf("3 4", numbered), 2);
  assert.equal(stepsOf("1,2;3,4", valued(2)), 2);
  assert.equal(stepsOf("a", once), 7);
});

test("what a trace has read is the text it was", () => {
  assert.equal(textOf({ tokens: [0, 3, 1] }, characters), "a🙂b");
  assert.equal(textOf({ tokens: [0, 1, 0] }, words), "to be to");
  assert.equal(textOf({ tokens: [4, 0] }, numbered), "4 0");
  assert.equal(textOf({ tokens: [1, -1, -1], pattern: "one-to-many" }, once), "b");
  const inputValues = [
    [1, 2],
    [0, 0],
  ];
  assert.equal(textOf({ tokens: [], inputValues }, valued(2)), "1,2;0,0");
  assert.equal(textOf({ tokens: [], inputValues, pattern: "one-to-many" }, valued(2)), "1,2");
  for (const [text, network] of [
    ["ab a", characters],
    ["be or", words],
  ]) {
    const tokens = (network === words ? text.split(" ") : [...text]).map((token) => network.vocabulary.indexOf(token));
    assert.equal(textOf({ tokens }, network), text);
  }
});

test("an example is the network's own, else of its own tokens", () => {
  const textAt = (network) => exampleOf(network).text;
  assert.deepEqual(exampleOf(characters), { text: "ab 🙂", target: "", loss: "every" });
  assert.equal(textAt(words), "to be or");
  assert.equal(textAt(numbered), "0 1 2 3 4");
  assert.equal(textAt(once), "a");
  const own = { ...words, example: { text: "or or", target: "yes", loss: "last" } };
  assert.deepEqual(exampleOf(own), { text: "or or", target: "yes", loss: "last" });
  assert.equal(textAt({ ...valued(2), example: { values: "1,2", loss: "every" } }), "1,2");
  assert.equal(textAt({ ...numbered, example: { text: "", loss: "last" } }), "0 1 2 3 4");
  assert.equal(inputOf(textAt(valued(2)), valued(2)).values.length, 24);
  assert.equal(textAt(valued(1, { pattern: "one-to-many" })).split(";").length, 1);
});

test("what a network never saw is left out and named", () => {
  assert.deepEqual(known("a?b!?", characters), { text: "ab", unknown: ["?", "!"] });
  assert.deepEqual(known("ab a", characters), { text: "ab a", unknown: [] });
  assert.deepEqual(known("be nice or not", words), { text: "be or", unknown: ["nice", "not"] });
  assert.deepEqual(known("to  be", words), { text: "to  be", unknown: [] });
  assert.deepEqual(known("ba", once), { text: "b", unknown: [] });
  assert.deepEqual(known("anything", numbered), { text: "anything", unknown: [] });
});

test("a text is taken along where it still says something, else the example comes", () => {
  const form = { reads: "characters", gives: "next", example: "xxx" };
  const others = readable({ id: "o", vocabulary: ["a", "b", "x"], form, example: { text: "xxx", loss: "last" } });
  const example = { text: "xxx", target: "", loss: "last" };
  assert.deepEqual(takenAlong({ text: "a b", loss: "every" }, others, characters), {
    text: "a b",
    target: "",
    loss: "last",
  });
  assert.deepEqual(takenAlong({ text: "🙂 🙂 a b" }, others, characters), example); // less than half of it
  const plain = { ...others, form: { ...form, example: "" } };
  assert.equal(takenAlong({ text: "🙂 🙂 a b" }, plain, characters).text, "🙂 🙂 a b"); // whose example nobody chose
  assert.deepEqual(takenAlong({ text: "a" }, others, characters), example); // has nothing after it
  assert.deepEqual(takenAlong({ text: "ab 🙂" }, others, characters), example); // nobody chose that one's example
  assert.deepEqual(takenAlong({ text: "0 1" }, others, numbered), example);
  assert.equal(takenAlong({ text: "1,2" }, valued(2, { gives: "classes" }), valued(2)).text.split(";").length, 24);
  assert.deepEqual(takenAlong({ text: "1,2", target: "x", loss: "last" }, valued(2), valued(2)), {
    text: "1,2",
    target: "x",
    loss: "last",
  });
});

test("the list has groups and plain names, and one's own apart", () => {
  const listed = groupedNetworks([
    { id: "a", title: "A network", origin: "shipped" },
    { id: "k", title: "Kinds", origin: "shipped", form: { gives: "classes", reads: "words" } },
    { id: "f".repeat(32), title: "Mine", origin: "run" },
    { id: "b", title: "", origin: "shipped" },
  ]);
  assert.deepEqual(
    listed.map(([id, name, , group]) => [id.slice(0, 1), name, group]),
    [
      ["a", foreign("A network"), "Write on, character by character"],
      ["b", foreign("b"), "Write on, character by character"],
      ["k", foreign("Kinds"), "Name what they read"],
      ["f", `${foreign("Mine")} (a run)`, "Yours"],
    ],
  );
});

test("what should come out is a class by name or number, or numbers", () => {
  const classes = readable({
    id: "k",
    vocabulary: ["a"],
    form: { reads: "characters", gives: "classes", labels: ["yes", "2"] },
  });
  assert.deepEqual(targetOf("yes; 1\n2;no", classes), { targets: ["yes", 1, "2", "no"] });
  assert.deepEqual(targetOf("", classes), {});
  assert.deepEqual(targetOf("a", characters.form ? characters : words), {});
  assert.deepEqual(targetOf("1,2;3,4", valued(2, { gives: "values" })), {
    targets: [
      [1, 2],
      [3, 4],
    ],
  });
  assert.throws(() => targetOf("1", valued(2, { gives: "values" })), {
    ...refused,
    message: /^What should come out takes 2/,
  });
});
