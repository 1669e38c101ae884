// Questions to the service: one JSON answer, or server-sent events over fetch, so that a stream can be asked for by
// POST and stopped half-way. Whatever goes wrong is a Problem with a sentence to show.

const LONGEST_WAIT = 3600; // s that a Retry-After is believed
const LARGE = 1e6; // bytes of a body that a server may hang up on

/**
 * What the server refused, in its own words (RFC 9457); `status` is 0 when no whole answer came. `retryAfter`: seconds
 * it asks to wait, 0 where it does not say; `own`: the service itself says so, and nobody before it.
 */
export class Problem extends Error {
  constructor(status, title, detail, errors = [], { retryAfter = 0, own = false } = {}) {
    super(detail || title);
    Object.assign(this, { name: "Problem", status, title, detail, errors, retryAfter, own });
  }
}

const WORDS = {
  403: "The server does not allow this.",
  404: "There is nothing at this address.",
  408: "The server waited too long for the request.",
  413: "This is more than the server takes.",
  429: "These were too many requests at once.",
  502: "The server behind the proxy does not answer.",
  503: "The server has no room for this now.",
  504: "The server behind the proxy does not answer in time.",
  507: "The server has no space left.",
};
const NONSENSE = "What came back is no answer of this service: something else may stand before it.";
const BROKEN_OFF = "The answer of the server broke off.";

/** What a Problem says as a sentence of its own. */
export const asSentence = (words) =>
  `${words.slice(0, 1).toUpperCase()}${words.slice(1)}${/[.?!…]$/.test(words) ? "" : "."}`;

const inWords = (said) => (typeof said === "string" ? said : "");

async function problemOf(response) {
  const body = (await response.json().catch(() => null)) ?? {};
  const named = body.title ?? (response.statusText || WORDS[response.status]);
  const title = inWords(named) || `The server refused (${response.status}).`;
  const said = Array.isArray(body.detail) ? body.detail.map((entry) => entry?.msg).join("; ") : inWords(body.detail);
  const errors = Array.isArray(body.errors) ? body.errors.filter((error) => error?.detail) : [];
  const own = (response.headers.get("Content-Type") ?? "").startsWith("application/problem+json");
  return new Problem(response.status, title, said, errors, { retryAfter: secondsIn(response.headers), own });
}

// Seconds, or a moment by the server's own clock.
function secondsIn(headers) {
  const said = headers.get("Retry-After") ?? "";
  const seconds = /^\d+$/.test(said) ? Number(said) : (Date.parse(said) - Date.parse(headers.get("Date"))) / 1000;
  return seconds > 0 ? Math.min(seconds, LONGEST_WAIT) : 0;
}

const nonsense = () => new Problem(0, "Nonsense", NONSENSE);
const brokenOff = () => new Problem(0, "Broken off", BROKEN_OFF);

// What was called off ourselves is passed on; all else that fails is a Problem.
const unlessStopped = (problem) => (cause) => {
  if (cause.name === "AbortError" || cause instanceof Problem) throw cause;
  throw problem(cause);
};

// A browser does not say why it got no answer; what may be the reason is said.
function noAnswer({ body }) {
  const size = body?.size ?? 0;
  if (size > LARGE)
    return `The server does not answer. It may not take as much as these ${Math.round(size / 1e6)} MB at once.`;
  // a frame without an origin of its own may ask only what the server lets strangers ask
  return globalThis.origin === "null"
    ? "The server does not answer, or it does not let a frame without an origin (sandbox) ask this."
    : "The server does not answer. Is it still running?";
}

async function ask(url, options = {}) {
  const silent = () => new Problem(0, "No answer", noAnswer(options));
  const response = await fetch(url, options).catch(unlessStopped(silent));
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** One JSON answer, null where there is none; throws Problem. */
export async function readJson(url, options = {}) {
  const response = await ask(url, options);
  if (response.status === 204) return null;
  const text = await response.text().catch(unlessStopped(brokenOff));
  try {
    return JSON.parse(text);
  } catch {
    throw nonsense();
  }
}

/** The JSON answer to a JSON body; throws Problem. */
export const postJson = (url, body, signal) =>
  readJson(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });

/**
 * Calls `onEvent(name, data, id)` for every event of a stream until it ends, `onBytes()` for whatever comes; `body` is
 * sent as JSON by POST. A stream that ends before its event `last`, where one is named, broke off. Throws Problem.
 */
export async function readEvents(url, { body, signal, onEvent, onBytes, last }) {
  const options =
    body === undefined
      ? {}
      : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await ask(url, { ...options, signal });
  if (!response.body) return; // 204: there is nothing to come
  if (!(response.headers.get("Content-Type") ?? "").startsWith("text/event-stream")) {
    response.body.cancel().catch(() => {});
    throw nonsense();
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let over = last === undefined;
  for (;;) {
    const { value, done } = await reader.read().catch(unlessStopped(brokenOff));
    if (done) break;
    onBytes?.();
    const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = eventOf(block);
      if (!event) continue;
      over ||= event.name === last;
      onEvent(event.name, event.data, event.id);
    }
  }
  if (!over) throw brokenOff();
}

// The lines between two empty ones as an event; null where they bring no data.
function eventOf(block) {
  let name = "message";
  let id = "";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("id:")) id = line.slice(3).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5));
  }
  if (!data.length) return null;
  try {
    return { name, id, data: JSON.parse(data.join("\n")) };
  } catch {
    throw nonsense();
  }
}
