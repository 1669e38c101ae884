// Words of a sentence that are controls.

import { optionOf, write, writeAttribute } from "../figures/writing.js";

/**
 * A word that opens the browser's own list: the select lies unseen over the word, so that the sentence keeps its width
 * and the keyboard its list.
 */
export function choiceWord(label, change) {
  const word = document.createElement("span");
  const shown = document.createElement("span");
  const select = document.createElement("select");
  word.className = "control";
  shown.setAttribute("aria-hidden", "true");
  writeAttribute(select, "aria-label", label);
  word.append(shown, select);
  let byPointer = false;
  select.addEventListener("pointerdown", () => {
    byPointer = true;
  });
  select.addEventListener("keydown", () => {
    byPointer = false;
  });
  select.addEventListener("change", () => {
    change(known[select.selectedIndex][0]);
    if (byPointer) select.blur(); // so that space and arrows drive the clock again
  });
  let known = [];
  return {
    word,
    /** `options`: [[value, label, word in the sentence, group]…] */
    show(options, value, style = {}) {
      if (JSON.stringify(options) !== JSON.stringify(known)) {
        known = options;
        select.replaceChildren(...inGroups(options));
        word.classList.toggle("fixed", options.length < 2);
        select.disabled = options.length < 2;
      }
      select.selectedIndex = options.findIndex(([option]) => String(option) === String(value));
      const [, text, short = text] = options[select.selectedIndex] ?? [value, value];
      write(shown, short);
      Object.assign(word.style, style);
    },
  };
}

/** A whole number that is typed or turned. */
export function numberWord(label, change) {
  const word = document.createElement("span");
  const field = document.createElement("input");
  word.className = "control number";
  Object.assign(field, { type: "number", min: 0, step: 1, inputMode: "numeric" });
  writeAttribute(field, "aria-label", label);
  word.append(field);
  field.addEventListener("input", () => {
    if (field.value !== "" && field.reportValidity()) change(field.valueAsNumber);
  });
  return {
    word,
    show(value, max) {
      field.max = max;
      field.style.width = `${Math.max(2, String(value).length)}ch`;
      if (document.activeElement !== field || field.valueAsNumber !== value) field.value = value;
    },
  };
}

// Options one after the other, those with a group under its name.
function inGroups(options) {
  const children = [];
  for (const [value, text, , group] of options) {
    if (group && children.at(-1)?.label !== group) {
      children.push(document.createElement("optgroup"));
      writeAttribute(children.at(-1), "label", group);
    }
    if (group) children.at(-1).append(optionOf(text, value));
    else children.push(optionOf(text, value));
  }
  return children;
}
