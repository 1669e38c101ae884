// The text as the plot: each character coloured by one unit of one signal, and what was guessed to come after the one
// at the cursor.

import { foreign } from "../data/foreign.js";
import { number, percent, unitName } from "../data/formatting.js";
import { changedGuesses } from "../data/interventions.js";
import { inNumbers } from "../data/task.js";
import { chosenUnit, windowOf } from "../figures/description.js";
import { write, writeAttribute } from "../figures/writing.js";
import { drawInput } from "./text/input.js";
import { pageOf, setInLines } from "./text/lines.js";

const NAMED = 4; // numbers said by their names
const GUESSES = 5;
const TALL = 150; // px: from there on a lone text is set in lines
const BELOW = 70; // px below the numbers that are read

function mount(element, stage) {
  element.innerHTML = `
    <div class="text-view" role="img">
    <div class="gutter"><b></b><span></span></div><div class="tiles" aria-hidden="true"></div>
    <div class="gutter next">next</div><div class="guesses" aria-hidden="true"></div>
    <div class="legend" aria-hidden="true"><span></span><i></i><span></span><span class="where"></span></div></div>`;
  const find = (selector) => element.querySelector(selector);
  const [root, sheet, guessRow, legend] = [".text-view", ".tiles", ".guesses", ".legend"].map(find);
  const by = find(".gutter span");
  const where = find(".where");
  const what = find(".gutter b");
  const nextGutter = find(".next");
  const slots = Array.from({ length: GUESSES }, () => makeSlot(guessRow));
  const came = document.createElement("span");
  came.className = "came";
  guessRow.append(came);
  const tiles = [];
  let changed = new Set(); // steps whose likeliest guess is another one while a unit is held
  let lines = null;
  let sight = { first: 0, count: 0 };
  let painted = null;
  let seen = null;

  // In a row the text stands on the axis like every other track; alone and with room it is set in lines.
  function lay() {
    const { axis, timeline, task } = stage;
    const width = element.clientWidth;
    const height = element.clientHeight;
    const roomy = stage.layout === "alone" && height >= TALL;
    const alone = roomy && task.reads !== "values";
    const drawn = roomy && !alone;
    const letters = task.reads === "words" ? stage.axis.letters * 0.7 + 0.6 : 1;
    write(what, task.reads === "values" ? "input" : "text");
    write(nextGutter, task.counts ? "gives" : task.gives === "classes" ? "class" : "next");
    root.classList.toggle("of-words", task.reads === "words");
    root.classList.toggle("lines", alone);
    element.toggleAttribute("data-own-cursor", alone);
    lines = alone
      ? setInLines(
          Array.from({ length: timeline.steps }, (_, t) => task.character(t)),
          width - 48,
          height - 108,
          letters,
        )
      : null;
    const column = lines?.column ?? axis.column;
    sheet.style.width = `${lines ? lines.widest * column : axis.width}px`;
    sheet.style.height = lines ? `${Math.min(lines.starts.length, lines.rows) * lines.leading}px` : "";
    const sizes = {
      gutter: axis.gutter,
      column,
      room: width - (lines ? 48 : axis.gutter),
      "tile-height": lines ? Math.round(lines.leading * 0.92) : drawn ? height - BELOW : 34,
      letter: lines ? Math.round(lines.size * (letters > 1 ? 0.7 : 0.78)) : task.reads === "words" ? 12.5 : 15,
    };
    for (const [name, size] of Object.entries(sizes)) root.style.setProperty(`--${name}`, `${size}px`);
  }

  function look(t) {
    const next = lines ? pageOf(lines, t) : { first: stage.axis.first, count: stage.axis.count };
    if (next.first === sight.first && next.count === sight.count && painted !== null) return;
    sight = next;
    painted = null;
    const { task } = stage;
    write(
      where,
      sight.count < stage.timeline.steps
        ? `${task.kind}s ${sight.first + 1} to ${sight.first + sight.count} of ${stage.timeline.steps}`
        : "",
    );
    while (tiles.length < sight.count) tiles.push(sheet.appendChild(document.createElement("span")));
    const top = lines ? lines.row[sight.first] : 0;
    tiles.forEach((tile, k) => {
      const here = sight.first + k;
      tile.hidden = k >= sight.count;
      if (tile.hidden) return;
      tile.classList.toggle("changed", changed.has(here));
      tile.classList.toggle("nothing", !task.hasInput(here));
      const token = task.reads === "values" ? "" : task.read(here);
      write(tile, token);
      writeAttribute(tile, "title", task.reads === "words" ? token : "");
      // a symbol of several letters is set as small as it has to be
      const letters = task.reads === "characters" ? [...token].length : 1;
      tile.style.fontSize = letters > 1 ? `min(var(--letter), (var(--column) - 4px) / ${0.62 * letters})` : "";
      const [x, y] = lines
        ? [lines.col[here] * lines.column, (lines.row[here] - top) * lines.leading]
        : [k * stage.axis.column, 0];
      tile.style.transform = `translate(${x}px, ${y}px)`;
    });
    drawInput(sheet, stage, sight);
  }

  function paint(unit) {
    const { timeline, colour, state } = stage;
    const scale = colour.scale(state.signal);
    const values = timeline.values(state.layer, state.signal);
    const width = timeline.width(state.layer, state.signal);
    for (let k = 0; k < sight.count; k++) {
      const value = values[(sight.first + k) * width + unit];
      const { style } = tiles[k];
      style.setProperty("--fill", scale.css(value));
      style.setProperty("--on-fill", scale.ink(value));
    }
    painted = unit;
    const name = unitName(state.signal, unit);
    const [low, ramp, high] = legend.children;
    let least = Infinity;
    let most = -Infinity;
    for (let t = 0; t < timeline.forwardTo; t++) {
      const value = values[t * width + unit];
      [least, most] = [Math.min(least, value), Math.max(most, value)];
    }
    write(by, `by ${name}`);
    by.style.color = colour.hue(state.signal);
    write(low, number(scale.low));
    ramp.style.background = `linear-gradient(to right, ${scale.plotly.map(([, stop]) => stop).join(", ")})`;
    write(high, `${number(scale.high)} · ${name}: ${number(least)} … ${number(most)}`);
    writeAttribute(
      root,
      "aria-label",
      `The ${stage.task.reads === "values" ? "input" : "text"} “${foreign(stage.text.slice(0, 200))}”, each ` +
        `${stage.task.kind} coloured by unit ${unit} of ${state.signal}, which runs from ` +
        `${number(least)} to ${number(most)}.`,
    );
  }

  function guess(t) {
    const { timeline, task, untouched } = stage;
    const guesses = timeline.top[t] ?? [];
    const next = task.wanted(t);
    guessRow.classList.toggle("unjudged", !task.judges(t));
    guessRow.classList.toggle("of-numbers", task.counts);
    if (task.counts) {
      write(came, numbersAt(task, timeline, t));
      return;
    }
    slots.forEach((fill, k) => {
      fill(guesses[k], task, guesses[k]?.[0] === next);
    });
    const outside = next !== undefined && guesses.length && !guesses.some(([token]) => token === next);
    const before = changed.has(t) ? untouched.top[t][0] : null;
    if (before) write(came, `left alone: ${task.called(before[0])} ${percent(before[1])}`);
    else if (!task.judges(t)) write(came, "counts at the last step only");
    else write(came, outside ? `came: ${task.called(next)} ${percent(Math.exp(-timeline.losses[t]))}` : "");
  }

  function step({ t, pass }) {
    const unit = Math.min(
      stage.hovered?.unit ?? chosenUnit(stage),
      stage.timeline.width(stage.state.layer, stage.state.signal) - 1,
    );
    look(t);
    if (painted !== unit) {
      paint(unit);
      seen = null;
    }
    const reached = pass === "forward" ? t : stage.timeline.steps - 1;
    if (seen?.t === t && seen.reached === reached) return;
    seen = { t, reached };
    const { cell } = stage.timeline.layers[0];
    const from = t - windowOf(cell); // what it looks at together
    for (let k = 0; k < sight.count; k++) {
      const tile = tiles[k];
      const at = sight.first + k;
      const marks = { within: at > from && at < t, ahead: at > reached, here: at === t };
      for (const [name, on] of Object.entries(marks)) if (tile[name] !== on) tile.classList.toggle(name, on);
      Object.assign(tile, marks);
    }
    guess(t);
  }

  function draw() {
    lay();
    changed = new Set(stage.untouched ? changedGuesses(stage.timeline, stage.untouched) : []);
    painted = null;
  }

  // In lines the axis says nothing about where a character is; the tile itself does.
  function pointed(event) {
    const k = lines ? tiles.indexOf(event.target) : -1;
    return k < 0 ? null : sight.first + k;
  }
  root.addEventListener("pointermove", (event) => {
    if (!lines) return;
    event.preventDefault();
    const t = pointed(event);
    stage.hover(t === null ? null : { t });
  });
  root.addEventListener("click", (event) => {
    if (!lines) return;
    event.preventDefault();
    const t = pointed(event);
    if (t === null) return;
    stage.clock.pause();
    stage.choose({ t });
  });
  return {
    draw,
    step,
    page() {
      painted = null;
    },
    destroy() {
      element.replaceChildren();
    },
  };
}

// What it gives where that is numbers, beside what was wanted.
function numbersAt(task, timeline, t) {
  const given = task.outputs(t);
  const target = task.target(t);
  if (!given) return "";
  const named = task.labels.length
    ? given
        .slice(0, NAMED)
        .map((value, k) => `${foreign(task.labels[k] ?? `output ${k}`)} ${number(value)}`)
        .join(", ")
    : inNumbers(given);
  return target ? `${named}, wanted ${inNumbers(target)}; squared error ${number(timeline.losses[t])}` : named;
}

// One guess: the character, its probability as a bar and in per cent; returns what fills it.
function makeSlot(parent) {
  const slot = parent.appendChild(document.createElement("span"));
  slot.className = "guess";
  slot.innerHTML = "<b></b><i></i><span></span>";
  const [glyph, bar, share] = slot.children;
  return (guessed, task, right) => {
    slot.classList.toggle("none", !guessed);
    slot.classList.toggle("right", Boolean(guessed) && right);
    if (!guessed) return;
    const name = task.named(guessed[0]);
    write(glyph, name);
    glyph.classList.toggle("code", task.gives === "next" && task.reads === "characters" && [...name].length > 1);
    writeAttribute(glyph, "title", name);
    bar.style.setProperty("--share", guessed[1]);
    write(share, percent(guessed[1]));
  };
}

export default { id: "text", title: "Text", mount };
