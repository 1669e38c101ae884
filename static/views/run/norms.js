// How long the gradient is, on a log axis: the whole before it is clipped, and by parameter or by signal.

import { number, percent } from "../../data/formatting.js";
import { entryAt, thinned } from "../../data/run.js";
import { wordRow } from "../../figures/choices.js";
import { powerOfTen } from "../../figures/description.js";
import { clearPlot, drawPlot, make, restyle, retext } from "../../figures/figure.js";
import { writeAttribute } from "../../figures/writing.js";
import { DASHES, hueOf, nameEnds, nameTicks, numberOf } from "./marks.js";

const TOP = 26;
const BOTTOM = 6;
const MOST = 600;
const KINDS = [
  ["parameters", "by parameter", "‖∂L/∂parameter‖ of the chosen layer and of what lies around it"],
  ["signals", "by signal", "‖∂L/∂signal‖ over a whole batch, of the chosen layer"],
];

function mount(element, stage) {
  const root = make(element, "div", "figure norms");
  const bar = make(root, "div", "figure-bar");
  const markKind = wordRow(bar, "gradient norms", KINDS, (gradient) => stage.choose({ gradient }));
  const readings = make(bar, "span", "figure-words");
  const body = make(root, "div", "norms-body", { role: "img" });
  const ticks = make(body, "div", "figure-labels");
  const plot = make(body, "div", "norms-plot");
  const ends = make(body, "div", "figure-labels");
  make(root, "div", "track-name", { text: "gradient", title: "its length, the square root of the sum of all squares" });

  function draw() {
    const { axis, colour } = stage;
    const height = root.clientHeight;
    const alone = stage.runs.length === 1;
    markKind(stage.state.gradient);
    bar.style.paddingLeft = `${axis.gutter}px`;
    bar.firstElementChild.hidden = !alone;
    const lines = stage.runs.flatMap((run) => linesOf(stage, run));
    const values = lines.flatMap(({ y }) => y).filter((value) => value > 0);
    const clip = alone ? stage.runs[0].recipe.clip : null;
    const low = Math.log10(values.reduce((a, b) => Math.min(a, b), clip ?? 1)) - 0.1;
    const high = Math.log10(values.reduce((a, b) => Math.max(a, b), clip ?? 0.01)) + 0.15;
    const room = height - TOP - BOTTOM;
    const y = (value) => TOP + room * (1 - (Math.log10(value) - low) / (high - low));
    const traces = lines.map(({ x, y: norms, hue, width, dash, opacity = 1 }) => ({
      type: "scatter",
      mode: "lines",
      hoverinfo: "skip",
      x,
      y: norms.map((value) => (value > 0 ? value : null)),
      line: { color: hue, width, dash },
      opacity,
    }));
    if (clip)
      traces.push({
        type: "scatter",
        mode: "lines",
        hoverinfo: "skip",
        x: [0, axis.end],
        y: [clip, clip],
        line: { color: colour["run-1"], width: 1, dash: "dash" },
      });
    drawPlot(plot, traces, stage, height, {
      type: "log",
      range: [low - (BOTTOM / room) * (high - low), high + (TOP / room) * (high - low)],
    });
    const powers = Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, k) => Math.ceil(low) + k).filter(
      (power) => high - low < 4 || power % 2 === 0,
    );
    nameTicks(
      ticks,
      powers.map((power) => [y(10 ** power), powerOfTen(power)]),
      axis,
    );
    const entries = lines
      .filter(({ name }) => name)
      .map(({ y: norms, name, hue, long }) => ({ y: y(norms.findLast((value) => value > 0)), name, hue, title: long }));
    if (clip)
      entries.push({
        y: y(clip),
        name: `cut to ${clip}`,
        hue: colour["run-1"],
        title: "longer gradients are shortened to this before the weights move",
      });
    nameEnds(ends, axis.right < 20 ? [] : entries, { left: axis.gutter + axis.width + 6, height });
    writeAttribute(
      body,
      "aria-label",
      `Length of the gradient over the training: ${lines
        .filter(({ name }) => name)
        .map(({ name, y: norms }) => `${name} ${number(norms.at(-1))}`)
        .join(", ")}.`,
    );
  }

  function step(at) {
    const said = stage.runs.map((run) => {
      const here = entryAt(run.progress, at);
      if (!here) return "";
      const clipped = run.progress.filter(({ step: reported, clipped: was }) => was && reported <= at).length;
      const reported = run.progress.filter(({ step: each }) => each <= at).length || 1;
      const length = number(here.gradient_norm);
      if (stage.runs.length > 1) return `${numberOf(run)} ${length}`;
      const often = `cut in ${percent(clipped / reported)} of the reports`;
      return clipped ? `${length} long${here.clipped ? ", cut" : ""}; ${often}` : length;
    });
    retext(readings, said.filter(Boolean).join("   "));
    restyle(readings, "visibility", "visible");
  }

  return {
    draw,
    step,
    destroy() {
      clearPlot(plot);
      root.remove();
    },
  };
}

// The lines of a run: the whole gradient, and where the run is alone what that is made of.
function linesOf(stage, run) {
  const points = thinned(run.progress, MOST);
  const x = points.map(({ step }) => step);
  const alone = stage.runs.length === 1;
  const whole = {
    x,
    y: points.map((point) => point.gradient_norm),
    name: alone ? "whole" : `${numberOf(run)} ${run.cell.title}`,
    hue: hueOf(stage, run),
    width: 2,
    dash: DASHES[run.place],
    long: "the whole gradient, before it is clipped",
  };
  if (!alone) return [whole];
  const pieces = stage.state.gradient === "signals" ? linesOfSignals : linesOfParameters;
  return [whole, ...clippedLine(points, whole), ...pieces(points, stage, run.cell).map((line) => ({ x, ...line }))];
}

function clippedLine(points, whole) {
  if (!points.some(({ clipped }) => clipped)) return [];
  const y = points.map((point) => point.gradient_norm * (point.clip_scale ?? 1));
  return [{ ...whole, y, name: "", dash: "dot", width: 1, long: "the whole gradient, after it is clipped" }];
}

function linesOfSignals(points, { state: { layer }, colour }, cell) {
  const lines = cell.signals.map(({ id, title }) => {
    const y = points.map((point) => point.signal_gradient_norms?.[layer]?.[id]);
    return { y, name: id, long: title, hue: colour.hue(id), width: 1.5, dash: colour.dash(id) };
  });
  return lines.filter(({ y }) => y.some(Number.isFinite));
}

// Those of the chosen layer, and those that belong to no layer.
function linesOfParameters(points, { state: { layer }, colour }) {
  const names = Object.keys(points.at(-1)?.gradient_norms ?? {});
  const shown = names.filter((name) => !/_l\d+$/.test(name) || ofLayer(name) === layer);
  return shown.map((long, k) => {
    const y = points.map((point) => point.gradient_norms[long]);
    return { y, name: shortName(long), long, hue: colour.any(k), width: 1.2, dash: DASHES[k % 4], opacity: 0.85 };
  });
}

// torch counts layers at the end of its names: rnn.weight_ih_l0
const ofLayer = (name) => Number(/_l(\d+)$/.exec(name)[1]);
const shortName = (name) => name.replace(/^rnn\./, "").replace(/_l\d+$/, "");

export default { id: "norms", title: "Gradient norms", mount };
