// Folding and unfolding: the columns gather like a deck of cards into the one cell they all are, and are dealt again.

import { make } from "../../figures/figure.js";
import { write, writeAttribute } from "../../figures/writing.js";
import { canvasPen, paintColumn } from "./column.js";

const GATHER = 900; // ms a card is under way
const STAGGER = 350; // ms from the first card's start to the last's
const SHARPEST = 2.5; // times the screen's pixels a card is painted with: it ends up larger
const LEAST_TILES = 76; // px the first layer's tiles are tall when there is room for the button
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** The button that folds and unfolds; returns {show(isFolded, plan)}. */
export function foldButton(root, stage) {
  const button = make(root, "button", "unfold-fold", { type: "button" });
  button.addEventListener("click", () => stage.choose({ fold: stage.state.fold === "1" ? "0" : "1" }));
  return {
    show(isFolded, { bands }) {
      // in the gutter, where the labels leave room: beside tall tiles, else beside the short names of the gates
      const tiles = bands.find(({ kind }) => kind === "tiles");
      const tall = tiles.height >= LEAST_TILES;
      const place = tall ? tiles : bands.find(({ kind }) => kind === "gate");
      button.hidden = !place;
      write(button, isFolded ? "↔ unfold" : tall && stage.axis.gutter > 80 ? "⟲ fold" : "⟲");
      button.style.top = isFolded ? "2px" : `${place?.top}px`;
      button.setAttribute("aria-pressed", String(isFolded));
      button.setAttribute("aria-label", "Fold the network into one cell");
      writeAttribute(
        button,
        "title",
        isFolded ? "One cell a step again" : "All steps are the same cell: fold them into one",
      );
    },
  };
}

/** Plays the way from the unfolded picture to the folded one (`fold`) or back; both are drawn already. */
export async function turnOver(root, stage, { plan, cell, folded, fold }) {
  for (const deck of root.querySelectorAll(".unfold-deck")) deck.remove();
  if (calm.matches) return;
  const all = GATHER + STAGGER;
  root.classList.toggle("is-dealing", !fold);
  if (fold) {
    cell.animate([{ opacity: 0 }, { opacity: 0, offset: 0.8 }, { opacity: 1 }], { duration: all });
    folded.unroll(all * 0.75, all * 0.6);
  }
  const deck = dealCards(root, stage, plan, folded.place, stage.position, !fold);
  await Promise.allSettled(deck.getAnimations({ subtree: true }).map(({ finished }) => finished));
  if (!deck.isConnected) return;
  deck.remove();
  root.classList.remove("is-dealing");
}

// A card for every column in sight, on its way between its place in `plan` and the folded column.
function dealCards(root, stage, plan, folded, position, deal) {
  const deck = make(root, "div", "unfold-deck", { "aria-hidden": "true" });
  const { axis } = stage;
  const end = Math.min(axis.first + axis.count, stage.timeline.steps);
  const farthest = Math.max(1, position.t - axis.first, end - 1 - position.t);
  const { left, column, bands } = folded;
  const top = (from) => from[0].top;
  const tall = (from) => from.at(-1).top + from.at(-1).height - top(from);
  const grown = tall(bands) / tall(plan.bands);
  const down = top(bands) - top(plan.bands) * grown;
  for (let t = axis.first; t < end; t++) {
    const x = axis.x(t) - axis.column / 2;
    const distance = Math.abs(t - position.t);
    const card = make(deck, "canvas", "unfold-card", { style: `left:${x}px;z-index:${end - axis.first - distance}` });
    paintColumn(canvasPen(card, axis.column, plan.height, Math.min(SHARPEST, column / axis.column)), stage, plan, t, {
      width: axis.column,
      height: plan.height,
      reached: position.pass === "backward" || t <= position.t,
      faint: position.pass === "backward",
    });
    const home = { transform: "none", opacity: 1 };
    const there = `translate(${left - x}px, ${down}px) scale(${column / axis.column}, ${grown})`;
    const frames = [home, { transform: there, opacity: 1, offset: 0.9 }, { transform: there, opacity: 0 }];
    const delay = STAGGER * (deal ? distance / farthest : 1 - distance / farthest);
    const direction = deal ? "reverse" : "normal";
    card.animate(frames, { duration: GATHER, delay, direction, easing: "cubic-bezier(.5, 0, .2, 1)", fill: "both" });
  }
  return deck;
}
