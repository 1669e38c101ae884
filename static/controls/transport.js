// Play, back, forward, the slider over both passes, the speed, and the status line.

import { number, percent } from "../data/formatting.js";
import { inNumbers } from "../data/task.js";
import { roadFirst } from "../figures/description.js";
import { optionOf, write, writeAttribute } from "../figures/writing.js";
import { Phases } from "./phases.js";

const SPEEDS = [
  [1250, "slow"],
  [400, "½×"],
  [200, "1×"],
  [100, "2×"],
  [50, "4×"],
];
const SAY_EVERY = 1500; // ms: a screen reader is not to be talked over

const ICONS = {
  play: "M8 5.5v13l11-6.5z",
  pause: "M7.5 5.5h3.2v13H7.5zM13.3 5.5h3.2v13h-3.2z",
  back: "M6 6h2.4v12H6zM18 6v12l-8.6-6z",
  forward: "M15.6 6H18v12h-2.4zM6 6v12l8.6-6z",
};

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Fills an element with the controls of a stage's clock. `small` leaves out all but play, steps and slider. */
export function mountTransport(element, stage, { small = false } = {}) {
  const { clock } = stage;
  element.innerHTML = `
    <div class="buttons">
      <button type="button" class="round" data-do="toggle"></button>
      <button type="button" class="step" data-do="back" aria-label="One step back"></button>
      <button type="button" class="step" data-do="forward" aria-label="One step on"></button>
    </div>
    <div class="line">
      <input type="range" data-clock min="0" step="1" aria-label="Position in the two passes">
      <div class="passes" aria-hidden="true">
        <span data-pass="forward">forward ▸</span><span data-pass="backward">◂ backward</span>
      </div>
    </div>
    <label class="speed"><span class="unseen">Speed</span><select></select></label>
    <p class="status" aria-hidden="true"><span></span></p><p class="unseen" role="status" aria-live="polite"></p>`;
  const find = (selector) => element.querySelector(selector);
  const [toggle, slider, speed, status, said] = ["[data-do=toggle]", "input", "select", ".status", "[role=status]"].map(
    find,
  );
  const passes = [...element.querySelectorAll("[data-pass]")];
  const icons = { play: icon("play"), pause: icon("pause") };
  find("[data-do=back]").append(icon("back"));
  find("[data-do=forward]").append(icon("forward"));
  element.classList.toggle("small", small);

  const speeds = SPEEDS.some(([ms]) => ms === clock.speed) ? SPEEDS : [...SPEEDS, [clock.speed, `${clock.speed} ms`]];
  for (const [ms, label] of speeds) speed.add(optionOf(label, ms));
  speed.value = clock.speed;

  element.addEventListener("click", (event) => {
    const action = event.target.closest("[data-do]")?.dataset.do;
    if (action === "toggle") clock.toggle();
    if (action === "back") clock.step(-1);
    if (action === "forward") clock.step(1);
  });
  slider.addEventListener("input", () => {
    clock.pause();
    clock.seek(+slider.value);
  });
  speed.addEventListener("change", () => stage.choose({ speed: +speed.value }));

  const phases = small ? null : new Phases(stage, passes);
  let playing = null;
  let pass = null;
  let spoken = 0;
  let timer = 0;
  const speak = (sentence) => {
    clearTimeout(timer);
    if (clock.playing) return; // a moving picture is not read out step by step
    timer = setTimeout(
      () => {
        spoken = performance.now();
        write(said, sentence);
      },
      Math.max(150, spoken + SAY_EVERY - performance.now()),
    );
  };
  const show = () => {
    const { position } = stage;
    if (playing !== clock.playing) {
      playing = clock.playing;
      toggle.replaceChildren(playing ? icons.pause : icons.play);
      writeAttribute(toggle, "aria-label", playing ? "Pause" : "Play");
    }
    if (pass !== position.pass) {
      pass = position.pass;
      for (const name of passes) name.classList.toggle("now", name.dataset.pass === pass);
    }
    phases?.step(position);
    slider.max = 2 * clock.steps - 1;
    slider.value = position.s;
    slider.style.setProperty("--share", (position.s + 0.5) / (2 * clock.steps));
    const sentence = describe(stage, position);
    writeAttribute(slider, "aria-valuetext", sentence);
    write(status.firstElementChild, sentence);
    speak(sentence);
  };
  stage.addEventListener("stepped", show);
  show();
}

/** One sentence about where the picture stands. */
function describe({ timeline, task, clock, state, description }, { t, pass }) {
  const at = `Step ${t + 1} of ${timeline.steps}`;
  const read = task.said(t);
  if (pass === "backward") {
    if (t < timeline.backwardFrom)
      return timeline.done ? `${at}. ${task.whyNoGradient}` : `${at}, backward: the gradient is on its way.`;
    const [{ id }] = roadFirst(description);
    return (
      `${at}, backward: the gradient is back at ${read}, ‖∂L/∂${id}‖ = ` +
      `${number(timeline.gradientNorm(state.layer, id)[t])}.`
    );
  }
  const loss = timeline.losses[t];
  const last =
    t === timeline.steps - 1 && clock.steps > 1 && timeline.backwardFrom < timeline.steps
      ? " Now the loss turns it round."
      : "";
  if (task.counts && task.outputs(t)) {
    const target = task.target(t);
    const wanted = target
      ? `; ${task.gives === "next" ? "next is" : "wanted is"} ${inNumbers(target)}, squared error ${number(loss)}`
      : "";
    return `${at}, forward: reads ${read}, gives ${inNumbers(task.outputs(t))}${wanted}.${last}`;
  }
  const best = timeline.top[t]?.[0];
  if (!best) return `${at}, forward: ${timeline.done ? `reads ${read}` : "still being read"}.`;
  const next = task.wanted(t);
  const chance = `“${task.called(best[0])}” (${percent(best[1])})`;
  const guess =
    `${at}, forward: reads ${read}, ` +
    `${task.gives === "classes" ? (task.judges(t) ? "says" : "would say") : "expects"} ${chance}`;
  if (next === undefined) return `${guess}.${last}`;
  const classes = task.gives === "classes";
  const right = `${classes ? "it is" : "next is"} “${task.called(next)}” (${percent(Math.exp(-loss))})`;
  return `${guess}; ${best[0] === next ? "right" : right}.${classes ? last : ""}`;
}
