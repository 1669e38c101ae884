// A first minute: six stops on the picture at hand, each with something to do. It stands beside what it speaks of, is
// never in the way again once it is closed, and stays reachable by its button and its address.

import { foreign } from "../data/foreign.js";
import { lanesOf, outputOf, signalOf, symbolOf } from "../figures/description.js";
import { explained } from "../figures/explained.js";
import { make, retext } from "../figures/figure.js";
import { placeBeside } from "../figures/pointer.js";
import { writeAttribute } from "../figures/writing.js";

const FOOT = 90; // px of the player
const TIMES = "×";
const label = (layer, id) => `.unfold .figure-label[data-explain="signal ${layer} ${id}"]`;

// The gate that says how much of a memory is kept, by the cell's graph: it is multiplied with what was before.
function keepingGate(cell) {
  const { graph, signals } = cell;
  const isGate = (index) => signals.find(({ id }) => id === graph[index].signal)?.role === "gate";
  const isBefore = (index) => graph[index].op === "state";
  const product = graph.find(
    ({ reads }, index) => symbolOf(cell, index) === TIMES && reads.some(isGate) && reads.some(isBefore),
  );
  return product ? graph[product.reads.find(isGate)].signal : null;
}

// What is done at each stop: where it is, what is said, what is to be done, and whether it was, since it began.
function stopsOf(stage) {
  const { description: cell, state } = stage;
  const { layer } = state;
  const memory = outputOf(cell);
  const [road] = lanesOf(cell);
  const gate = cell.signals.find(({ role }) => role === "gate");
  const keeping = keepingGate(cell);
  const shut = keeping && signalOf(cell, keeping);
  return [
    {
      name: "guess",
      at: ".unfold .figure-label.is-guesses",
      about: "guesses",
      todo: "Step on with → until a guess is shaded: there it was right.",
      isDone: ({ timeline, task }, { t }) => timeline.top[t]?.[0]?.[0] === task.wanted(t) || task.counts,
    },
    {
      name: "memory",
      at: label(layer, memory.id),
      about: `signal ${layer} ${memory.id}`,
      todo: "Click a tile: the text below is coloured by that unit.",
      isDone: ({ state: now }, _, then) => now.unit !== then.unit,
    },
    gate && {
      name: "gate",
      at: label(layer, gate.id),
      about: `signal ${layer} ${gate.id}`,
      todo: "Click a box in the cell: it opens into the sum that it is made of.",
      isDone: ({ state: now }, _, then) => now.signal !== then.signal,
    },
    (road || shut) && {
      name: "road",
      at: label(layer, road?.id ?? memory.id),
      about: `signal ${layer} ${road?.id ?? memory.id}`,
      todo: shut
        ? `Shut the ${foreign(shut.title)} ${shut.id} of every unit, and let it write without a memory.`
        : "Point at it: it goes from step to step without being squashed.",
      act: shut && ["Shut it and write", () => shutAndWrite(stage, layer, shut.id)],
      isDone: ({ state: now }) => now.clamp.length > 0 || !shut,
    },
    {
      name: "loss",
      at: "#sentence [data-explain=loss], #track-text",
      about: "loss",
      todo: "Choose in the sentence where the loss is taken, or what should come out.",
      act: ["Let go of what is held", () => stage.choose({ clamp: [] }), () => stage.state.clamp.length > 0],
      isDone: ({ state: now }, _, then) => now.loss !== then.loss || now.target !== then.target,
    },
    {
      name: "way back",
      at: "#track-gradients",
      about: `gradient ${layer} ${road?.id ?? memory.id}`,
      todo: "Press End, or draw the slider to the right: the gradient runs back through time.",
      isDone: (_, { pass }) => pass === "backward",
    },
  ].filter(Boolean);
}

// The one experiment that everybody remembers.
function shutAndWrite(stage, layer, signal) {
  stage.choose({ clamp: [{ layer, signal, units: "all", value: 0, from: 0, to: null }] });
  document.getElementById("tab-write").click();
  const write = () => {
    if (!stage.state.clamp.length) return;
    stage.removeEventListener("taken", write);
    document.querySelector("#panel-write .main").click();
  };
  stage.addEventListener("taken", write);
}

/** Wires the button that begins it, and begins it where the address says so. */
export function mountTour(button, stage) {
  const card = make(document.body, "section", "tour", { role: "region", "aria-label": "A first minute" });
  const title = make(card, "h2", "");
  const words = make(card, "p", "");
  const now = make(card, "p", "", { "aria-live": "polite" });
  const todo = make(card, "p", "tour-do");
  const act = make(card, "button", "tour-try", { type: "button" });
  const row = make(card, "p", "tour-buttons");
  const back = make(row, "button", "", { type: "button", text: "Back" });
  const next = make(row, "button", "is-next", { type: "button" });
  const away = make(card, "button", "plain tour-away", { type: "button", text: "×", "aria-label": "End the tour" });
  let stops = [];
  let stop = null;
  let then = {};
  let subject = null;
  card.hidden = true;

  const place = () => {
    const box = subject?.getBoundingClientRect() ?? { left: innerWidth / 2, bottom: 120, top: 120 };
    placeBeside(card, box, { gap: 10, edge: 8, foot: FOOT });
  };
  const point = () => {
    const found = document.querySelector(stop.at);
    if (found === subject) return;
    subject?.classList.remove("is-toured");
    subject = found;
    subject?.classList.add("is-toured");
  };
  const say = () => {
    if (!stop) return;
    point();
    const about = explained(stage, stop.about);
    const number = stops.indexOf(stop) + 1;
    retext(title, `A first minute: ${stop.name}, ${number} of ${stops.length}`);
    retext(words, about?.what ?? "");
    retext(now, about?.now ?? "");
    retext(todo, stop.todo);
    todo.classList.toggle("is-done", Boolean(stop.isDone(stage, stage.clock.position, then)));
    const [offer, , isOffered = () => true] = stop.act ?? [];
    act.hidden = !offer || !isOffered();
    retext(act, offer ?? "");
    back.disabled = number === 1;
    retext(next, number < stops.length ? "Next" : "Done");
    place();
  };
  const go = (number) => {
    stops = stopsOf(stage);
    stop = stops[Math.min(number, stops.length) - 1];
    then = { ...stage.state };
    card.hidden = false;
    button.setAttribute("aria-expanded", "true");
    say();
  };
  const end = () => {
    if (!stop) return;
    stop = null;
    card.hidden = true;
    subject?.classList.remove("is-toured");
    subject = null;
    button.setAttribute("aria-expanded", "false");
    stage.choose({ tour: undefined });
  };
  const turn = (number) => {
    stage.choose({ tour: number });
    go(number);
  };
  const at = () => stops.indexOf(stop) + 1;

  button.addEventListener("click", () => (stop ? end() : turn(1)));
  back.addEventListener("click", () => turn(at() - 1));
  next.addEventListener("click", () => (at() < stops.length ? turn(at() + 1) : end()));
  act.addEventListener("click", () => stop.act[1]());
  away.addEventListener("click", () => {
    end();
    button.focus();
  });
  card.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    end();
    button.focus();
  });
  for (const name of ["stepped", "drawn", "chosen"]) stage.addEventListener(name, say);
  addEventListener("resize", () => stop && place());
  writeAttribute(button, "aria-expanded", "false");
  if (stage.state.tour) stage.addEventListener("drawn", () => go(stage.state.tour), { once: true });
}
