// Pointer and keys, the same on the bench and in an embed: pointing previews, a click stays, the keys drive the clock.

/** Pointing at a track shows its character; a click goes there and rests. */
export function watchTracks(tracks, stage) {
  const under = (event) => stage.axis.at(event.clientX - tracks.getBoundingClientRect().left);
  const interactive = (event) => event.target.closest("button, a, input, select, textarea, summary, [role=button]");
  const isOfAView = (event) => event.target.closest("header, .figure-bar"); // words and buttons lie over no step
  tracks.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch" || event.defaultPrevented) return; // a view that knows more has spoken
    const t = isOfAView(event) ? null : under(event);
    stage.hover(t === null ? null : { t });
  });
  tracks.addEventListener("pointerleave", () => stage.hover(null));
  tracks.addEventListener("click", (event) => {
    const t = event.defaultPrevented || interactive(event) || isOfAView(event) ? null : under(event);
    if (t === null) return;
    stage.clock.pause();
    stage.choose({ t });
  });
}

/**
 * Keys for the clock. In a frame, which has the keys once it was clicked, those that are not its own go on to the page
 * around it.
 */
export function watchKeys(stage, { inFrame = false } = {}) {
  const { clock } = stage;
  const actions = {
    " ": () => clock.toggle(),
    ArrowLeft: () => clock.step(-1),
    ArrowRight: () => clock.step(1),
    Home: () => {
      clock.pause();
      clock.seek(0);
    },
    End: () => {
      clock.pause();
      clock.seek(Infinity);
    },
    Escape: () => stage.hover(null),
  };
  if (!inFrame && stage.state.fold)
    actions.f = actions.F = () => stage.choose({ fold: stage.state.fold === "1" ? "0" : "1" });
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    const action = actions[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // the slider over the passes is the clock's own; any other moves by its keys
    const typing = target.closest("textarea, select, [contenteditable], input:not([data-clock])");
    const pressing = event.key === " " && target.closest("button, a, summary, [role=button]");
    const choosing = event.key.startsWith("Arrow") && target.closest("[role=tablist], [role=radiogroup]");
    if (typing || pressing || choosing) return;
    if (inFrame && HANDED_ON[event.key]) handOn(event);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

// What a clicker sends, and the keys of decks, by the numbers that reveal.js knows them by.
const HANDED_ON = { PageUp: 33, PageDown: 34, Escape: 27, n: 78, p: 80, b: 66, o: 79, ".": 190 };

function handOn({ key }) {
  const message = { method: "triggerKey", args: [HANDED_ON[key]], key };
  if (window.parent !== window) window.parent.postMessage(JSON.stringify(message), "*");
}

/**
 * Lets the picture play by itself while it is in sight, until the first touch; never for people who asked for less
 * motion.
 */
export function playUntilTouched(stage, chosen) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const touch = (event) => {
    if (stage.touched) return;
    stage.touched = true;
    // the play button itself must not be undone by the touch that presses it; a folded network goes on
    if (!event.target.closest?.(".buttons, .line, .unfold-fold")) stage.clock.pause();
  };
  document.addEventListener("pointerdown", touch, { capture: true });
  document.addEventListener(
    "keydown",
    (event) => {
      const driving = [" ", "ArrowLeft", "ArrowRight"].includes(event.key) || event.code === "KeyF";
      if (stage.touched) return;
      if (driving) stage.touched = true;
      else if (!["Shift", "Control", "Alt", "Meta"].includes(event.key)) touch(event);
    },
    { capture: true },
  );
  const wanted = chosen.play === "1" || (chosen.play === undefined && chosen.t === undefined);
  if (!wanted || calm) return;
  new IntersectionObserver(([{ isIntersecting }]) => {
    if (stage.touched) return;
    if (isIntersecting) stage.clock.play();
    else stage.clock.pause();
  }).observe(document.documentElement);
}
