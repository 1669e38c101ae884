// Share: the address of this picture, and each view as a frame for somebody else's page.

import { writeAddress } from "../data/address.js";
import { optionOf, write } from "../figures/writing.js";

const OF_A_FILE =
  "The trace is a file of yours: whoever opens this sees the page’s example until they drop the same file.";
const OF_THIS_MACHINE =
  "This address works on this machine only. For others in the room, start the service with --host 0.0.0.0 and open " +
  "the page by this machine’s name or number in their network.";
const NUMBERS = [
  ["/api/trace.safetensors", "all its numbers, as tensors (safetensors)"],
  ["/api/trace.json", "all its numbers, as lists (JSON)"],
];
const READ = ["model", "text", "values", "target", "loss"]; // of an address, what decides the numbers

// Why an address does not give the numbers of this picture; "" where it does.
function whyNoNumbers({ state, address }) {
  if (state.trace) return "These numbers are in your own file.";
  if (state.clamp.length)
    return "Something is held: programs ask for these numbers by POST, as the documentation says.";
  const isLong = !new URLSearchParams(writeAddress(address)).has(address.values ? "values" : "text");
  return isLong ? "The text is too long for an address: programs ask for its numbers by POST." : "";
}

const isOfThisMachine = () => /^(localhost|127\..*|\[::1\])$/.test(location.hostname);

/** Fills the fold; `views` are the views that stand alone. */
export function mountShare(fold, stage, views) {
  fold.innerHTML = `
    <p><label for="share-what">Copy</label> <select id="share-what"></select>
    <input id="share-link" type="text" readonly aria-label="What to copy">
    <button type="button">Copy</button> <a class="download" download hidden>Download</a>
    <span role="status"></span></p>`;
  const [what, link, button, download, said] = ["select", "input", "button", "a", "[role=status]"].map((selector) =>
    fold.querySelector(selector),
  );
  what.add(optionOf("the address of this picture", ""));
  for (const [path, name] of NUMBERS) what.add(optionOf(name, path));
  for (const { id, title } of views) what.add(optionOf(`a frame with “${title.toLowerCase()}” alone`, id));

  const address = (path) => `${location.origin}${path}?${writeAddress(stage.address)}`;
  const show = () => {
    if (fold.hidden) return;
    const view = what.value;
    download.hidden = true;
    if (view.startsWith("/")) return showNumbers(view);
    link.value = view
      ? `<iframe src="${address(`/embed/${view}`).replaceAll("&", "&amp;")}" title="Gatescope: ` +
        `${view}" width="640" height="360" style="border:0"></iframe>`
      : address("/");
    write(said, stage.state.trace ? OF_A_FILE : isOfThisMachine() ? OF_THIS_MACHINE : "");
  };
  const showNumbers = (path) => {
    const why = whyNoNumbers(stage);
    const query = new URLSearchParams(writeAddress(stage.address));
    for (const name of [...query.keys()]) if (!READ.includes(name)) query.delete(name);
    link.value = why ? "" : `${location.origin}${path}?${query}`;
    download.hidden = Boolean(why);
    download.href = link.value;
    write(said, why);
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

/** Buttons that open and close their fold in the page's own flow; one is open at a time, and Esc closes it. */
export function watchFolds(buttons) {
  const show = (shown) => {
    for (const button of buttons) {
      const fold = document.getElementById(button.dataset.fold);
      fold.hidden = button !== shown;
      button.setAttribute("aria-expanded", button === shown);
      fold.dispatchEvent(new Event("fold"));
    }
  };
  for (const button of buttons)
    button.addEventListener("click", () => show(button.getAttribute("aria-expanded") === "true" ? null : button));
  document.addEventListener(
    "keydown",
    (event) => {
      const open = buttons.find((button) => button.getAttribute("aria-expanded") === "true");
      if (event.key !== "Escape" || !open) return;
      event.stopPropagation(); // what else Esc lets go of stays
      open.focus();
      show(null);
    },
    { capture: true },
  );
}
