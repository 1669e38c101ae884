// Networks as the page has them: what each reads out of what people write, and what can be taken along.

import assert from "node:assert/strict";
import { test } from "node:test";
import { exampleOf, inputOf, legible, readable, stepsOf, targetOf, textOf, wayOf } from "../../static/data/networks.js";

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
  assert.deepEqual([characters, words, numbered, valued(2), once].map(wayOf), [
    "characters",
    "words",
    "numbers",
    "values",
    "characters once",
  ]);
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
  assert.equal(exampleOf(characters), "ab 🙂");
  assert.equal(exampleOf(words), "to be or");
  assert.equal(exampleOf(numbered), "0 1 2 3 4");
  assert.equal(exampleOf(once), "a");
  assert.equal(exampleOf({ ...words, form: { ...words.form, example: "or or" } }), "or or");
  assert.equal(exampleOf(valued(2, { example: [[1, 2]] })), "1,2");
  const waves = exampleOf(valued(2));
  assert.equal(inputOf(waves, valued(2)).values.length, 24);
  assert.equal(exampleOf(valued(1, { pattern: "one-to-many" })).split(";").length, 1);
});

test("a text is taken along as far as the network knows it", () => {
  assert.equal(legible("a?b!", characters), "ab");
  assert.equal(legible("xyz", characters), "ab 🙂");
  assert.equal(legible("be nice or not", words), "be or");
  assert.equal(legible("be", words), "to be or"); // one word alone has nothing after it
  assert.equal(legible("ba", once), "b");
  assert.equal(legible("3 1", numbered), "3 1");
  assert.equal(legible("abc", numbered), "0 1 2 3 4");
  assert.equal(legible("1;2", valued(1)), "1;2");
  assert.equal(legible("1;x", valued(1)), exampleOf(valued(1)));
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
