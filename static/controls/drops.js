// Files dropped anywhere on a page. The zone shows itself only while a file is dragged over it.

import { write } from "../figures/writing.js";

const STILL = 600; // ms without a drag event: the file has left the window

/** Calls `take(files)` for what is dropped; `words` stand in the zone. */
export function watchDrops(words, take) {
  const zone = document.createElement("div");
  zone.className = "drop";
  zone.hidden = true;
  write(zone, words);
  document.body.append(zone);
  let timer = 0;
  const hide = () => {
    zone.hidden = true;
  };
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      zone.hidden = false;
      clearTimeout(timer);
      timer = setTimeout(hide, STILL);
    });
  }
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    clearTimeout(timer);
    hide();
    take([...event.dataTransfer.files]);
  });
}
