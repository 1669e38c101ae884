// A trace made anywhere, out of a safetensors file: checked against its cell's description, then laid into a timeline like one the server sent.

import { BadFile, written } from "./safetensors.js";
import { Timeline } from "./timeline.js";

const GUESSES = 5, MOST_LAYERS = 64, LONGEST = 20000; // steps
const SIGNAL = /^(grad\.)?layer(\d{1,4})\.(\w+)$/, NORM = /^norm\.layer(\d{1,4})\.(.+)$/, WEIGHTS = /^grad\.parameters\./;
const OPERATIONS = { input: 0, state: 0, constant: 0, parameter: 0, linear: 1, sigmoid: 1, tanh: 1, relu: 1, add: 2, sub: 2, mul: 2 }; // and how many each reads
const ROLES = ["gate", "candidate", "state"];
const WEIGHT_OF_A_LAYER = /(^|\.)\w*_l\d+(_reverse)?$/; // how a state_dict ends its names

/** Whether a file means to be a trace and not the weights of a network. */
export function isTrace({ names, metadata }) {
  if ("cell" in metadata || "tokens" in metadata) return true;
  return names.some((name) => SIGNAL.test(name)) && !names.some((name) => WEIGHT_OF_A_LAYER.test(name) && !WEIGHTS.test(name));
}

/** An opened Safetensors → {timeline, network, objective, aside: names of tensors that are none of a trace's}; throws BadFile. */
export async function readTrace(file, { cells, models }) {
  const { metadata } = file, cell = cellOf(metadata, cells);
  const { signals, norms, aside } = sort(file.names, cell);
  const first = signals.find(({ gradient }) => !gradient);
  if (!first) throw new BadFile(`No tensor is a signal of the cell “${cell.id}”: a trace of it has ${cell.signals.map(({ id }) => `“layer0.${id}”`).join(", ")}, or some of them.`);
  const shape = file.shape(first.name), [steps, hidden] = shape;
  if (shape.length !== 2 || !steps || !hidden) throw new BadFile(`“${first.name}” has the shape ${written(shape)}; a signal takes (N, H), one row a step, one column a unit.`);
  if (steps > LONGEST) throw new BadFile(`“${first.name}” has ${steps.toLocaleString("en")} steps; at most ${LONGEST.toLocaleString("en")} are shown.`);
  const expect = (name, wanted, why) => {
    if (written(file.shape(name)) !== written(wanted)) throw new BadFile(`“${name}” has the shape ${written(file.shape(name))}, but ${why} ${written(wanted)}.`);
  };
  for (const { name } of signals) expect(name, shape, `“${first.name}” has`);
  for (const { name } of norms) expect(name, [steps], `${steps} steps take`);
  const has = (name) => file.names.includes(name);
  const width = has("logits") ? file.shape("logits")[1] : undefined;
  if (has("logits")) expect("logits", [steps, width || 1], `${steps} steps take`);
  if (has("loss")) expect("loss", [steps - 1], `${steps} steps have`);
  const { tokens, vocabulary, numbered: byNumber = false } = readText(metadata, { steps, width, models });

  const layers = Math.max(...signals.map(({ layer }) => layer), ...norms.map(({ layer }) => layer)) + 1;
  const timeline = new Timeline({ model: metadata.model, tokens, layers, hidden, cell }, cells);
  for (const { name, gradient, layer, signal } of signals) (gradient ? timeline.gradients(layer, signal) : timeline.values(layer, signal)).set(await file.values(name));
  for (const { name, layer, parameter } of norms) timeline.norms(layer, parameter).set(await file.values(name));
  if (has("loss")) timeline.losses.set(await file.values("loss"));
  if (has("logits")) timeline.top = guesses(await file.values("logits"), steps, width);
  timeline.complete({ gradients: signals.some(({ gradient }) => gradient), summary: {} });
  const network = { id: file.file.name, title: file.file.name, vocabulary, numbered: byNumber, opened: true };
  return { timeline, network, objective: ["every", "last"].find((word) => word === metadata.objective), aside };
}

// Which tensor is what; those of another name are left aside, a signal of this name but of another cell as well.
function sort(names, cell) {
  const known = new Set(cell.signals.map(({ id }) => id)), found = { signals: [], norms: [], aside: [] };
  for (const name of names) {
    const [, gradient, at, signal] = SIGNAL.exec(name) ?? [], [, row, parameter] = NORM.exec(name) ?? [], layer = Number(at ?? row);
    if (layer >= MOST_LAYERS) throw new BadFile(`“${name}” is of layer ${layer}; layers count from 0 and there may be ${MOST_LAYERS}.`);
    if (known.has(signal)) found.signals.push({ name, gradient: Boolean(gradient), layer, signal });
    else if (parameter) found.norms.push({ name, layer, parameter });
    else if (!["logits", "loss"].includes(name) && !WEIGHTS.test(name)) found.aside.push(name);
  }
  return found;
}

function parsed(metadata, key, expected) {
  try {
    return JSON.parse(metadata[key]);
  } catch {
    throw new BadFile(`The metadata “${key}” is not JSON: it takes ${expected}.`);
  }
}

// The cell: the id of one this page knows, or a description of the shape of those at /api/cells.
function cellOf(metadata, cells) {
  const ids = cells.map(({ id }) => id).join(", ");
  const text = metadata.cell?.trim();
  if (!text) throw new BadFile(`The file does not say which cell it is of: its metadata needs “cell”, one of ${ids}, or a description like those of /api/cells.`);
  const given = /^[\w.-]+$/.test(text) ? { id: text } : parsed(metadata, "cell", `one of ${ids}, or a description`);
  const known = cells.find(({ id }) => id === (given?.id ?? given));
  if (known && !given.graph) return known;
  const wrong = wrongIn(given);
  if (wrong) throw new BadFile(`The metadata “cell” is not a cell this page knows (${ids}), and as a description ${wrong}.`);
  const { id, title = id, states, graph } = given;
  const signals = given.signals.map((signal) => ({ range: signal.role === "gate" ? [0, 1] : [-1, 1], title: signal.id, equation: "", reads: [], road: false, ...signal }));
  return { ...given, id, title, states, graph, signals };
}

// What a description lacks for the views to draw from it, in words; nothing when it is whole.
function wrongIn(given) {
  const isName = (text) => typeof text === "string" && /^\w{1,20}$/.test(text), { id, states, signals, graph } = given ?? {};
  if (!isName(id)) return "it lacks an “id”";
  if (!Array.isArray(signals) || !signals.length || !signals.every((signal) => isName(signal?.id) && ROLES.includes(signal.role))) return `it lacks “signals”, each with an “id” and a “role” out of ${ROLES.join(", ")}`;
  const isState = (state) => signals.some((signal) => signal.id === state && signal.role === "state");
  if (!Array.isArray(states) || !states.length || !states.every(isState)) return "it lacks “states” that are among its signals";
  if (!signals.every(({ title = "", equation = "", range = [0, 1] }) => typeof title === "string" && typeof equation === "string" && (range === null || (range.length === 2 && range.every(Number.isFinite))))) return "a signal’s “title”, “equation” or “range” is of the wrong type";
  const sound = Array.isArray(graph) && graph.every((node, k) => node && Object.hasOwn(OPERATIONS, node.op) && Array.isArray(node.reads)
    && node.reads.length === OPERATIONS[node.op] && node.reads.every((read) => Number.isInteger(read) && read >= 0 && read < k)
    && (node.op !== "state" || isName(node.name)));
  if (!sound || !signals.every((signal) => graph.some((node) => node.signal === signal.id))) return "its “graph” does not make each signal out of nodes before it";
  return null;
}

// What each step read: tokens with or without a vocabulary, or a text; nothing known is a dot a step.
function readText(metadata, { steps, width, models }) {
  const isText = (entry) => typeof entry === "string";
  const characters = isText(metadata.text) ? [...metadata.text] : null;
  const tokens = "tokens" in metadata ? parsed(metadata, "tokens", "a list of whole numbers") : null;
  let vocabulary = "vocabulary" in metadata ? parsed(metadata, "vocabulary", "a list of strings") : null;
  if (vocabulary && !(Array.isArray(vocabulary) && vocabulary.length && vocabulary.every(isText))) throw new BadFile("The metadata “vocabulary” takes a JSON list of strings.");
  if (vocabulary && width && vocabulary.length !== width) throw new BadFile(`The metadata “vocabulary” has ${vocabulary.length} entries, but “logits” has ${width} columns.`);
  if (tokens && !(Array.isArray(tokens) && tokens.every((token) => Number.isInteger(token) && token >= 0 && token < 1e6))) throw new BadFile("The metadata “tokens” takes a JSON list of whole numbers from 0 on.");
  if (tokens && tokens.length !== steps) throw new BadFile(`The metadata “tokens” has ${tokens.length} entries, but the signals have ${steps} steps.`);
  if (!tokens && characters && characters.length !== steps) throw new BadFile(`The metadata “text” has ${characters.length} characters, but the signals have ${steps} steps.`);
  const known = models.find(({ id }) => id === metadata.model)?.vocabulary, last = tokens ? Math.max(...tokens) : 0;
  const fits = known?.length && (!width || known.length === width) && last < known.length;
  vocabulary ??= fits ? known : null;
  if (vocabulary && last >= vocabulary.length) throw new BadFile(`The metadata “tokens” has ${last}, but “vocabulary” ends at ${vocabulary.length - 1}.`);
  if (tokens) return { tokens, vocabulary: vocabulary ?? numbered(Math.max(width ?? 0, last + 1), tokens, characters), numbered: !vocabulary && !characters };
  const names = [...(vocabulary ?? numbered(width ?? 0))], read = characters ?? Array(steps).fill("·");
  return { vocabulary: names, tokens: read.map((character) => (names.includes(character) ? names.indexOf(character) : names.push(character) - 1)) };
}

// Without a vocabulary a token is called by its number, or by the character that stands in the text at its place.
function numbered(many, tokens = [], characters = null) {
  const names = Array.from({ length: many }, (_, token) => String(token));
  if (characters?.length === tokens.length) tokens.forEach((token, t) => { names[token] = characters[t]; });
  return names;
}

// The likeliest next tokens of every step, as the server names them: [[token, probability]…], likeliest first.
function guesses(logits, steps, width) {
  return Array.from({ length: steps }, (_, t) => {
    const row = logits.subarray(t * width, (t + 1) * width), best = [];
    const most = row.reduce((a, b) => Math.max(a, b), -Infinity);
    let sum = 0;
    row.forEach((logit, token) => {
      sum += Math.exp(logit - most);
      if (best.length === GUESSES && !(logit > row[best[GUESSES - 1]])) return;
      const place = best.findIndex((other) => logit > row[other]);
      best.splice(place < 0 ? best.length : place, 0, token);
      best.length = Math.min(best.length, GUESSES);
    });
    return best.map((token) => [token, Math.exp(row[token] - most) / sum]);
  });
}
