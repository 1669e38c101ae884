// Server-sent events over fetch, so that a stream can be asked for by POST and stopped half-way.

/** What the server refused, in its own words (RFC 9457); `status` is 0 when no answer came at all. */
export class Problem extends Error {
  constructor(status, title, detail, errors = []) {
    super(detail || title);
    Object.assign(this, { name: "Problem", status, title, detail, errors });
  }
}

async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  const title = body.title ?? response.statusText ?? "The server refused";
  const said = Array.isArray(body.detail) ? body.detail.map((entry) => entry.msg).join("; ") : body.detail;
  return new Problem(response.status, title, said, body.errors);
}

// An answer that began well and ends before its end; what was called off ourselves is passed on.
function brokenOff(cause) {
  if (cause.name === "AbortError") throw cause;
  throw new Problem(0, "Broken off", "The answer of the server broke off.");
}

async function ask(url, options) {
  const response = await fetch(url, options).catch((cause) => {
    if (cause.name === "AbortError") throw cause;
    throw new Problem(0, "No answer", "The server does not answer. Is it still running?");
  });
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** One JSON answer, null where there is none; throws Problem. */
export async function readJson(url, options = {}) {
  const response = await ask(url, options);
  return response.status === 204 ? null : response.json().catch(brokenOff);
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
 * sent as JSON by POST. Throws Problem.
 */
export async function readEvents(url, { body, signal, onEvent, onBytes }) {
  const options =
    body === undefined
      ? {}
      : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await ask(url, { ...options, signal });
  if (!response.body) return; // 204: there is nothing to come
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read().catch(brokenOff);
    if (done) return;
    onBytes?.();
    const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = eventOf(block);
      if (event) onEvent(event.name, event.data, event.id);
    }
  }
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
  return data.length ? { name, id, data: JSON.parse(data.join("\n")) } : null;
}
