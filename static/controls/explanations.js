// Everything pointed at explains itself: a card beside what is under the pointer, has the focus or was tapped, for as
// long as that lasts. What can be explained says so by `data-explain`.

import { explained } from "../figures/explained.js";
import { make, retext } from "../figures/figure.js";
import { placeBeside } from "../figures/pointer.js";

const near = ({ target }) => target.closest?.("[data-explain]") ?? null;

/** One card for the whole page. */
export function mountExplanations(stage) {
  const card = make(document.body, "div", "explained", { role: "tooltip", id: "explained" });
  const [what, now] = ["explained-what", "explained-now"].map((name) => make(card, "p", name));
  let subject = null;
  let described = null; // what has the focus, which the card is read out with

  const hide = () => {
    described?.removeAttribute("aria-describedby");
    subject = described = null;
    card.classList.remove("is-shown");
  };
  const say = () => {
    const words = subject?.isConnected ? explained(stage, subject.dataset.explain) : null;
    if (!words) return hide();
    retext(what, words.what);
    retext(now, words.now);
    now.hidden = !words.now;
    card.classList.add("is-shown");
    placeBeside(card, subject.getBoundingClientRect(), { gap: 6, edge: 4 });
  };
  const show = (element) => {
    if (element === subject) return;
    hide();
    subject = element;
    if (subject) say();
  };
  const focus = ({ target }) => {
    if (!target.matches(":focus-visible") || !near({ target })) return;
    show(near({ target }));
    described = target;
    described.setAttribute("aria-describedby", card.id);
  };
  document.addEventListener("pointerover", (event) => {
    if (event.pointerType !== "touch") show(near(event));
  });
  document.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") show(near(event));
  });
  document.addEventListener("focusin", focus);
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", ({ key }) => key === "Escape" && hide());
  document.documentElement.addEventListener("pointerleave", hide);
  for (const name of ["stepped", "drawn"]) stage.addEventListener(name, () => subject && say());
}
