// What the metadata of a trace say, checked entry by entry: of which cell it is, what was read, and what it was for.

import { completed, faultOf } from "./cell_description.js";
import { BadFile } from "./safetensors.js";

const PATTERNS = ["many-to-many", "many-to-one", "one-to-many"];
const MOST_TOKENS = 1e6;

const isText = (entry) => typeof entry === "string";

/** The JSON of one entry; BadFile with what it takes where it is none. */
export function parsed(metadata, key, expected) {
  try {
    return JSON.parse(metadata[key]);
  } catch {
    throw new BadFile(`The metadata “${key}” is not JSON: it takes ${expected}.`);
  }
}

/** The cell: the id of one this page knows, or a description of the shape of those at /api/cells. */
export function cellOf(metadata, cells) {
  const ids = cells.map(({ id }) => id).join(", ");
  const text = metadata.cell?.trim();
  if (!text)
    throw new BadFile(
      `The file does not say which cell it is of: its metadata needs “cell”, one of ${ids}, or a ` +
        "description like those of /api/cells.",
    );
  const given = /^[\w.-]+$/.test(text) ? { id: text } : parsed(metadata, "cell", `one of ${ids}, or a description`);
  const known = cells.find(({ id }) => id === (given?.id ?? given));
  if (known && !given.graph) return known;
  const [{ operations }] = cells;
  const fault = faultOf(given, operations);
  if (fault)
    throw new BadFile(`The metadata “cell” is not a cell this page knows (${ids}), and as a description ${fault}.`);
  return completed(given, operations);
}

/**
 * What the network reads and gives, and when: as the file says, else as the network of this name, else characters and
 * the next one. {reads, gives, pattern, steps, labels}
 */
export function taskOf({ pattern, task, labels, model, values, targets }, models) {
  const known = models.find(({ id }) => id === model)?.form;
  const gives = { classes: "classes", values: values && !targets ? "next" : "values" }[task] ?? "next";
  const reads = values ? "values" : task === "words" ? "words" : "characters";
  const found = { reads, gives, pattern: PATTERNS[0], steps: 1, ...known };
  if (PATTERNS.includes(pattern)) found.pattern = pattern;
  found.labels = labels === undefined ? (known?.labels ?? []) : parsed({ labels }, "labels", "a list of names");
  if (!Array.isArray(found.labels) || !found.labels.every(isText))
    throw new BadFile("The metadata “labels” takes a JSON list of names.");
  return found;
}

/** The numbers each step read: [[channel…] a step]. */
export function valuesOf(metadata, steps) {
  const values = parsed(metadata, "values", "a list of steps with the same number of numbers each");
  const isRow = (row) =>
    Array.isArray(row) && row.length && row.length === values[0].length && row.every(Number.isFinite);
  if (!Array.isArray(values) || !values.every(isRow))
    throw new BadFile("The metadata “values” takes a JSON list of steps, each a list of as many numbers.");
  if (values.length !== steps)
    throw new BadFile(`The metadata “values” has ${values.length} entries, but the signals have ${steps} steps.`);
  return values;
}

/**
 * What each step read: tokens with or without a vocabulary, or a text; where nothing is known, a dot a step. `width`:
 * how many columns the logits have. {tokens, vocabulary, numbered}, `numbered` where tokens have no names.
 */
export function textOfTrace(metadata, { steps, width, models, task }) {
  const classes = task.gives === "next" ? width : undefined; // else the readout's columns are no tokens
  const characters = charactersOf(metadata, task);
  const tokens = "tokens" in metadata ? tokensOf(metadata, steps, task) : null;
  if (!tokens && characters && characters.length !== steps)
    throw new BadFile(`The metadata “text” has ${characters.length} characters, but the signals have ${steps} steps.`);
  const last = tokens ? Math.max(...tokens) : 0;
  const vocabulary = vocabularyOf(metadata, { classes, last, models });
  if (!tokens) return spelled(characters ?? Array(steps).fill("·"), vocabulary ?? numbers(classes || 0));
  const names = vocabulary ?? calledBy(tokens, characters, Math.max(classes || 0, last + 1));
  return { tokens, vocabulary: names, numbered: !vocabulary && !characters };
}

function charactersOf({ text }, { reads }) {
  if (!isText(text)) return null;
  return reads === "words" ? text.split(/\s+/).filter(Boolean) : [...text];
}

function tokensOf(metadata, steps, { pattern }) {
  const tokens = parsed(metadata, "tokens", "a list of whole numbers");
  const least = pattern === "one-to-many" ? -1 : 0;
  const isToken = (token) => Number.isInteger(token) && token >= least && token < MOST_TOKENS;
  if (!Array.isArray(tokens) || !tokens.every(isToken))
    throw new BadFile("The metadata “tokens” takes a JSON list of whole numbers from 0 on.");
  if (tokens.length !== steps)
    throw new BadFile(`The metadata “tokens” has ${tokens.length} entries, but the signals have ${steps} steps.`);
  return tokens;
}

// The file's own, else that of the network it names, where that fits; null where there is none.
function vocabularyOf(metadata, { classes, last, models }) {
  const own = "vocabulary" in metadata ? parsed(metadata, "vocabulary", "a list of strings") : null;
  if (own && !(Array.isArray(own) && own.length && own.every(isText)))
    throw new BadFile("The metadata “vocabulary” takes a JSON list of strings.");
  if (own && classes && own.length !== classes)
    throw new BadFile(`The metadata “vocabulary” has ${own.length} entries, but “logits” has ${classes} columns.`);
  if (own && last >= own.length)
    throw new BadFile(`The metadata “tokens” has ${last}, but “vocabulary” ends at ${own.length - 1}.`);
  const known = models.find(({ id }) => id === metadata.model)?.vocabulary;
  const fits = known?.length && (!classes || known.length === classes) && last < known.length;
  return own ?? (fits ? known : null);
}

// A text as tokens of a vocabulary, which grows by what it lacks.
function spelled(characters, vocabulary) {
  const names = [...vocabulary];
  const tokens = characters.map((character) => {
    const token = names.indexOf(character);
    return token < 0 ? names.push(character) - 1 : token;
  });
  return { tokens, vocabulary: names, numbered: false };
}

const numbers = (many) => Array.from({ length: many }, (_, token) => String(token));

// Without a vocabulary a token is called by its number, or by the character that stands in the text at its place.
function calledBy(tokens, characters, many) {
  const names = numbers(many);
  if (characters?.length !== tokens.length) return names;
  for (const [t, token] of tokens.entries()) names[token] = characters[t];
  return names;
}
