// A network of one's own: what the service recognises in it is said first, then it is brought in, and it can be deleted
// again.

import { foreign } from "../data/foreign.js";
import { exampleOf, readable, takenAlong } from "../data/networks.js";
import { ownedNetworks, proof } from "../data/owner.js";
import { patiently } from "../data/patience.js";
import { readJson } from "../data/stream.js";
import { write } from "../figures/writing.js";

const BYTES = { "Content-Type": "application/octet-stream" };

/** A line in the fold; returns {consider(file), train(file, agreed)}, which ask before anything is kept. */
export function mountImport(fold, stage) {
  const line = document.createElement("p");
  const said = document.createElement("span");
  const accept = button("Bring it in");
  const refuse = button("No");
  const remove = button("Delete it again");
  const learn = button("Train on it");
  const repeat = button("Try again");
  line.className = "offer";
  said.setAttribute("role", "status");
  line.append(said, " ", accept, " ", refuse, " ", remove, " ", learn, " ", repeat);
  fold.append(line);
  let offered = null;
  let before = null;
  let gone = ""; // what was read before it came; what was deleted last

  const say = (text, ...buttons) => {
    write(said, text);
    for (const each of [accept, refuse, remove, learn, repeat]) each.hidden = !buttons.includes(each);
    line.hidden = !text;
  };
  const rest = () => {
    if (offered) return;
    const { network } = stage;
    if (network.origin === "upload" && ownedNetworks.recall(network.id))
      say(`“${foreign(network.title)}” is yours: whoever knows its address can open it, nobody else finds it.`, remove);
    else say(gone);
    gone = "";
  };
  // What the service refuses, in its own words; what it could not do just now may be tried again.
  const trying = async (work, failed = "It is not taken") => {
    try {
      await work();
    } catch (problem) {
      if (problem.name !== "Problem") throw problem;
      const words = (problem.errors[0]?.detail ?? problem.message).replace(/\.$/, "");
      const passing = !problem.own || problem.status >= 500 || problem.status === 429;
      repeat.onclick = () => trying(work, failed);
      say(`${failed}: ${words}.`, ...(passing ? [repeat] : offered ? [accept, refuse] : []));
    }
  };
  const asking = (url, options) => patiently(() => readJson(url, options), { say });

  accept.addEventListener("click", () =>
    trying(async () => {
      const { file } = offered;
      say(`“${foreign(file.name)}” is on its way …`);
      offered.kept ??= await asking("/api/models", { method: "POST", headers: BYTES, body: file });
      const { id, owner_token: token } = offered.kept;
      ownedNetworks.remember(id, token);
      const network = readable(await asking(`/api/models/${id}`));
      stage.models.push(network);
      const { model, text, target, loss } = stage.state;
      [offered, before] = [null, { model, text, target, loss }];
      stage.choose({ model: id, ...takenAlong(stage.state, network, stage.network) });
    }),
  );
  refuse.addEventListener("click", () => {
    offered = null;
    rest();
  });
  remove.addEventListener("click", () =>
    trying(async () => {
      const { id, title } = stage.network;
      await asking(`/api/models/${id}`, { method: "DELETE", headers: proof(ownedNetworks.recall(id)) });
      ownedNetworks.forget(id);
      stage.models.splice(
        stage.models.findIndex((model) => model.id === id),
        1,
      );
      const [first] = stage.models;
      const stays = stage.models.some((model) => model.id === before?.model);
      gone = `“${foreign(title)}” is deleted.`;
      stage.choose(stays ? before : { model: first.id, ...exampleOf(first) });
    }, "It is not deleted"),
  );
  stage.addEventListener("taken", rest);
  rest();

  return {
    /** Asks whether a text is to be trained on. */
    train(file, agreed) {
      offered = { file };
      say(`“${foreign(file.name)}” is a text: a new network can learn it while you watch.`, learn, refuse);
      learn.onclick = agreed;
      learn.focus();
    },
    consider: (file) =>
      trying(async () => {
        offered = null;
        say(`Looking into “${foreign(file.name)}” …`);
        const { recognised, cell } = await asking("/api/models?dry_run=true", {
          method: "POST",
          headers: BYTES,
          body: file,
        });
        offered = { file };
        say(inWords(file.name, recognised, stage.cells.find(({ id }) => id === cell).title), accept, refuse);
        accept.focus();
      }),
  };
}

function button(label) {
  const made = document.createElement("button");
  made.type = "button";
  write(made, label);
  return made;
}

const WHEN = {
  "many-to-many": "at every step",
  "many-to-one": "at the last step",
  "one-to-many": "at every step, from one input on",
};
const LISTED = 5;
const listed = (names) => names.slice(0, LISTED).map(foreign).join(", ") + (names.length > LISTED ? ", …" : "");
const counted = (many, one, more) => `${many} ${many === 1 ? one : more}`;

// What was recognised, and what that means for what can be seen.
function inWords(
  name,
  { module, options, layers, hidden, directions, projection, biases, numbers, readout, outputs, form, ...input },
  title,
) {
  const chosen = Object.entries(options)
    .filter(([option]) => option !== "projection")
    .map(([option, value]) => ` with ${option} ${value}`)
    .join("");
  const ways = directions === 2 ? " in both directions" : "";
  const narrow = projection ? `, projected to ${projection}` : "";
  const parts = [
    `“${foreign(name)}” holds a network: ${title}${module ? ` (${module})` : ""}${chosen}, ` +
      `${counted(layers, "layer", "layers")} of ${hidden} ` +
      `units${ways}${narrow}${biases ? "" : " without biases"}, ${numbers}.`,
    `It reads ${whatItReads(input, form)}.`,
  ];
  if (!readout) parts.push("It has no readout, so it guesses nothing and no gradient comes back.");
  else if (form.gives !== "next") {
    const what =
      form.gives === "classes"
        ? `tells one of ${counted(outputs, "class", "classes")}`
        : `gives ${counted(outputs, "number", "numbers")}`;
    parts.push(`It ${what}${form.labels.length ? ` (${listed(form.labels)})` : ""} ${WHEN[form.pattern]}.`);
  }
  return parts.join(" ");
}

function whatItReads({ input, embedding, tokens, channels, vocabulary }, { reads }) {
  if (channels) return `${counted(channels, "number", "numbers")} a step`;
  const way = input === "embedding" ? `through an embedding of ${embedding}` : "one-hot";
  const kind = reads === "words" ? "words" : "tokens";
  return (
    `${tokens} ${kind} ` +
    `${way}${vocabulary ? " and knows their names" : "; without a vocabulary it reads token numbers, no text"}`
  );
}
