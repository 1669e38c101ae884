// Gates opening: how the values of each signal are spread over its range, at every step of the training; a row a
// signal.

import { foreign } from "../../data/foreign.js";
import { number, percent } from "../../data/formatting.js";
import { entryAt, thinned } from "../../data/run.js";
import { gatesOf, outputOf, shortTitle } from "../../figures/description.js";
import { clearPlot, drawPlot, make, restyle, retext } from "../../figures/figure.js";
import { watchPointer } from "../../figures/pointer.js";
import { writeAttribute, writeMore } from "../../figures/writing.js";
import { numberOf } from "./marks.js";

const MOST = 400; // columns
const GAP = 1.6; // bins between two rows
const TALLEST = 120; // px a row
const SMALLEST = 21;
const PROFILE = 34; // px that the fullest bin is wide

const EDGE = GAP / 2 / (16 + GAP); // of a row lies above its bins, and as much below

function mount(element, stage) {
  const root = make(element, "div", "figure opening", { role: "img" });
  const plot = make(root, "div", "opening-plot");
  const labels = make(root, "div", "figure-labels");
  const moving = make(root, "div", "figure-labels");
  let rows = [];
  let marks = []; // what moves, a row: {mean, profile, reading}
  let shownFor = "";

  // alone a run shows every signal; beside others, or where there is little room, only its gates, or its output where
  // it has none
  const wanted = () =>
    stage.runs.flatMap((run) => {
      const { signals } = run.cell;
      const gates = gatesOf(run.cell);
      const layer = Math.min(stage.state.layer, run.recipe.layers - 1);
      const chosen =
        stage.runs.length === 1 && root.clientHeight / signals.length > SMALLEST
          ? signals
          : gates.length
            ? gates
            : [outputOf(run.cell)];
      return chosen.map((signal) => ({ run, signal, layer }));
    });

  function draw() {
    const height = root.clientHeight;
    rows = wanted().map((row) => ({ ...row, entries: thinned(row.run.gates, MOST) }));
    const bins = rows[0]?.entries[0] ? spread(rows[0], rows[0].entries[0]).length : 16;
    const tall = Math.min(TALLEST, height / rows.length);
    const offset = height - tall * rows.length;
    const traces = rows.map((row, k) => {
      Object.assign(row, { top: offset + k * tall, tall });
      return heatmapOf(row, { bins, lowest: (rows.length - 1 - k) * (bins + GAP), colour: stage.colour });
    });
    const many = rows.length * (bins + GAP);
    drawPlot(plot, traces, stage, height, { range: [-GAP / 2, many - GAP / 2 + (offset / height) * many] });
    name();
    writeAttribute(
      root,
      "aria-label",
      "How far the gates are open, over the training: " +
        `${rows.map((row) => `${foreign(row.signal.title)} ${sentence(row)}`).join("; ")}.`,
    );
  }

  function name() {
    const { axis, colour } = stage;
    const seen = rows.map(({ run, signal, tall, most }) => `${run.place}${signal.id}${tall}${most}`);
    const key = `${seen} ${axis.gutter} ${axis.element} ${colour.ink}`;
    if (key === shownFor) return;
    shownFor = key;
    labels.replaceChildren();
    moving.replaceChildren();
    marks = rows.map((row) => {
      const hue = colour.of(row.run.cell).hue(row.signal.id);
      nameRow(labels, stage, row, hue);
      const mean = make(moving, "i", "opening-mean");
      return axis.right < 20 ? { mean } : { mean, ...profileOf({ labels, moving }, axis, row, hue) };
    });
  }

  function step(at) {
    rows.forEach((row, k) => {
      const { mean, profile, reading } = marks[k];
      const here = entryAt(row.run.gates, at)?.layers[row.layer]?.[row.signal.id];
      for (const mark of [mean, profile]) if (mark) restyle(mark, "visibility", here ? "visible" : "hidden");
      if (!here) return;
      const [low, high] = row.signal.range ?? [-1, 1];
      const share = ((row.signal.range ? here.mean : Math.tanh(here.mean)) - low) / (high - low);
      restyle(
        mean,
        "transform",
        `translate(${stage.axis.x(Math.min(at, row.run.step))}px, ` +
          `${row.top + row.tall * (1 - EDGE - share * (1 - 2 * EDGE))}px)`,
      );
      if (!profile) return;
      retext(reading, number(here.mean));
      restyle(profile, "clipPath", outline(spread(row, entryAt(row.run.gates, at)), row.most));
    });
  }

  function find(x, y) {
    const row = rows.find(({ top, tall }) => y >= top && y < top + tall);
    const t = stage.axis.at(x);
    const here = row && t !== null && entryAt(row.run.gates, t)?.layers[row.layer]?.[row.signal.id];
    return here
      ? {
          t,
          text:
            `${foreign(row.signal.title)} at step ${t}: mean ${number(here.mean)}, ${percent(here.high)} over ` +
            `0.9 of its range, ${percent(here.low)} under 0.1`,
        }
      : null;
  }

  const unwatch = watchPointer(root, stage, find, ({ t }) => stage.choose({ t }));
  return {
    draw,
    step,
    destroy() {
      unwatch();
      clearPlot(plot);
      root.remove();
    },
  };
}

// All steps of a row as columns of bins; says of the row how full its fullest bin is.
function heatmapOf(row, { bins, lowest, colour }) {
  const shares = row.entries.map((entry) => spread(row, entry));
  row.most = Math.max(0, ...shares.flat());
  return {
    type: "heatmap",
    hoverinfo: "skip",
    showscale: false,
    zmin: 0,
    zmax: Math.sqrt(row.most) || 1,
    colorscale: colour.of(row.run.cell).sequential(row.signal.id).plotly,
    x: edges(row.entries),
    y: Array.from({ length: bins + 1 }, (_, bin) => lowest + bin),
    // the root, or one full bin would hide the rest
    z: Array.from({ length: bins }, (_, bin) => shares.map((share) => Math.sqrt(share[bin]))),
  };
}

// The name of a row in the gutter, and the ends of its range where there is room for them.
function nameRow(labels, { axis, runs }, { run, signal, top, tall }, hue) {
  const style = `top:${top + tall / 2}px;width:${axis.gutter - 8}px;color:${hue}`;
  const label = make(labels, "div", "figure-label is-gate", { style, title: signal.title });
  const mark = runs.length > 1 ? `${numberOf(run)} ` : "";
  if (axis.gutter >= 80 && !mark) writeMore(label, `${shortTitle(signal).replace(/-term memory$/, "-term")} `);
  writeMore(label, mark);
  make(label, "b", "", { text: signal.id });
  if (tall <= 34) return;
  const [low, high] = signal.range ?? ["−1", "tanh 1"];
  const ends = [
    [high, top + 6],
    [low, top + tall - 8],
  ];
  for (const [end, at] of ends) {
    const text = String(end).replace("-", "−");
    make(labels, "small", "range-end", { text, style: `left:${axis.gutter - 3}px;top:${at}px` });
  }
}

// Right of a row: its spread at the step that is looked at, how full its fullest bin is, and its mean as a number.
function profileOf({ labels, moving }, axis, { top, tall, most }, hue) {
  const left = axis.gutter + axis.width + 4;
  const beside = left + PROFILE + 6;
  const middle = top + tall / 2;
  const profile = make(moving, "i", "opening-profile");
  Object.assign(profile.style, {
    left: `${left}px`,
    top: `${top + tall * EDGE}px`,
    width: `${PROFILE}px`,
    height: `${tall * (1 - 2 * EDGE)}px`,
    background: hue,
  });
  const fullest = make(labels, "small", "row-most", {
    text: `max ${percent(most)}`,
    style: `left:${beside}px;top:${middle + 8}px`,
    title: "how much the fullest sixteenth of this row holds",
  });
  fullest.hidden = tall < 26 || !most;
  const reading = make(labels, "span", "end-name", {
    style: `left:${beside}px;top:${middle - (tall < 26 ? 0 : 6)}px`,
    title: "the mean of all its values",
  });
  return { profile, reading };
}

// Shares of the values in each part of the range.
function spread({ layer, signal }, entry) {
  const counts = entry.layers[layer]?.[signal.id]?.histogram ?? [];
  const sum = counts.reduce((a, b) => a + b, 0) || 1;
  return counts.map((count) => count / sum);
}

// The spread at one step as a shape: the highest values at the top, each bin as wide as it is full.
function outline(shares, most) {
  const many = shares.length;
  const wide = (share) => `${((100 * share) / (most || 1)).toFixed(1)}%`;
  const corners = shares
    .toReversed()
    .flatMap((share, k) => [
      `${wide(share)} ${((100 * k) / many).toFixed(2)}%`,
      `${wide(share)} ${((100 * (k + 1)) / many).toFixed(2)}%`,
    ]);
  return `polygon(0 0, ${corners.join(", ")}, 0 100%)`;
}

// A column reaches from its own step to the next one's; the last is as wide as the one before.
function edges(entries) {
  const steps = entries.map(({ step }) => step);
  if (!steps.length) return [];
  const wide = steps.length > 1 ? steps.at(-1) - steps.at(-2) : 1;
  return [Math.max(0, steps[0] - wide), ...steps];
}

function sentence(row) {
  const [first, last] = [row.entries[0], row.entries.at(-1)].map(
    (entry) => entry?.layers[row.layer]?.[row.signal.id]?.mean,
  );
  return Number.isFinite(first) ? `mean from ${number(first)} to ${number(last)}` : "not there yet";
}

export default { id: "opening", title: "Gates opening", mount };
