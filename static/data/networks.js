// Networks as the page has them, and what each can read: a text, words, the numbers of tokens where it knows no names,
// or numbers.

import { foreign } from "./foreign.js";
import { Problem } from "./stream.js";

const EXAMPLE = 16; // tokens
const WAVE = 24; // steps of an example of numbers
const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

/**
 * An entry of the API with a vocabulary in any case; `numbered` when its entries are only numbers, `valued` when it
 * reads no tokens at all.
 */
export function readable(model) {
  const valued = model.form?.reads === "values";
  const numbered = !valued && !model.vocabulary?.length;
  return {
    ...model,
    numbered,
    valued,
    vocabulary: numbered
      ? Array.from({ length: model.vocabulary_size }, (_, token) => String(token))
      : (model.vocabulary ?? []),
  };
}

const single = ({ form }) => form?.pattern === "one-to-many";

/** Whether two networks read the same and make the same of it: what one was given says as much to the other. */
export const isAlike = (one, other) => readingKind(one) === readingKind(other);

/** What a network reads and gives, as text: the same for those that are alike. */
export function readingKind({ numbered, valued, vocabulary, channels, form = {} }) {
  const { reads = "characters", gives = "next", pattern = "many-to-many", labels = [] } = form;
  return JSON.stringify([reads, gives, pattern, labels, numbered, valued ? channels : vocabulary]);
}

const problem = (title, words) => new Problem(0, title, words);

/**
 * Numbers as people write or paste them: [[channel…] a step]; steps apart by `;` or lines, channels by commas or
 * spaces. Throws Problem.
 */
function valuesIn(text, channels, who = "This network reads") {
  const parted = text.split(channels > 1 ? /[;\n]+/ : /[;,\s]+/); // one channel may come as one list
  const rows = parted
    .map((row) => row.trim())
    .filter(Boolean)
    .map((row) => row.split(/[,\s]+/).filter(Boolean));
  if (!rows.length || !rows.every((row) => row.length === channels && row.every((word) => NUMBER.test(word)))) {
    throw problem(
      "No numbers",
      channels > 1
        ? `${who} ${channels} numbers a step: commas between them, and a semicolon or a new line between steps.`
        : `${who} one number a step: put a comma, a semicolon or a new line between steps.`,
    );
  }
  return rows.map((row) => row.map(Number));
}

/** Numbers as the address and the page write them. */
const valuesAsText = (values) => values.map((step) => step.join(",")).join(";");

/** What a request says of a text: the text, the tokens whose numbers it holds, or the numbers. Throws Problem. */
export function inputOf(text, network) {
  if (network.valued) return { values: valuesIn(text, network.channels) };
  if (!network.numbered) return { text };
  const tokens = text.split(/[\s,;]+/).filter(Boolean);
  const last = network.vocabulary.length - 1;
  if (tokens.length && tokens.every((token) => /^\d{1,7}$/.test(token) && +token <= last))
    return { tokens: tokens.map(Number) };
  throw problem(
    "No token numbers",
    `This network has no vocabulary: it reads token numbers from 0 to ${last}, with spaces between.`,
  );
}

/**
 * What a request says of what should come out: a class by name or number, or numbers, one entry a step. Throws Problem.
 */
export function targetOf(target, network) {
  if (!target || network.form?.gives === "next") return {};
  const rows = target
    .split(/[;\n]+/)
    .map((row) => row.trim())
    .filter(Boolean);
  const { labels, gives } = network.form;
  if (gives === "classes")
    return { targets: rows.map((row) => (!labels.includes(row) && /^\d{1,6}$/.test(row) ? Number(row) : row)) };
  return { targets: valuesIn(target, network.outputs, "What should come out takes") };
}

/** A text's tokens: its words or its characters. */
const cut = (text, { form }) => (form?.reads === "words" ? text.split(/\s+/).filter(Boolean) : [...text]);

/** How many steps a text will take, as far as the page can tell. */
export function stepsOf(text, network) {
  if (single(network)) return network.form.steps;
  const { values, tokens } = inputOf(text, network);
  return (values ?? tokens ?? cut(text, network)).length;
}

/** What a trace has read, as the text it was. */
export function textOf({ tokens, inputValues, pattern }, network) {
  const steps = pattern === "one-to-many" ? 1 : tokens.length;
  if (inputValues) return valuesAsText(pattern === "one-to-many" ? inputValues.slice(0, 1) : inputValues);
  return tokens
    .slice(0, steps)
    .map((token) => network.vocabulary[token])
    .join(betweenTokens(network));
}

/** What a network opens with: {text, target, loss}; the service knows better, but not what a file says. */
export function exampleOf(network) {
  const { text, values, target = "", loss = "every" } = network.example ?? {};
  return { text: text || values || madeUp(network), target, loss };
}

function madeUp(network) {
  const many = single(network) ? 1 : WAVE;
  if (network.valued)
    return valuesAsText(
      Array.from({ length: many }, (_, t) =>
        Array.from({ length: network.channels }, (_, k) => Number(Math.sin((t + 2 * k) / 3).toFixed(3))),
      ),
    );
  const tokens = network.vocabulary.slice(0, single(network) ? 1 : EXAMPLE);
  return tokens.join(betweenTokens(network));
}

const betweenTokens = (network) => (network.numbered || network.form?.reads === "words" ? " " : "");

/** What a network knows of a text, and which of its tokens it never saw. */
export function known(text, network) {
  if (network.numbered || network.valued) return { text, unknown: [] };
  const seen = new Set(network.vocabulary);
  const tokens = cut(text, network);
  const unknown = [...new Set(tokens.filter((token) => !seen.has(token)))];
  if (!unknown.length && !single(network)) return { text, unknown };
  const read = tokens.filter((token) => seen.has(token));
  return { text: (single(network) ? read.slice(0, 1) : read).join(betweenTokens(network)), unknown };
}

/**
 * What is read when a network takes another's place: what was read before, as far as it still says something, else its
 * example. {text, target, loss}
 */
export function takenAlong({ text, target = "", loss = "every" }, network, before) {
  if (before && isAlike(network, before)) return { text, target, loss };
  const other = exampleOf(network);
  const isOwn = before && exampleOf(before).text === text;
  if (network.numbered || network.valued || before?.numbered || before?.valued || isOwn) return other;
  const [much, all] = [known(text, network).text, text].map((words) => cut(words, network).length);
  const hasOwn = Boolean(network.form?.example?.length);
  const saysMuch = single(network) ? much > 0 : much > 1 && (!hasOwn || 2 * much >= all);
  return saysMuch ? { text, target: "", loss: other.loss } : other;
}

const GROUPS = {
  next: {
    characters: "Write on, character by character",
    words: "Write on, word by word",
    values: "Go on with a curve",
  },
  classes: {
    characters: "Name what they read",
    words: "Name what they read",
    values: "Name what is drawn or measured",
  },
  values: { characters: "Read and count", words: "Read and count", values: "Reckon with numbers" },
};

/** The networks as a list for people: [[id, its name, its name in a sentence, its group]…], each group together. */
export function groupedNetworks(models) {
  const named = models.map(({ id, title, origin, form = {} }) => {
    const isTheirs = ["upload", "run"].includes(origin);
    const group = isTheirs ? "Yours" : (GROUPS[form.gives ?? "next"]?.[form.reads ?? "characters"] ?? "Others");
    const kind = origin === "run" ? " (a run)" : "";
    return [id, `${foreign(title || id)}${kind}`, foreign(isTheirs ? title : id), group];
  });
  const groups = [...new Set(named.map(([, , , group]) => group))];
  return groups.flatMap((group) => named.filter((network) => network[3] === group));
}
