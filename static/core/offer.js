// A network of one's own: what the service recognises in it is said first, then it is brought in, and it can be deleted again.

import { legible, readable } from "./networks.js";
import { readJson } from "./stream.js";

const BYTES = { "Content-Type": "application/octet-stream" };
const MEMORY = "gatescope owner of ";

// A browser may forbid it to remember; then it knows until the page is left.
const tokens = new Map();
function remember(id, token) {
  tokens.set(id, token);
  try {
    localStorage.setItem(MEMORY + id, token);
  } catch {
    // this page alone remembers
  }
}
function recall(id) {
  try {
    return tokens.get(id) ?? localStorage.getItem(MEMORY + id);
  } catch {
    return null;
  }
}
function forget(id) {
  tokens.delete(id);
  try {
    localStorage.removeItem(MEMORY + id);
  } catch {
    // nothing was remembered
  }
}

/** A line in the fold; returns {consider(file)}, which asks before anything is kept. */
export function mountOffer(fold, stage) {
  const line = document.createElement("p"), said = document.createElement("span"), accept = button("Bring it in"), refuse = button("No"), remove = button("Delete it again");
  line.className = "offer";
  said.setAttribute("role", "status");
  line.append(said, " ", accept, " ", refuse, " ", remove);
  fold.append(line);
  let offered = null, before = null, gone = ""; // what was read before it came; what was deleted last

  const say = (text, ...buttons) => {
    said.textContent = text;
    for (const each of [accept, refuse, remove]) each.hidden = !buttons.includes(each);
    line.hidden = !text;
  };
  const rest = () => {
    if (offered) return;
    const { network } = stage;
    if (network.origin === "upload" && recall(network.id)) say(`“${network.title}” is yours: whoever knows its address can open it, nobody else finds it.`, remove);
    else say(gone);
    gone = "";
  };
  // what the service refuses, in its own words
  const trying = async (work) => {
    try {
      await work();
    } catch (problem) {
      if (problem.name !== "Problem") throw problem;
      say(`It is not taken: ${problem.errors?.[0]?.detail ?? problem.message}.`, ...(offered ? [accept, refuse] : []));
    }
  };

  accept.addEventListener("click", () => trying(async () => {
    const { file } = offered;
    say(`“${file.name}” is on its way …`);
    const { id, owner_token: token } = await readJson("/api/models", { method: "POST", headers: BYTES, body: file });
    remember(id, token);
    const network = readable(await readJson(`/api/models/${id}`));
    stage.models.push(network);
    [offered, before] = [null, { model: stage.state.model, text: stage.state.text }];
    stage.choose({ model: id, text: legible(stage.state.text, network) });
  }));
  refuse.addEventListener("click", () => {
    offered = null;
    rest();
  });
  remove.addEventListener("click", () => trying(async () => {
    const { id, title } = stage.network;
    await readJson(`/api/models/${id}`, { method: "DELETE", headers: { Authorization: `Bearer ${recall(id)}` } });
    forget(id);
    stage.models.splice(stage.models.findIndex((model) => model.id === id), 1);
    const [first] = stage.models, stays = stage.models.some((model) => model.id === before?.model);
    gone = `“${title}” is deleted.`;
    stage.choose(stays ? before : { model: first.id, text: legible(stage.state.text, first) });
  }));
  stage.addEventListener("taken", rest);
  rest();

  return {
    consider: (file) => trying(async () => {
      offered = null;
      say(`Looking into “${file.name}” …`);
      const { recognised, cell } = await readJson("/api/models?dry_run=true", { method: "POST", headers: BYTES, body: file });
      offered = { file };
      say(inWords(file.name, recognised, stage.cells.find(({ id }) => id === cell).title), accept, refuse);
      accept.focus();
    }),
  };
}

function button(label) {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", textContent: label });
  return made;
}

// What was recognised, and what that means for what can be seen.
function inWords(name, { module, options, layers, hidden, input, embedding, tokens: many, vocabulary, readout, biases, numbers }, title) {
  const chosen = Object.values(options ?? {}).map((option) => ` with ${option}`).join("");
  const way = input === "embedding" ? `through an embedding of ${embedding}` : "one-hot";
  const parts = [
    `“${name}” holds a network: ${title} (${module}${chosen}), ${layers} ${layers === 1 ? "layer" : "layers"} of ${hidden} units${biases ? "" : " without biases"}, ${numbers}.`,
    `It reads ${many} tokens ${way}${vocabulary ? " and knows their names" : "; without a vocabulary it reads token numbers, no text"}.`,
  ];
  if (!readout) parts.push("It has no readout, so it guesses nothing and no gradient comes back.");
  return parts.join(" ");
}
