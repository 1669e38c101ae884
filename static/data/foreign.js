// Text that somebody else wrote: of a vocabulary, a label, a title, a file, an address. What would be seen by nobody,
// or would turn the words around it, is shown as a symbol; and each piece stands by itself within a sentence.

const [ISOLATE, POP] = "\u2068\u2069"; // how a piece of foreign text is marked within a string, until it is written
const NAMED = {
  "\u0085": "NEL",
  "\u00ad": "SHY",
  "\u034f": "CGJ",
  "\u061c": "ALM",
  "\u200b": "ZWSP",
  "\u200c": "ZWNJ",
  "\u200d": "ZWJ",
  "\u200e": "LRM",
  "\u200f": "RLM",
  "\u2028": "LS",
  "\u2029": "PS",
  "\u202a": "LRE",
  "\u202b": "RLE",
  "\u202c": "PDF",
  "\u202d": "LRO",
  "\u202e": "RLO",
  "\u2060": "WJ",
  "\u2066": "LRI",
  "\u2067": "RLI",
  "\u2068": "FSI",
  "\u2069": "PDI",
  "\ufeff": "BOM",
};
const STAND_INS = { "": "∅", " ": "␣", "\n": "↵", "\t": "⇥", "\u00a0": "⍽", "\u007f": "␡" };
// Arabic signs that stand before a number are formats by their category, but are seen.
const SEEN = String.raw`[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2]`;
const UNSEEN = String.raw`[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{DI}\p{NChar}]--${SEEN}]`;
const ANY_UNSEEN = new RegExp(UNSEEN, "v");
// emoji, and words of scripts that need joiners, are left as they are
const SCRIPTS = ["Arab", "Deva", "Beng", "Sinh", "Mlym", "Knda", "Telu"];
const JOINED = `[[${SCRIPTS.map((script) => `\\p{sc=${script}}`).join("")}]&&[\\p{L}\\p{M}]]`;
const LEFT_OR_UNSEEN = new RegExp(
  `(?<left>\\p{RGI_Emoji}|(?<=\\p{Emoji})\\ufe0f|(?<=${JOINED})[\\u200c\\u200d](?=${JOINED}))|${UNSEEN}`,
  "gv",
);
const SPACE = /^\p{Zs}$/u;
const MARK = /^\p{M}/u;
const MANY_MARKS = /\p{M}{9}/u; // more over one letter reach into the lines around
const MORE_MARKS = /(\p{M}{8})\p{M}+/gu;

const hex = (character) => `x${character.codePointAt(0).toString(16)}`;

function symbol(character) {
  if (character < " ") return STAND_INS[character] ?? String.fromCodePoint(0x2400 + character.codePointAt(0));
  return STAND_INS[character] ?? NAMED[character] ?? hex(character);
}

/** A token one can see and tell from every other: a character as a symbol where it shows nothing, a word as it is. */
export function visible(token) {
  if (token === undefined) return "–";
  if ([...token].length > 1) return shown(token);
  if (token in STAND_INS || ANY_UNSEEN.test(token)) return symbol(token);
  if (SPACE.test(token)) return hex(token);
  return MARK.test(token) ? `◌${token}` : token;
}

/** Whether a text needs nothing of all this. */
export const isCalm = (text) => !ANY_UNSEEN.test(text) && !MANY_MARKS.test(text);

/** A text with symbols for all that is not seen in it; `lines`: its line ends and tabs stay. */
export function shown(text, { lines = false } = {}) {
  if (isCalm(text)) return text;
  return text.replace(MORE_MARKS, "$1…").replace(LEFT_OR_UNSEEN, (character, left) => {
    if (left !== undefined || (lines && (character === "\n" || character === "\t"))) return character;
    const seen = symbol(character);
    return seen.length > 1 ? `[${seen}]` : seen;
  });
}

/** The same as a piece of a sentence that is yet to be written. */
export const foreign = (text) => ISOLATE + shown(text) + POP;

/** A sentence that is not of this page's making, what stands in quotation marks taken for foreign. */
export const quoted = (sentence) =>
  sentence.includes(ISOLATE) ? sentence : sentence.replace(/“([^“”]*)”/g, (_, inside) => `“${foreign(inside)}”`);

/** The pieces of a sentence in order: [{text, isForeign}…]. */
export function piecesOf(sentence, options) {
  return sentence
    .split(ISOLATE)
    .flatMap((piece, k) => {
      const [inside, ...after] = piece.split(POP);
      return k
        ? [
            { text: inside, isForeign: true },
            { text: after.join(""), isForeign: false },
          ]
        : [{ text: piece }];
    })
    .filter(({ text }) => text)
    .map(({ text, isForeign = false }) => ({ text: shown(text, options), isForeign }));
}

/** A sentence as one plain text, for what holds nothing else: attributes, titles, options. */
export const plainly = (sentence) => {
  const text = String(sentence);
  if (isCalm(text)) return text;
  const pieces = piecesOf(text);
  return pieces.map((piece) => piece.text).join("");
};

/** The first few names of a list, each in quotes, and how many there are beside them. */
export function someOf(names, most) {
  const some = names.slice(0, most).map((name) => `“${foreign(name)}”`);
  return `${some.join(", ")}${names.length > most ? ` and ${names.length - most} more` : ""}`;
}
