// Event streams, whatever pieces they come in, and what the service refuses.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Problem, postJson, readEvents, readJson } from "../../static/data/stream.js";
import { breakOff, sendJson, serve } from "./server.mjs";

let answer = null;
const server = await serve((request, response) => answer(request, response));
after(server.close);

/** The events of a stream that comes in these pieces, each in a packet of its own: [[name, data, id]…]. */
async function eventsOf(pieces) {
  answer = async (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.flushHeaders();
    for (const piece of pieces) {
      await new Promise((resolve) => response.write(piece, resolve));
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    response.end();
  };
  const events = [];
  let heard = 0;
  await readEvents("/stream", {
    onEvent: (name, data, id) => events.push([name, data, id]),
    onBytes: () => heard++,
  });
  assert.ok(heard > 0);
  return events;
}

const WHOLE = 'id: 7\nevent: character\ndata: {"text":"é∂🙂"}\n\nevent: end\ndata: {}\n\n';
const EVENTS = [
  ["character", { text: "é∂🙂" }, "7"],
  ["end", {}, ""],
];

test("an event is the same wherever the stream is cut, within a character too", async () => {
  const bytes = new TextEncoder().encode(WHOLE);
  for (let at = 1; at < bytes.length; at += 3)
    assert.deepEqual(await eventsOf([bytes.subarray(0, at), bytes.subarray(at)]), EVENTS, `cut at ${at}`);
  assert.deepEqual(await eventsOf([...bytes].map((byte) => Uint8Array.of(byte))), EVENTS);
});

test("lines may end as on Windows, cut between the two as well", async () => {
  const windows = WHOLE.replaceAll("\n", "\r\n");
  assert.deepEqual(await eventsOf([windows]), EVENTS);
  for (let at = windows.indexOf("\r"); at >= 0; at = windows.indexOf("\r", at + 1))
    assert.deepEqual(await eventsOf([windows.slice(0, at + 1), windows.slice(at + 1)]), EVENTS);
});

test("data over several lines are one, comments are none, and what has no name is a message", async () => {
  assert.deepEqual(await eventsOf([": still here\n\n", 'data: {"a":\ndata: 1}\n\n']), [["message", { a: 1 }, ""]]);
});

test("an event without its end is not told", async () => {
  assert.deepEqual(await eventsOf(["event: end\ndata: {}\n"]), []);
});

test("a stream that breaks off is a Problem after the events that came", async () => {
  answer = (_, response) => breakOff(response, "event: begin\ndata: 1\n\nevent: forw", "text/event-stream");
  const events = [];
  const reading = readEvents("/stream", { onEvent: (name) => events.push(name) });
  await assert.rejects(reading, (problem) => problem instanceof Problem && problem.status === 0);
  assert.deepEqual(events, ["begin"]);
});

test("a stream that is stopped rejects with what stopped it", async () => {
  answer = (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write("event: begin\ndata: 1\n\n");
  };
  const stop = new AbortController();
  const reading = readEvents("/stream", { signal: stop.signal, onEvent: () => stop.abort() });
  await assert.rejects(reading, { name: "AbortError" });
});

test("an answer of 204 has no events and no JSON", async () => {
  answer = (_, response) => response.writeHead(204).end();
  await readEvents("/stream", { onEvent: assert.fail });
  assert.equal(await readJson("/nothing"), null);
});

test("a body is sent as JSON by POST", async () => {
  answer = async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    sendJson(response, { method: request.method, type: request.headers["content-type"], body: JSON.parse(body) });
  };
  const sent = { text: "∂" };
  assert.deepEqual(await postJson("/echo", sent), { method: "POST", type: "application/json", body: sent });
});

test("what the service refuses is told in its own words, with the fields", async () => {
  const errors = [{ field: "text", detail: "is empty" }];
  answer = (_, response) => sendJson(response, { title: "Refused", detail: "The text is empty", errors }, 422);
  await assert.rejects(readJson("/refused"), {
    name: "Problem",
    message: "The text is empty",
    title: "Refused",
    status: 422,
    errors,
  });
});

test("an error page that is no JSON is a Problem too", async () => {
  answer = (_, response) => response.writeHead(502, "Bad Gateway").end("<html>");
  await assert.rejects(readJson("/broken"), { name: "Problem", status: 502, message: "Bad Gateway" });
});

test("JSON that breaks off in its body is a Problem of status 0", async () => {
  answer = (_, response) => breakOff(response, '{"events": [');
  await assert.rejects(readJson("/half"), { name: "Problem", status: 0 });
});

test("how long the service asks to wait is read as seconds, as a moment, and not at all", async () => {
  const date = new Date(Date.parse("2026-01-01T00:00:00Z")).toUTCString();
  const later = new Date(Date.parse("2026-01-01T00:00:07Z")).toUTCString();
  const said = { 5: 5, 0: 0, "-3": 0, soon: 0, [later]: 7, 99999999: 3600 };
  for (const [header, seconds] of Object.entries(said)) {
    answer = (_, response) =>
      response
        .writeHead(503, { "Retry-After": header, Date: date, "Content-Type": "application/problem+json" })
        .end("{}");
    await assert.rejects(readJson("/later"), { status: 503, retryAfter: seconds, own: true });
  }
});

test("what is no answer of the service is said to be none", async () => {
  const html = (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<html>Log in</html>");
  for (const ask of [() => readJson("/page"), () => readEvents("/page", { onEvent: assert.fail })]) {
    answer = html;
    await assert.rejects(ask(), { name: "Problem", status: 0, title: "Nonsense", own: false });
  }
});

test("a stream that ends before its last event broke off", async () => {
  answer = (_, response) =>
    response.writeHead(200, { "Content-Type": "text/event-stream" }).end("event: begin\ndata: 1\n\n");
  await assert.rejects(readEvents("/short", { onEvent() {}, last: "end" }), { title: "Broken off" });
  await readEvents("/short", { onEvent() {}, last: "begin" });
});
