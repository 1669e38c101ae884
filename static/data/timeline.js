// One trace as the page holds it: filled frame by frame, NaN where nothing has come yet.

import { layersOf } from "./layers.js";

/** Base64 of little-endian float16 → Float32Array. */
export const decode = (base64) => new Float32Array(new Float16Array(Uint8Array.fromBase64(base64).buffer));

// One number a step out of the units of a table: of which table, and how it is worked out of one step's numbers.
const SUMMARIES = {
  mean: { kind: "value", of: (row) => row.reduce((sum, value) => sum + value, 0) / row.length },
  norm: { kind: "gradient", of: (row) => Math.sqrt(row.reduce((sum, value) => sum + value * value, 0)) },
};

export class Timeline {
  /**
   * From the data of a `begin` event and the list of cells the page knows. `layer` counts from the input on,
   * everywhere.
   */
  constructor(begin, cells) {
    const { model, tokens, values, labels, pattern = "many-to-many" } = begin;
    Object.assign(this, { model, tokens: tokens ?? [], inputValues: values ?? null, labels, pattern, targets: null });
    this.steps = (tokens ?? values).length;
    this.cell = typeof begin.cell === "string" ? cells.find((cell) => cell.id === begin.cell) : begin.cell;
    this.layers = layersOf(begin, this.cell);
    this.forwardTo = 0;
    this.backwardFrom = this.steps;
    this.done = false;
    this.summary = null;
    this.losses = new Float32Array(this.steps).fill(NaN);
    this.top = [];
    this.outputs = []; // the numbers it gives, one list a step
    this.tables = new Map();
    this.widths = new Map();
    this.summaries = new Map();
  }

  add(name, data) {
    if (name === "forward") this.#addForward(data);
    else if (name === "backward") this.#addBackward(data);
    else if (name === "end") [this.summary, this.targets, this.done] = [data, data.targets ?? null, true];
  }

  #addForward({ t, n, layers, loss, top, outputs }) {
    this.losses.set(decode(loss), t);
    top?.forEach((guesses, k) => {
      this.top[t + k] = guesses;
    });
    if (outputs) this.#setOutputs(decode(outputs), t, n);
    layers.forEach((signals, layer) => {
      for (const [signal, base64] of Object.entries(signals)) {
        const rows = decode(base64);
        this.setWidth(layer, signal, rows.length / n);
        this.values(layer, signal).set(rows, t * this.width(layer, signal));
        this.#summarise("mean", layer, signal, t, t + n);
      }
    });
    this.forwardTo = Math.max(this.forwardTo, t + n);
  }

  #setOutputs(rows, t, n) {
    const width = rows.length / n;
    for (let k = 0; k < n; k++) this.outputs[t + k] = [...rows.subarray(k * width, (k + 1) * width)];
  }

  // Rows come in falling t (t, t−1, …) and are put where they belong.
  #addBackward({ t, n, layers, norms, gradient_norms: sizes = [] }) {
    layers.forEach((signals, layer) => {
      for (const [signal, base64] of Object.entries(signals)) {
        const rows = decode(base64);
        const width = rows.length / n;
        this.setWidth(layer, signal, width);
        const table = this.gradients(layer, signal);
        for (let k = 0; k < n; k++) table.set(rows.subarray(k * width, (k + 1) * width), (t - k) * width);
        this.#summarise("norm", layer, signal, t - n + 1, t + 1);
      }
    });
    const fill = (table, numbers) => {
      for (let k = 0; k < n; k++) table[t - k] = numbers[k];
    };
    norms.forEach((parameters, layer) => {
      for (const [parameter, base64] of Object.entries(parameters)) fill(this.norms(layer, parameter), decode(base64));
    });
    // the same and the signals' as plain numbers: half precision ends where gradients vanish
    sizes.forEach((named, layer) => {
      for (const [name, numbers] of Object.entries(named)) {
        fill(name in norms[layer] ? this.norms(layer, name) : this.#table("size", layer, name, this.steps), numbers);
      }
    });
    this.backwardFrom = Math.min(this.backwardFrom, t - n + 1);
  }

  #table(kind, layer, name, length) {
    const key = `${kind} ${layer} ${name}`;
    if (this.tables.get(key)?.length !== length) this.tables.set(key, new Float32Array(length).fill(NaN));
    return this.tables.get(key);
  }

  /** How many numbers a signal of a layer has at each step: not every one has as many as the layer has units. */
  width(layer, signal) {
    return this.widths.get(`${layer} ${signal}`) ?? this.layers[layer].hidden;
  }
  setWidth(layer, signal, width) {
    this.widths.set(`${layer} ${signal}`, width);
  }

  /** What a signal was, every step and unit: Float32Array (N·width), index t·width + unit. */
  values(layer, signal) {
    return this.#table("value", layer, signal, this.steps * this.width(layer, signal));
  }

  /** ∂L/∂signal, laid out as `values`. */
  gradients(layer, signal) {
    return this.#table("gradient", layer, signal, this.steps * this.width(layer, signal));
  }

  /** One number of a signal; NaN where there is none. */
  valueAt(layer, signal, t, unit) {
    return this.#one(this.values(layer, signal), this.width(layer, signal), t, unit);
  }
  gradientAt(layer, signal, t, unit) {
    return this.#one(this.gradients(layer, signal), this.width(layer, signal), t, unit);
  }

  #one(table, width, t, unit) {
    return unit < width && t >= 0 && t < this.steps ? table[t * width + unit] : NaN;
  }

  /** Norm of each step's share of one parameter's gradient: Float32Array (N). */
  norms(layer, parameter) {
    return this.#table("norm", layer, parameter, this.steps);
  }

  /** Names of the parameters of a layer whose norms have come. */
  parameters(layer) {
    const start = `norm ${layer} `;
    return [...this.tables.keys()].filter((key) => key.startsWith(start)).map((key) => key.slice(start.length));
  }

  /**
   * ‖∂L/∂signal_t‖₂ over the units: Float32Array (N). As the server sent it: half precision ends where gradients
   * vanish.
   */
  gradientNorm(layer, signal) {
    return this.tables.get(`size ${layer} ${signal}`) ?? this.#summary("norm", layer, signal);
  }

  /** Mean over the units: Float32Array (N). */
  mean(layer, signal) {
    return this.#summary("mean", layer, signal);
  }

  /** Says that all there will ever be has been put into the tables; without gradients the backward pass stays empty. */
  complete({ gradients, summary, targets = null }) {
    Object.assign(this, {
      forwardTo: this.steps,
      backwardFrom: gradients ? 0 : this.steps,
      done: true,
      fromFile: true,
      summary,
      targets,
    });
  }

  // Worked out in full when somebody first asks; from then on a frame brings its own steps up to date.
  #summary(name, layer, signal) {
    const key = `${name} ${layer} ${signal}`;
    if (!this.summaries.has(key)) {
      this.summaries.set(key, new Float32Array(this.steps));
      this.#summarise(name, layer, signal, 0, this.steps);
    }
    return this.summaries.get(key);
  }

  #summarise(name, layer, signal, from, to) {
    const numbers = this.summaries.get(`${name} ${layer} ${signal}`);
    if (!numbers) return;
    const { kind, of } = SUMMARIES[name];
    const width = this.width(layer, signal);
    const table = this.#table(kind, layer, signal, this.steps * width);
    for (let t = from; t < to; t++) numbers[t] = of(table.subarray(t * width, (t + 1) * width));
  }
}
