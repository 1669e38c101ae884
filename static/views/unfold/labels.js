// The words in the gutter of the unfolded network, and where the arrows' scale is told.

import { number } from "../../data/formatting.js";
import { chosenLayer, shortTitle } from "../../figures/description.js";
import { make } from "../../figures/figure.js";
import { widestNorm } from "./backward.js";
import { spanOf } from "./numbers.js";

/** The first layer's tiles, if a gradient runs through them and they are tall enough for words under it. */
export const captioned = ({ bands }) =>
  bands.find(({ kind, height, carried }) => kind === "tiles" && carried && height > 60);

const LONGEST = 9; // letters a narrow gutter has room for
const CROWDED = 20; // px that a title of two lines needs

/** Writes the label of every band. */
export function writeLabels(labels, stage, plan) {
  labels.replaceChildren();
  for (const band of plan.bands) label(labels, stage, plan, band);
}

// A long title where there is no room for it.
const abridged = (title) => (title.length > LONGEST ? `${title.slice(0, 4)}.` : title);

function label(labels, stage, plan, band) {
  const { kind, layer, signal, top, height, middle, rows, units } = band;
  const { axis, colour, timeline, task } = stage;
  const narrow = axis.gutter < 80;
  const box = make(labels, "div", `figure-label is-${kind}${narrow ? " is-narrow" : ""}`, {
    style: `top:${middle}px;width:${axis.gutter - 10}px`,
  });
  if (kind === "guesses" && task.counts) {
    make(box, "span", "", { text: "gives" });
    if (height > 26 && !narrow) make(box, "small", "", { text: spanOf(stage, kind) });
    if (height > 40 && !narrow && task.target(task.first)) make(box, "small", "", { text: "broad: wanted" });
    return;
  }
  if (kind === "guesses") {
    make(box, "span", "", { text: rows > 1 ? "guesses" : "guess" });
    if (rows > 1 && captioned(plan) && !narrow && task.wanted(task.first) !== undefined)
      make(box, "small", "", { text: "shaded: right" });
    if (rows > 1 && !captioned(plan) && plan.bands.some(({ carried }) => carried))
      for (const text of narrow
        ? ["widest", number(widestNorm(stage))]
        : ["width ∝ √norm", `widest ${number(widestNorm(stage))}`])
        make(box, "small", "unfold-scale", { text });
    return;
  }
  if (kind === "input") return void make(box, "span", "", { text: "input" });
  const name = make(box, "span", "figure-label-name");
  const crowded =
    (kind === "lane" && height < CROWDED) || (kind === "tiles" && height < 2 * CROWDED && timeline.layers.length > 1);
  if (!narrow && !crowded) name.append(`${shortTitle(signal)} `);
  make(name, "b", "", { text: signal.id });
  if (kind === "gate") box.style.color = colour.hue(signal.id);
  const width = signal && timeline.width(layer, signal.id);
  if (kind === "tiles" && height > 58)
    make(box, "small", "", {
      text: narrow
        ? `${units.length}/${width}`
        : units.length < width
          ? `${units.length} of ${width} units`
          : `${width} units`,
    });
  if (kind === "tiles" && timeline.layers.length > 1)
    make(box, "small", "", { text: narrow ? abridged(timeline.layers[layer].title) : timeline.layers[layer].title });
  const row = units?.indexOf(plan.pinned) ?? -1;
  if (kind !== "tiles" || layer !== chosenLayer(stage) || row < 0) return;
  const tall = height / units.length;
  make(labels, "i", "unfold-pin", {
    style: `top:${top + (row + 0.5) * tall}px;left:${axis.gutter - 7}px`,
    title: `unit ${plan.pinned}`,
  });
}
