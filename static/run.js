// A run's page, live and afterwards, alone or two or three over each other; in a frame without what would change
// anything.

import { watchKeys, watchTracks } from "./controls/pointer_and_keys.js";
import { mountTabs } from "./controls/tabs.js";
import { mountTheme } from "./controls/theme.js";
import { choiceWord } from "./controls/word_controls.js";
import { readAddress } from "./data/address.js";
import { foreign } from "./data/foreign.js";
import { untilAnswered } from "./data/patience.js";
import { readJson } from "./data/stream.js";
import { write, writeTitle } from "./figures/writing.js";
import { TrainingStage } from "./stage/training_stage.js";
import facts from "./views/run/facts.js";
import loss from "./views/run/loss.js";
import norms from "./views/run/norms.js";
import opening from "./views/run/opening.js";
import replay from "./views/run/replay.js";
import samples from "./views/run/samples.js";
import saturation from "./views/run/saturation.js";
import writing from "./views/run/write.js";

const MOST = 4;
const byId = (id) => document.getElementById(id);
const { cells } = JSON.parse(byId("first-light").textContent);
const { state: chosen } = readAddress(location.search);
const framed = document.body.classList.contains("embed");
const ids = [...new Set(framed ? (chosen.run ?? []) : location.pathname.split("/").at(-1).split(","))].slice(0, MOST);
const notice = byId("notice");

const AGAIN = 4000; // ms that it is said that all is well again

const say = (text, quiet = false) => {
  write(notice, text);
  notice.hidden = !text;
  notice.classList.toggle("quiet", quiet);
};
const found = await Promise.all(
  ids.map((id) =>
    untilAnswered(() => readJson(`/api/runs/${id}`), say).catch((problem) => {
      say(problem.status === 404 ? "There is no such run. Its owner may have deleted it." : problem.message);
      return null;
    }),
  ),
);
const runs = found.filter(Boolean);
if (!ids.length) say("The address names no run: it takes ?run= and the run’s id.");
if (runs.length) show();
else byId("training").hidden = true;

function show() {
  const tracks = byId("tracks");
  const stage = new TrainingStage({ cells, runs, chosen, tracks, readOnly: framed });
  writeTitle(`${runs.map(({ title }) => foreign(title)).join(" · ")} – Gatescope`);
  document.body.classList.toggle("is-several", runs.length > 1);
  stage.mount(facts, byId("facts"));
  for (const view of [loss, opening, norms, samples, saturation, writing]) {
    const element = byId(`track-${view.id}`) ?? byId(`panel-${view.id}`);
    if (!element) continue;
    if (stage.state.hide.includes(view.id)) element.hidden = true;
    else stage.mount(view, element);
  }
  stage.mount(replay, byId("replay"));
  if (stage.layerCount > 1) mountLayers(stage);

  const list = document.querySelector("[role=tablist]");
  if (list) {
    byId("tab-write").hidden = runs.length > 1;
    const open = mountTabs(list, ({ id }) => stage.choose({ panel: id.replace("tab-", "") }));
    open(byId(`tab-${stage.state.panel}`) ?? list.firstElementChild);
  }
  if (byId("theme")) mountTheme(byId("theme"), stage);
  watchTrouble(stage);
  watchTracks(tracks, stage);
  watchKeys(stage, { inFrame: framed });
  window.gatescope = { stage };
}

// Says why nothing comes now, and for a moment that it comes again.
function watchTrouble(stage) {
  let timer = 0;
  stage.addEventListener("trouble", () => {
    const { trouble } = stage;
    clearTimeout(timer);
    say(trouble || "It is live again.", !trouble);
    if (!trouble) timer = setTimeout(() => say(""), AGAIN);
  });
}

function mountLayers(stage) {
  const layer = choiceWord("Layer", (value) => stage.choose({ layer: +value }));
  const place = byId("layer");
  place.append("layer ", layer.word);
  const showLayer = () =>
    layer.show(
      Array.from({ length: stage.layerCount }, (_, k) => [k, String(k + 1), String(k + 1)]),
      stage.state.layer,
    );
  stage.addEventListener("chosen", showLayer);
  showLayer();
}
