// Holding a unit, or a whole signal, at a value while the network reads: what is held, for how long, and what became of
// the guesses.

import { foreign } from "../data/foreign.js";
import { number } from "../data/formatting.js";
import { changedGuesses, MOST_INTERVENTIONS } from "../data/interventions.js";
import { write } from "../figures/writing.js";
import { choiceWord } from "./word_controls.js";

const PAUSE = 120; // ms: a slider says many values on its way
const FURTHEST = 100000;
const UNBOUNDED = [-2, 2]; // what the slider reaches for a signal without a range

/** Appends to the sentence the word that holds the chosen unit, and a line for everything held. */
export function mountInterventions(element, stage) {
  const begin = document.createElement("button");
  const list = document.createElement("div");
  const effect = document.createElement("p");
  Object.assign(begin, {
    type: "button",
    className: "plain hold",
    textContent: "Hold it",
    title: "Keep this unit at one value and see what changes",
  });
  list.className = "held-list";
  effect.className = "held effect";
  effect.setAttribute("role", "status");
  element.append(" ", begin, list);
  list.append(effect);
  const lines = [];
  const asked = () => stage.reader.asked.clamp ?? stage.state.clamp;
  const change = (k, changes) =>
    stage.choose({ clamp: asked().map((each, at) => (at === k ? { ...each, ...changes } : each)) });
  const remove = (k) => {
    stage.choose({ clamp: asked().filter((_, at) => at !== k) });
    if (list.contains(document.activeElement)) begin.focus();
  };

  begin.addEventListener("click", () => {
    const { layer, signal, unit } = stage.state;
    const { t } = stage.clock.position;
    stage.clock.pause();
    // from the first or the last character on there is nothing before, or nothing after, to compare
    const from = t > 0 && t < stage.timeline.steps - 1 ? t : 0;
    stage.choose({ clamp: [...asked(), { layer, signal, units: [unit], value: 0, from, to: null }] });
  });
  document.addEventListener("keydown", (event) => {
    const many = asked().length;
    const line = event.target.closest?.(".held[data-k]");
    if (event.key !== "Escape" || !many || (!line && event.target.closest?.("input, textarea, select"))) return;
    remove(line ? Number(line.dataset.k) : many - 1);
  });

  const show = () => {
    const interventions = asked();
    begin.hidden = stage.network.opened || interventions.length >= MOST_INTERVENTIONS;
    while (lines.length > interventions.length) lines.pop().row.remove();
    while (lines.length < interventions.length) {
      lines.push(interventionLine(stage, lines.length, change, remove));
      effect.before(lines.at(-1).row);
    }
    lines.forEach((line, k) => {
      line.show(interventions[k]);
    });
    const said = interventions.length && !stage.network.opened ? effectOf(stage, interventions) : "";
    write(effect, said);
    effect.hidden = !said;
    list.hidden = !interventions.length;
  };
  for (const name of ["taken", "chosen", "drawn"]) stage.addEventListener(name, show);
  show();
}

// The untouched numbers beside the new ones.
function effectOf({ timeline, untouched, clock, task }, interventions) {
  if (interventions.every(({ from }) => from >= clock.steps)) return "It begins after the end of this text.";
  if (!untouched || !timeline.done) return "";
  const changed = changedGuesses(timeline, untouched).length;
  const guesses = changed
    ? `${changed} of ${timeline.steps} ${task.counts ? "outputs" : "guesses"} changed, underlined below`
    : `no ${task.counts ? "output" : "guess"} changed`;
  if (!Number.isFinite(timeline.summary.loss) || timeline.backwardFrom === timeline.steps)
    return `${guesses[0].toUpperCase()}${guesses.slice(1)}.`;
  return (
    `The loss is ${number(timeline.summary.loss)}${task.counts ? "" : " nats"}, left alone ` +
    `${number(untouched.summary.loss)}; ${guesses}.`
  );
}

// One intervention: whose unit, at what value, from when on, and away with it.
function interventionLine(stage, k, change, remove) {
  const row = document.createElement("p");
  row.className = "held";
  row.dataset.k = k;
  const units = unitsWord((chosen) => change(k, { units: chosen }));
  const value = valueFields((chosen) => change(k, { value: chosen }));
  const times = timesWord((from, to) => change(k, { from, to }));
  const of = document.createElement("span");
  const away = document.createElement("button");
  Object.assign(away, { type: "button", className: "plain", textContent: "×", title: "Let go (Esc)" });
  away.setAttribute("aria-label", "Let go of what is held");
  away.addEventListener("click", () => remove(k));
  row.append(units.word, of, value.word, " ", times.word, " ", away);
  return {
    row,
    show(intervention) {
      const { layer, signal } = intervention;
      const { timeline, colour } = stage;
      const reached = timeline.layers[layer];
      const { range, title } = reached?.cell.signals.find(({ id }) => id === signal) ?? {};
      units.show(intervention.units, stage.state.unit);
      const where = timeline.layers.length > 1 ? ` in ${foreign(reached?.title ?? "")}` : "";
      write(of, ` of ${foreign(title ?? signal)} ${signal}${where}`);
      of.style.color = colour.hue(signal);
      value.show(intervention.value, range ?? UNBOUNDED);
      times.show(intervention, stage);
    },
  };
}

// One unit, or several, or every unit of the signal.
function unitsWord(choose) {
  const choice = choiceWord("What is held", (value) => choose(value === "all" ? value : value.split(",").map(Number)));
  let own = null; // those it began with, for whoever comes back from every unit
  return {
    word: choice.word,
    show(units, chosenUnit) {
      if (units !== "all") own = units;
      const some = own ?? [chosenUnit];
      const named = some.join(", ");
      const options = [
        [some.join(), `unit ${named}`, `Unit ${named}`],
        ["all", "every unit", "Every unit"],
      ];
      choice.show(options, units === "all" ? units : units.join());
    },
  };
}

// The value as a number that is typed and as a slider over the signal's range.
function valueFields(choose) {
  const word = document.createElement("span");
  const slider = document.createElement("input");
  const field = document.createElement("input");
  word.className = "at";
  Object.assign(slider, { type: "range", step: 0.01 });
  Object.assign(field, { type: "number", step: 0.01, min: -FURTHEST, max: FURTHEST, required: true });
  slider.setAttribute("aria-label", "Value it is held at");
  field.setAttribute("aria-label", "Value it is held at, as a number");
  word.append(" held at ", field, " ", slider);
  let timer = 0;
  const set = (value) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      timer = 0;
      choose(Math.round(value * 1e6) / 1e6);
    }, PAUSE);
  };
  slider.addEventListener("input", () => {
    field.value = slider.value;
    set(slider.valueAsNumber);
  });
  field.addEventListener("input", () => {
    if (!field.reportValidity()) return;
    slider.value = field.value;
    set(field.valueAsNumber);
  });
  return {
    word,
    show(value, [min, max]) {
      Object.assign(slider, { min, max });
      if (timer) return; // what is being set is not taken out of someone's hands
      slider.value = value;
      if (document.activeElement !== field) field.value = value.toFixed(2);
    },
  };
}

// From which step on, and until when: all the way, as it is, from the cursor on, or at the cursor only.
function timesWord(choose) {
  const choice = choiceWord("When it is held", (value) => choose(...JSON.parse(value)));
  return {
    word: choice.word,
    show({ from, to }, { timeline, task, clock }) {
      const { t } = clock.position;
      const spans = [
        [0, null],
        [from, to],
        [t, null],
        [t, t + 1],
      ];
      const named = (step) => (step < timeline.steps ? `step ${step + 1} ${task.said(step)}` : `step ${step + 1}`);
      const options = new Map(spans.map((span) => [JSON.stringify(span), inWords(span, named)]));
      choice.show([...options], JSON.stringify([from, to]));
    },
  };
}

function inWords([from, to], named) {
  if (from === 0 && to === null) return "all the way";
  if (to === null) return `from ${named(from)} on`;
  return to === from + 1 ? `at ${named(from)} only` : `from ${named(from)} to step ${to}`;
}
