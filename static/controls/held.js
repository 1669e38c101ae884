// Holding a unit, or a whole signal, at a value while the network reads: what is held, for how long, and what became of
// the guesses.

import { changedGuesses, MOST_CLAMPS } from "../data/clamps.js";
import { number } from "../data/words.js";
import { choiceWord } from "./controls.js";

const PAUSE = 120; // ms: a slider says many values on its way
const FURTHEST = 100000;

/** Appends to the sentence the word that holds the chosen unit, and a line for everything held. */
export function mountHeld(element, stage) {
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
  const clamps = () => stage.reader.asked.clamp ?? stage.state.clamp;
  const change = (k, changes) =>
    stage.choose({ clamp: clamps().map((clamp, at) => (at === k ? { ...clamp, ...changes } : clamp)) });
  const remove = (k) => {
    stage.choose({ clamp: clamps().filter((_, at) => at !== k) });
    if (list.contains(document.activeElement)) begin.focus();
  };

  begin.addEventListener("click", () => {
    const { layer, signal, unit } = stage.state;
    const { t } = stage.clock.position;
    stage.clock.pause();
    // from the first or the last character on there is nothing before, or nothing after, to compare
    const from = t > 0 && t < stage.timeline.steps - 1 ? t : 0;
    stage.choose({ clamp: [...clamps(), { layer, signal, units: [unit], value: 0, from, to: null }] });
  });
  document.addEventListener("keydown", (event) => {
    const many = clamps().length;
    const line = event.target.closest?.(".held[data-k]");
    if (event.key !== "Escape" || !many || (!line && event.target.closest?.("input, textarea, select"))) return;
    remove(line ? Number(line.dataset.k) : many - 1);
  });

  const show = () => {
    const held = clamps();
    begin.hidden = stage.network.opened || held.length >= MOST_CLAMPS;
    while (lines.length > held.length) lines.pop().row.remove();
    while (lines.length < held.length) {
      lines.push(heldLine(stage, lines.length, change, remove));
      effect.before(lines.at(-1).row);
    }
    lines.forEach((line, k) => {
      line.show(held[k]);
    });
    effect.textContent = held.length && !stage.network.opened ? effectOf(stage, held) : "";
    effect.hidden = !effect.textContent;
    list.hidden = !held.length;
  };
  for (const name of ["taken", "chosen", "drawn"]) stage.addEventListener(name, show);
  show();
}

// The untouched numbers beside the new ones.
function effectOf({ timeline, untouched, clock, lesson }, held) {
  if (held.every(({ from }) => from >= clock.steps)) return "It begins after the end of this text.";
  if (!untouched || !timeline.done) return "";
  const changed = changedGuesses(timeline, untouched).length;
  const guesses = changed
    ? `${changed} of ${timeline.steps} ${lesson.counts ? "outputs" : "guesses"} changed, underlined below`
    : `no ${lesson.counts ? "output" : "guess"} changed`;
  if (!Number.isFinite(timeline.summary.loss) || timeline.backwardFrom === timeline.steps)
    return `${guesses[0].toUpperCase()}${guesses.slice(1)}.`;
  return (
    `The loss is ${number(timeline.summary.loss)}${lesson.counts ? "" : " nats"}, left alone ` +
    `${number(untouched.summary.loss)}; ${guesses}.`
  );
}

// One held thing: whose unit, at what value, from when on, and away with it.
function heldLine(stage, k, change, remove) {
  const row = document.createElement("p");
  const slider = document.createElement("input");
  const field = document.createElement("input");
  const away = document.createElement("button");
  const which = choiceWord("What is held", (value) =>
    change(k, { units: value === "all" ? value : value.split(",").map(Number) }),
  );
  const when = choiceWord("When it is held", (value) => {
    const [from, to] = JSON.parse(value);
    change(k, { from, to });
  });
  const of = document.createElement("span");
  row.className = "held";
  row.dataset.k = k;
  Object.assign(slider, { type: "range", step: 0.01 });
  Object.assign(field, { type: "number", step: 0.01, min: -FURTHEST, max: FURTHEST, required: true });
  slider.setAttribute("aria-label", "Value it is held at");
  field.setAttribute("aria-label", "Value it is held at, as a number");
  Object.assign(away, { type: "button", className: "plain", textContent: "×", title: "Let go (Esc)" });
  away.setAttribute("aria-label", "Let go of what is held");
  const at = document.createElement("span");
  at.className = "at";
  at.append(" held at ", field, " ", slider);
  row.append(which.word, of, at, " ", when.word, " ", away);
  let timer = 0;
  let ownUnit = null;
  const set = (value) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      timer = 0;
      change(k, { value: Math.round(value * 1e6) / 1e6 });
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
  away.addEventListener("click", () => remove(k));

  return {
    row,
    show({ layer, signal, units, value, from, to }) {
      const { timeline, colour, lesson, clock } = stage;
      const part = timeline.parts[layer];
      const { range, title } = part?.cell.signals.find(({ id }) => id === signal) ?? {};
      if (units !== "all") ownUnit = units;
      const some = ownUnit ?? [stage.state.unit];
      which.show(
        [
          [some.join(), `unit ${some.join(", ")}`, `Unit ${some.join(", ")}`],
          ["all", "every unit", "Every unit"],
        ],
        units === "all" ? units : units.join(),
      );
      of.textContent = ` of ${title ?? signal} ${signal}${timeline.layers > 1 ? ` in ${part?.title}` : ""}`;
      of.style.color = colour.hue(signal);
      const [low, high] = range ?? [-2, 2];
      const { t } = clock.position;
      Object.assign(slider, { min: low, max: high });
      if (!timer) {
        slider.value = value;
        if (document.activeElement !== field) field.value = value.toFixed(2);
      }
      const read = (step) => (step < timeline.steps ? `step ${step + 1} ${lesson.said(step)}` : `step ${step + 1}`);
      const times = new Map(
        [
          [0, null],
          [from, to],
          [t, null],
          [t, t + 1],
        ].map((pair) => [JSON.stringify(pair), pair]),
      );
      when.show(
        [...times].map(([key, [first, end]]) => [
          key,
          first === 0 && end === null
            ? "all the way"
            : end === null
              ? `from ${read(first)} on`
              : end === first + 1
                ? `at ${read(first)} only`
                : `from ${read(first)} to step ${end}`,
        ]),
        JSON.stringify([from, to]),
      );
    },
  };
}
