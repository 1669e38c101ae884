// One view alone in a frame of any size.

import { mountExplanations } from "./controls/explanations.js";
import { showNotice } from "./controls/notice.js";
import { playUntilTouched, watchKeys, watchTracks } from "./controls/pointer_and_keys.js";
import { mountTransport } from "./controls/transport.js";
import { readAddress } from "./data/address.js";
import { writeTitle } from "./figures/writing.js";
import { Stage } from "./stage/stage.js";

const light = JSON.parse(document.getElementById("first-light").textContent);
const { state: chosen, notices } = readAddress(location.search);
const [tracks, element, footer] = ["tracks", "view", "transport"].map((id) => document.getElementById(id));

const stage = new Stage({ light, chosen, tracks });
const { default: view } = await import(`./views/${element.dataset.view}.js`);
writeTitle(`${view.title} – Gatescope`);

if (view.timeless || stage.state.hide.includes("transport")) footer.remove();
else mountTransport(footer, stage, { small: true });
showNotice(document.body, stage, light.notice ? [light.notice] : notices);
mountExplanations(stage);
stage.mount(view, element);
// a view without the time axis has no columns to point at and no cursor
if (view.offAxis) tracks.dataset.axis = "none";
else watchTracks(tracks, stage);
watchKeys(stage, { inFrame: true });
playUntilTouched(stage, chosen);
window.gatescope = { stage, measureSteps: (many = 200) => stage.measureSteps(many) };
