// The cell at the cursor: its wiring with the real vectors in it, one signal opened, and what it does to one unit in words and numbers.

import { number, visible } from "../core/words.js";
import { chosenLayer, chosenUnit, statesOf } from "../figures/description.js";
import { cellOf, drawnFrom, make, newly, restyle, retext } from "../figures/figure.js";
import { drawCell } from "./cell/drawing.js";
import { numbersAt, sentenceOf, tokensOf } from "./cell/expression.js";
import { placeCell } from "./cell/layout.js";
import { openSignal } from "./cell/opened.js";
import { wire } from "./cell/wiring.js";

const BESIDE = 600; // px: from this width on, words stand beside the diagram
const WORDS = 250; // px of height the words under the diagram need
const LOWEST = 150, HIGHEST = 330; // px the diagram may take

function mount(element, stage) {
  const root = make(element, "div", "figure cell", { role: "group" });
  const head = make(root, "header", "cell-head-words");
  const title = make(head, "h2", "cell-title"), hint = make(head, "p", "cell-hint", { text: "Click a gate to open it." });
  const holder = make(root, "div", "cell-drawing");
  const side = make(root, "div", "cell-words");
  const panel = make(side, "section", "opened"), equations = make(side, "section", "equations"), gradient = make(side, "p", "cell-gradient");
  const changed = newly();
  let drawn = null, opened = null;

  function draw() {
    const { timeline, description, state } = stage, layer = chosenLayer(stage), unit = chosenUnit(stage);
    const boxes = description.graph.filter((node) => node.signal && node.op !== "add");
    if (changed(...drawnFrom(stage, root), root.clientWidth, layer, unit, state.signal, stage.arithmetic)) {
      const wiring = wire(description), width = root.clientWidth, height = root.clientHeight;
      const beside = width >= BESIDE, headed = height >= 230, words = beside || height >= LOWEST + WORDS;
      head.hidden = !headed;
      side.hidden = !words;
      root.classList.toggle("is-beside", beside);
      const room = height - (headed ? head.offsetHeight + 6 : 0);
      const across = beside ? Math.min(520, width * 0.54) : width, wanted = wiring.levels < 2 ? 190 : HIGHEST;
      const tall = beside ? Math.min(room, 460) : Math.min(wanted, words ? Math.max(LOWEST, room - WORDS) : room);
      opened = openable(wiring, state.signal) ?? openable(wiring, opened) ?? boxOf(wiring);
      holder.replaceChildren();
      Object.assign(holder.style, { width: `${across}px`, height: `${tall}px` });
      const picture = drawCell(holder, stage, placeCell(description, wiring, across, tall), (signal) => stage.choose({ signal }));
      picture.mark(opened);
      drawn = { layer, unit, picture, open: openSignal(panel, stage, { signal: opened, layer, unit }), lines: writeEquations(description) };
    }
    return boxes;
  }

  function writeEquations(description) {
    equations.replaceChildren();
    const states = statesOf(description).sort((a, b) => Number(b.road) - Number(a.road));
    return states.map((state) => {
      const sentence = make(equations, "p", "equation-words"), row = make(equations, "div", "equation");
      const tokens = tokensOf(description, state.id).map((token) => {
        const column = make(row, "span", `token${token.plain ? " is-plain" : ""}${token.strong ? " is-strong" : ""}`);
        const letter = make(column, "b", "", { text: token.letters });
        if (token.before) make(letter, "sub", "", { text: "t−1" });
        if (token.signal) letter.style.color = stage.colour.hue(token.signal);
        return { value: token.value, count: make(column, "span", "", { text: token.plain ? token.letters : "" }) };
      });
      return { sentence, tokens, say: sentenceOf(description, state.id), state };
    });
  }

  function step(position) {
    if (!drawn) return;
    const { timeline, network, clock, description, arithmetic } = stage, { layer, unit, picture } = drawn, { t, pass } = position;
    const character = `“${visible(network.vocabulary[timeline.tokens[t]])}”`, back = pass === "backward";
    retext(title, back ? `Step ${t + 1}: the gradient comes back to ${character}` : `Step ${t + 1}: the cell reads ${character}`);
    picture.update({ position, layer, unit, read: layer ? `layer ${layer}’s ${description.states[0]}` : character });
    const moved = drawn.last !== `${pass} ${t}`;
    drawn.last = `${pass} ${t}`;
    if (moved) picture.flow(Math.min(900, Math.max(160, clock.speed * 0.9)), back);
    if (side.hidden) return;
    drawn.open(t);
    const valueOf = (signal, lag) => (t + lag < 0 ? 0 : cellOf(timeline.values(layer, signal), timeline.hidden, t + lag, unit));
    const fits = arithmetic?.layer === layer && arithmetic.unit === unit;
    const sums = (signal) => (fits ? (arithmetic.terms[signal] ?? []).reduce((sum, { values }) => sum + values[t], 0) : NaN);
    const read = numbersAt(description, valueOf, sums);
    for (const { sentence, tokens, say } of drawn.lines) {
      retext(sentence, say(read, unit));
      for (const { value, count } of tokens) if (value) retext(count, value(read));
    }
    const slopes = drawn.lines.map(({ state: { id } }) => `∂L/∂${id} = ${number(cellOf(timeline.gradients(layer, id), timeline.hidden, t, unit))}`);
    retext(gradient, `Gradient at unit ${unit}: ${slopes.join(", ")}`);
    restyle(gradient, "opacity", back ? "1" : "0.6");
  }

  return { draw, step, page() {}, destroy() { root.remove(); } };
}

const boxesOf = ({ elements }) => [...elements.values()].filter(({ kind, signal }) => kind === "box" && signal);
const openable = (wiring, signal) => boxesOf(wiring).find((box) => box.signal === signal)?.signal;
const boxOf = (wiring) => boxesOf(wiring)[0]?.signal;

export default { id: "cell", title: "The cell at the cursor", mount };
