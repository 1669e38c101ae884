// Asks the server for traces and arithmetic; the picture changes only when a good answer has begun to come.

import { LONGEST_TEXT } from "./address.js";
import { asInterventions, holds } from "./clamps.js";
import { asked as askedFor, legible, stepsOf } from "./networks.js";
import { Problem, readEvents, readJson } from "./stream.js";
import { Timeline } from "./timeline.js";

/** The trace that came with the page. */
export function firstTimeline({ events, cells }) {
  const timeline = new Timeline(events[0][1], cells);
  for (const [name, data] of events.slice(1)) timeline.add(name, data);
  return timeline;
}

const asSentence = (words) => `${words[0].toUpperCase()}${words.slice(1).replace(/\.$/, "")}.`;

export class Reader {
  constructor(stage) {
    this.stage = stage;
    this.asked = {}; // what was asked for and is not the picture yet
    Object.assign(this, { numbered: false, left: null }); // whether it reads token numbers, and what was read before that changed
    this.plain = {}; // the trace read last with nothing held, and what it is of
  }

  /** Reads the trace of a {model, text, loss, clamp} over what is shown; a later call stops an earlier one. */
  async read(changes) {
    const { stage } = this;
    this.stop();
    const tracing = this.tracing = new AbortController();
    Object.assign(this.asked, changes);
    const { model, loss, clamp, text: wanted } = { ...stage.state, ...this.asked };
    const network = stage.models.find(({ id }) => id === model), cell = stage.cells.find(({ id }) => id === network.cell);
    const kept = clamp.filter((each) => holds(each, network, cell));
    // from a text to token numbers, or back, nothing can be taken along
    const text = network.numbered !== this.numbered && changes.text === undefined ? legible(this.left ?? wanted, network) : wanted;
    const key = JSON.stringify([model, text, loss]);
    stage.tell("reading");
    try {
      const what = askedFor(text, network);
      const interventions = asInterventions(kept, text === stage.state.text && !stage.state.trace ? stage.timeline.steps : stepsOf(text, network));
      // before and after: what the network does when it is left alone is read once for a text
      if (interventions.length && this.plain.key !== key) {
        await this.#trace({ model, ...what, loss, backward: false, signals: [cell.states[0]] }, tracing, (timeline) => { if (timeline.done) this.plain = { key, timeline }; });
      }
      await this.#trace({ model, ...what, loss, interventions }, tracing, (timeline) => {
        if (timeline.done && !interventions.length) this.plain = { key, timeline };
        if (timeline === stage.timeline) return stage.requestDraw();
        Object.assign(stage.state, { loss, clamp: kept, trace: undefined });
        // what it adds up is another network's, or another text's
        if (model !== stage.state.model || text !== stage.state.text || interventions.length) stage.arithmetic = null;
        if (network.numbered !== this.numbered) [this.numbered, this.left] = [network.numbered, stage.state.text];
        this.asked = {};
        stage.untouched = interventions.length ? this.plain.timeline : null;
        stage.take(timeline);
      });
      stage.notice(this.#remark(text, clamp.length - kept.length));
      stage.remember();
      this.readArithmetic();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      stage.notice(`${asSentence(problem.message)} The picture still shows the last text that could be read.`);
    }
  }

  /** Lets go of what is being read. */
  stop() {
    this.tracing?.abort();
    this.summing?.abort();
  }

  /** The first picture is what a network left alone does. */
  keep(timeline, { model, text, loss }) { this.plain = { key: JSON.stringify([model, text, loss]), timeline }; }

  #remark(text, lost) {
    if (lost) return "What was held is let go: this network has no such unit.";
    return text.length > LONGEST_TEXT ? `The address bar holds ${LONGEST_TEXT.toLocaleString("en")} characters: a copied link leaves this text out.` : "";
  }

  // One event stream into one timeline; `onFrame` is called with it after every frame.
  async #trace(body, { signal }, onFrame) {
    let timeline = null;
    await readEvents("/api/trace", {
      body, signal,
      onEvent: (name, data) => {
        if (signal.aborted) return;
        if (name === "begin") return void (timeline = new Timeline(data, this.stage.cells));
        if (name === "error") throw new Problem(500, data.title ?? "The reading broke off", data.detail);
        timeline.add(name, data);
        onFrame(timeline);
      },
    });
  }

  /** What each linear map adds to the chosen unit, for the text shown. */
  async readArithmetic() {
    const { stage } = this, { model, text, layer, unit } = stage.state;
    this.summing?.abort();
    const summing = this.summing = new AbortController();
    if (stage.arithmetic && (stage.arithmetic.layer !== layer || stage.arithmetic.unit !== unit || this.summed !== `${model} ${text}`)) stage.arithmetic = null;
    this.summed = `${model} ${text}`;
    if (!stage.askable || text.length > LONGEST_TEXT) return;
    try {
      stage.arithmetic = await readJson(`/api/arithmetic?${new URLSearchParams({ model, text, layer, unit })}`, { signal: summing.signal });
      stage.requestDraw();
    } catch (problem) {
      if (problem.name !== "AbortError") stage.notice(problem.message);
    }
  }
}
