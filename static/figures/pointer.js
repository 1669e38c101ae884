// Hover previews, click pins: one small card for all figures, and the pointer's way to a step and a unit.

import { explained } from "./explained.js";
import { make, retext } from "./figure.js";

/**
 * Puts a card under what it speaks of, or above it where there is no room; box: that thing's in the window, edge: px
 * that stay free beside the card, foot: px at the window's foot that are another's.
 */
export function placeBeside(card, box, { gap, edge, foot = 0 }) {
  const { offsetWidth: width, offsetHeight: height } = card;
  const left = Math.max(edge, Math.min(innerWidth - width - edge, box.left));
  const isBelow = box.bottom + gap + height < innerHeight - foot;
  const top = isBelow ? box.bottom + gap : Math.max(edge, box.top - gap - height);
  card.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
}

/**
 * Watches a figure. `find(x, y)` → {t, unit, text, about} or null (about: what explains it, if anything does);
 * `pin(found)` is called for a click. Returns what ends it.
 */
export function watchPointer(element, stage, find, pin) {
  const card = make(element, "div", "figure-card", { "aria-hidden": "true" });
  const [text, what] = ["figure-card-text", "figure-card-what"].map((name) => make(card, "p", name));
  let pointed = false;
  const locate = (event) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top, box };
  };
  const leave = () => {
    card.classList.remove("is-shown");
    if (pointed) stage.hover(null);
    pointed = false;
  };
  const move = (event) => {
    if (event.pointerType === "touch") return;
    const { x, y, box } = locate(event);
    const found = find(x, y);
    if (!found) return leave();
    retext(text, found.text);
    const words = found.about ? explained(stage, found.about) : null;
    retext(what, words?.what ?? "");
    what.hidden = !words;
    card.classList.add("is-shown");
    const left = Math.max(4, Math.min(box.width - card.offsetWidth - 4, x + 14));
    const top = y - card.offsetHeight - 10 < 0 ? y + 18 : y - card.offsetHeight - 10;
    card.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
    stage.hover({ unit: found.unit, t: found.t });
    pointed = true;
    event.preventDefault(); // or the tracks would take it for pointing at a step alone
  };
  const click = (event) => {
    if (event.target.closest("button, a, input, select")) return;
    const { x, y } = locate(event);
    const found = find(x, y);
    if (found) pin(found);
  };
  element.addEventListener("pointermove", move);
  element.addEventListener("pointerleave", leave);
  element.addEventListener("click", click);
  return () => {
    element.removeEventListener("pointermove", move);
    element.removeEventListener("pointerleave", leave);
    element.removeEventListener("click", click);
    card.remove();
  };
}
