// Saturation: how often each signal is nearly fully open and how often nearly shut; a dot a signal and layer, its way
// through the training behind it.

import { foreign } from "../../data/foreign.js";
import { percent } from "../../data/formatting.js";
import { entryAt, thinned } from "../../data/run.js";
import { clearPlot, drawPlot, make, restyle } from "../../figures/figure.js";
import { watchPointer } from "../../figures/pointer.js";
import { writeAttribute } from "../../figures/writing.js";
import { numberOf } from "./marks.js";

const LEFT = 44;
const BOTTOM = 34;
const EDGE = 26;
const DOT = 20;
const MOST = 300;
const NEAR = 16;

function mount(element, stage) {
  const root = make(element, "div", "figure saturation", { role: "img" });
  const plot = make(root, "div", "saturation-plot");
  const axes = make(root, "div", "figure-labels");
  const moving = make(root, "div", "figure-labels");
  let dots = [];
  let box = null;
  let shownFor = "";

  function draw() {
    const width = root.clientWidth;
    const height = root.clientHeight;
    const { colour } = stage;
    dots = stage.runs.flatMap((run) => {
      const own = colour.of(run.cell);
      const found = run.cell.signals.flatMap((signal) =>
        Array.from({ length: run.recipe.layers }, (_, layer) => ({ run, signal, layer, hue: own.hue(signal.id) })),
      );
      return found.filter(
        ({ signal }) => stage.runs.length === 1 || signal.role === "gate" || run.cell.signals.length === 1,
      );
    });
    // both fractions together are one at most; the picture is no larger than what is reached needs
    let most = 0;
    for (const dot of dots) {
      dot.entries = thinned(dot.run.gates, MOST);
      for (const entry of dot.entries) most = Math.max(most, ...placeOf(dot, entry));
    }
    const end = [0.1, 0.2, 0.4, 0.6].find((value) => most * 1.12 <= value) ?? 1;
    box = { end, width: width - LEFT - EDGE, height: height - BOTTOM - EDGE };
    const axis = {
      plotly: () => ({
        xaxis: { range: [0, end], visible: false, fixedrange: true },
        margin: { l: LEFT, r: EDGE, t: EDGE, b: BOTTOM },
        width,
      }),
    };
    const ways = dots.map((dot) => {
      const way = dot.entries.map((entry) => placeOf(dot, entry));
      return {
        type: "scatter",
        mode: "lines",
        hoverinfo: "skip",
        x: way.map(([x]) => x),
        y: way.map(([, y]) => y),
        line: { color: dot.hue, width: 1.5 },
        opacity: 0.4,
      };
    });
    const limit = {
      type: "scatter",
      mode: "lines",
      hoverinfo: "skip",
      x: [0, 1],
      y: [1, 0],
      line: { color: colour.soft, width: 1, dash: "dash" },
    };
    drawPlot(plot, [limit, ...ways], { axis, colour }, height, { range: [0, end] });
    name(end);
    writeAttribute(
      root,
      "aria-label",
      `Saturation: ${dots.map((dot) => `${foreign(dot.signal.title)} ${inWords(dot, dot.run.step)}`).join("; ")}.`,
    );
  }

  function name(end) {
    const key = `${dots.map(({ hue, signal }) => hue + signal.id)} ${root.clientWidth} ${root.clientHeight} ${end}`;
    if (key === shownFor) return;
    shownFor = key;
    axes.replaceChildren();
    moving.replaceChildren();
    const frame = make(axes, "i", "saturation-frame");
    Object.assign(frame.style, {
      left: `${LEFT}px`,
      top: `${EDGE}px`,
      width: `${box.width}px`,
      height: `${box.height}px`,
    });
    for (const share of [0, 0.5, 1]) {
      make(axes, "span", "saturation-x", {
        text: percent(share * end),
        style: `left:${LEFT + share * box.width}px;top:${EDGE + box.height + 4}px`,
      });
      if (share)
        make(axes, "span", "saturation-y", {
          text: percent(share * end),
          style: `top:${EDGE + (1 - share) * box.height}px;width:${LEFT - 6}px`,
        });
    }
    make(axes, "span", "saturation-name", {
      text: "how much is over 0.9 of its range →",
      style: `right:${EDGE}px;top:${EDGE + box.height + 18}px`,
    });
    make(axes, "span", "saturation-name", { text: "↑ how much is under 0.1", style: `left:${LEFT - 6}px;top:8px` });
    for (const dot of dots) {
      const text =
        stage.runs.length > 1
          ? `${dot.signal.id}${dot.run.place + 1}`
          : dot.run.recipe.layers > 1
            ? `${dot.signal.id}${dot.layer + 1}`
            : dot.signal.id;
      dot.mark = make(moving, "b", `saturation-dot is-${dot.signal.role}`, { text, style: `--hue:${dot.hue}` });
    }
    moving.marks = dots.map(({ mark }) => mark);
  }

  function step(at) {
    dots.forEach((dot, k) => {
      const mark = moving.marks[k];
      const entry = entryAt(dot.run.gates, at);
      restyle(mark, "visibility", entry ? "visible" : "hidden");
      if (!entry) return;
      const [x, y] = placeOf(dot, entry);
      Object.assign(dot, { left: LEFT + (x / box.end) * box.width, top: EDGE + (1 - y / box.end) * box.height });
      restyle(mark, "transform", `translate(${dot.left - DOT / 2}px, ${dot.top - DOT / 2}px)`);
    });
  }

  function find(x, y) {
    const dot = dots.find(({ left, top }) => Math.hypot(x - left, y - top) < NEAR);
    if (!dot) return null;
    const layer = dot.run.recipe.layers > 1 ? ` of layer ${dot.layer + 1}` : "";
    return {
      t: stage.hovered ?? undefined,
      text:
        `${stage.runs.length > 1 ? `${numberOf(dot.run)} ` : ""}${foreign(dot.signal.title)}${layer}: ` +
        `${inWords(dot, stage.at)}`,
    };
  }

  const unwatch = watchPointer(root, stage, find, ({ layer }) => stage.choose({ layer }));
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

function placeOf({ signal, layer }, entry) {
  const { high = NaN, low = NaN } = entry.layers[layer]?.[signal.id] ?? {};
  return [high, low];
}

function inWords(dot, step) {
  const entry = entryAt(dot.run.gates, step);
  if (!entry) return "not there yet";
  const [high, low] = placeOf(dot, entry);
  return `${percent(high)} over 0.9 of its range, ${percent(low)} under 0.1`;
}

export default { id: "saturation", title: "Saturation", mount };
