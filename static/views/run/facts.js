// What a run is, how far it has come, and what its owner may do with it.

import { foreign } from "../../data/foreign.js";
import { duration, rounded, whole } from "../../data/formatting.js";
import { ownedRuns, proof } from "../../data/owner.js";
import { patiently } from "../../data/patience.js";
import { readJson } from "../../data/stream.js";
import { make, restyle, retext } from "../../figures/figure.js";
import { write, writeMore } from "../../figures/writing.js";
import { hueOf, numberOf } from "./marks.js";

const STATES = {
  queued: "waiting",
  running: "training",
  paused: "paused",
  finished: "finished",
  stopped: "stopped",
  failed: "failed",
  deleted: "gone",
};
const WISHES = { paused: "pausing …", stopped: "stopping …", deleted: "deleting …" };
const ACTIONS = [
  ["pause", "Pause", (run) => run.state === "running"],
  ["resume", "Resume", (run) => run.state === "paused"],
  ["stop", "Stop", (run) => run.live],
];

function mount(element, stage) {
  const root = make(element, "div", "facts");
  const rows = stage.runs.map((run) => mountRow(root, stage, run));
  const show = () => {
    for (const row of rows) row.show();
  };
  for (const name of ["states", "came"]) stage.addEventListener(name, show);
  show();
  return {
    draw() {
      for (const row of rows) row.theme();
    },
    step() {},
    destroy() {
      root.remove();
    },
  };
}

function mountRow(root, stage, run) {
  const several = stage.runs.length > 1;
  const row = make(root, "section", "run", { "aria-label": run.facts.title });
  const head = make(row, several ? "h2" : "h1", "run-title");
  const mark = make(head, "b", "run-mark", { text: several ? `${numberOf(run)} ` : "" });
  const link = several ? make(head, "a", "", { href: `/runs/${run.id}` }) : head;
  writeMore(link, run.facts.title);
  const what = make(row, "p", "run-what");
  const bar = make(row, "div", "run-bar", { role: "progressbar", "aria-valuemin": 0, "aria-label": "steps trained" });
  const filled = make(bar, "i", "run-filled");
  const state = make(row, "p", "run-state", { role: "status" });
  const word = make(state, "b", "run-word");
  const said = make(state, "span", "", { "aria-live": "off" });
  const buttons = make(row, "p", "run-actions");
  const open = make(buttons, "a", "button main", {
    text: "Open on the bench",
    href: `/?model=${run.id}`,
    title: "see inside it as it is now: every gate on a text of yours",
  });
  if (stage.readOnly) Object.assign(open, { target: "_blank", rel: "noopener" });
  const weights = make(buttons, "a", "button", {
    text: "Weights",
    href: `/api/models/${run.id}/weights`,
    download: "",
    title: "a safetensors file with PyTorch’s parameter names",
  });
  if (!stage.readOnly && !several) mountFrame(buttons, row, run);
  const token = stage.readOnly ? null : ownedRuns.recall(run.id);
  const controls = token
    ? ACTIONS.map(([action, label, may]) => [
        action,
        make(buttons, "button", "button", { type: "button", text: label }),
        may,
      ])
    : [];
  const wrong = make(row, "p", "notice", { role: "alert" });
  wrong.hidden = true;

  const say = (words) => {
    write(wrong, words);
    wrong.hidden = !words;
  };
  const ask = async (path, method) => {
    say("");
    const asking = () => readJson(`/api/runs/${run.id}${path}`, { method, headers: proof(token) });
    try {
      const answer = await patiently(asking, { say });
      say("");
      return answer ?? {};
    } catch (problem) {
      if (problem.name !== "Problem") throw problem;
      say(problem.message);
      return null;
    }
  };
  for (const [action, button] of controls) {
    button.addEventListener("click", async () => {
      button.disabled = true;
      await ask(`/${action}`, "POST");
      await stage.refresh(run).catch(() => {});
      button.disabled = false;
    });
  }
  if (token)
    mountDelete(buttons, async () => {
      if (!(await ask("", "DELETE"))) return;
      ownedRuns.forget(run.id);
      location.assign("/train");
    });

  function show() {
    const last = run.progress.at(-1);
    const steps = run.steps || 1;
    const share = run.state === "finished" ? 1 : run.step / steps;
    restyle(filled, "transform", `scaleX(${Math.min(1, share)})`);
    bar.setAttribute("aria-valuemax", steps);
    bar.setAttribute("aria-valuenow", run.step);
    row.dataset.state = run.state;
    retext(what, inWords(run, several));
    const { wanted } = run.facts; // what is asked for and not yet so
    retext(word, (run.live && wanted !== run.state && WISHES[wanted]) || STATES[run.state]);
    retext(said, ` ${sentence(run, last)}`);
    for (const [, button, may] of controls) button.hidden = !may(run);
    open.hidden = !run.model?.id || run.state === "deleted";
    weights.hidden = open.hidden || stage.readOnly;
  }
  return {
    show,
    theme() {
      mark.style.color = several ? hueOf(stage, run) : "";
    },
  };
}

// A line of HTML for somebody's own page; copied where the browser lets a page do that, else selected.
function mountFrame(parent, row, run) {
  const button = make(parent, "button", "button", {
    type: "button",
    text: "Frame",
    title: "a line of HTML that shows this run in a page of yours",
  });
  const line = make(row, "p", "run-frame");
  const field = make(line, "input", "", { type: "text", readonly: "", "aria-label": "The frame" });
  const said = make(line, "span", "", { role: "status" });
  field.value =
    `<iframe src="${location.origin}/embed/run?run=${run.id}" title="Gatescope: a run" width="800" ` +
    `height="560" style="border:0"></iframe>`;
  line.hidden = true;
  button.addEventListener("click", async () => {
    line.hidden = !line.hidden;
    if (line.hidden) return;
    field.select();
    const copied = await navigator.clipboard?.writeText(field.value).then(
      () => true,
      () => false,
    );
    write(said, copied ? "Copied." : "Selected: copy it with your keyboard.");
  });
}

// Twice, since nothing brings it back.
function mountDelete(parent, remove) {
  const ask = make(parent, "button", "button", { type: "button", text: "Delete" });
  const sure = make(parent, "span", "run-sure");
  const yes = make(sure, "button", "button", { type: "button", text: "Delete for good" });
  const no = make(sure, "button", "button", { type: "button", text: "Keep" });
  const show = (asking) => {
    [ask.hidden, sure.hidden] = [asking, !asking];
  };
  ask.addEventListener("click", () => {
    show(true);
    no.focus();
  });
  no.addEventListener("click", () => {
    show(false);
    ask.focus();
  });
  yes.addEventListener("click", remove);
  show(false);
}

function inWords({ cell, recipe: { layers, hidden }, model }, several) {
  const size = `${layers === 1 ? "" : `${layers} layers of `}${whole(hidden)} units`;
  const weights = model?.parameters ? `, ${rounded(model.parameters)} weights` : "";
  if (several || !weights) return `${foreign(cell.title)}, ${size}${weights}`;
  return (
    `${foreign(cell.title)} with ${size}${layers === 1 ? " in one layer" : ""}${weights}; it learns ` +
    `${whole(model.training.data.characters)} characters, ${whole(model.vocabulary_size)} of them ` +
    "different."
  );
}

function sentence(run, last) {
  if (run.state === "queued") return place(run.facts.position);
  if (run.state === "failed" || run.state === "deleted") return run.reason;
  if (!last) return run.live ? "the first figures are on their way" : run.reason;
  const at = `step ${whole(run.step)} of ${whole(run.steps)}`;
  const pace = `${rounded(last.characters_per_second)} characters a second`;
  if (run.state === "running") return `${at}, ${pace}, ${duration(last.eta_s)} left`;
  if (run.state === "finished" && run.step === run.steps) return `${whole(run.steps)} steps`;
  return run.reason ? `${at}: ${run.reason}` : at;
}

function place(position) {
  if (!Number.isFinite(position)) return "its turn comes";
  return position < 2 ? "it is next" : `${position === 2 ? "one run is" : `${whole(position - 1)} runs are`} before it`;
}

export default { id: "facts", title: "Progress", mount };
