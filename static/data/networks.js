// Networks as the page has them, and what each can read: a text, words, the numbers of tokens where it knows no names,
// or numbers.

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

/** In which way a network reads: what another that reads differently was given cannot be taken along. */
export const wayOf = (network) =>
  `${network.numbered ? "numbers" : (network.form?.reads ?? "characters")}${single(network) ? " once" : ""}`;

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
  const apart = network.numbered || network.form?.reads === "words" ? " " : "";
  return tokens
    .slice(0, steps)
    .map((token) => network.vocabulary[token])
    .join(apart);
}

/** An input worth looking at: the network's own, or of its own tokens. */
export function exampleOf(network) {
  const { example } = network.form ?? {};
  const many = single(network) ? 1 : WAVE;
  if (network.valued)
    return valuesAsText(
      Array.isArray(example) && example.length
        ? example
        : Array.from({ length: many }, (_, t) =>
            Array.from({ length: network.channels }, (_, k) => Number(Math.sin((t + 2 * k) / 3).toFixed(3))),
          ),
    );
  const tokens = network.vocabulary.slice(0, single(network) ? 1 : EXAMPLE);
  return (
    (typeof example === "string" && example) ||
    tokens.join(network.numbered || network.form?.reads === "words" ? " " : "")
  );
}

/** A text this network can read: what it knows of the one given, else an example. */
export function legible(text, network) {
  if (network.numbered || network.valued) {
    try {
      inputOf(text, network);
      return text;
    } catch {
      return exampleOf(network);
    }
  }
  const known = new Set(network.vocabulary);
  const read = cut(text, network).filter((token) => known.has(token));
  if (network.form?.reads !== "words")
    return (single(network) ? read.slice(0, 1) : read).join("") || exampleOf(network);
  return read.length > 1 || single(network)
    ? read.slice(0, single(network) ? 1 : read.length).join(" ") || exampleOf(network)
    : exampleOf(network);
}
