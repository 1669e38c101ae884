// A text from anywhere: dropped, picked, pasted, handed over from the bench, or made here.

import { watchDrops } from "../controls/drops.js";
import { takeHandedOff } from "../data/file_handoff.js";
import { make } from "../figures/figure.js";
import { write } from "../figures/writing.js";
import { EXAMPLES, fileOf } from "./examples.js";

const TYPING_PAUSE = 500; // ms
const TITLE = 40; // characters of a pasted text that name it

/**
 * Fills an element; calls `take({body, title})` for each text, `take(null)` when there is none any more, `say(text)`
 * for what is wrong.
 */
export function mountIntake(element, take, say) {
  const before = make(element, "div", "before");
  const after = make(element, "p", "after");
  make(before, "h1", "", { text: "Give it something to read." });
  make(before, "p", "lead", {
    text:
      "A network learns to write like your text, one character after another. You see its gates open " +
      "while it learns.",
  });
  const field = make(before, "textarea", "", {
    rows: 7,
    spellcheck: "false",
    placeholder: "Paste a text here, or drop a file anywhere on this page.",
    "aria-label": "Paste a text",
  });
  const ways = make(before, "p", "ways");
  const choose = make(ways, "button", "button", { type: "button", text: "Choose a file" });
  const picker = make(ways, "input", "", {
    type: "file",
    accept: "text/*,.txt,.md,.tex,.csv",
    "aria-label": "A text file",
  });
  picker.hidden = true;
  ways.append(" or try ");
  EXAMPLES.forEach((example, k) => {
    if (k) ways.append(k === EXAMPLES.length - 1 ? " or " : ", ");
    const button = make(ways, "button", "word-button", { type: "button", text: example[0], title: example[2] });
    button.addEventListener("click", () => show(fileOf(example)));
  });
  const name = make(after, "b", "", {});
  const again = make(after, "button", "button", { type: "button", text: "Another text" });
  after.hidden = true;

  const show = (file) => {
    const title = file.name.replace(/\.\w+$/, "");
    write(name, title);
    [before.hidden, after.hidden] = [true, false];
    take({ body: file, title });
  };
  const files = (list) => (list.length > 1 ? say("One file at a time, please.") : list.length && show(list[0]));
  choose.addEventListener("click", () => picker.click());
  picker.addEventListener("change", () => {
    files([...picker.files]);
    picker.value = "";
  });
  again.addEventListener("click", () => {
    [before.hidden, after.hidden] = [false, true];
    field.value = "";
    field.focus();
    take(null);
  });
  let timer = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const text = field.value;
      const title = text.trim().split("\n", 1)[0].slice(0, TITLE);
      take(text ? { body: new Blob([text], { type: "text/plain" }), title } : null);
    }, TYPING_PAUSE);
  });
  watchDrops("Drop a text to train on it", files);
  takeHandedOff().then((file) => file && show(file));
}
