// The cell at the cursor: its wiring with the real vectors in it, one signal opened, and what it does to one unit in
// words and numbers.

import { foreign } from "../data/foreign.js";
import { number } from "../data/formatting.js";
import { chosenLayer, chosenUnit, givenBy, roadFirst } from "../figures/description.js";
import { drawnFrom, make, newly, restyle, retext } from "../figures/figure.js";
import { writeAttribute } from "../figures/writing.js";
import { drawCell } from "./cell/drawing.js";
import { numbersAt, sentenceOf, tokensOf } from "./cell/expression.js";
import { placeCell } from "./cell/layout.js";
import { openSignal } from "./cell/opened.js";
import { summandsOf } from "./cell/summands.js";
import { verifiedMark } from "./cell/verified.js";
import { wire } from "./cell/wiring.js";

const BESIDE = 600; // px: from this width on, words stand beside the diagram
const WORDS = 230; // px of height the words under the diagram need
const LOWEST = 210;
const HIGHEST = 340;
const SHORT = 250; // px the diagram may take; short: a cell of one box
const BASIS = { width: 860, height: 440 };
const LARGEST = 1.6; // a larger frame shows everything larger
const LEAST_WITH_HEAD = 230;
const LINE = 20; // px
const USUAL_LEVELS = 3;
const A_LEVEL = 34; // px more for each level above the usual
const A_ROAD = 50; // px that each road but the first takes

function mount(element, stage) {
  const root = make(element, "div", "figure cell", { role: "group" });
  root.classList.add(`is-${stage.layout}`);
  const zoomed = make(root, "div", "cell-zoomed");
  const head = make(zoomed, "header", "cell-head-words");
  const title = make(head, "h2", "cell-title");
  make(head, "p", "cell-hint", { text: "Click a box to open it." });
  const holder = make(zoomed, "div", "cell-drawing");
  const side = make(zoomed, "div", "cell-words");
  const panel = make(side, "section", "opened");
  const equations = make(side, "section", "equations");
  const gradient = make(side, "p", "cell-gradient");
  const mark = verifiedMark(side, stage);
  const changed = newly();
  let drawn = null;
  let opened = null;

  function draw() {
    const { timeline, description, state } = stage;
    const layer = chosenLayer(stage);
    const unit = chosenUnit(stage);
    if (!changed(...drawnFrom(stage, root), root.clientWidth, layer, unit, state.signal, stage.arithmetic)) return;
    const wiring = wire(description);
    const frame = inner(root);
    const beside = frame.width >= BESIDE;
    const zoom = beside ? Math.max(1, Math.min(LARGEST, frame.width / BASIS.width, frame.height / BASIS.height)) : 1;
    const width = frame.width / zoom;
    const height = frame.height / zoom;
    zoomed.style.zoom = zoom;
    opened = openable(wiring, state.signal) ?? openable(wiring, opened) ?? boxOf(wiring);
    head.hidden = height < LEAST_WITH_HEAD;
    side.hidden = !beside && height < LOWEST + WORDS;
    root.classList.toggle("is-beside", beside);
    drawn = { layer, unit, summands: summandsOf(stage, opened, layer, unit), lines: writeEquations(description) };
    drawn.open = openSignal(panel, stage, { signal: opened, layer, unit, summands: drawn.summands });
    say(stage.position);
    const across = beside ? Math.min(520, width * 0.54) : width;
    const room = height - head.offsetHeight;
    const wanted = wiring.levels < 2 ? SHORT : HIGHEST;
    const more = [A_LEVEL * Math.max(0, wiring.levels - USUAL_LEVELS), A_ROAD * Math.max(0, wiring.roads.length - 1)];
    const lowest = LOWEST + more[0] + more[1];
    // the words keep one line free: they are longer at some steps
    const tall = beside
      ? Math.min(room, wanted * 1.2)
      : side.hidden
        ? Math.min(room, wanted)
        : Math.max(lowest, Math.min(wanted, room - side.offsetHeight - LINE));
    const focused = holder.contains(document.activeElement) ? document.activeElement.dataset.signal : null;
    holder.replaceChildren();
    Object.assign(holder.style, { width: `${across}px`, height: `${tall}px` });
    drawn.picture = drawCell(holder, stage, placeCell(wiring, across, tall), (signal) => stage.choose({ signal }));
    drawn.picture.mark(opened, focused);
    writeAttribute(
      root,
      "aria-label",
      `${foreign(description.title)}, ${foreign(timeline.layers[layer].title)}, unit ${unit} of ` +
        `${timeline.layers[layer].hidden}: ` +
        `${description.signals.map(({ equation }) => foreign(equation)).join("; ")}`,
    );
  }

  function writeEquations(description) {
    equations.replaceChildren();
    return roadFirst(description).map((state) => {
      const sentence = make(equations, "p", "equation-words");
      const row = make(equations, "div", "equation");
      const tokens = tokensOf(description, state.id).map((token) => {
        const kinds = ["plain", "between", "strong"].filter((kind) => token[kind]);
        const column = make(row, "span", ["token", ...kinds.map((kind) => `is-${kind}`)].join(" "));
        const letter = make(column, "b", "", { text: token.letters });
        if (token.before)
          make(letter, "sub", "", { text: stage.timeline.layers[chosenLayer(stage)].reverse ? "t+1" : "t−1" });
        if (token.signal) letter.style.color = stage.colour.hue(token.signal);
        return { value: token.value, count: make(column, "span", "", { text: token.plain ? token.letters : "" }) };
      });
      return { sentence, tokens, sentenceFrom: sentenceOf(description, state.id), state };
    });
  }

  function step(position) {
    if (!drawn) return;
    const { clock, task } = stage;
    const { layer, unit, picture } = drawn;
    const { t, pass } = position;
    const back = pass === "backward";
    picture.update({ position, layer, unit, read: givenBy(stage, layer) ?? task.said(t) });
    const moved = drawn.last !== `${pass} ${t}`;
    drawn.last = `${pass} ${t}`;
    if (moved) picture.flow(Math.min(900, Math.max(160, clock.speed * 0.9)), back);
    say(position);
  }

  // All words and numbers of one step.
  function say({ t, pass }) {
    const { timeline, description, task } = stage;
    const { layer, unit } = drawn;
    const { reverse } = timeline.layers[layer];
    const back = pass === "backward";
    retext(title, `Step ${t + 1}: ${back ? "the gradient at" : "the cell reads"} ${task.said(t)}`);
    if (side.hidden) return;
    mark.consider();
    drawn.open(t);
    const at = (signal, lag) => {
      const step = reverse ? t - lag : t + lag; // before the first step that it reads there is nothing
      return step < 0 || step >= timeline.steps ? 0 : timeline.valueAt(layer, signal, step, unit);
    };
    const sums = (signal) =>
      signal === opened && drawn.summands ? drawn.summands.reduce((sum, { values }) => sum + values[t], 0) : NaN;
    const read = numbersAt(description, at, sums);
    const lacks = ({ id }) => unit >= timeline.width(layer, id);
    for (const { sentence, tokens, sentenceFrom, state } of drawn.lines) {
      retext(
        sentence,
        lacks(state)
          ? `The ${foreign(state.title)} has ${timeline.width(layer, state.id)} units: there is no unit ${unit} of it.`
          : sentenceFrom(read, unit),
      );
      for (const { value, count } of tokens) if (value) retext(count, value(read));
    }
    const slopes = drawn.lines
      .filter(({ state }) => !lacks(state))
      .map(({ state: { id } }) => {
        const slope = timeline.gradientAt(layer, id, t, unit);
        // for the format in which arrays travel
        const tooSmall = slope === 0 && timeline.gradientNorm(layer, id)[t] > 0;
        return foreign(`∂L/∂${id} ${tooSmall ? "≈" : "="} ${number(slope)}`); // one piece, on one line
      });
    retext(
      gradient,
      timeline.backwardFrom < timeline.steps ? `Gradient at unit ${unit}: ${slopes.join(", ")}` : task.whyNoGradient,
    );
    restyle(gradient, "color", back ? "var(--gradient)" : "var(--soft)");
  }

  return {
    draw,
    step,
    page() {},
    destroy() {
      mark.stop();
      root.remove();
    },
  };
}

// What is left of an element within its own padding.
function inner(element) {
  const { paddingLeft, paddingTop } = getComputedStyle(element);
  return {
    width: element.clientWidth - 2 * parseFloat(paddingLeft),
    height: element.clientHeight - 2 * parseFloat(paddingTop),
  };
}

const boxesOf = ({ elements }) => [...elements.values()].filter(({ kind, signal }) => kind === "box" && signal);
const openable = (wiring, signal) => boxesOf(wiring).find((box) => box.signal === signal)?.signal;
const boxOf = (wiring) => boxesOf(wiring)[0]?.signal;

export default { id: "cell", title: "The cell at the cursor", offAxis: true, mount };
