// Opening a file from anywhere: dropped on the page or picked. A trace is read here and sent nowhere; a network goes to
// the service once it is agreed to; a text is taken to where networks are trained.

import { handOff } from "../data/file_handoff.js";
import { foreign, someOf } from "../data/foreign.js";
import { BadFile, Safetensors } from "../data/safetensors.js";
import { isTrace, readTrace } from "../data/tracefile.js";
import { watchDrops } from "./drops.js";
import { mountImport } from "./import_network.js";

const TEXT = /\.(txt|md|tex|csv|html?|xml|srt|py|js|c|java)$/i;

/** Fills the fold with the picker and watches the page for dropped files; `unfold` opens the fold. */
export function mountOpen(fold, stage, unfold) {
  fold.innerHTML = `
    <p>Drop a file anywhere on this page, or <button type="button">choose one</button>
    <input type="file" accept=".safetensors,text/*" hidden>
    <b>A trace</b> written by any program opens as it is; it is read by this browser and sent nowhere.
    <b>A network</b> (the state_dict of a recurrent PyTorch module as safetensors) goes to this service, which says what
    it recognises before it is kept.
    <b>A text</b> becomes a network: <a href="/train">train on it</a>.</p>`;
  const importing = mountImport(fold, stage);
  const [choose, picker] = ["button", "input"].map((selector) => fold.querySelector(selector));
  choose.addEventListener("click", () => picker.click());
  picker.addEventListener("change", () => {
    const [file] = picker.files;
    if (file) openFile(file);
    picker.value = ""; // so that the same file can be picked again
  });
  watchDrops("Drop a trace, a network or a text to open it", (files) =>
    files.length > 1 ? stage.notice("One file at a time, please.") : openFile(files[0]),
  );

  async function openFile(file) {
    stage.touched = true;
    stage.clock.pause();
    if (file.type.startsWith("text/") || TEXT.test(file.name)) {
      unfold();
      return importing.train(file, () =>
        handOff(file).then(
          () => location.assign("/train"),
          () => stage.notice("This browser hands no file on; choose it again on the page “Train”."),
        ),
      );
    }
    try {
      const opened = await Safetensors.open(file);
      if (!isTrace(opened)) {
        unfold();
        stage.notice("");
        return void (await importing.consider(file));
      }
      const trace = await readTrace(opened, stage);
      stage.open(trace);
      stage.tell(
        "told",
        `“${foreign(file.name)}” is open. It was read here and sent nowhere, so its address shows nothing to ` +
          `others.${left(trace.aside)}`,
      );
    } catch (problem) {
      if (problem instanceof BadFile) stage.notice(problem.message);
      else if (problem instanceof DOMException)
        stage.notice(`“${foreign(file.name)}” could not be read: ${problem.message}`);
      else throw problem;
    }
  }
}

function left(names) {
  if (!names.length) return "";
  return ` Left aside: ${someOf(names, 4)}.`;
}
