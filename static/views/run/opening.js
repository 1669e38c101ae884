// Gates opening: how the values of each signal are spread over its range, at every step of the training; a row a
// signal.

import { entryAt, thinned } from "../../data/run.js";
import { number, percent } from "../../data/words.js";
import { gatesOf, outputOf, shortTitle } from "../../figures/description.js";
import { clearPlot, drawPlot, make, restyle, retext } from "../../figures/figure.js";
import { watchPointer } from "../../figures/pointer.js";
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
  let parts = [];
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
      const shares = row.entries.map((entry) => spread(row, entry));
      row.most = Math.max(0, ...shares.flat());
      Object.assign(row, { top: offset + k * tall, tall });
      const hue = colourOf(row);
      return {
        type: "heatmap",
        hoverinfo: "skip",
        showscale: false,
        zmin: 0,
        zmax: Math.sqrt(row.most) || 1,
        colorscale: hue,
        x: edges(row.entries),
        y: Array.from({ length: bins + 1 }, (_, bin) => (rows.length - 1 - k) * (bins + GAP) + bin),
        // the root, or one full bin would hide the rest
        z: Array.from({ length: bins }, (_, bin) => shares.map((share) => Math.sqrt(share[bin]))),
      };
    });
    const many = rows.length * (bins + GAP);
    drawPlot(plot, traces, stage, height, { range: [-GAP / 2, many - GAP / 2 + (offset / height) * many] });
    name();
    root.setAttribute(
      "aria-label",
      "How far the gates are open, over the training: " +
        `${rows.map((row) => `${row.signal.title} ${sentence(row)}`).join("; ")}.`,
    );
  }

  // a signal keeps its hue in every figure; beside other runs each row learns it from its own cell
  function colourOf({ run, signal }) {
    stage.colour.learn(run.cell);
    const { plotly } = stage.colour.sequential(signal.id);
    stage.colour.learn(stage.description);
    return plotly;
  }

  function name() {
    const { axis } = stage;
    const key =
      `${rows.map(({ run, signal, tall, most }) => `${run.place}${signal.id}${tall}${most}`)} ` +
      `${axis.gutter} ${axis.element} ${stage.colour.ink}`;
    if (key === shownFor) return;
    shownFor = key;
    labels.replaceChildren();
    moving.replaceChildren();
    parts = rows.map((row) => {
      const middle = row.top + row.tall / 2;
      const narrow = axis.gutter < 80;
      const label = make(labels, "div", "figure-label is-gate", {
        style: `top:${middle}px;width:${axis.gutter - 8}px`,
        title: row.signal.title,
      });
      stage.colour.learn(row.run.cell);
      label.style.color = stage.colour.hue(row.signal.id);
      stage.colour.learn(stage.description);
      const mark = stage.runs.length > 1 ? `${numberOf(row.run)} ` : "";
      if (!narrow && !mark) label.append(`${shortTitle(row.signal).replace(/-term memory$/, "-term")} `);
      label.append(mark);
      make(label, "b", "", { text: row.signal.id });
      const [low, high] = row.signal.range ?? ["−1", "tanh 1"];
      if (row.tall > 34)
        for (const [end, at] of [
          [high, row.top + 6],
          [low, row.top + row.tall - 8],
        ])
          make(labels, "small", "range-end", {
            text: String(end).replace("-", "−"),
            style: `left:${axis.gutter - 3}px;top:${at}px`,
          });
      const mean = make(moving, "i", "opening-mean");
      if (axis.right < 20) return { mean };
      const left = axis.gutter + axis.width + 4;
      const profile = make(moving, "i", "opening-profile");
      Object.assign(profile.style, {
        left: `${left}px`,
        top: `${row.top + row.tall * EDGE}px`,
        width: `${PROFILE}px`,
        height: `${row.tall * (1 - 2 * EDGE)}px`,
        background: label.style.color,
      });
      const most = make(labels, "small", "row-most", {
        text: `max ${percent(row.most)}`,
        style: `left:${left + PROFILE + 6}px;top:${middle + 8}px`,
        title: "how much the fullest sixteenth of this row holds",
      });
      most.hidden = row.tall < 26 || !row.most;
      const reading = make(labels, "span", "end-name", {
        style: `left:${left + PROFILE + 6}px;top:${middle - (row.tall < 26 ? 0 : 6)}px`,
        title: "the mean of all its values",
      });
      return { mean, profile, reading };
    });
  }

  function step(at) {
    rows.forEach((row, k) => {
      const { mean, profile, reading } = parts[k];
      const here = entryAt(row.run.gates, at)?.layers[row.layer]?.[row.signal.id];
      for (const part of [mean, profile]) if (part) restyle(part, "visibility", here ? "visible" : "hidden");
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
            `${row.signal.title} at step ${t}: mean ${number(here.mean)}, ${percent(here.high)} over ` +
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
