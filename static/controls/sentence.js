// What is chosen, as a sentence whose underlined words are the controls.

import { foreign } from "../data/foreign.js";
import { exampleOf, groupedNetworks } from "../data/networks.js";
import { chosenLayer } from "../figures/description.js";
import { write, writeAttribute } from "../figures/writing.js";
import { mountInterventions } from "./interventions.js";
import { targetWord } from "./target.js";
import { choiceWord, numberWord } from "./word_controls.js";

const TYPING_PAUSE = 300; // ms
const CLICK = 400; // ms from pressing to letting go

function textWord(stage) {
  const word = document.createElement("span");
  const shown = document.createElement("span");
  const field = document.createElement("textarea");
  word.className = "control text";
  shown.className = "shown";
  shown.setAttribute("aria-hidden", "true");
  Object.assign(field, { rows: 1, spellcheck: false, autocomplete: "off" });
  field.setAttribute("aria-label", "Text to read");
  field.setAttribute("autocapitalize", "off");
  word.append(shown, field);
  let timer = 0;
  let waiting = false;
  const show = (text) => {
    write(shown, text || "…");
  };
  const read = () => {
    clearTimeout(timer);
    waiting = false;
    if (field.value.trim() || (field.value && !stage.network.valued)) stage.choose({ text: field.value });
    else
      stage.notice(
        stage.network.valued
          ? "There is no number: give it at least one."
          : "The text is empty: give it at least one character.",
      );
  };
  field.addEventListener("input", () => {
    show(field.value);
    clearTimeout(timer);
    waiting = true;
    timer = setTimeout(read, TYPING_PAUSE);
  });
  field.addEventListener("keydown", (event) => {
    const isDone = event.key === "Enter" && !event.shiftKey && !event.isComposing;
    if (isDone) event.preventDefault(); // with Shift it is a line's end
    if (isDone && waiting) read();
    if (isDone || event.key === "Escape") field.blur();
  });
  // what stands below gives way while the field is open, and comes back when a click that left it has been made
  field.addEventListener("focus", () => word.closest(".sentence").classList.add("is-typing"));
  field.addEventListener("blur", () =>
    setTimeout(() => word.closest(".sentence").classList.toggle("is-typing", document.activeElement === field), CLICK),
  );
  return {
    word,
    show(text) {
      // what is being typed is not taken out of someone's hands
      if (waiting || document.activeElement === field) return;
      if (field.value !== text) field.value = text;
      show(text);
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
  for (const [name, { word }] of Object.entries({ layer, loss, unit })) writeAttribute(word, "data-explain", name);
  const quoted = document.createElement("span"); // keeps the quotes beside the text when the sentence breaks
  quoted.className = "quoted";
  quoted.append("“", text.word, "”");
  const numbers = document.createElement("span");
  const [kind, coloured, subject] = ["", "", "The network "].map((words) => {
    const part = document.createElement("span");
    write(part, words);
    return part;
  });
  const objective = document.createElement("span");
  const aim = targetWord(stage);
  objective.append("; its loss is taken at ", loss.word, kind);
  const example = document.createElement("button");
  Object.assign(example, {
    type: "button",
    className: "plain hold",
    textContent: "its example",
    title: "Read the example of this network again",
  });
  example.addEventListener("click", () => stage.choose(exampleOf(stage.network)));
  element.append(
    subject,
    model.word,
    " reads ",
    numbers,
    quoted,
    " ",
    example,
    " in ",
    layer.word,
    aim.word,
    objective,
    coloured,
    unit.word,
    " of ",
    signal.word,
    ".",
  );
  if (stage.layout === "bench") mountInterventions(element, stage);
  const show = () => {
    const { state, timeline, network, description, colour, reader, task } = stage;
    const asked = { ...state, ...reader.asked };
    const networks = groupedNetworks(stage.models);
    const many = network.channels > 1 ? `${network.channels} numbers a step, ` : "the numbers ";
    write(numbers, network.numbered ? "token numbers " : network.valued ? many : "");
    const own = exampleOf(network);
    example.hidden = network.opened || Object.keys(own).every((key) => own[key] === asked[key]);
    write(kind, ` ${task.kind}`);
    write(coloured, `. The ${task.reads === "values" ? "input" : "text"} is coloured by unit `);
    if (network.opened) networks.push(["", `${foreign(network.title)}: a trace`, foreign(network.title), "A file"]);
    write(subject, network.opened ? "The trace " : "The network ");
    model.show(networks, reader.asked.model ?? (network.opened ? "" : state.model));
    text.show(reader.asked.text ?? (network.opened ? stage.text : state.text));
    layer.show(
      timeline.layers.map(({ title }, k) => [k, foreign(title), `${/\d/.test(title) ? "" : "the "}${foreign(title)}`]),
      state.layer,
    );
    const every = ["every", `every ${task.kind}`, "every"];
    const last = ["last", `the last ${task.kind} only`, "the last"];
    aim.show(asked.target);
    objective.hidden =
      (network.opened && !stage.objective) ||
      task.first > 0 ||
      (timeline.done && timeline.backwardFrom === timeline.steps);
    loss.show(
      network.opened ? [every, last].filter(([id]) => id === stage.objective) : [every, last],
      network.opened ? stage.objective : asked.loss,
    );
    unit.show(state.unit, timeline.width(state.layer, state.signal) - 1);
    writeAttribute(signal.word, "data-explain", `signal ${chosenLayer(stage)} ${state.signal}`);
    signal.show(
      description.signals.map(({ id, title }) => [id, `${id}: ${foreign(title)}`, id]),
      state.signal,
      { color: colour.hue(state.signal) },
    );
  };
  for (const name of ["taken", "chosen", "drawn"]) stage.addEventListener(name, show);
  show();
}
