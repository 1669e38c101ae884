// The stage holds what is chosen, the trace, the clock and the axis, and tells every mounted view what to do and when.

import { AddressBar, given, withDefaults } from "../data/address.js";
import { callBy } from "../data/cell_description.js";
import { exampleOf, readable, textOf } from "../data/networks.js";
import { Task } from "../data/task.js";
import { Axis } from "./axis.js";
import { Band } from "./band.js";
import { Clock } from "./clock.js";
import { Colour } from "./colour.js";
import { MountedViews } from "./mounted_views.js";
import { firstTimeline, Reader } from "./trace_reader.js";

export class Stage extends MountedViews {
  /**
   * `light`: the first-light object; `chosen`: what the address says; `tracks`: the element whose width the axis fits
   * and the band runs through.
   */
  constructor({ light, chosen, tracks, layout = "alone", writesAddress = false }) {
    super();
    Object.assign(this, {
      models: light.models.map(readable),
      cells: light.cells,
      tracks,
      layout,
      arithmetic: light.arithmetic ?? null,
      untouched: null,
    });
    this.axis = new Axis();
    this.colour = new Colour();
    this.clock = new Clock();
    this.band = new Band(tracks);
    this.bar = writesAddress ? new AddressBar() : null;
    this.hovered = null;
    const served = light.address ?? {}; // the unit whose arithmetic came along
    this.state = withDefaults({
      ...chosen,
      unit: chosen.unit ?? served.unit,
      model: undefined,
      text: undefined,
      values: undefined,
      target: served.target || undefined,
      loss: served.loss ?? chosen.loss,
    });
    const clamp = this.state.clamp.splice(0); // the picture that came with the page has nothing held
    this.state.trace = undefined; // a file is on somebody's own machine
    this.reader = new Reader(this);
    this.take(firstTimeline(light));
    this.reader.keep(this.timeline, this.state);
    this.clock.speed = this.state.speed;
    if (chosen.t !== undefined)
      this.clock.seek(this.clock.at(Math.min(chosen.t, this.timeline.steps - 1), this.state.pass));
    if (this.arithmetic?.layer !== this.state.layer || this.arithmetic?.unit !== this.state.unit)
      this.reader.readArithmetic();
    const asked = this.models.find(({ id }) => id === chosen.model); // the page cannot come with what token numbers say
    if (asked?.numbered) this.reader.read({ model: asked.id, text: chosen.text ?? exampleOf(asked).text, clamp });
    else if (clamp.length) this.reader.read({ clamp });
    this.clock.subscribe(() => {
      this.remember();
      this.step();
    });
    this.begin();
  }

  /** A new trace becomes the picture; what was chosen is kept where the new network has it. */
  take(timeline, network = this.models.find((model) => model.id === timeline.model)) {
    const before = this.timeline?.steps;
    Object.assign(this, { timeline, network, task: new Task(timeline, network) });
    this.colour.learn(timeline.cell, ...timeline.layers.map(({ cell }) => cell));
    const { state } = this;
    this.#callSignals();
    const text = textOf(timeline, network);
    const sameText = text === this.text && before === timeline.steps;
    this.text = text;
    if (!state.trace) Object.assign(state, { model: timeline.model, text });
    state.layer = Math.min(state.layer ?? this.firstLayer, timeline.layers.length - 1);
    // a file may lack layers
    for (let layer = 0; layer < timeline.layers.length && !this.#signalsThere.length; layer++) state.layer = layer;
    this.#settle();
    this.hovered = null;
    this.clock.resize(timeline.steps);
    if (!sameText && this.views.length) this.clock.seek(timeline.steps - 1);
    this.tell("taken");
    this.requestDraw();
  }

  /** The cell of the layer that is chosen. */
  get description() {
    return this.timeline.layers[this.state.layer ?? this.firstLayer].cell;
  }

  /** The layer shown when none is chosen: the first of the network's own cell. */
  get firstLayer() {
    return Math.max(
      0,
      this.timeline.layers.findIndex(({ cell }) => cell === this.timeline.cell),
    );
  }

  #callSignals() {
    callBy(this.state.names, new Set([...this.cells, ...this.timeline.layers.map(({ cell }) => cell)]));
  }

  get #signalsThere() {
    return this.description.signals.filter(({ id }) =>
      this.timeline.values(this.state.layer, id).some(Number.isFinite),
    );
  }

  // A signal and a unit that the chosen layer has; returns what is to be said about a unit that it has not.
  #settle() {
    const { state, timeline } = this;
    const there = this.#signalsThere;
    const wanted = state.unit;
    // a gate is what most people come to see; a cell without one shows its output
    if (!there.some(({ id }) => id === state.signal))
      state.signal = (there.find(({ role }) => role === "gate") ?? there[0] ?? this.description.signals[0]).id;
    const width = timeline.width(state.layer, state.signal);
    if (wanted < width) return "";
    if (!(wanted >= 0)) state.unit = liveliest(timeline, state);
    else state.unit = width - 1;
    return wanted >= 0
      ? `${state.signal} has ${width} units in ${timeline.layers[state.layer].title}, so this is unit ` +
          `${state.unit} and not ${wanted}.`
      : "";
  }

  /**
   * A trace out of a file becomes the picture; the network and the text read last stay for whoever goes back to them.
   */
  open({ timeline, network, objective }) {
    this.reader.stop();
    Object.assign(this.state, { trace: "file", clamp: [] });
    Object.assign(this, { objective, untouched: null, arithmetic: null });
    this.take(timeline, network);
    this.remember();
  }

  /** What is chosen, as the address bar writes it. */
  get address() {
    const { t, pass } = this.clock.position;
    const { text, layer } = this.state;
    return {
      ...this.state,
      t,
      pass,
      play: undefined,
      layer: layer === this.firstLayer ? undefined : layer,
      ...(this.network.valued ? { text: undefined, values: text } : {}),
    };
  }

  /** Changes what is chosen; a new model, text or loss is read first and only then becomes the picture. */
  choose(changes) {
    const { model, text, loss, clamp, target, t, pass, speed, ...rest } = changes;
    if (speed) {
      this.state.speed = speed;
      this.clock.setSpeed(speed);
    }
    if (t !== undefined || pass)
      this.clock.seek(this.clock.at(t ?? this.clock.position.t, pass ?? this.clock.position.pass));
    const other = Object.keys(rest).filter((key) => rest[key] !== this.state[key]);
    Object.assign(this.state, rest);
    if (other.includes("layer") || other.includes("signal")) {
      const { unit } = this.state;
      const said = this.#settle();
      if (this.state.unit !== unit) other.push("unit");
      if (said) this.tell("told", said);
    }
    if (other.includes("theme")) this.retheme();
    if (other.includes("names")) this.#callSignals();
    if (other.includes("layer") || other.includes("unit")) this.reader.readArithmetic();
    this.remember();
    this.tell("chosen");
    if (other.length) this.requestDraw();
    const asked = given({ model, text, loss, clamp, target });
    if (Object.keys(asked).length) this.reader.read(asked);
  }

  /** Shows what an address says, when the browser goes back to it or forward. */
  async goTo(said) {
    if (said.trace) return this.notice("That was a trace out of a file of yours: open the file again to see it.");
    const { model: id = this.models[0].id, t, pass, layer, signal, unit, clamp, loss, target } = withDefaults(said);
    const model = this.models.find((one) => one.id === id);
    if (!model) return this.notice("That was a network which is not here any more.");
    const text = said.values ?? said.text;
    const input = text === undefined ? exampleOf(model) : { text, target, loss };
    await this.bar.rest(this.reader.read({ model: id, ...input, clamp }));
    this.choose({ t, pass, ...given({ layer, signal, unit }) });
  }

  /** Points at a character, a unit, or both; null points at nothing. */
  hover(what) {
    if (what?.t === this.hovered?.t && what?.unit === this.hovered?.unit) return;
    this.hovered = what;
    this.step();
    this.tell("hovered");
  }

  /** Where the picture stands: the clock, or the character pointed at while the clock rests. */
  get position() {
    const { position } = this.clock;
    const t = this.hovered?.t;
    return t === undefined || t === null || this.clock.playing
      ? position
      : { ...position, t, s: this.clock.at(t, position.pass) };
  }

  /** Moves the overlays of every view to where the picture stands. */
  step() {
    const { position } = this;
    // the views still show another trace: drawing moves them on
    if (this.drawn !== this.timeline) return this.tell("stepped");
    if (this.axis.show(position.t)) for (const { handle, shown } of this.views) if (shown) handle.page();
    this.band.move(this.axis, position, this.clock.playing ? this.hovered?.t : null);
    for (const { handle, shown } of this.views) if (shown) handle.step(position);
    this.tell("stepped");
  }

  draw() {
    Object.assign(this.last, { turn: null, drawn: performance.now() });
    this.drawn = this.timeline;
    this.axis.fit(this.tracks.clientWidth, this.timeline.steps, this.task.letters);
    this.axis.show(this.position.t);
    this.drawViews();
    this.step();
    this.tell("drawn");
  }

  /** Writes the address bar, from the first touch on. */
  remember() {
    if (this.bar && this.touched) this.bar.write(this.address);
  }

  /** Says what could not be done; `again()` does it once more, where that may help. */
  notice(text, again = null) {
    this.tell("notice", { text, again });
  }

  /** Milliseconds of script that a clock step costs, all views together: {median, p95, steps, views}. */
  measureSteps(many) {
    this.clock.pause();
    const from = this.clock.s;
    const costs = [];
    for (let k = 0; k < many; k++) {
      this.clock.s = (from + k) % (2 * this.clock.steps);
      const begun = performance.now();
      this.step();
      costs.push(performance.now() - begun);
    }
    this.clock.seek(from);
    costs.sort((a, b) => a - b);
    return {
      median: costs[many >> 1],
      p95: costs[Math.floor(many * 0.95)],
      steps: many,
      views: this.views.filter((view) => view.shown).length,
    };
  }
}

// A unit that changes much over the text makes a better first picture than unit 0.
function liveliest(timeline, { layer, signal }) {
  const values = timeline.values(layer, signal);
  const width = timeline.width(layer, signal);
  const { steps } = timeline;
  let best = 0;
  let most = -1;
  for (let unit = 0; unit < width; unit++) {
    let sum = 0;
    let squares = 0;
    let many = 0;
    for (let t = 0; t < steps; t++) {
      const value = Math.max(-1, Math.min(1, values[t * width + unit]));
      if (!Number.isNaN(value)) [sum, squares, many] = [sum + value, squares + value * value, many + 1];
    }
    const spread = many ? squares / many - (sum / many) ** 2 : 0;
    if (spread > most) [best, most] = [unit, spread];
  }
  return best;
}
