// Beneath the tracks: the training as a slider, on the tracks' own axis, and play to see it once more.

import { icon } from "../../controls/transport.js";
import { whole } from "../../data/formatting.js";
import { make, retext } from "../../figures/figure.js";
import { writeAttribute } from "../../figures/writing.js";

function mount(element, stage) {
  const { clock } = stage;
  const root = make(element, "div", "replay");
  const toggle = make(root, "button", "round", { type: "button" });
  const line = make(root, "div", "replay-line");
  const slider = make(line, "input", "", { type: "range", min: 0, step: 1, "aria-label": "Step of the training" });
  const words = make(root, "button", "plain replay-now", {
    type: "button",
    title: "the latest step, and every one that comes",
  });
  const icons = { play: icon("play"), pause: icon("pause") };
  toggle.addEventListener("click", () => clock.toggle());
  slider.addEventListener("input", () => {
    clock.pause();
    clock.seek(+slider.value);
  });
  words.addEventListener("click", () => {
    clock.pause();
    clock.seek(Infinity);
  });

  function draw() {
    const { axis } = stage;
    root.style.setProperty("--gutter", `${axis.gutter}px`);
    root.style.setProperty("--right", `${axis.right}px`);
    slider.max = axis.end;
    slider.style.setProperty("--trained", axis.last / axis.end);
    step(stage.at);
  }

  function step() {
    const { at, playing, follows } = clock;
    const { axis } = stage;
    const isLive = stage.live && !stage.trouble;
    toggle.replaceChildren(playing ? icons.pause : icons.play);
    writeAttribute(toggle, "aria-label", playing ? "Stop the replay" : "Replay the training");
    slider.value = at;
    writeAttribute(slider, "aria-valuetext", `step ${whole(Math.round(at))} of ${whole(axis.last)}`);
    slider.style.setProperty("--share", at / axis.end);
    retext(words, follows ? (isLive ? "● live" : `step ${whole(axis.last)}`) : `step ${whole(Math.round(at))} ▸▸`);
    words.classList.toggle("is-live", follows && isLive);
  }
  return {
    draw,
    step,
    destroy() {
      root.remove();
    },
  };
}

export default { id: "replay", title: "Replay", mount };
