// The runs this browser owns, each with its state and its loss so far; two and more can be laid over each other.

import { watchRun } from "../data/events.js";
import { foreign } from "../data/foreign.js";
import { number, percent } from "../data/formatting.js";
import { ownedRuns } from "../data/owner.js";
import { untilAnswered } from "../data/patience.js";
import { Run, thinned } from "../data/run.js";
import { readJson } from "../data/stream.js";
import { make, retext } from "../figures/figure.js";
import { write, writeAttribute } from "../figures/writing.js";

const HINT =
  "What you train stands here. This browser remembers which runs are yours; whoever has a run’s address can watch it.";
const WATCHED = 12; // runs whose log is read
const MOST = 4; // runs over each other
const WIDTH = 120;
const HEIGHT = 28;
const STATES = {
  queued: "waiting",
  running: "training",
  paused: "paused",
  finished: "finished",
  stopped: "stopped",
  failed: "failed",
};

/** Fills an element with the runs; there may be none. */
export async function mountOwned(element, cells) {
  const ids = ownedRuns.ids;
  make(element, "h2", "", { text: "Your runs" });
  const hint = make(element, "p", "hint", { text: HINT });
  const say = (trouble) => retext(hint, trouble || HINT);
  if (!ids.length) return;
  const owned = () => readJson(`/api/runs?ids=${ids.slice(-200).join()}`);
  const { runs } = await untilAnswered(owned, say).catch((problem) => {
    say(problem.message);
    return { runs: [] };
  });
  if (!runs.length) return;
  const list = make(element, "ul", "owned");
  const over = make(element, "p", "actions");
  const compare = make(over, "button", "", { type: "button", text: "Lay over each other" });
  const ticked = new Set();
  const show = () => {
    over.hidden = runs.length < 2;
    compare.disabled = ticked.size < 2;
    const none = "Tick two or more to lay them over each other";
    write(compare, ticked.size > 1 ? `Lay these ${ticked.size} over each other` : none);
    for (const box of list.querySelectorAll("input")) box.disabled = ticked.size === MOST && !box.checked;
  };
  compare.addEventListener("click", () => location.assign(`/runs/${[...ticked].join()}`));
  runs.forEach((facts, k) => {
    const tick = (on) => {
      if (on) ticked.add(facts.id);
      else ticked.delete(facts.id);
      show();
    };
    mountEntry(list, new Run(facts, 0, cells), { watched: k < WATCHED, tick, say });
  });
  show();
}

function mountEntry(list, run, { watched, tick, say }) {
  const { recipe, facts } = run;
  const entry = make(list, "li", "");
  const label = make(entry, "label", "");
  const box = make(label, "input", "", {
    type: "checkbox",
    "aria-label": `Choose “${foreign(facts.title)}” to lay over others`,
  });
  make(entry, "a", "", { href: `/runs/${run.id}`, text: facts.title });
  make(entry, "span", "owned-what", { text: `${run.cell.title} ${recipe.layers}×${recipe.hidden}` });
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  const way = document.createElementNS(space, "polyline");
  drawing.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  drawing.setAttribute("role", "img");
  drawing.append(way);
  entry.append(drawing);
  const state = make(entry, "span", "owned-state");
  box.addEventListener("change", () => tick(box.checked));

  const show = () => {
    const last = run.progress.at(-1) ?? facts.progress;
    const share = last ? last.step / last.steps : 0;
    const loss = Number.isFinite(last?.loss) ? `, ${number(last.loss)} nats a character` : "";
    const done = run.live && share ? ` ${percent(share)}` : "";
    write(state, STATES[run.state] + done + (run.state === "failed" ? `: ${run.reason}` : loss));
    entry.dataset.state = run.state;
    const points = thinned(run.progress, WIDTH);
    const losses = points.map((point) => point.loss);
    const high = Math.max(...losses);
    const low = Math.min(...losses);
    const corners = points.map((point) => {
      const height = (point.loss - low) / (high - low || 1);
      return [(point.step / last.steps) * WIDTH, 2 + (HEIGHT - 4) * (1 - height)].map((at) => at.toFixed(1)).join();
    });
    way.setAttribute("points", corners.join(" "));
    writeAttribute(
      drawing,
      "aria-label",
      losses.length ? `loss from ${number(losses[0])} to ${number(losses.at(-1))}` : "no loss yet",
    );
  };
  show();
  if (!watched) return;
  watchRun(run.id, ({ events, missing, trouble = "" }) => {
    if (trouble !== (run.trouble ?? "")) say(trouble);
    run.trouble = trouble;
    for (const [name, data] of events) run.add(name, data);
    if (missing) entry.remove();
    else show();
  });
}
