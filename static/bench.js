// The bench: every view over one text, one clock, one axis.

import { mountExplanations } from "./controls/explanations.js";
import { mountLegend } from "./controls/legend.js";
import { showNotice } from "./controls/notice.js";
import { mountOpen } from "./controls/open.js";
import { playUntilTouched, watchKeys, watchTracks } from "./controls/pointer_and_keys.js";
import { mountSentence } from "./controls/sentence.js";
import { mountShare, watchFolds } from "./controls/share.js";
import { mountTabs } from "./controls/tabs.js";
import { mountTheme } from "./controls/theme.js";
import { mountTour } from "./controls/tour.js";
import { mountTransport } from "./controls/transport.js";
import { readAddress } from "./data/address.js";
import { Stage } from "./stage/stage.js";
import cell from "./views/cell.js";
import gates from "./views/gates.js";
import generate, { whyNot } from "./views/generate.js";
import gradients from "./views/gradients.js";
import text from "./views/text.js";
import unfold from "./views/unfold.js";

const FROM_A_FILE =
  "This address is of a trace in a file on somebody’s own machine; drop the file here to see it. " +
  "Until then this is the example.";
const byId = (id) => document.getElementById(id);
const light = JSON.parse(byId("first-light").textContent);
const { state: chosen, notices } = readAddress(location.search);
const tracks = byId("tracks");
const stage = new Stage({ light, chosen, tracks, layout: "bench", writesAddress: true });

mountExplanations(stage);
mountSentence(byId("sentence"), stage);
showNotice(byId("sentence"), stage, light.notice ? [light.notice] : chosen.trace ? [...notices, FROM_A_FILE] : notices);
mountTransport(byId("transport"), stage);
for (const view of [unfold, text, gates, gradients]) {
  const element = byId(`track-${view.id}`);
  element.hidden = stage.state.hide.includes(view.id);
  if (!element.hidden) stage.mount(view, element);
}
stage.mount(cell, byId("panel-cell"));
stage.mount(generate, byId("panel-write"));

const openTab = mountTabs(document.querySelector("[role=tablist]"), () => stage.requestDraw());
const offerWriting = () => {
  const tab = byId("tab-write");
  tab.hidden = Boolean(whyNot(stage));
  if (tab.hidden && tab.getAttribute("aria-selected") === "true") openTab(byId("tab-cell"));
};
stage.addEventListener("taken", offerWriting);
offerWriting();
mountTheme(byId("theme"), stage);
watchFolds([...document.querySelectorAll("[data-fold]")]);
mountOpen(byId("open"), stage, () => byId("open").hidden && document.querySelector("[data-fold=open]").click());
mountLegend(byId("colours"), stage);
mountShare(byId("share"), stage, [unfold, text, gates, gradients, generate, cell]);
mountTour(byId("tour"), stage);
watchTracks(tracks, stage);
watchKeys(stage);
playUntilTouched(stage, chosen);
addEventListener("popstate", () => stage.goTo(readAddress(location.search).state));
window.gatescope = { stage, measureSteps: (many = 200) => stage.measureSteps(many) };
