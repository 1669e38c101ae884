// The loss while it falls: every report as it is, a calmer line through them, and what is held out.

import { foreign } from "../../data/foreign.js";
import { number } from "../../data/formatting.js";
import { entryAt, thinned } from "../../data/run.js";
import { clearPlot, drawPlot, make, restyle, retext } from "../../figures/figure.js";
import { writeAttribute } from "../../figures/writing.js";
import { DASHES, hueOf, nameEnds, nameTicks, numberOf } from "./marks.js";

const TOP = 22; // px; the readings stand there
const BOTTOM = 4;
const MOST = 1200; // points a line
const AROUND = 4; // reports on either side that the calm line is the mean of
const BLIND = "what it costs to hold every character for equally likely: the logarithm of how many there are";

function mount(element, stage) {
  const root = make(element, "div", "figure loss", { role: "img" });
  const ticks = make(root, "div", "figure-labels");
  const plot = make(root, "div", "loss-plot");
  const ends = make(root, "div", "figure-labels");
  make(root, "div", "track-name", {
    text: "loss",
    title: "−ln p of the right next character, in nats, the mean over many",
  });
  const readings = make(root, "p", "readings");
  const dots = stage.runs.map(() => make(root, "i", "track-dot"));
  let scale = null;

  function draw() {
    const { axis, colour } = stage;
    const height = root.clientHeight;
    const room = height - TOP - BOTTOM;
    const blind = stage.runs.map(({ model }) => Math.log(model?.vocabulary_size)).filter(Number.isFinite);
    const losses = stage.runs
      .flatMap(({ progress, validations }) => [
        ...progress.map(({ loss }) => loss),
        ...validations.map((each) => each.validation_loss),
      ])
      .filter(Number.isFinite);
    const high = Math.max(...blind, ...losses.slice(0, 2), 1) * 1.04;
    const low = losses.length ? Math.max(0, losses.reduce((a, b) => Math.min(a, b)) * 0.85) : 0;
    const y = (value) => TOP + room * (1 - (Math.min(value, high) - low) / (high - low));
    scale = { y };
    const traces = stage.runs.flatMap((run) => {
      const hue = hueOf(stage, run);
      const points = thinned(calmed(run.progress), MOST);
      const x = points.map(({ step }) => step);
      const line = { type: "scatter", mode: "lines", hoverinfo: "skip", x };
      return [
        { ...line, y: points.map(({ loss }) => loss), line: { color: hue, width: 1 }, opacity: 0.28 },
        { ...line, y: points.map(({ calm }) => calm), line: { color: hue, width: 2, dash: DASHES[run.place] } },
        {
          ...line,
          mode: "lines+markers",
          x: run.validations.map(({ step }) => step),
          y: run.validations.map((each) => each.validation_loss),
          line: { color: stage.runs.length > 1 ? hue : colour["run-1"], width: 1, dash: "dot" },
          marker: { color: stage.runs.length > 1 ? hue : colour["run-1"], size: 5 },
        },
      ];
    });
    for (const value of blind)
      traces.push({
        type: "scatter",
        mode: "lines",
        hoverinfo: "skip",
        x: [0, axis.end],
        y: [value, value],
        line: { color: colour.soft, width: 1, dash: "dot" },
      });
    drawPlot(plot, traces, stage, height, {
      range: [low - (BOTTOM / room) * (high - low), high + (TOP / room) * (high - low)],
    });
    nameTicks(
      ticks,
      tickValues(low, high).map((value) => [y(value), value.toFixed(1)]),
      axis,
    );
    const place = { left: axis.gutter + axis.width + 6, height };
    const limits = blind.map((value) => ({ y: y(value), name: "blind guess", hue: colour.soft, title: BLIND }));
    nameEnds(ends, axis.right < 20 ? [] : [...namesOf(y), ...limits.slice(0, 1)], place);
    writeAttribute(root, "aria-label", `Loss: ${stage.runs.map(inWords).join("; ")}.`);
  }

  function namesOf(y) {
    const { runs } = stage;
    const last = (run) => y(calmed(run.progress).at(-1)?.calm);
    if (runs.length > 1)
      return runs.map((run) => ({
        y: last(run),
        name: `${numberOf(run)} ${run.cell.title}`,
        hue: hueOf(stage, run),
        title: "the dots are what is held out",
      }));
    const [run] = runs;
    const held = run.validations.at(-1)?.validation_loss;
    return [
      { y: last(run), name: "in training", hue: hueOf(stage, run) },
      {
        y: y(held),
        name: "held out",
        hue: stage.colour["run-1"],
        title: "the end of the text, which it is never trained on",
      },
    ];
  }

  function step(at) {
    if (!scale) return;
    const said = stage.runs.map((run, k) => {
      const here = entryAt(run.progress, at);
      const held = run.validations.length && run.validations[0].step <= at ? entryAt(run.validations, at) : null;
      restyle(dots[k], "visibility", here ? "visible" : "hidden");
      if (!here) return "";
      restyle(dots[k], "transform", `translate(${stage.axis.x(here.step)}px, ${scale.y(here.loss)}px)`);
      restyle(dots[k], "background", hueOf(stage, run));
      const mark = stage.runs.length > 1 ? `${numberOf(run)} ` : "";
      const unit = mark || stage.axis.gutter < 80 ? "" : ` nats a character (${number(here.bits_per_character)} bits)`;
      return `${mark}${number(here.loss)}${unit}${held ? `, held out ${number(held.validation_loss)}` : ""}`;
    });
    retext(readings, said.filter(Boolean).join("   "));
    restyle(readings, "left", `${stage.axis.gutter}px`);
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

// The reports with the mean of those around beside each.
function calmed(progress) {
  const sums = [0];
  for (const { loss } of progress) sums.push(sums.at(-1) + loss);
  return progress.map(({ step, loss }, k) => {
    const around = Math.min(AROUND, k, progress.length - 1 - k);
    return { step, loss, calm: (sums[k + around + 1] - sums[k - around]) / (2 * around + 1) };
  });
}

function tickValues(low, high) {
  const by = high - low > 3 ? 1 : high - low > 1.2 ? 0.5 : 0.2;
  const from = Math.ceil(low / by);
  return Array.from({ length: Math.max(0, Math.floor(high / by) - from + 1) }, (_, k) => (from + k) * by);
}

function inWords({ facts, cell, progress }) {
  const [first, last] = [progress[0], progress.at(-1)].map((point) => number(point?.loss));
  return `${foreign(facts.title || cell.title)} from ${first} to ${last} nats a character`;
}

export default { id: "loss", title: "Loss", mount };
