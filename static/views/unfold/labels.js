// The words in the gutter of the unfolded network, and where the arrows' scale is told.

import { foreign } from "../../data/foreign.js";
import { number } from "../../data/formatting.js";
import { chosenLayer, shortTitle } from "../../figures/description.js";
import { make } from "../../figures/figure.js";
import { writeAttribute, writeMore } from "../../figures/writing.js";
import { widestNorm } from "./backward.js";
import { spanOf } from "./numbers.js";

/** The first layer's tiles, if a gradient runs through them and they are tall enough for words under it. */
export const captioned = ({ bands }) =>
  bands.find(({ kind, height, carried }) => kind === "tiles" && carried && height > 60);

const LONGEST = 9; // letters a narrow gutter has room for
const CROWDED = 20; // px that a title of two lines needs
const NARROW_GUTTER = 80; // px

/** Writes the label of every band. */
export function writeLabels(labels, stage, plan) {
  labels.replaceChildren();
  for (const band of plan.bands) label(labels, stage, plan, band);
}

// A long title where there is no room for it.
const abridged = (title) => (title.length > LONGEST ? `${title.slice(0, 4)}.` : title);

function label(labels, stage, plan, band) {
  const { kind, middle } = band;
  const { axis } = stage;
  const narrow = axis.gutter < NARROW_GUTTER;
  const box = make(labels, "div", `figure-label is-${kind}${narrow ? " is-narrow" : ""}`, {
    style: `top:${middle}px;width:${axis.gutter - 10}px`,
  });
  const small = (text, style = "") => make(box, "small", style, { text });
  writeAttribute(box, "data-explain", explainedBy(band));
  box.tabIndex = 0;
  if (kind === "input") make(box, "span", "", { text: "input" });
  else if (kind !== "guesses") labelSignal({ box, small, narrow }, stage, band);
  else if (stage.task.counts) labelOutputs({ box, small, narrow }, stage, band);
  else labelGuesses({ box, small, narrow }, stage, plan, band);
  if (kind === "tiles") pin(labels, stage, plan, band);
}

const explainedBy = ({ kind, layer, signal }) =>
  kind === "input" || kind === "guesses" ? kind : `signal ${layer} ${signal.id}`;

function labelOutputs({ box, small, narrow }, stage, { kind, height }) {
  const { task } = stage;
  make(box, "span", "", { text: "gives" });
  if (height > 26 && !narrow) small(spanOf(stage, kind));
  if (height > 40 && !narrow && task.target(task.first)) small("broad: wanted");
}

// Beneath the word, what the shading means, and where no tiles have room for it, the scale of the arrows.
function labelGuesses({ box, small, narrow }, stage, plan, { rows }) {
  const { task } = stage;
  make(box, "span", "", { text: rows > 1 ? "guesses" : "guess" });
  if (rows < 2) return;
  if (captioned(plan)) {
    if (!narrow && task.wanted(task.first) !== undefined) small("shaded: right");
  } else if (plan.bands.some(({ carried }) => carried)) {
    const widest = number(widestNorm(stage));
    for (const text of narrow ? ["widest", widest] : ["width ∝ √norm", `widest ${widest}`]) small(text, "unfold-scale");
  }
}

function labelSignal({ box, small, narrow }, { timeline, colour }, { kind, layer, signal, height, units }) {
  const several = timeline.layers.length > 1;
  const name = make(box, "span", "figure-label-name");
  const crowded = (kind === "lane" && height < CROWDED) || (kind === "tiles" && several && height < 2 * CROWDED);
  if (!narrow && !crowded) writeMore(name, `${foreign(shortTitle(signal))} `);
  make(name, "b", "", { text: signal.id });
  if (kind === "gate") box.style.color = colour.hue(signal.id);
  if (kind !== "tiles") return;
  const width = timeline.width(layer, signal.id);
  const all = units.length < width ? `${units.length} of ${width} units` : `${width} units`;
  if (height > 58) small(narrow ? `${units.length}/${width}` : all);
  const { title } = timeline.layers[layer];
  if (several) small(narrow ? abridged(title) : title);
}

// Marks the row of the unit that is chosen.
function pin(labels, stage, { pinned }, { layer, top, height, units }) {
  const row = units.indexOf(pinned);
  if (layer !== chosenLayer(stage) || row < 0) return;
  const middle = top + (row + 0.5) * (height / units.length);
  make(labels, "i", "unfold-pin", {
    style: `top:${middle}px;left:${stage.axis.gutter - 7}px`,
    title: `unit ${pinned}`,
  });
}
