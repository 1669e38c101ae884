// The words in the gutter of the unfolded network, and where the arrows' scale is told.

import { number } from "../../core/words.js";
import { chosenLayer, shortTitle } from "../../figures/description.js";
import { make } from "../../figures/figure.js";
import { widestNorm } from "./backward.js";

/** The first layer's tiles, if a gradient runs through them and they are tall enough for words under it. */
export const captioned = ({ bands }) => bands.find(({ kind, height, carried }) => kind === "tiles" && carried && height > 60);

/** Writes the label of every band. */
export function writeLabels(labels, stage, plan) {
  labels.replaceChildren();
  for (const band of plan.bands) label(labels, stage, plan, band);
}

function label(labels, stage, plan, { kind, layer, signal, top, height, middle, rows }) {
  const { axis, colour, timeline } = stage,
    narrow = axis.gutter < 80;
  const box = make(labels, "div", `figure-label is-${kind}${narrow ? " is-narrow" : ""}`, { style: `top:${middle}px;width:${axis.gutter - 10}px` });
  if (kind === "guesses") {
    make(box, "span", "", { text: rows > 1 ? "guesses" : "guess" });
    if (rows > 1 && captioned(plan) && !narrow) make(box, "small", "", { text: "shaded: right" });
    if (rows > 1 && !captioned(plan) && plan.bands.some(({ carried }) => carried))
      for (const text of narrow ? ["widest", number(widestNorm(stage))] : ["width ∝ √norm", `widest ${number(widestNorm(stage))}`])
        make(box, "small", "unfold-scale", { text });
    return;
  }
  if (kind === "input") return void make(box, "span", "", { text: "input" });
  const name = make(box, "span", "figure-label-name");
  if (!narrow) name.append(`${shortTitle(signal)} `);
  make(name, "b", "", { text: signal.id });
  if (kind === "gate") box.style.color = colour.hue(signal.id);
  if (kind === "tiles" && height > 58)
    make(box, "small", "", {
      text: narrow ? `${plan.units.length}/${timeline.hidden}` : `${plan.units.length} of ${timeline.hidden} units`,
    });
  if (kind === "tiles" && timeline.layers > 1) make(box, "small", "", { text: `layer ${layer + 1}` });
  if (kind !== "tiles" || layer !== chosenLayer(stage)) return;
  const row = plan.units.indexOf(plan.pinned),
    tall = height / plan.units.length;
  make(labels, "i", "unfold-pin", { style: `top:${top + (row + 0.5) * tall}px;left:${axis.gutter - 7}px`, title: `unit ${plan.pinned}` });
}
