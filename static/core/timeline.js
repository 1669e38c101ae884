// One trace as the page holds it: filled frame by frame, NaN where nothing has come yet.

import { SINGLE } from "./half.js";

/** Base64 of little-endian float16 → Float32Array. */
export function decode(base64) {
  const bytes = atob(base64), values = new Float32Array(bytes.length / 2);
  for (let i = 0; i < values.length; i++) values[i] = SINGLE[bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8)];
  return values;
}

export class Timeline {
  /** From the data of a `begin` event and the list of cells the page knows. */
  constructor(begin, cells) {
    this.model = begin.model;
    this.tokens = begin.tokens;
    this.steps = begin.tokens.length;
    this.layers = begin.layers;
    this.hidden = begin.hidden;
    this.cell = typeof begin.cell === "string" ? cells.find((cell) => cell.id === begin.cell) : begin.cell;
    this.forwardTo = 0;
    this.backwardFrom = this.steps;
    this.done = false;
    this.summary = null;
    this.losses = new Float32Array(this.steps).fill(NaN);
    this.top = [];
    this.tables = new Map();
    this.means = new Map();
    this.gradientNorms = new Map();
  }

  add(name, data) {
    if (name === "forward") this.#addForward(data);
    else if (name === "backward") this.#addBackward(data);
    else if (name === "end") [this.summary, this.done] = [data, true];
    if (name === "forward") this.means.clear();
    if (name === "backward") this.gradientNorms.clear();
  }

  #addForward({ t, n, layers, loss, top }) {
    this.losses.set(decode(loss), t);
    top.forEach((guesses, k) => { this.top[t + k] = guesses; });
    layers.forEach((signals, layer) => {
      for (const [signal, base64] of Object.entries(signals)) this.values(layer, signal).set(decode(base64), t * this.hidden);
    });
    this.forwardTo = Math.max(this.forwardTo, t + n);
  }

  // Rows come in falling t (t, t−1, …) and are put where they belong.
  #addBackward({ t, n, layers, norms, gradient_norms: sizes = [] }) {
    const width = this.hidden;
    layers.forEach((signals, layer) => {
      for (const [signal, base64] of Object.entries(signals)) {
        const rows = decode(base64), table = this.gradients(layer, signal);
        for (let k = 0; k < n; k++) table.set(rows.subarray(k * width, (k + 1) * width), (t - k) * width);
      }
    });
    norms.forEach((parameters, layer) => {
      for (const [parameter, base64] of Object.entries(parameters)) {
        const shares = decode(base64), table = this.norms(layer, parameter);
        for (let k = 0; k < n; k++) table[t - k] = shares[k];
      }
    });
    sizes.forEach((signals, layer) => {
      for (const [signal, numbers] of Object.entries(signals)) {
        const table = this.#table("size", layer, signal, this.steps);
        for (let k = 0; k < n; k++) table[t - k] = numbers[k];
      }
    });
    this.backwardFrom = Math.min(this.backwardFrom, t - n + 1);
  }

  #table(kind, layer, name, length) {
    const key = `${kind} ${layer} ${name}`;
    if (!this.tables.has(key)) this.tables.set(key, new Float32Array(length).fill(NaN));
    return this.tables.get(key);
  }

  /** What a signal was, every step and unit: Float32Array (N·H), index t·H + unit. */
  values(layer, signal) { return this.#table("value", layer, signal, this.steps * this.hidden); }

  /** ∂L/∂signal, laid out as `values`. */
  gradients(layer, signal) { return this.#table("gradient", layer, signal, this.steps * this.hidden); }

  /** Norm of each step's share of one parameter's gradient: Float32Array (N). */
  norms(layer, parameter) { return this.#table("norm", layer, parameter, this.steps); }

  /** Names of the parameters of a layer whose norms have come. */
  parameters(layer) {
    const start = `norm ${layer} `;
    return [...this.tables.keys()].filter((key) => key.startsWith(start)).map((key) => key.slice(start.length));
  }

  /** ‖∂L/∂signal_t‖₂ over the units: Float32Array (N). As the server sent it: half precision ends where gradients vanish. */
  gradientNorm(layer, signal) {
    return this.tables.get(`size ${layer} ${signal}`) ?? this.#perStep(this.gradientNorms, layer, signal, this.gradients(layer, signal), (sum, value) => sum + value * value, Math.sqrt);
  }

  /** Mean over the units: Float32Array (N). */
  mean(layer, signal) {
    return this.#perStep(this.means, layer, signal, this.values(layer, signal), (sum, value) => sum + value, (sum) => sum / this.hidden);
  }

  /** Says that all there will ever be has been put into the tables; without gradients the backward pass stays empty. */
  complete({ gradients, summary }) {
    Object.assign(this, { forwardTo: this.steps, backwardFrom: gradients ? 0 : this.steps, done: true, summary });
  }

  // One number a step, kept until new data come.
  #perStep(kept, layer, signal, table, add, finish) {
    const key = `${layer} ${signal}`;
    if (!kept.has(key)) {
      const numbers = new Float32Array(this.steps);
      for (let t = 0, at = 0; t < this.steps; t++) {
        let sum = 0;
        for (let unit = 0; unit < this.hidden; unit++, at++) sum = add(sum, table[at]);
        numbers[t] = finish(sum);
      }
      kept.set(key, numbers);
    }
    return kept.get(key);
  }
}
