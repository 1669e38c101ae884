// Networks as the page has them: one without a vocabulary reads the numbers of its tokens, written with spaces between.

import { Problem } from "./stream.js";

const EXAMPLE = 16; // tokens

/** An entry of the API with a vocabulary in any case; `numbered` when its entries are only numbers. */
export function readable(model) {
  const numbered = !model.vocabulary?.length;
  return { ...model, numbered, vocabulary: numbered ? Array.from({ length: model.vocabulary_size }, (_, token) => String(token)) : model.vocabulary };
}

/** What a request says of a text: the text, or the tokens whose numbers it holds. Throws Problem. */
export function asked(text, network) {
  if (!network.numbered) return { text };
  const tokens = text.split(/[\s,;]+/).filter(Boolean), last = network.vocabulary.length - 1;
  if (tokens.length && tokens.every((token) => /^\d{1,7}$/.test(token) && +token <= last)) return { tokens: tokens.map(Number) };
  throw new Problem(0, "No token numbers", `This network has no vocabulary: it reads token numbers from 0 to ${last}, with spaces between.`);
}

/** How many steps a text will take, as far as the page can tell. */
export function stepsOf(text, network) { return network.numbered ? asked(text, network).tokens.length : [...text].length; }

/** Tokens as the text they were. */
export function textOf(tokens, network) { return tokens.map((token) => network.vocabulary[token]).join(network.numbered ? " " : ""); }

/** A text this network can read: what it knows of the one given, else an example of its own tokens. */
export function legible(text, network) {
  if (network.numbered) {
    try {
      asked(text, network);
      return text;
    } catch {
      return network.vocabulary.slice(0, EXAMPLE).join(" ");
    }
  }
  const known = new Set(network.vocabulary);
  return [...text].filter((character) => known.has(character)).join("") || network.vocabulary.slice(0, EXAMPLE).join("");
}
