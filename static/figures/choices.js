// Small controls that belong to a figure: signal chips and rows of words of which one holds.

import { foreign } from "../data/foreign.js";
import { chosenLayer } from "./description.js";
import { make } from "./figure.js";

/** A chip a signal: its letter in its hue. `choose(id)` is called for a click. Returns what marks the chosen one. */
export function signalChips(parent, stage, choose) {
  const row = make(parent, "div", "chips", { role: "group", "aria-label": "signal" });
  let shownFor = null;
  return (chosen) => {
    const { description, colour } = stage;
    const key = `${description.id} ${chosenLayer(stage)} ${colour.ink} ${stage.state.names}`;
    if (shownFor !== key) {
      shownFor = key;
      row.replaceChildren();
      for (const signal of description.signals) {
        const chip = make(row, "button", "chip", {
          text: signal.id,
          type: "button",
          "aria-label": `${foreign(signal.title)} ${signal.id}`,
          "data-explain": `signal ${chosenLayer(stage)} ${signal.id}`,
          "data-signal": signal.id,
        });
        chip.style.setProperty("--hue", colour.hue(signal.id));
        onPress(chip, () => choose(signal.id));
      }
    }
    for (const chip of row.children) chip.setAttribute("aria-pressed", String(chip.dataset.signal === chosen));
  };
}

/** Words of which one holds; `options` is [[value, word, what it means]…]. Returns what marks the one that holds. */
export function wordRow(parent, name, options, choose) {
  const row = make(parent, "div", "word-row", { role: "group", "aria-label": name });
  for (const [value, word, title] of options) {
    const button = make(row, "button", "word", { text: word, type: "button", "data-value": value, title });
    onPress(button, () => choose(value));
  }
  return (chosen) => {
    for (const button of row.children) button.setAttribute("aria-pressed", String(button.dataset.value === chosen));
  };
}

// A click by pointer lets the button go, so that space and arrows drive the clock again.
function onPress(button, act) {
  button.addEventListener("click", ({ detail }) => {
    act();
    if (detail) button.blur();
  });
}
