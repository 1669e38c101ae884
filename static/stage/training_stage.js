// The stage of a training: its runs, one axis of steps, the place on it that is looked at, and the views that show
// them.

import { AddressBar } from "../data/address.js";
import { watchRun } from "../data/events.js";
import { readable } from "../data/networks.js";
import { untilAnswered } from "../data/patience.js";
import { Run } from "../data/run.js";
import { readJson } from "../data/stream.js";
import { Band } from "./band.js";
import { Colour } from "./colour.js";
import { MountedViews } from "./mounted_views.js";

const NARROW = 640;
const EDGE = 4;
const READINGS = 96; // px; readings stand at the right of every track
const FIRST_SHARE = 1 / 32; // of the steps: the axis doubles whenever it is full
const REPLAY = 12000; // ms that a whole training lasts when it is shown again
const TICK = 50; // ms
const ASK_EVERY = 3000; // ms; a place in the queue is in no event

/** The axis of steps, the same pixels in every track. */
class StepAxis {
  constructor() {
    Object.assign(this, { gutter: 92, right: READINGS, element: 300, end: 1, last: 0, column: 3 });
  }

  get width() {
    return Math.max(1, this.element - this.gutter - this.right);
  }

  fit(element, { last, planned, live }) {
    this.element = Math.max(160, Math.floor(element));
    const narrow = this.element < NARROW;
    [this.gutter, this.right] = narrow ? [56, EDGE] : [92, READINGS];
    let end = Math.max(1, Math.ceil(planned * FIRST_SHARE));
    while (end < last) end *= 2;
    Object.assign(this, { last, end: live ? Math.min(end, Math.max(planned, last)) : Math.max(1, last) });
  }

  shows(step) {
    return step >= 0 && step <= this.end;
  }

  x(step) {
    return this.gutter + (step / this.end) * this.width;
  }

  /** The step under a pixel, or null beside what has been trained. */
  at(x) {
    const step = Math.round(((x - this.gutter) / this.width) * this.end);
    return x >= this.gutter && step <= this.last ? step : null;
  }

  plotly() {
    return {
      xaxis: { range: [0, this.end], fixedrange: true, visible: false, autorange: false },
      margin: { l: this.gutter, r: this.right, t: 0, b: 0, pad: 0 },
      width: this.element,
    };
  }
}

/**
 * The place that is looked at: the latest step while it follows, else where somebody went; it can play the training
 * again.
 */
class Replay {
  constructor(stage) {
    Object.assign(this, { stage, place: 0, follows: true, playing: false, timer: 0 });
  }

  get at() {
    return this.follows ? this.stage.lastStep : Math.min(this.place, this.stage.lastStep);
  }

  seek(step) {
    this.follows = step >= this.stage.lastStep;
    this.place = Math.max(0, Math.round(step));
    this.stage.step();
    if (!this.playing) this.stage.remember();
  }

  /** To the next or the last step that was reported. */
  step(by) {
    const list = this.stage.longest.progress;
    const steps = list.map(({ step }) => step);
    const { at } = this;
    this.pause();
    this.seek(by > 0 ? (steps.find((step) => step > at) ?? at) : (steps.findLast((step) => step < at) ?? at));
  }

  play() {
    if (this.at >= this.stage.lastStep) Object.assign(this, { place: 0, follows: false });
    this.playing = true;
    this.timer = setInterval(() => {
      this.seek(this.place + (this.stage.lastStep * TICK) / REPLAY);
      if (this.follows) this.pause();
    }, TICK);
    this.stage.step();
  }

  pause() {
    clearInterval(this.timer);
    this.playing = false;
    this.stage.step();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }
}

export class TrainingStage extends MountedViews {
  /**
   * `cells`: the descriptions; `runs`: what the API says of each run; `chosen`: what the address says; `tracks`: the
   * element the axis fits; `readOnly` in a frame.
   */
  constructor({ cells, runs, chosen, tracks, readOnly = false }) {
    super();
    Object.assign(this, { cells, tracks, readOnly, hovered: null, layout: "training", network: null });
    this.runs = runs.map((facts, place) => new Run(facts, place, cells));
    this.axis = new StepAxis();
    this.colour = new Colour();
    this.clock = new Replay(this);
    this.band = new Band(tracks);
    this.bar = readOnly ? null : new AddressBar();
    this.state = { theme: "auto", gradient: "parameters", panel: "samples", hide: [], layer: 0, ...chosen };
    this.description = this.runs[0].cell;
    this.colour.learn(this.description);
    if (chosen.step !== undefined) Object.assign(this.clock, { place: chosen.step, follows: false });
    for (const run of this.runs) {
      watchRun(run.id, ({ events, missing, trouble = "" }) => {
        for (const [name, data] of events) run.add(name, data);
        if (run.checkpoints && !run.model) this.#readModel(run);
        if (missing) Object.assign(run, { state: "deleted", reason: missing });
        if (events.some(([name]) => name === "state" || name === "end") || missing) this.tell("states");
        const before = this.trouble;
        run.trouble = trouble;
        if (this.trouble !== before) this.tell("trouble");
        this.tell("came");
        this.requestDraw();
      });
    }
    setInterval(() => this.#askAboutQueue(), ASK_EVERY);
    this.begin();
  }

  get lastStep() {
    return Math.max(0, ...this.runs.map(({ step }) => step));
  }
  get layerCount() {
    return Math.max(...this.runs.map(({ recipe }) => recipe.layers));
  }
  get live() {
    return this.runs.some(({ live }) => live);
  }
  /** Why nothing comes now, in words; "" when it does. */
  get trouble() {
    return this.runs.find(({ trouble }) => trouble)?.trouble ?? "";
  }
  get longest() {
    return this.runs.reduce((best, run) => (run.step > best.step ? run : best));
  }

  /** The step the views stand at: what is pointed at, or where the replay is. */
  get at() {
    return this.clock.playing ? this.clock.at : (this.hovered ?? this.clock.at);
  }

  choose({ t, ...changes }) {
    if (t !== undefined) this.clock.seek(t);
    Object.assign(this.state, changes);
    if ("theme" in changes) this.retheme();
    this.remember();
    this.tell("chosen");
    if (Object.keys(changes).length) this.requestDraw();
  }

  hover(what) {
    const step = what?.t ?? null;
    if (step === this.hovered) return;
    this.hovered = step;
    this.step();
  }

  step() {
    this.band.move(this.axis, { pass: "forward", t: this.clock.at }, this.hovered);
    for (const { handle, shown } of this.views) if (shown && this.last.drawn) handle.step(this.at);
    this.tell("stepped");
  }

  draw() {
    Object.assign(this.last, { turn: null, drawn: performance.now() });
    const planned = Math.max(...this.runs.map((run) => (run.live ? run.steps : run.step)));
    this.axis.fit(this.tracks.clientWidth, { last: this.lastStep, planned, live: this.live });
    this.drawViews();
    this.step();
    this.tell("drawn");
  }

  remember() {
    const { theme, gradient, panel, layer, hide } = this.state;
    this.bar?.write({
      theme,
      gradient,
      panel,
      hide,
      layer: layer || undefined,
      step: this.clock.follows ? undefined : this.clock.at,
    });
  }

  /** Reads again what the API says of a run. */
  async refresh(run) {
    Object.assign(run.facts, await readJson(`/api/runs/${run.id}`));
    this.tell("states");
  }

  // Its size and vocabulary, and that it can be opened and can write.
  async #readModel(run) {
    run.model = {};
    const network = () => readJson(`/api/models/${run.id}`);
    run.model = await untilAnswered(network, () => {}).then(readable, () => null);
    this.tell("states");
    this.requestDraw();
  }

  async #askAboutQueue() {
    if (this.asking) return; // the last answer is still on its way
    this.asking = true;
    // the log says it too, a little later
    for (const run of this.runs) if (run.state === "queued") await this.refresh(run).catch(() => {});
    this.asking = false;
  }
}
