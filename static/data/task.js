// What a network is given and what it should give at every step, as the page writes it: characters, words, numbers or
// nothing in; the next of them, classes or numbers out.

import { foreign, shown, visible } from "./foreign.js";
import { number } from "./formatting.js";

const SHOWN_CHANNELS = 3;
const LONGEST_WORD = 9; // letters a tile has room for

/** Numbers of one step as they are read out. */
export function inNumbers(values) {
  const shown = values.slice(0, SHOWN_CHANNELS).map(number).join(", ");
  return values.length > SHOWN_CHANNELS ? `(${shown}, …)` : values.length > 1 ? `(${shown})` : shown;
}

export class Task {
  /** `network` as the page has it: its vocabulary, and what it reads and gives. */
  constructor(timeline, { vocabulary, form = {}, task: name }) {
    const { reads = timeline.inputValues ? "values" : "characters", gives = "next", labels = [] } = form;
    Object.assign(this, {
      timeline,
      vocabulary,
      reads,
      gives,
      name,
      labels: labels.length ? labels : (timeline.labels ?? []),
    });
    this.counts = gives === "values" || (gives === "next" && reads === "values");
    this.first = timeline.pattern === "many-to-one" ? timeline.steps - 1 : 0;
  }

  /** What a step is called by: a character, a word or a number. */
  get kind() {
    return { words: "word", values: "value" }[this.reads] ?? "character";
  }

  /** How many letters its tiles have room for: words need more than characters. */
  get letters() {
    if (this.reads !== "words") return 1;
    const { tokens } = this.timeline;
    return Math.min(
      LONGEST_WORD,
      tokens.reduce((most, token) => Math.max(most, [...(this.vocabulary[token] ?? "")].length), 3),
    );
  }

  /** Whether anything is given at a step: what goes on alone is given something only once. */
  hasInput(t) {
    return this.timeline.pattern !== "one-to-many" || t === 0;
  }

  /** What a step reads, as it stands in a tile; "" where nothing is given. */
  read(t) {
    if (!this.hasInput(t)) return "";
    return this.timeline.inputValues
      ? inNumbers(this.timeline.inputValues[t])
      : visible(this.vocabulary[this.timeline.tokens[t]]);
  }

  /** The token itself: what a text is set by. */
  character(t) {
    return this.hasInput(t) ? (this.vocabulary[this.timeline.tokens[t]] ?? "") : "";
  }

  /** The same within a sentence. */
  said(t) {
    if (!this.hasInput(t)) return "nothing new";
    return this.timeline.inputValues ? this.read(t) : `“${foreign(this.read(t))}”`;
  }

  /** What a class, or a next token, is called; `brief` where there is room for little. */
  named(outcome, brief = false) {
    return this.gives === "classes"
      ? shown(this.labels[outcome] ?? `${brief ? "" : "class "}${outcome}`)
      : visible(this.vocabulary[outcome]);
  }

  /** The same within a sentence. */
  called(outcome) {
    return foreign(this.named(outcome));
  }

  /** Whether what it gives at a step counts. */
  judges(t) {
    return t >= this.first;
  }

  /** Which class or token should come at a step; undefined where none is known. */
  wanted(t) {
    if (this.gives === "next") return this.counts ? undefined : this.timeline.tokens[t + 1];
    const target = this.judges(t) ? this.timeline.targets?.[t - this.first] : undefined;
    return this.counts || target < 0 ? undefined : target;
  }

  /** The numbers that should come at a step; undefined where none are known. */
  target(t) {
    if (!this.counts) return undefined;
    const numbers =
      this.gives === "next"
        ? this.timeline.inputValues[t + 1]
        : this.judges(t)
          ? this.timeline.targets?.[t - this.first]
          : undefined;
    return numbers?.every(Number.isFinite) ? numbers : undefined;
  }

  /** The numbers it gave at a step. */
  outputs(t) {
    return this.timeline.outputs[t];
  }

  /** Why no gradient comes back, as one sentence. */
  get whyNoGradient() {
    const { timeline } = this;
    if (!timeline.done) return "The gradient has not come yet.";
    if (timeline.fromFile) return "This trace holds no gradient.";
    if (this.name === "states") return "This network has no readout: there is no loss, and no gradient to come back.";
    if (this.gives !== "next")
      return "It was not said what should come out: without a target there is no loss, and no gradient.";
    return "There is no loss here, so no gradient comes back.";
  }
}
