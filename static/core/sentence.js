// What is chosen, as a sentence whose underlined words are the controls.

import { inOneLine } from "./words.js";

const TYPING_PAUSE = 300; // ms

// A word that opens the browser's own list: the select lies unseen over the word, so that the sentence keeps its width and the keyboard its list.
function choiceWord(label, change) {
  const word = document.createElement("span"), shown = document.createElement("span"), select = document.createElement("select");
  word.className = "control";
  shown.setAttribute("aria-hidden", "true");
  select.setAttribute("aria-label", label);
  word.append(shown, select);
  let byPointer = false;
  select.addEventListener("pointerdown", () => { byPointer = true; });
  select.addEventListener("keydown", () => { byPointer = false; });
  select.addEventListener("change", () => {
    change(select.value);
    if (byPointer) select.blur(); // so that space and arrows drive the clock again
  });
  let known = "";
  return {
    word,
    /** `options`: [[value, label, word in the sentence]…] */
    show(options, value, style = {}) {
      const key = JSON.stringify(options);
      if (key !== known) {
        known = key;
        select.replaceChildren(...options.map(([option, text]) => new Option(text, option)));
        word.classList.toggle("fixed", options.length < 2);
        select.disabled = options.length < 2;
      }
      select.value = value;
      const chosen = options.find(([option]) => String(option) === String(value));
      shown.textContent = chosen?.[2] ?? chosen?.[1] ?? value;
      Object.assign(word.style, style);
    },
  };
}

function textWord(stage) {
  const word = document.createElement("span"), shown = document.createElement("span"), field = document.createElement("textarea");
  word.className = "control text";
  shown.className = "shown";
  shown.setAttribute("aria-hidden", "true");
  Object.assign(field, { rows: 1, spellcheck: false, autocomplete: "off" });
  field.setAttribute("aria-label", "Text to read");
  field.setAttribute("autocapitalize", "off");
  word.append(shown, field);
  let timer = 0, waiting = false;
  const show = (text) => { shown.textContent = inOneLine(text) || "…"; };
  field.addEventListener("input", () => {
    show(field.value);
    clearTimeout(timer);
    waiting = true;
    timer = setTimeout(() => {
      waiting = false;
      if (field.value) stage.choose({ text: field.value });
      else stage.notice("The text is empty: give it at least one character.");
    }, TYPING_PAUSE);
  });
  field.addEventListener("keydown", (event) => { if (event.key === "Escape") field.blur(); });
  return {
    word,
    show(text) {
      if (waiting || document.activeElement === field) return; // what is being typed is not taken out of someone's hands
      if (field.value !== text) field.value = text;
      show(text);
    },
  };
}

function numberWord(label, change) {
  const word = document.createElement("span"), field = document.createElement("input");
  word.className = "control number";
  Object.assign(field, { type: "number", min: 0, step: 1, inputMode: "numeric" });
  field.setAttribute("aria-label", label);
  word.append(field);
  field.addEventListener("input", () => {
    if (field.value !== "" && field.checkValidity()) change(field.valueAsNumber);
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

/** Fills an element with the sentence and keeps it true. */
export function mountSentence(element, stage) {
  const model = choiceWord("Network", (value) => stage.choose({ model: value }));
  const text = textWord(stage);
  const layer = choiceWord("Layer", (value) => stage.choose({ layer: +value }));
  const loss = choiceWord("Where the loss is taken", (value) => stage.choose({ loss: value }));
  const unit = numberWord("Unit", (value) => stage.choose({ unit: value }));
  const signal = choiceWord("Signal", (value) => stage.choose({ signal: value }));
  const quoted = document.createElement("span"); // keeps the quotes beside the text when the sentence breaks
  quoted.className = "quoted";
  quoted.append("“", text.word, "”");
  element.append("The network ", model.word, " reads ", quoted, " in layer ", layer.word, "; its loss is taken at ", loss.word,
    " character. The text is coloured by unit ", unit.word, " of ", signal.word, ".");
  const show = () => {
    const { state, timeline, description, colour, reader } = stage, asked = { ...state, ...reader.asked };
    model.show(stage.models.map(({ id, title }) => [id, title && title !== id ? `${id}: ${title}` : id, id]), asked.model);
    text.show(asked.text);
    layer.show(Array.from({ length: timeline.layers }, (_, k) => [k, String(k + 1), timeline.layers > 1 ? `${k + 1}` : "1"]), state.layer);
    loss.show([["every", "every character", "every"], ["last", "the last character only", "the last"]], asked.loss);
    unit.show(state.unit, timeline.hidden - 1);
    signal.show(description.signals.map(({ id, title }) => [id, `${id}: ${title}`, id]), state.signal, { color: colour.hue(state.signal) });
  };
  for (const name of ["taken", "chosen", "drawn"]) stage.addEventListener(name, show);
  show();
}
