// The network writes: each character as it comes, coloured by the chosen unit, and beside it the gates that wrote it.

import { writeAddress } from "../data/address.js";
import { foreign, visible } from "../data/foreign.js";
import { number, percent } from "../data/formatting.js";
import { interventionsOver } from "../data/interventions.js";
import { stepsOf } from "../data/networks.js";
import { patiently } from "../data/patience.js";
import { asSentence, readEvents } from "../data/stream.js";
import { decode } from "../data/timeline.js";
import { write, writeAttribute, writeMore } from "../figures/writing.js";

const SHOW_EVERY = 30; // ms between two characters: quick to wait for, slow enough to follow
const FIELDS = [
  { id: "length", label: "characters", min: 1, max: 2000, step: 1, value: 200 },
  { id: "temperature", label: "temperature", min: 0, max: 5, step: 0.05, value: 0.8 },
  { id: "top_k", label: "likeliest", min: 1, max: 1000, step: 1, value: 40 },
  { id: "seed", label: "seed", min: 0, max: 4294967295, step: 1, value: 1 },
];

function mount(element, stage) {
  element.innerHTML = `
    <form class="generate">
      <label class="prompt">Go on from
        <textarea rows="2" spellcheck="false" aria-label="Text to go on from"></textarea></label>
      <p class="fields"></p>
      <p class="actions"><button type="submit" class="main">Write</button>
        <button type="button" disabled>Stop</button>
        <button type="button" class="plain" disabled>Read on the bench</button></p>
      <p class="notice" role="alert" hidden></p>
      <div class="written" tabindex="0" role="log" aria-label="What the network wrote"></div>
      <p class="alone-too" hidden>Left alone, the same seed writes: <span></span></p>
      <div class="wrote" aria-live="off"></div>
    </form>`;
  const form = element.firstElementChild;
  const prompt = form.querySelector("textarea");
  const [begin, stop, read] = form.querySelectorAll("button");
  const notice = form.querySelector(".notice");
  const written = form.querySelector(".written");
  const beside = form.querySelector(".wrote");
  const alone = form.querySelector(".alone-too span");
  const fields = Object.fromEntries(FIELDS.map((field) => [field.id, makeField(form.querySelector(".fields"), field)]));
  let characters = [];
  let shown = 0;
  let network = stage.network;
  let apart = false;
  let promptOf = "";
  let running = null;
  let timer = 0;
  let own = false;

  prompt.value = promptFrom(stage);
  // a frame should be alive when it comes into sight
  if (stage.layout === "alone" && stage.state.play !== "0") setTimeout(start);
  prompt.addEventListener("input", () => {
    own = true;
  });
  const follow = () => {
    if (!own) prompt.value = promptFrom(stage);
    if (stage.network.id !== network.id) clear();
  };
  stage.addEventListener("taken", follow);

  function clear() {
    running?.abort();
    clearTimeout(timer);
    timer = 0;
    [characters, shown, network, apart] = [[], 0, stage.network, stage.network.form?.reads === "words"];
    written.replaceChildren();
    beside.replaceChildren();
    alone.parentElement.hidden = true;
    read.disabled = true;
  }

  const say = (text) => {
    write(notice, text);
    notice.hidden = !text;
  };

  async function start() {
    if (!form.reportValidity()) return;
    clear();
    say("");
    if (network.opened) return say("A trace from a file has no network behind it that could write.");
    const why = whyNot(stage);
    if (why) return say(why);
    promptOf = prompt.value;
    const given = document.createElement("span");
    given.className = "given";
    write(given, promptOf, { lines: true });
    written.append(given);
    const request = new AbortController();
    running = request;
    [begin.disabled, stop.disabled] = [true, false];
    const body = { model: network.id, prompt: promptOf };
    for (const [id, field] of Object.entries(fields)) body[id] = field.valueAsNumber;
    body.interventions = interventionsOver(stage.state.clamp, stepsOf(promptOf, network) + body.length);
    body.top_k = Math.min(body.top_k, network.vocabulary.length);
    try {
      await ask(body, request, (name, data) => {
        if (name === "begin") say("");
        if (name !== "character") return;
        characters.push({ ...data, layers: data.layers.map(decoded) });
        showNext();
      });
      if (body.interventions.length) await compare(body, request);
    } catch (problem) {
      if (problem.name === "Problem") say(asSentence(problem.message));
      else if (problem.name !== "AbortError") throw problem;
    }
    if (running === request) running = null;
    if (!running) finish();
  }

  // While something is held: what the same seed writes when the network is left alone.
  function compare(body, request) {
    return ask({ ...body, interventions: [] }, request, (name, { text }) => {
      if (name !== "end") return;
      write(alone, text.startsWith(promptOf) ? text.slice(promptOf.length) : text, { lines: true });
      alone.parentElement.hidden = false;
    });
  }

  // Until the end of what it writes; where there is no place for it yet, that is said and waited for.
  function ask(body, { signal }, heard) {
    const onEvent = (name, data) => signal.aborted || heard(name, data);
    return patiently(() => readEvents("/api/generate", { body, signal, onEvent, last: "end" }), { signal, say });
  }

  // Characters may come faster than anybody reads: they are shown one by one, at once for people who asked for less
  // motion.
  function showNext() {
    if (timer || shown >= characters.length) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    do add(shown++);
    while (calm && shown < characters.length);
    point(shown - 1);
    written.scrollTop = written.scrollHeight;
    timer = setTimeout(() => {
      timer = 0;
      if (shown < characters.length) showNext();
      else finish();
    }, SHOW_EVERY);
  }

  function finish() {
    if (running || shown < characters.length) return;
    [begin.disabled, stop.disabled] = [false, true];
    read.disabled = !characters.length;
  }

  function add(k) {
    const letter = document.createElement("span");
    const token = network.vocabulary[characters[k].token] ?? "";
    write(letter, `${apart && (k || promptOf) ? " " : ""}${token}`, { lines: true });
    letter.dataset.k = k;
    written.append(letter);
    paint(letter);
  }

  function paint(letter) {
    const { layer, signal, unit } = stage.state;
    const value = characters[letter.dataset.k].layers[layer]?.[signal]?.[unit];
    const scale = stage.colour.scale(signal);
    letter.style.background = scale.css(value);
    letter.style.color = scale.ink(value);
  }

  // The gates that wrote one character: their mean over the units, and how likely the character was.
  function point(k) {
    const character = characters[k];
    if (!character) return;
    for (const letter of written.querySelectorAll(".pointed")) letter.classList.remove("pointed");
    written.querySelector(`[data-k="${k}"]`)?.classList.add("pointed");
    const layer = character.layers[Math.min(stage.state.layer, character.layers.length - 1)];
    const head = document.createElement("p");
    const token = foreign(visible(network.vocabulary[character.token]));
    write(head, `“${token}” with probability ${percent(character.probability)}`);
    const { signals } = stage.timeline.layers[Math.min(stage.state.layer, stage.timeline.layers.length - 1)].cell;
    const bars = signals
      .filter((signal) => layer[signal.id])
      .map((signal) => {
        const values = layer[signal.id];
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        // a signal that goes below zero has its zero in the middle of the bar
        const { low, high } = stage.colour.scale(signal.id);
        const place = (value) => (Math.max(low, Math.min(high, value)) - low) / (high - low);
        const bar = document.createElement("div");
        bar.className = "mean";
        bar.innerHTML = "<b></b><i></i><span></span>";
        writeAttribute(bar, "title", `${foreign(signal.title)}: mean over the units`);
        write(bar.children[0], signal.id);
        bar.style.setProperty("--hue", stage.colour.hue(signal.id));
        bar.children[1].style.setProperty("--from", Math.min(place(0), place(mean)));
        bar.children[1].style.setProperty("--to", Math.max(place(0), place(mean)));
        write(bar.children[2], number(mean));
        return bar;
      });
    beside.replaceChildren(head, ...bars);
  }

  // by its click, which Enter in a field makes too: a frame may be forbidden to submit anything
  begin.addEventListener("click", (event) => {
    event.preventDefault();
    start();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  stop.addEventListener("click", () => {
    running?.abort();
    running = null;
    characters.length = shown;
    finish();
  });
  read.addEventListener("click", () => {
    const text = [
      ...(promptOf ? [promptOf] : []),
      ...characters.slice(0, shown).map(({ token }) => network.vocabulary[token]),
    ].join(apart ? " " : "");
    if (stage.layout === "bench") return stage.choose({ text });
    const opened = window.open(`/?${writeAddress({ ...stage.address, text })}`, "_blank");
    if (opened) opened.opener = null;
    else say("This frame may not open the bench: the page around it does not allow that.");
  });
  written.addEventListener("pointerover", (event) => {
    if (event.target.dataset.k) point(+event.target.dataset.k);
  });
  written.addEventListener("keydown", (event) => event.stopPropagation());

  function draw() {
    for (const letter of written.querySelectorAll("[data-k]")) paint(letter);
    const { layer, signal, unit } = stage.state;
    writeAttribute(
      written,
      "aria-label",
      `What the network wrote after “${foreign((promptOf || prompt.value).slice(-40))}”, coloured by ` +
        `unit ${unit} of ${signal} in ${foreign(stage.timeline.layers[layer].title)}`,
    );
    if (characters.length) point(shown - 1);
  }
  return {
    draw,
    step() {},
    page() {},
    destroy() {
      clear();
      stage.removeEventListener("taken", follow);
      element.replaceChildren();
    },
  };
}

const decoded = (signals) => Object.fromEntries(Object.entries(signals).map(([id, base64]) => [id, decode(base64)]));

/**
 * Why a stage's network cannot write; "" where it can: only what predicts its own next input can go on writing it, and
 * only where the end is not read before it is written.
 */
export function whyNot({ network, task, timeline }) {
  if (network.numbered) return "This network has no vocabulary, so what it writes could not be read.";
  if (task.name === "states") return "This network has no readout: it guesses nothing, so it cannot write.";
  if (task.gives !== "next" || task.counts)
    return (
      `This network gives ${task.counts ? "numbers" : "classes"} and no next ${task.kind}: it has ` +
      "nothing to write."
    );
  return timeline.layers.some(({ reverse }) => reverse)
    ? "This network also reads from the end, which is not written yet: it cannot write."
    : "";
}

const promptFrom = (stage) => (whyNot(stage) ? "" : stage.state.text);

function makeField(parent, { id, label, ...limits }) {
  const holder = document.createElement("label");
  const field = document.createElement("input");
  field.type = "number";
  field.required = true;
  Object.assign(field, limits);
  field.name = id;
  holder.append(field);
  writeMore(holder, ` ${label}`);
  parent.append(holder);
  return field;
}

export default { id: "generate", title: "Write", mount, timeless: true, offAxis: true };
