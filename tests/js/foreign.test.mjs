// Foreign text: every control as a symbol, every token to be told from every other, pieces of sentences by themselves.

import assert from "node:assert/strict";
import { test } from "node:test";
import { foreign, piecesOf, plainly, quoted, shown, visible } from "../../static/data/foreign.js";

const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{DI}]/u;
const TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069";
const CONTROLS = [
  ...Array.from({ length: 0xa0 }, (_, code) => String.fromCharCode(code)).filter((each) => /\p{Cc}/u.test(each)),
  ...TURNING,
  ..."\u00ad\u034f\u115f\u1160\u17b4\u180e\u200b\u200c\u200d\u2028\u2029\u2060\u2061\u2064\u206a\u3164",
  ..."\ufe0f\ufeff\uffa0\ufff9",
  "\u{1d173}",
  "\u{e0001}",
  "\u{e0041}",
  "\u{e0100}",
  "\ud800",
  "\udc00",
  "\ufdd0",
  "\uffff",
];
const SPACES = [" ", "\u00a0", "\u1680", "\u2000", "\u2003", "\u2009", "\u200a", "\u202f", "\u205f", "\u3000", ""];

test("no two characters that show nothing are shown alike, and each shows something", () => {
  const symbols = [...CONTROLS, ...SPACES].map(visible);
  assert.equal(new Set(symbols).size, symbols.length);
  for (const symbol of symbols) assert.doesNotMatch(symbol, /[\s\ufffd]|^$/u);
  for (const symbol of symbols) assert.doesNotMatch(symbol, UNSEEN);
});

test("what shows itself is left as it is, and a mark gets something to stand on", () => {
  for (const token of ["a", "א", "ب", "語", "🙂", "�", "the", "книга", "؀"]) assert.equal(visible(token), token);
  assert.equal(visible("\u0301"), "◌\u0301");
  assert.equal(visible(undefined), "–");
  assert.equal(visible("a\u202eb"), "a[RLO]b");
});

test("every control within a text becomes a symbol of its own", () => {
  const seen = new Set();
  for (const control of CONTROLS) {
    const text = shown(`a${control}b`);
    assert.match(text, /^a.+b$/u);
    assert.doesNotMatch(text, UNSEEN, `${control.codePointAt(0).toString(16)}: ${text}`);
    seen.add(text);
  }
  assert.equal(seen.size, CONTROLS.length);
  assert.equal(shown("a\u202eb\u2069"), "a[RLO]b[PDI]");
  assert.equal(shown("one\ntwo\tx"), "one↵two⇥x");
  assert.equal(shown("one\ntwo\tx\u202e", { lines: true }), "one\ntwo\tx[RLO]");
});

test("emoji and scripts that need joiners are left whole", () => {
  const whole = "👩‍👩‍👧 ❤️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 1️⃣ می‌خواهم क्‍ष".split(" ");
  for (const text of whole) assert.equal(shown(`x ${text} y`), `x ${text} y`);
  assert.equal(shown("a\u200db"), "a[ZWJ]b");
  assert.equal(shown("\u200c"), "[ZWNJ]");
});

test("a tower of marks is cut, and what people write is not", () => {
  const text = shown(`a${"\u0301".repeat(10000)}b`);
  assert.ok(text.length < 20, `${text.length}`);
  for (const word of ["Tiếng", "שָׁלוֹם", "บ่า"]) assert.equal(shown(word), word);
});

test("a piece of a sentence stands by itself, whatever it holds", () => {
  for (const text of ["שלום", `x${TURNING}y`, "\u2069 out \u2068", "", "“"]) {
    const pieces = piecesOf(`reads “${foreign(text)}” now`);
    assert.deepEqual(pieces.at(0), { text: "reads “", isForeign: false });
    assert.deepEqual(pieces.at(-1), { text: "” now", isForeign: false });
    assert.deepEqual(
      pieces.filter(({ isForeign }) => isForeign).map((piece) => piece.text),
      text ? [shown(text)] : [],
    );
    assert.equal(plainly(`reads “${foreign(text)}” now`), `reads “${shown(text)}” now`);
  }
});

test("what was never said to be foreign is shown as symbols too", () => {
  assert.deepEqual(piecesOf("a\u202eb"), [{ text: "a[RLO]b", isForeign: false }]);
  for (const stray of ["\u2068a", "a\u2069b", "\u2069\u2069", "a\u2068b\u2068c\u2069d\u2069e"])
    for (const { text } of piecesOf(stray)) assert.doesNotMatch(text, UNSEEN);
  assert.equal(plainly(7), "7");
});

test("what a sentence of somebody else quotes is foreign", () => {
  assert.deepEqual(
    piecesOf(quoted("“שלום” has (4, 3)")).map(({ text, isForeign }) => [text, isForeign]),
    [
      ["“", false],
      ["שלום", true],
      ["” has (4, 3)", false],
    ],
  );
  assert.equal(quoted(`“${foreign("a")}” is`), `“${foreign("a")}” is`);
});

test("long texts take no longer than they are long", () => {
  for (const unit of ["\u202e", "a\u0301", "\u0301", "\u200d", "👩‍", "“", "\u2068"]) {
    const text = unit.repeat(200_000 / unit.length);
    const begun = performance.now();
    plainly(quoted(shown(text)) + text);
    assert.ok(performance.now() - begun < 5000, `${JSON.stringify(unit)}: ${performance.now() - begun} ms`);
  }
});
