// Asks the server for traces and arithmetic; the picture changes only when a good answer has begun to come.

import { LONGEST_TEXT, LONGEST_VALUES } from "../data/address.js";
import { someOf } from "../data/foreign.js";
import { fitsNetwork, interventionsOver } from "../data/interventions.js";
import { inputOf, isAlike, known, readingKind, stepsOf, takenAlong, targetOf } from "../data/networks.js";
import { patiently, whenWoken } from "../data/patience.js";
import { asSentence, postJson, readEvents } from "../data/stream.js";
import { Timeline } from "../data/timeline.js";

const MOST_NAMED = 8;

/** The trace that came with the page. */
export function firstTimeline({ events, cells }) {
  const timeline = new Timeline(events[0][1], cells);
  for (const [name, data] of events.slice(1)) timeline.add(name, data);
  return timeline;
}

export class Reader {
  constructor(stage) {
    this.stage = stage;
    this.asked = {}; // what was asked for and is not the picture yet
    this.left = new Map(); // what was read last by networks of each kind
    this.plain = {}; // the trace read last with nothing held, and what it is of
    this.unanswered = null; // what was wanted when no whole answer came
    whenWoken(() => this.unanswered && this.read(this.unanswered));
  }

  /** Reads the trace of a {model, text, target, loss, clamp} over what is shown; a later call stops an earlier one. */
  async read(changes) {
    const { stage } = this;
    this.stop();
    const tracing = new AbortController();
    this.tracing = tracing;
    this.unanswered = null;
    Object.assign(this.asked, changes);
    const plan = this.#plan(changes);
    stage.tell("reading");
    try {
      const { network, text, target, loss } = plan;
      const body = { model: network.id, ...inputOf(text, network), ...targetOf(target, network), loss };
      const interventions = this.#interventionsOf(plan);
      if (interventions.length) await this.#readUntouched(body, plan, tracing);
      await this.#trace({ ...body, interventions }, tracing, (timeline) => this.#show(timeline, plan, interventions));
      stage.notice(this.#remark(plan));
      stage.remember();
      this.readArithmetic();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (problem.name !== "Problem") throw problem;
      const shown = stage.timeline.done
        ? "The picture still shows the last text that could be read."
        : "The picture shows what had come by then.";
      const words = `${asSentence(problem.message)} ${shown}`;
      // what the service refuses it would refuse again; else it may be asked once more
      if (problem.own && problem.status < 500) return stage.notice(words);
      this.unanswered = changes;
      stage.notice(words, () => this.read(changes));
    }
  }

  // What is to be read: what was asked for over what is shown, as far as the network can take it along.
  #plan(changes) {
    const { stage } = this;
    const wanted = { ...stage.state, ...this.asked };
    const network = stage.models.find(({ id }) => id === wanted.model);
    const before = stage.models.find(({ id }) => id === stage.state.model) ?? stage.network;
    const isOther = wanted.model !== stage.state.model && changes.text === undefined;
    const { text: said, target, loss } = isOther ? this.#takenAlong(wanted, network, before) : wanted;
    const { text, unknown } = known(said, network);
    const kept = wanted.clamp.filter((each) => fitsNetwork(each, network, stage.cells));
    // a target a step fits only what it was made for
    const fits = isOther || changes.text === undefined || network.form?.pattern === "many-to-one";
    const aim = fits ? target : (changes.target ?? "");
    const plan = { network, before, text: text || said, target: aim, loss, kept };
    const key = JSON.stringify([network.id, plan.text, loss, aim]);
    return { ...plan, key, lost: wanted.clamp.length - kept.length, unknown: text ? unknown : [] };
  }

  // To a network of another kind goes what was read there last; else as much as says something to it.
  #takenAlong(wanted, network, before) {
    const last = isAlike(network, before) ? null : this.left.get(readingKind(network));
    return last ?? takenAlong(wanted, network, before);
  }

  #interventionsOf({ network, text, kept }) {
    const { state, timeline } = this.stage;
    return interventionsOver(kept, text === state.text && !state.trace ? timeline.steps : stepsOf(text, network));
  }

  // Before and after: what the network does when it is left alone is read once for a text.
  async #readUntouched(body, { network, key }, tracing) {
    if (this.plain.key === key) return;
    const { states } = this.stage.cells.find(({ id }) => id === network.cell);
    await this.#trace({ ...body, backward: false, signals: [states[0]] }, tracing, (timeline) => {
      if (timeline.done) this.plain = { key, timeline };
    });
  }

  // The first frame of a good answer becomes the picture; those that follow are drawn into it.
  #show(timeline, { network, before, text, target, loss, kept, key }, interventions) {
    const { stage } = this;
    if (timeline.done && !interventions.length) this.plain = { key, timeline };
    if (timeline === stage.timeline) return stage.requestDraw();
    const { text: last, target: lastTarget, loss: lastLoss } = stage.state;
    this.left.set(readingKind(before), { text: last, target: lastTarget, loss: lastLoss });
    // what it adds up is another network's, or another text's
    if (network.id !== stage.state.model || text !== stage.state.text || interventions.length) stage.arithmetic = null;
    Object.assign(stage.state, { loss, target, clamp: kept, trace: undefined });
    this.asked = {};
    stage.untouched = interventions.length ? this.plain.timeline : null;
    stage.take(timeline);
  }

  /** Lets go of what is being read. */
  stop() {
    this.tracing?.abort();
    this.summing?.abort();
  }

  /** The first picture is what a network left alone does. */
  keep(timeline, { model, text, loss, target }) {
    this.plain = { key: JSON.stringify([model, text, loss, target]), timeline };
  }

  #remark({ text, lost, unknown }) {
    if (unknown.length) return `Left out, because this network never saw it: ${someOf(unknown, MOST_NAMED)}.`;
    if (lost) return "What was held is let go: this network has no such unit.";
    const longest = this.stage.network.valued ? LONGEST_VALUES : LONGEST_TEXT;
    return text.length > longest
      ? `The address bar holds ${longest.toLocaleString("en")} characters: a copied link leaves this text out.`
      : "";
  }

  // One event stream into one timeline; `onFrame` is called with it after every frame.
  async #trace(body, { signal }, onFrame) {
    let timeline = null;
    const say = (words) => this.stage.tell("told", words);
    const reading = () => readEvents("/api/trace", { body, signal, onEvent, last: "end" });
    const onEvent = (name, data) => {
      if (signal.aborted) return;
      if (name === "begin") {
        timeline = new Timeline(data, this.stage.cells);
        return;
      }
      timeline?.add(name, data);
      if (timeline) onFrame(timeline);
    };
    await patiently(reading, { signal, say });
  }

  /** What the service is asked about the picture, besides what it is to say of it. */
  get request() {
    const { state, network, timeline } = this.stage;
    return {
      model: state.model,
      ...inputOf(state.text, network),
      ...targetOf(state.target, network),
      interventions: interventionsOver(state.clamp, timeline.steps),
    };
  }

  /** What each linear map adds to the chosen unit, for the text shown. */
  async readArithmetic() {
    const { stage } = this;
    const { layer, unit } = stage.state;
    const summed = JSON.stringify(stage.state.trace ?? this.request);
    this.summing?.abort();
    const summing = new AbortController();
    this.summing = summing;
    if (
      stage.arithmetic &&
      (stage.arithmetic.layer !== layer || stage.arithmetic.unit !== unit || (this.summed ?? summed) !== summed)
    )
      stage.arithmetic = null;
    this.summed = summed;
    if (stage.state.trace) return;
    try {
      const { signal } = summing;
      const asking = () => postJson("/api/arithmetic", { ...this.request, layer, unit }, signal);
      stage.arithmetic = await patiently(asking, { signal, say: (words) => stage.tell("told", words) });
      stage.requestDraw();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (problem.name !== "Problem") throw problem;
      if (summing.signal.aborted || this.unanswered) return; // more has been said
      stage.notice(
        `${asSentence(problem.message)} What adds up inside the cell is missing.`,
        problem.own && problem.status < 500 ? null : () => this.readArithmetic(),
      );
    }
  }
}
