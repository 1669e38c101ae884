// Share: the address of this picture, and each view as a frame for somebody else's page.

import { writeAddress } from "../data/address.js";
import { optionOf, write } from "../figures/writing.js";

/** Fills the fold; `views` are the views that stand alone. */
export function mountShare(fold, stage, views) {
  fold.innerHTML = `
    <p><label for="share-what">Copy</label> <select id="share-what"></select>
    <input id="share-link" type="text" readonly aria-label="What to copy">
    <button type="button">Copy</button> <span role="status"></span></p>`;
  const [what, link, button, said] = ["select", "input", "button", "[role=status]"].map((selector) =>
    fold.querySelector(selector),
  );
  what.add(optionOf("the address of this picture", ""));
  for (const { id, title } of views) what.add(optionOf(`a frame with “${title.toLowerCase()}” alone`, id));

  const address = (path) => `${location.origin}${path}?${writeAddress(stage.address)}`;
  const show = () => {
    if (fold.hidden) return;
    const view = what.value;
    link.value = view
      ? `<iframe src="${address(`/embed/${view}`).replaceAll("&", "&amp;")}" title="Gatescope: ` +
        `${view}" width="640" height="360" style="border:0"></iframe>`
      : address("/");
    const ofAFile =
      "The trace is a file of yours: whoever opens this sees the page’s example until they drop the same file.";
    write(said, stage.state.trace ? ofAFile : "");
  };
  what.addEventListener("change", show);
  fold.addEventListener("fold", show);
  for (const name of ["taken", "chosen"]) stage.addEventListener(name, show);
  button.addEventListener("click", async () => {
    show();
    link.select();
    const copied = await navigator.clipboard?.writeText(link.value).then(
      () => true,
      () => false,
    );
    write(said, copied ? "Copied." : "Selected: copy it with your keyboard.");
  });
}

/** Buttons that open and close their fold in the page's own flow; one is open at a time. */
export function watchFolds(buttons) {
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const other of buttons) {
        const fold = document.getElementById(other.dataset.fold);
        const open = other === button && fold.hidden;
        fold.hidden = !open;
        other.setAttribute("aria-expanded", open);
        fold.dispatchEvent(new Event("fold"));
      }
    });
  }
}
