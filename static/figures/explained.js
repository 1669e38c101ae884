// What stands on the page is for something: a sentence of what, and one with this step's number. The words of a signal
// are its cell's own.

import { foreign } from "../data/foreign.js";
import { number, percent, signed } from "../data/formatting.js";
import { inNumbers } from "../data/task.js";
import { chosenUnit, signalOf } from "./description.js";

/**
 * {what, now} of a thing by its name: `signal 0 f` and `gradient 0 f` (with the layer), or one of THINGS; null of what
 * is not there. now: "" where there is no number of it at this step.
 */
export function explained(stage, name, { t, pass } = stage.position) {
  const [kind, layer, id] = name.split(" ");
  if (kind === "signal" || kind === "gradient") return ofSignal(stage, kind, Number(layer), id, t, pass);
  return THINGS[kind]?.(stage, t) ?? null;
}

function ofSignal(stage, kind, layer, id, t, pass) {
  const { timeline } = stage;
  const cell = timeline.layers[layer]?.cell;
  const described = cell && signalOf(cell, id);
  if (!described) return null;
  if (kind === "gradient") return { what: gradientWords(described, id), now: normNow(stage, layer, id, t) };
  const width = timeline.width(layer, id);
  const unit = Math.min(chosenUnit(stage), width - 1);
  const value = timeline.valueAt(layer, id, t, unit);
  const written = described.role === "gate" ? percent(value) : signed(value);
  const mean = timeline.mean(layer, id)[t];
  const others =
    width > 1 ? `, on average over ${width} ${described.role === "gate" ? percent(mean) : signed(mean)}` : "";
  const back = pass === "backward" ? ` ${normNow(stage, layer, id, t)}` : "";
  return {
    what: `${foreign(capital(described.title))} ${id}. ${foreign(described.purpose)}`,
    now: Number.isFinite(value) ? `At step ${t + 1} unit ${unit} is at ${written}${others}.${back}` : "",
  };
}

const capital = (text) => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;

const gradientWords = (described, id) =>
  `Gradient of ${foreign(described.title)} ${id}. How much the loss would change if these numbers were a little ` +
  "different at this step; what is near 0 here cannot be learnt from any more. The broader, the larger.";

function normNow({ timeline, task }, layer, id, t) {
  if (t < timeline.backwardFrom) return timeline.done ? task.whyNoGradient : "";
  return `‖∂L/∂${id}‖ is ${number(timeline.gradientNorm(layer, id)[t])} at step ${t + 1}.`;
}

const THINGS = {
  input: ({ task }, t) => ({
    what: "Input. What the network is given at each step: all that it ever learns of the world.",
    now: `Step ${t + 1} reads ${task.said(t)}.`,
  }),
  guesses: ({ task, timeline }, t) => {
    const [best] = timeline.top[t] ?? [];
    const sum = "all that it holds possible makes 100% together; the likeliest stand at the top";
    return {
      what: task.counts
        ? "Output. The numbers that the network gives at this step."
        : `Guesses. What the network ${task.gives === "next" ? "expects next" : "takes it for"}: ${sum}.`,
      now: task.counts
        ? task.outputs(t)
          ? `After ${task.said(t)} it gives ${inNumbers(task.outputs(t))}.`
          : ""
        : best
          ? `After ${task.said(t)} it gives “${task.called(best[0])}” ${percent(best[1])}.`
          : "",
    };
  },
  loss: ({ task, timeline }, t) => ({
    what: task.counts
      ? "Loss. How far what it gave is from what was wanted, squared; training makes it small."
      : "Loss. How much what really came surprised the network, in nats: 0 if it was certain of it, 0.69 if it gave " +
        "it a chance of one half, more for less. Training makes it small.",
    now: Number.isFinite(timeline.losses[t])
      ? `At step ${t + 1} it is ${number(timeline.losses[t])}.`
      : Number.isFinite(timeline.summary?.loss)
        ? `For this ${task.kind === "value" ? "input" : "text"} it is ${number(timeline.summary.loss)}.`
        : "",
  }),
  unit: (stage) => {
    const { state, timeline } = stage;
    const width = timeline.width(state.layer, state.signal);
    return {
      what:
        "Unit. One of the numbers that each signal holds side by side. What a unit stands for nobody chose: training " +
        "found it.",
      now: `Unit ${chosenUnit(stage)} of ${width} is looked at.`,
    };
  },
  layer: ({ timeline }) => ({
    what: "Layer. A cell of its own with a memory of its own; it reads what the layer below shows.",
    now: `There ${timeline.layers.length > 1 ? `are ${timeline.layers.length}` : "is one"} here.`,
  }),
  weights: (_, t) => ({
    what: "Weights. The same at every step; training moves them by what all steps together ask for.",
    now: `The line says how much of that step ${t + 1} asks for.`,
  }),
};
