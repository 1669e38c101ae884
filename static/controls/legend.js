// What the colours mean, for the network at hand: always one button away.

import { foreign } from "../data/foreign.js";
import { number } from "../data/formatting.js";
import { wordRow } from "../figures/choices.js";
import { make } from "../figures/figure.js";

const NAMES = [
  ["textbook", "the textbooks’ names", "as papers and libraries call them"],
  ["course", "the course’s names", "as the course calls them: learn gate, use gate"],
];

/** Fills the fold with a swatch and a line for each meaning of a colour, and with whose names things bear. */
export function mountLegend(fold, stage) {
  const list = make(fold, "ul", "legend-list");
  const markNames = wordRow(fold, "whose names", NAMES, (names) => stage.choose({ names }));
  const show = () => {
    if (fold.hidden) return;
    list.replaceChildren();
    markNames(stage.state.names);
    const { description, colour } = stage;
    for (const signal of description.signals) {
      const scale = colour.scale(signal.id);
      const isShare = scale !== colour.diverging;
      const line = entry(list, isShare ? ramp(scale) : "", isShare ? ends(scale) : "");
      const letter = make(line, "b", "", { text: `${signal.id} ` });
      letter.style.color = colour.hue(signal.id);
      make(line, "span", "", { text: foreign(signal.title) });
    }
    const { diverging } = colour;
    make(entry(list, ramp(diverging), ends(diverging)), "span", "", { text: "a value, or what adds up to it" });
    make(entry(list, "var(--gradient)"), "span", "", { text: "what comes back: the gradient, its width and its norm" });
    make(entry(list, colour.rightTint), "span", "", { text: "guessed rightly, or what was wanted" });
    make(entry(list, "var(--band)"), "span", "", { text: "the step that is looked at" });
    make(entry(list, "var(--ink)"), "span", "", { text: "what is chosen: underlined or framed" });
    make(entry(list, "var(--road)"), "span", "", { text: "the road of long-term memory" });
  };
  fold.addEventListener("fold", show);
  for (const name of ["taken", "chosen", "drawn"]) stage.addEventListener(name, show);
}

const ramp = ({ plotly }) => `linear-gradient(to right, ${plotly.map(([, stop]) => stop).join(", ")})`;
const ends = ({ low, high }) => [number(low), number(high)];

// A line of the list with its swatch, and what its two ends stand for.
function entry(list, background, [low = "", high = ""] = []) {
  const line = make(list, "li", "");
  if (low) make(line, "small", "", { text: `${low} ` });
  if (background) make(line, "i", "swatch", {}).style.background = background;
  if (high) make(line, "small", "", { text: ` ${high} ` });
  return line;
}
