// A trace made anywhere, out of a safetensors file: checked against its cell's description, then laid into a timeline like one the server sent.

import { BadFile, written } from "./safetensors.js";
import { Timeline } from "./timeline.js";

const GUESSES = 5, MOST_LAYERS = 64, LONGEST = 20000; // steps
const SIGNAL = /^(grad\.)?([a-z]+|layer\d{1,4}(?:_reverse)?)\.(\w+)$/, NORM = /^norm\.(\w+)\.(.+)$/, WEIGHTS = /^grad\.parameters\./;
const LAYER = /^layer(\d{1,4})(_reverse)?$/;
const OPERATIONS = { input: 0, state: 0, constant: 0, parameter: 0, linear: 1, sigmoid: 1, tanh: 1, relu: 1, add: 2, sub: 2, mul: 2 }; // and how many each reads
const ROLES = ["gate", "candidate", "state"];
const WEIGHT_OF_A_LAYER = /(^|\.)\w*_l\d+(_reverse)?$/; // how a state_dict ends its names

/** Whether a file means to be a trace and not the weights of a network. */
export function isTrace({ names, metadata }) {
  if ("cell" in metadata || "tokens" in metadata) return true;
  return names.some((name) => LAYER.test(SIGNAL.exec(name)?.[2])) && !names.some((name) => WEIGHT_OF_A_LAYER.test(name) && !WEIGHTS.test(name));
}

/** An opened Safetensors → {timeline, network, objective, aside: names of tensors that are none of a trace's}; throws BadFile. */
export async function readTrace(file, { cells, models }) {
  const { metadata } = file, cell = cellOf(metadata, cells);
  const parts = partsIn(file, cell);
  const { signals, norms, aside } = sort(file.names, parts);
  const first = signals.find(({ gradient }) => !gradient);
  if (!first) throw new BadFile(`No tensor is a signal of the cell “${cell.id}”: a trace of it has ${cell.signals.map(({ id }) => `“layer0.${id}”`).join(", ")}, or some of them.`);
  const shape = file.shape(first.name), [steps, hidden] = shape;
  if (shape.length !== 2 || !steps || !hidden) throw new BadFile(`“${first.name}” has the shape ${written(shape)}; a signal takes (N, H), one row a step, one column a unit.`);
  if (steps > LONGEST) throw new BadFile(`“${first.name}” has ${steps.toLocaleString("en")} steps; at most ${LONGEST.toLocaleString("en")} are shown.`);
  const expect = (name, wanted, why) => {
    if (written(file.shape(name)) !== written(wanted)) throw new BadFile(`“${name}” has the shape ${written(file.shape(name))}, but ${why} ${written(wanted)}.`);
  };
  // a projection, or another layer, may have another number of units; a signal and its gradient have the same
  for (const { name, gradient, layer, signal } of signals) {
    const like = gradient && signals.find((other) => !other.gradient && other.layer === layer && other.signal === signal);
    expect(name, like ? file.shape(like.name) : [steps, file.shape(name)[1] || 1], `“${(like || first).name}” has`);
  }
  for (const { name } of norms) expect(name, [steps], `${steps} steps take`);
  const has = (name) => file.names.includes(name);
  const width = has("logits") ? file.shape("logits")[1] : undefined;
  if (has("logits")) expect("logits", [steps, width || 1], `${steps} steps take`);
  const form = formOf(metadata, models), losses = { "many-to-many": form.gives === "next" ? steps - 1 : steps, "many-to-one": 1, "one-to-many": steps }[form.pattern];
  if (has("loss")) expect("loss", [losses], `${steps} steps have`);
  const values = "values" in metadata ? valuesOf(metadata, steps) : undefined;
  const { tokens, vocabulary, numbered: byNumber = false } = values ? { vocabulary: [] } : readText(metadata, { steps, width, models, form });

  for (const part of parts) part.hidden = file.shape(signals.find(({ layer }) => parts[layer] === part)?.name ?? first.name)[1];
  const timeline = new Timeline({ model: metadata.model, tokens, values, parts, hidden, cell, pattern: form.pattern, labels: form.labels }, cells);
  for (const { name, layer, signal } of signals) timeline.setWidth(layer, signal, file.shape(name)[1]);
  for (const { name, gradient, layer, signal } of signals) (gradient ? timeline.gradients(layer, signal) : timeline.values(layer, signal)).set(await file.values(name));
  for (const { name, layer, parameter } of norms) timeline.norms(layer, parameter).set(await file.values(name));
  if (has("loss")) timeline.losses.set(await file.values("loss"), form.pattern === "many-to-one" ? steps - 1 : 0);
  const counts = form.gives === "values" || (form.gives === "next" && values);
  if (has("logits") && counts) timeline.outputs = rowsOf(await file.values("logits"), width);
  else if (has("logits")) timeline.top = guesses(await file.values("logits"), steps, width);
  const targets = "targets" in metadata ? parsed(metadata, "targets", "a list, one entry a step that is judged") : null;
  timeline.complete({ gradients: signals.some(({ gradient }) => gradient), summary: {}, targets });
  const network = { id: file.file.name, title: file.file.name, vocabulary, numbered: byNumber, valued: Boolean(values), channels: values?.[0].length, form, opened: true };
  return { timeline, network, objective: ["every", "last"].find((word) => word === metadata.objective), aside };
}

// The layers a file has something of, from the input on; one of another name than `layer0`, `layer0_reverse`, … counts where the metadata describes it.
function partsIn({ names, metadata }, cell) {
  const told = "parts" in metadata ? parsed(metadata, "parts", "a list of the layers, each with a “name”") : [];
  const isPart = (part) => typeof part?.name === "string" && (!part.description || !wrongIn(part.description)) && (LAYER.test(part.name) || part.description);
  if (!Array.isArray(told) || !told.every(isPart)) throw new BadFile("The metadata “parts” takes a list of layers, each with a “name” such as “layer0” or a whole “description” of its cell.");
  const numbers = names.flatMap((name) => LAYER.exec(SIGNAL.exec(name)?.[2] ?? NORM.exec(name)?.[1])?.[1] ?? []).map(Number), most = Math.max(-1, ...numbers);
  if (most >= MOST_LAYERS) throw new BadFile(`“layer${most}” is named in the file; layers count from 0 and there may be ${MOST_LAYERS}.`);
  const bothWays = names.some((name) => LAYER.exec(SIGNAL.exec(name)?.[2])?.[2]);
  const listed = Array.from({ length: most + 1 }, (_, layer) => (bothWays ? [`layer${layer}`, `layer${layer}_reverse`] : [`layer${layer}`])).flat();
  const others = told.filter(({ name }) => !LAYER.test(name) && names.some((each) => SIGNAL.exec(each)?.[2] === name));
  return [...others, ...listed.map((name) => ({ name }))].map(({ name, description }) => ({ name, reverse: Boolean(LAYER.exec(name)?.[2]), description: description && completed(description), cell }));
}

// Which tensor is what; those of another name are left aside, a signal of this name but of another cell as well.
function sort(names, parts) {
  const found = { signals: [], norms: [], aside: [] }, at = (of) => parts.findIndex(({ name }) => name === of);
  for (const name of names) {
    const [, gradient, of, signal] = SIGNAL.exec(name) ?? [], [, row, parameter] = NORM.exec(name) ?? [], layer = at(of ?? row), part = parts[layer];
    if (part && (part.description ?? part.cell).signals.some(({ id }) => id === signal)) found.signals.push({ name, gradient: Boolean(gradient), layer, signal });
    else if (part && parameter) found.norms.push({ name, layer, parameter });
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
  return completed(given);
}

// A description with a default for all that the views can do without.
function completed(given) {
  const signals = given.signals.map((signal) => ({ range: signal.role === "gate" ? [0, 1] : [-1, 1], title: signal.id, equation: "", reads: [], road: false, ...signal }));
  return { title: given.id, ...given, signals };
}

// What the network reads and gives, and when: as the file says, else as the network of this name, else characters and the next one.
function formOf({ pattern, task, labels, model, values, targets }, models) {
  const known = models.find(({ id }) => id === model)?.form, gives = { classes: "classes", values: values && !targets ? "next" : "values" }[task] ?? "next";
  const found = { reads: values ? "values" : task === "words" ? "words" : "characters", gives, pattern: "many-to-many", steps: 1, ...known };
  if (["many-to-many", "many-to-one", "one-to-many"].includes(pattern)) found.pattern = pattern;
  found.labels = labels === undefined ? (known?.labels ?? []) : parsed({ labels }, "labels", "a list of names");
  if (!Array.isArray(found.labels) || !found.labels.every((label) => typeof label === "string")) throw new BadFile("The metadata “labels” takes a JSON list of names.");
  return found;
}

// The numbers each step read.
function valuesOf(metadata, steps) {
  const values = parsed(metadata, "values", "a list of steps with the same number of numbers each");
  const sound = Array.isArray(values) && values.every((row) => Array.isArray(row) && row.length && row.length === values[0].length && row.every(Number.isFinite));
  if (!sound) throw new BadFile("The metadata “values” takes a JSON list of steps, each a list of as many numbers.");
  if (values.length !== steps) throw new BadFile(`The metadata “values” has ${values.length} entries, but the signals have ${steps} steps.`);
  return values;
}

function rowsOf(numbers, width) {
  return Array.from({ length: numbers.length / width }, (_, t) => [...numbers.subarray(t * width, (t + 1) * width)]);
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
function readText(metadata, { steps, width, models, form }) {
  const isText = (entry) => typeof entry === "string";
  const characters = isText(metadata.text) ? (form.reads === "words" ? metadata.text.split(/\s+/).filter(Boolean) : [...metadata.text]) : null;
  const next = form.gives === "next"; // else the readout's columns are no tokens
  const tokens = "tokens" in metadata ? parsed(metadata, "tokens", "a list of whole numbers") : null;
  let vocabulary = "vocabulary" in metadata ? parsed(metadata, "vocabulary", "a list of strings") : null;
  if (vocabulary && !(Array.isArray(vocabulary) && vocabulary.length && vocabulary.every(isText))) throw new BadFile("The metadata “vocabulary” takes a JSON list of strings.");
  if (vocabulary && next && width && vocabulary.length !== width) throw new BadFile(`The metadata “vocabulary” has ${vocabulary.length} entries, but “logits” has ${width} columns.`);
  if (tokens && !(Array.isArray(tokens) && tokens.every((token) => Number.isInteger(token) && token >= (form.pattern === "one-to-many" ? -1 : 0) && token < 1e6))) throw new BadFile("The metadata “tokens” takes a JSON list of whole numbers from 0 on.");
  if (tokens && tokens.length !== steps) throw new BadFile(`The metadata “tokens” has ${tokens.length} entries, but the signals have ${steps} steps.`);
  if (!tokens && characters && characters.length !== steps) throw new BadFile(`The metadata “text” has ${characters.length} characters, but the signals have ${steps} steps.`);
  const known = models.find(({ id }) => id === metadata.model)?.vocabulary, last = tokens ? Math.max(...tokens) : 0;
  const fits = known?.length && (!next || !width || known.length === width) && last < known.length;
  vocabulary ??= fits ? known : null;
  if (vocabulary && last >= vocabulary.length) throw new BadFile(`The metadata “tokens” has ${last}, but “vocabulary” ends at ${vocabulary.length - 1}.`);
  if (tokens) return { tokens, vocabulary: vocabulary ?? numbered(Math.max((next && width) || 0, last + 1), tokens, characters), numbered: !vocabulary && !characters };
  const names = [...(vocabulary ?? numbered((next && width) || 0))], read = characters ?? Array(steps).fill("·");
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
