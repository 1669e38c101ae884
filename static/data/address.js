// What is chosen, as the address bar holds it: one table of typed properties, nothing else is ever stored.

import { interventionInAddress } from "./interventions.js";

const LONGEST_ID = 200; // of a network, as the service has it

const whole = (low, high) => ({
  read: (text) => (/^\d{1,7}$/.test(text) && +text >= low && +text <= high ? +text : undefined),
  write: String,
  expected: `a whole number from ${low} to ${high}`,
});
const oneOf = (...words) => ({
  read: (text) => (words.includes(text) ? text : undefined),
  write: String,
  expected: words.join(" or "),
});
const network = {
  read: (text) => (text && [...text].length <= LONGEST_ID ? text : undefined),
  write: String,
  expected: `the name of a network, at most ${LONGEST_ID} characters`,
};
const name = {
  read: (text) => (/^[\w.-]{1,80}$/.test(text) ? text : undefined),
  write: String,
  expected: "a short name",
};
const names = {
  read: (text) => (/^[\w,-]{0,200}$/.test(text) ? text.split(",").filter(Boolean) : undefined),
  write: (list) => list.join(","),
  expected: "names with commas between them",
};

export const LONGEST_TEXT = 2000; // what the page's own address (a GET) takes
export const LONGEST_VALUES = 8000; // characters of numbers

const TABLE = {
  model: network,
  text: {
    read: (text) => (text && text.length <= LONGEST_TEXT ? text : undefined),
    write: String,
    expected: `1 to ${LONGEST_TEXT} characters`,
  },
  values: {
    read: (text) => (/^[-+\d.eE,;]+$/.test(text) && text.length <= LONGEST_VALUES ? text : undefined),
    write: String,
    expected: "numbers, with ; between steps and , between the numbers of one step",
  },
  target: {
    read: (text) => (text && text.length <= LONGEST_TEXT ? text : undefined),
    write: String,
    expected: "what should come out",
  },
  pass: oneOf("forward", "backward"),
  t: whole(0, 20000),
  layer: whole(0, 63),
  signal: name,
  unit: whole(0, 65535),
  loss: oneOf("every", "last"),
  clamp: interventionInAddress,
  trace: oneOf("file"),
  run: names,
  step: whole(0, 9999999),
  gradient: oneOf("parameters", "signals"),
  panel: oneOf("samples", "write"),
  order: name,
  shown: name,
  norms: name,
  speed: whole(20, 10000),
  fold: oneOf("0", "1"),
  theme: oneOf("auto", "light", "dark"),
  names: oneOf("textbook", "course"),
  tour: whole(1, 6),
  hide: names,
  play: oneOf("0", "1"),
};

const DEFAULTS = {
  pass: "forward",
  target: "",
  loss: "every",
  speed: 200,
  theme: "auto",
  names: "textbook",
  fold: "0",
  clamp: [],
  hide: [],
  gradient: "parameters",
  panel: "samples",
};
const READ_BY_THE_SERVER = ["model", "text", "values", "target", "loss", "clamp"]; // not what a file shows

/**
 * Query string → {state, notices}: only properties that are there and valid are in `state`; every other is said in a
 * sentence.
 */
export function readAddress(query) {
  const state = {};
  const notices = [];
  for (const [key, text] of new URLSearchParams(query)) {
    if (!Object.hasOwn(TABLE, key)) continue;
    const property = TABLE[key];
    const value = property.read(text);
    if (value === undefined) notices.push(`The address has a wrong “${key}”: it takes ${property.expected}.`);
    else if (!property.many) state[key] = value;
    else state[key] = [...(state[key] ?? []), value].slice(0, property.many);
  }
  return { state, notices };
}

/** What of some fields is given. */
export const given = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

/** The state with a default wherever something is not chosen. */
export const withDefaults = (state) => ({ ...DEFAULTS, ...given(state) });

/** State → query string, defaults left out. */
export function writeAddress(state) {
  const query = new URLSearchParams();
  for (const [key, property] of Object.entries(TABLE)) {
    const value = state[key];
    if (value === undefined || value === null || (state.trace && READ_BY_THE_SERVER.includes(key))) continue;
    if (property.many) {
      for (const each of value) query.append(key, property.write(each));
      continue;
    }
    const text = property.write(value);
    if (key in DEFAULTS && text === property.write(DEFAULTS[key])) continue;
    if (property.read(text) !== undefined) query.set(key, text);
  }
  return query.toString();
}

const PAUSE = 400; // ms; browsers refuse addresses that change too often

/**
 * Puts states into the address bar: at once, then at most every 400 ms, and always the latest in the end. What is read
 * makes an entry of its own, so that Back goes back to what was read before; a text being typed makes one, not many.
 */
export class AddressBar {
  constructor() {
    Object.assign(this, { timer: 0, written: -Infinity, isResting: false, read: null, wasTyped: false });
  }

  write(state) {
    if (this.isResting) return;
    this.latest = state;
    this.timer ||= setTimeout(() => this.#flush(), Math.max(0, this.written + PAUSE - performance.now()));
  }

  /** Writes nothing until `arrived` is settled: the address is already that of what is on its way. */
  async rest(arrived) {
    clearTimeout(this.timer);
    Object.assign(this, { timer: 0, isResting: true, read: null });
    await arrived;
    this.isResting = false;
  }

  #flush() {
    Object.assign(this, { timer: 0, written: performance.now() });
    const query = writeAddress(this.latest);
    const { model, text, values, trace } = this.latest;
    const read = JSON.stringify([model, text, values, trace]);
    const isOther = this.read !== null && read !== this.read;
    const isTyped = document.activeElement?.tagName === "TEXTAREA";
    const entry = isOther && !(isTyped && this.wasTyped) ? "pushState" : "replaceState";
    Object.assign(this, { read, wasTyped: isTyped && (this.wasTyped || isOther) });
    history[entry](null, "", query ? `${location.pathname}?${query}` : location.pathname);
  }
}
