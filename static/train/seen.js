// What the network will see of the text, before anything is started.

import { visible } from "../data/foreign.js";
import { whole } from "../data/formatting.js";
import { make } from "../figures/figure.js";
import { write, writeAttribute, writeMore } from "../figures/writing.js";

const MOST = 400; // characters of the vocabulary that are shown

/** Fills an element; returns what shows the description of a text, or hides it for null. */
export function mountSeen(element) {
  make(element, "h2", "", { text: "What the network will see" });
  const facts = make(element, "p", "seen-facts");
  const notes = make(element, "p", "notice quiet");
  const start = make(element, "p", "seen-start", { dir: "auto" });
  const title = make(element, "h3", "", {});
  const tiles = make(element, "p", "seen-vocabulary");
  return (text) => {
    element.hidden = !text;
    if (!text) return;
    const lines = text.lines === 1 ? "one line" : `${whole(text.lines)} lines`;
    write(facts, `${whole(text.characters)} characters in ${lines}, read as ${text.encoding}. It begins:`);
    write(notes, text.notes.join(" "));
    notes.hidden = !text.notes.length;
    write(start, text.start + (text.characters > [...text.start].length ? " …" : ""), { lines: true });
    write(title, `${whole(text.vocabulary_size)} different characters; each is one input and one output`);
    tiles.replaceChildren(
      ...text.vocabulary.slice(0, MOST).map((character) => {
        const tile = document.createElement("bdi");
        write(tile, visible(character));
        writeAttribute(tile, "title", `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`);
        return tile;
      }),
    );
    if (text.vocabulary.length > MOST) writeMore(tiles, ` and ${whole(text.vocabulary.length - MOST)} more`);
  };
}
