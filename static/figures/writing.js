// The one way in which words come into the page. Foreign text among them stands by itself and shows its controls as
// symbols, so that nothing that somebody else wrote turns the page around.

import { isCalm, piecesOf, plainly } from "../data/foreign.js";

const SVG = "http://www.w3.org/2000/svg";

/** Writes a sentence into an element, in place of what it holds; `lines`: line ends and tabs stay as they are. */
export function write(element, sentence, options) {
  const text = String(sentence ?? "");
  if (isCalm(text)) element.textContent = text;
  else element.replaceChildren(...nodesOf(text, element.namespaceURI === SVG, options));
}

/** Writes a sentence behind what an element holds. */
export function writeMore(element, sentence) {
  element.append(...nodesOf(String(sentence), element.namespaceURI === SVG));
}

/** Writes a title, a label, a description: an attribute holds no more than plain text. */
export function writeAttribute(element, name, sentence) {
  element.setAttribute(name, plainly(sentence));
}

/** An entry of the browser's own list; `value` is foreign too, so lists are asked by place and not by value. */
export const optionOf = (sentence, value) => new Option(plainly(sentence), plainly(value));

/** The title of the page. */
export const writeTitle = (sentence) => {
  document.title = plainly(sentence);
};

function nodesOf(sentence, isSvg, options) {
  return piecesOf(sentence, options).map(({ text, isForeign }) => {
    if (!isForeign) return document.createTextNode(text);
    const piece = isSvg ? document.createElementNS(SVG, "tspan") : document.createElement("bdi");
    if (isSvg) piece.setAttribute("unicode-bidi", "isolate");
    piece.textContent = text;
    return piece;
  });
}
