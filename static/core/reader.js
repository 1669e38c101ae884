// Asks the server for traces and arithmetic; the picture changes only when a good answer has begun to come.

import { LONGEST_TEXT } from "./address.js";
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
  }

  /** Reads the trace of a {model, text, loss} over what is shown; a later call stops an earlier one. */
  async read(changes) {
    const { stage } = this;
    this.tracing?.abort();
    const tracing = this.tracing = new AbortController();
    Object.assign(this.asked, changes);
    const { model, text, loss } = { ...stage.state, ...this.asked };
    let timeline = null;
    stage.tell("reading");
    try {
      await readEvents("/api/trace", {
        body: { model, text, loss }, signal: tracing.signal,
        onEvent: (name, data) => {
          if (tracing.signal.aborted) return;
          if (name === "begin") return void (timeline = new Timeline(data, stage.cells));
          if (name === "error") throw new Problem(500, data.title ?? "The reading broke off", data.detail);
          timeline.add(name, data);
          if (timeline === stage.timeline) return stage.requestDraw();
          stage.state.loss = loss;
          if (model !== stage.state.model || text !== stage.state.text) stage.arithmetic = null; // what it adds up is another network's
          this.asked = {};
          stage.take(timeline);
        },
      });
      stage.notice(text.length > LONGEST_TEXT ? `The address bar holds ${LONGEST_TEXT.toLocaleString("en")} characters: a copied link leaves this text out.` : "");
      stage.remember();
      this.readArithmetic();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      stage.notice(`${asSentence(problem.message)} The picture still shows the last text that could be read.`);
    }
  }

  /** What each linear map adds to the chosen unit, for the text shown. */
  async readArithmetic() {
    const { stage } = this, { model, text, layer, unit } = stage.state;
    this.summing?.abort();
    const summing = this.summing = new AbortController();
    if (stage.arithmetic && (stage.arithmetic.layer !== layer || stage.arithmetic.unit !== unit || this.summed !== `${model} ${text}`)) stage.arithmetic = null;
    this.summed = `${model} ${text}`;
    if (text.length > LONGEST_TEXT) return;
    try {
      stage.arithmetic = await readJson(`/api/arithmetic?${new URLSearchParams({ model, text, layer, unit })}`, { signal: summing.signal });
      stage.requestDraw();
    } catch (problem) {
      if (problem.name !== "AbortError") stage.notice(problem.message);
    }
  }
}
