// A trace made anywhere, out of a safetensors file: checked against its cell's description, then laid into a timeline
// like one the server sent.

import { completed, faultOf } from "./cell_description.js";
import { BadFile, shapeText } from "./safetensors.js";
import { Timeline } from "./timeline.js";
import { cellOf, parsed, taskOf, textOfTrace, valuesOf } from "./trace_metadata.js";

const GUESSES = 5;
const MOST_LAYERS = 64;
const LONGEST = 20000; // steps
const SIGNAL = /^(grad\.)?([a-z]+|layer\d{1,4}(?:_reverse)?)\.(\w+)$/;
const NORM = /^norm\.(\w+)\.(.+)$/;
const WEIGHTS = /^grad\.parameters\./;
const LAYER = /^layer(\d{1,4})(_reverse)?$/;
const WEIGHT_OF_A_LAYER = /(^|\.)\w*_l\d+(_reverse)?$/; // how a state_dict ends its names

/** Whether a file means to be a trace and not the weights of a network. */
export function isTrace({ names, metadata }) {
  if ("cell" in metadata || "tokens" in metadata) return true;
  return (
    names.some((name) => LAYER.test(SIGNAL.exec(name)?.[2])) &&
    !names.some((name) => WEIGHT_OF_A_LAYER.test(name) && !WEIGHTS.test(name))
  );
}

/**
 * An opened Safetensors → {timeline, network, objective, aside: names of tensors that are none of a trace's}; throws
 * BadFile.
 */
export async function readTrace(file, { cells, models }) {
  const { metadata } = file;
  const cell = cellOf(metadata, cells);
  const layers = layersIn(file, cell, cells[0].operations);
  const tensors = sorted(file.names, layers);
  const { steps, hidden, width } = sizeOf(file, cell, tensors);
  const task = taskOf(metadata, models);
  if (file.names.includes("loss")) expectShape(file, "loss", [losses(task, steps)], `${steps} steps have`);
  const values = "values" in metadata ? valuesOf(metadata, steps) : undefined;
  const read = values ? { vocabulary: [] } : textOfTrace(metadata, { steps, width, models, task });

  const { model } = metadata;
  const parts = layers.map((layer, k) => ({ ...layer, hidden: widthOf(file, tensors, k) ?? hidden }));
  const { pattern, labels } = task;
  const timeline = new Timeline({ model, tokens: read.tokens, values, parts, hidden, cell, pattern, labels }, cells);
  await fill(timeline, file, tensors);
  await fillGuesses(timeline, file, { task, values, width });
  const targets = "targets" in metadata ? parsed(metadata, "targets", "a list, one entry a step that is judged") : null;
  timeline.complete({ gradients: tensors.signals.some(({ gradient }) => gradient), summary: {}, targets });
  const objective = ["every", "last"].find((word) => word === metadata.objective);
  return { timeline, network: networkOf(file, task, read, values), objective, aside: tensors.aside };
}

// The layers a file has something of, from the input on; one of another name than `layer0`, `layer0_reverse`, … counts
// where the metadata describes it.
function layersIn({ names, metadata }, cell, operations) {
  const described = describedLayers(metadata, operations);
  const inTensor = (name) => LAYER.exec(SIGNAL.exec(name)?.[2] ?? NORM.exec(name)?.[1])?.[1] ?? [];
  const most = Math.max(-1, ...names.flatMap(inTensor).map(Number));
  if (most >= MOST_LAYERS)
    throw new BadFile(`“layer${most}” is named in the file; layers count from 0 and there may be ${MOST_LAYERS}.`);
  const bothWays = names.some((name) => LAYER.exec(SIGNAL.exec(name)?.[2])?.[2]);
  const numbered = Array.from({ length: most + 1 }, (_, layer) =>
    bothWays ? [`layer${layer}`, `layer${layer}_reverse`] : [`layer${layer}`],
  ).flat();
  const isThere = ({ name }) => !LAYER.test(name) && names.some((each) => SIGNAL.exec(each)?.[2] === name);
  const all = [...described.filter(isThere), ...numbered.map((name) => ({ name }))];
  return all.map(({ name, description }) => ({
    name,
    reverse: Boolean(LAYER.exec(name)?.[2]),
    description: description && completed(description, operations),
    cell,
  }));
}

function describedLayers(metadata, operations) {
  if (!("parts" in metadata)) return [];
  const described = parsed(metadata, "parts", "a list of the layers, each with a “name”");
  const isLayer = (layer) =>
    typeof layer?.name === "string" &&
    (!layer.description || !faultOf(layer.description, operations)) &&
    (LAYER.test(layer.name) || layer.description);
  if (!Array.isArray(described) || !described.every(isLayer))
    throw new BadFile(
      "The metadata “parts” takes a list of layers, each with a “name” such as “layer0” or a whole " +
        "“description” of its cell.",
    );
  return described;
}

// Which tensor is what; those of another name are left aside, a signal of this name but of another cell as well.
function sorted(names, layers) {
  const found = { signals: [], norms: [], aside: [] };
  for (const name of names) {
    const [, gradient, of, signal] = SIGNAL.exec(name) ?? [];
    const [, row, parameter] = NORM.exec(name) ?? [];
    const layer = layers.findIndex((each) => each.name === (of ?? row));
    const cell = layers[layer]?.description ?? layers[layer]?.cell;
    if (cell?.signals.some(({ id }) => id === signal))
      found.signals.push({ name, gradient: Boolean(gradient), layer, signal });
    else if (cell && parameter) found.norms.push({ name, layer, parameter });
    else if (!["logits", "loss"].includes(name) && !WEIGHTS.test(name)) found.aside.push(name);
  }
  return found;
}

function expectShape(file, name, wanted, why) {
  const shape = shapeText(file.shape(name));
  if (shape !== shapeText(wanted))
    throw new BadFile(`“${name}” has the shape ${shape}, but ${why} ${shapeText(wanted)}.`);
}

// How many steps and units a trace has, and classes at the end; every tensor must fit them.
function sizeOf(file, cell, { signals, norms }) {
  const first = signals.find(({ gradient }) => !gradient);
  if (!first)
    throw new BadFile(
      `No tensor is a signal of the cell “${cell.id}”: a trace of it has ` +
        `${cell.signals.map(({ id }) => `“layer0.${id}”`).join(", ")}, or some of them.`,
    );
  const shape = file.shape(first.name);
  const [steps, hidden] = shape;
  if (shape.length !== 2 || !steps || !hidden)
    throw new BadFile(
      `“${first.name}” has the shape ${shapeText(shape)}; a signal takes (N, H), one row a step, one column a unit.`,
    );
  if (steps > LONGEST)
    throw new BadFile(
      `“${first.name}” has ${steps.toLocaleString("en")} steps; at most ${LONGEST.toLocaleString("en")} are shown.`,
    );
  // a projection, or another layer, may have another number of units; a signal and its gradient have the same
  for (const { name, gradient, layer, signal } of signals) {
    const like =
      gradient && signals.find((other) => !other.gradient && other.layer === layer && other.signal === signal);
    const wanted = like ? file.shape(like.name) : [steps, file.shape(name)[1] || 1];
    expectShape(file, name, wanted, `“${(like || first).name}” has`);
  }
  for (const { name } of norms) expectShape(file, name, [steps], `${steps} steps take`);
  const width = file.names.includes("logits") ? file.shape("logits")[1] : undefined;
  if (file.names.includes("logits")) expectShape(file, "logits", [steps, width || 1], `${steps} steps take`);
  return { steps, hidden, width };
}

const widthOf = (file, { signals }, layer) => {
  const one = signals.find((signal) => signal.layer === layer);
  return one && file.shape(one.name)[1];
};

// At how many steps there is a loss.
function losses({ gives, pattern }, steps) {
  if (pattern === "many-to-one") return 1;
  return pattern === "many-to-many" && gives === "next" ? steps - 1 : steps;
}

async function fill(timeline, file, { signals, norms }) {
  for (const { name, layer, signal } of signals) timeline.setWidth(layer, signal, file.shape(name)[1]);
  for (const { name, gradient, layer, signal } of signals) {
    const table = gradient ? timeline.gradients(layer, signal) : timeline.values(layer, signal);
    table.set(await file.values(name));
  }
  for (const { name, layer, parameter } of norms) timeline.norms(layer, parameter).set(await file.values(name));
}

// The loss, and what the readout gives: numbers, or the likeliest of its classes.
async function fillGuesses(timeline, file, { task, values, width }) {
  const { names } = file;
  const { steps } = timeline;
  if (names.includes("loss"))
    timeline.losses.set(await file.values("loss"), task.pattern === "many-to-one" ? steps - 1 : 0);
  if (!names.includes("logits")) return;
  const logits = await file.values("logits");
  const rows = Array.from({ length: steps }, (_, t) => logits.subarray(t * width, (t + 1) * width));
  const givesNumbers = task.gives === "values" || (task.gives === "next" && values);
  if (givesNumbers) timeline.outputs = rows.map((row) => [...row]);
  else timeline.top = rows.map(likeliest);
}

// The likeliest classes of one step, as the server names them: [[class, probability]…], likeliest first.
function likeliest(logits) {
  const best = [];
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  let sum = 0;
  logits.forEach((logit, token) => {
    sum += Math.exp(logit - most);
    if (best.length === GUESSES && !(logit > logits[best[GUESSES - 1]])) return;
    const place = best.findIndex((other) => logit > logits[other]);
    best.splice(place < 0 ? best.length : place, 0, token);
    best.length = Math.min(best.length, GUESSES);
  });
  return best.map((token) => [token, Math.exp(logits[token] - most) / sum]);
}

// The network of an opened trace as the page has networks: it can be looked at, and nothing else.
function networkOf({ file }, task, { vocabulary, numbered = false }, values) {
  const { name } = file;
  const channels = values?.[0].length;
  const reading = { vocabulary, numbered, valued: Boolean(values), channels };
  return { id: name, title: name, ...reading, form: task, opened: true };
}
