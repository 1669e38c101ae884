// What should come out, where it is not simply what comes next: a class by its name, or what was wanted at every step.

import { foreign } from "../data/foreign.js";
import { writeAttribute } from "../figures/writing.js";
import { choiceWord } from "./word_controls.js";

const PAUSE = 500; // ms while it is typed

/** The words of the sentence that choose it; none where the next input is its own target. */
export function targetWord(stage) {
  const word = document.createElement("span");
  const field = document.createElement("input");
  const choice = choiceWord("What should come out", (value) => stage.choose({ target: value }));
  Object.assign(field, {
    type: "text",
    className: "target",
    placeholder: "not said",
    spellcheck: false,
    autocomplete: "off",
  });
  field.setAttribute("aria-label", "What should come out");
  word.append("; what should come out is ", choice.word, field);
  let timer = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      timer = 0;
      stage.choose({ target: field.value.trim() });
    }, PAUSE);
  });
  return {
    word,
    show(target) {
      const { task, network, timeline } = stage;
      const one = task.gives === "classes" && task.first > 0;
      word.hidden = network.opened || task.gives === "next" || task.name === "states";
      if (word.hidden) return;
      choice.word.hidden = !one;
      field.hidden = one;
      if (one) {
        const names = Array.from({ length: network.outputs }, (_, k) => foreign(task.named(k)));
        const likeliest = timeline.top.at(-1)?.[0]?.[0];
        choice.show(
          [
            [
              "",
              "what it finds likeliest",
              likeliest === undefined ? "what it finds likeliest" : `${names[likeliest]}, which it finds likeliest`,
            ],
            ...names.map((name, k) => [task.labels[k] ?? String(k), name]),
          ],
          target,
        );
      } else if (!timer && document.activeElement !== field) field.value = target;
      const numbers = network.outputs > 1 ? "numbers with commas between, " : "a number a step, ";
      const how = task.counts ? `${numbers}a semicolon between steps` : "a class a step, with a semicolon between";
      writeAttribute(field, "title", how);
    },
  };
}
