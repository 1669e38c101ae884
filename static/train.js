// From a text to a run: what the network would see and cost is asked first, then it is started and watched.

import { mountTheme } from "./controls/theme.js";
import { readAddress } from "./data/address.js";
import { quoted } from "./data/foreign.js";
import { ownedRuns, proof } from "./data/owner.js";
import { patiently, untilAnswered } from "./data/patience.js";
import { asSentence, readJson } from "./data/stream.js";
import { write } from "./figures/writing.js";
import { mountIntake } from "./train/intake.js";
import { mountOwned } from "./train/owned.js";
import { mountRecipe } from "./train/recipe.js";
import { mountSeen } from "./train/seen.js";

const CHOOSING_PAUSE = 250; // ms
const LARGE = 1e6; // bytes
const byId = (id) => document.getElementById(id);
const { cells } = JSON.parse(byId("first-light").textContent);

const stage = {
  state: { theme: readAddress(location.search).state.theme ?? "auto" },
  choose: (changes) => showTheme(Object.assign(stage.state, changes)),
};
const showTheme = ({ theme }) => {
  document.documentElement.dataset.theme = theme;
};
showTheme(stage.state);
mountTheme(byId("theme"), stage);

let text = null;
let timer = 0;
let asked = null;
const say = (words) => {
  write(byId("notice"), quoted(words));
  byId("notice").hidden = !words;
};
const seen = mountSeen(byId("seen"));
const recipe = mountRecipe(
  byId("recipe"),
  cells,
  () => {
    clearTimeout(timer);
    timer = setTimeout(ask, CHOOSING_PAUSE);
  },
  start,
);
mountIntake(
  byId("intake"),
  (given) => {
    text = given;
    document.body.classList.toggle("has-text", Boolean(text));
    recipe.name(text?.title ?? "");
    if (text) return ask();
    asked?.abort();
    say("");
    seen(null);
    byId("recipe").hidden = true;
  },
  say,
);
mountOwned(byId("owned"), cells);

const said = (problem) =>
  problem.errors
    ?.map(({ field, detail }) => (field === "body" ? `This text ${detail}` : `${field} ${detail}`))
    .join("; ") || problem.message;
const address = (more) => `/api/runs?${new URLSearchParams({ ...recipe.chosen, ...more })}`;

// What the network would see and what it would cost; a chosen time is made steps by what a step costs.
async function ask(steps) {
  asked?.abort();
  const request = new AbortController();
  asked = request;
  recipe.wait(true);
  try {
    if (steps) recipe.chosen.steps = steps;
    const { signal } = request;
    const asking = () => readJson(address({ dry_run: true }), { method: "POST", body: text.body, signal });
    // a server may hang up on what is too large for it: that is not sent for ever
    const small = text.body.size < LARGE;
    const answer = await (small ? untilAnswered(asking, say, signal) : patiently(asking, { signal, say }));
    say("");
    seen(answer.text);
    byId("recipe").hidden = false;
    const others = recipe.show(answer);
    if (others && !steps) return ask(others);
    recipe.wait(false);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    if (problem.name !== "Problem") throw problem;
    say(asSentence(said(problem)));
    if (problem.errors.length && problem.errors.every(({ field }) => field === "body")) {
      seen(null);
      byId("recipe").hidden = true;
    }
  }
}

const random = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
let key = null; // the same for a second try, so that one start is one run

async function start() {
  recipe.wait(true);
  key ??= random();
  const [mine] = ownedRuns.ids;
  const token = mine && ownedRuns.recall(mine);
  try {
    const title = recipe.chosen.title ?? text.title;
    const headers = { "Idempotency-Key": key, ...(token ? proof(token) : {}) };
    const starting = () => readJson(address({ title }), { method: "POST", body: text.body, headers });
    const { id, owner_token: told } = await patiently(starting, { say });
    ownedRuns.remember(id, told);
    location.assign(`/runs/${id}`);
  } catch (problem) {
    if (problem.name !== "Problem") throw problem;
    if (problem.status) key = null; // it was answered: nothing was made
    say(asSentence(said(problem)));
    recipe.wait(false);
  }
}
