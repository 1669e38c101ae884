// The training as a sentence whose words are the controls, with everything else the service takes behind “more”.

import { choiceWord, numberWord } from "../controls/word_controls.js";
import { duration, rounded, whole } from "../data/formatting.js";
import { make } from "../figures/figure.js";
import { write, writeAttribute } from "../figures/writing.js";

const MINUTES = [0.5, 1, 3, 10, 30, 60];
const LAYERS = [1, 2, 3, 4];
const MORE = [
  ["title", "text", "what to call it"],
  ["steps", "number", "batches read at most"],
  ["sequence_length", "number", "steps the gradient goes back"],
  ["batch_size", "number", "sequences side by side"],
  ["embedding", "number", "embedding; 0 is one-hot"],
  ["learning_rate", "number", "highest learning rate"],
  ["clip", "number", "longest gradient"],
  ["dropout", "number", "fraction of outputs left out"],
  ["patience", "number", "validations without improvement"],
  ["update_every", "number", "batches to a change of the weights"],
  ["seed", "number", "where chance begins"],
];

/**
 * Fills an element; `change()` is called when something is chosen, `start()` when it is to begin. Returns {chosen,
 * show, wait}.
 */
export function mountRecipe(element, cells, change, start) {
  const chosen = {}; // what was chosen, in the API's words; the rest suits the text
  let minutes = null;
  const choose = (name, value) => {
    chosen[name] = value;
    change();
  };
  const cell = choiceWord("Cell", (value) => choose("cell", value));
  const hidden = numberWord("Units", (value) => value && choose("hidden", value));
  const layers = choiceWord("Layers", (value) => choose("layers", +value));
  const time = choiceWord("Minutes", (value) => {
    minutes = value === "" ? null : +value;
    delete chosen.steps;
    fields.steps.value = "";
    change();
  });
  const form = make(element, "form", "");
  const sentence = make(form, "p", "sentence");
  const plural = document.createElement("span");
  sentence.append(
    "Train the cell ",
    cell.word,
    " with ",
    hidden.word,
    " units in ",
    layers.word,
    plural,
    " for about ",
    time.word,
    ".",
  );
  const line = make(form, "p", "actions");
  const button = make(line, "button", "main", { type: "submit", text: "Start" });
  const cost = make(line, "span", "cost", { role: "status" });
  const more = make(form, "details", "more");
  make(more, "summary", "", { text: "more" });
  const grid = make(more, "div", "more-fields");
  const fields = {};
  for (const [name, type, words] of MORE) {
    const label = make(grid, "label", "", { text: words });
    const field = make(label, "input", "", { type, name, step: "any", autocomplete: "off" });
    fields[name] = field;
    make(label, "small", "", { text: name });
    field.addEventListener("change", () => {
      if (field.value === "") delete chosen[name];
      else chosen[name] = field.value;
      if (name === "steps") minutes = null;
      change();
    });
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });

  return {
    chosen,
    /** The title that is used where none is typed. */
    name(title) {
      writeAttribute(fields.title, "placeholder", title);
    },
    wait(waiting) {
      button.disabled = waiting;
    },
    /** Shows what the service made of it; returns the steps that the chosen time asks for, when they are others. */
    show({ recipe, cost: costs }) {
      cell.show(
        cells.map(({ id, title }) => [id, title]),
        recipe.cell,
      );
      hidden.show(recipe.hidden, 4096);
      layers.show(
        [...new Set([...LAYERS, recipe.layers])].map((count) => [count, String(count)]),
        recipe.layers,
      );
      write(plural, recipe.layers === 1 ? " layer" : " layers");
      const about = duration(60 * costs.minutes);
      const asked = minutes === null ? [["", about]] : [["", "as long as suits the text"]];
      time.show([...asked, ...MINUTES.map((many) => [many, duration(60 * many)])], minutes ?? "");
      for (const [name] of MORE.slice(1))
        writeAttribute(fields[name], "placeholder", recipe[name] ?? (name === "embedding" ? 0 : ""));
      write(
        cost,
        `${rounded(costs.parameters)} weights; ${whole(recipe.steps)} steps read ` +
          `${rounded(costs.characters)} characters in about ${about} on one core.`,
      );
      if (minutes === null) return null;
      const steps = Math.max(1, Math.round((recipe.steps * minutes) / costs.minutes));
      return Math.abs(steps / recipe.steps - 1) > 0.1 ? steps : null;
    },
  };
}
