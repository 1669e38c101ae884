// The one connection to the log of runs: pulled, streamed, broken off, and gone on with where it was.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Connection } from "../../static/data/connection.js";
import { breakOff, sendJson, serve, until } from "./server.mjs";

const PAUSES = { together: 1, pull: 5, silence: 60000, again: [1, 2], trouble: [5, 50] };
const LIMIT = { timeout: 20000 };
const entry = (id, event, data = {}) => ({ id, event, data });
const streamed = (id, event, run) => `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify({ run })}\n\n`;
const isPull = (url) => url.includes("/events.json");
const afterOf = (url) => Number(/after=(\d+)/.exec(url)[1]);

let server = null;
afterEach(() => server.close());

/** Watches a run; gives everything told: {names, times told, over, missing}. */
function watched(connection, run) {
  const told = { names: [], over: false, missing: "" };
  const watcher = ({ at, events, over, missing }) => {
    assert.equal(at, told.names.length, "told from where the last telling ended");
    told.names.push(...events.map(([name]) => name));
    Object.assign(told, { over, missing });
  };
  connection.watch(run, watcher);
  return { told, watcher };
}

test("what has been is pulled page by page, each from the last one's end", LIMIT, async () => {
  const log = ["state", "progress", "progress", "sample", "end"].map((name, k) => entry(10 + k, name));
  server = await serve((request, response) => {
    const rest = log.filter(({ id }) => id > afterOf(request.url));
    sendJson(response, { events: rest.slice(0, 2), more: rest.length > 2 });
  });
  const { told } = watched(new Connection(PAUSES), "a");
  await until(() => told.over);
  assert.deepEqual(told.names, ["state", "progress", "progress", "sample", "end"]);
  assert.deepEqual(server.asked.map(afterOf), [0, 11, 13]);
});

test("a page that breaks off in its body is pulled again", LIMIT, async () => {
  let pulls = 0;
  server = await serve((_, response) => {
    pulls++;
    if (pulls < 3) breakOff(response, '{"events": [{"id": 1, "ev');
    else sendJson(response, { events: [entry(1, "end")], more: false });
  });
  const { told } = watched(new Connection(PAUSES), "a");
  await until(() => told.over);
  assert.deepEqual(told.names, ["end"]);
});

test("what happens now is streamed from the last entry on, and nothing is told twice", LIMIT, async () => {
  server = await serve((request, response) => {
    if (isPull(request.url))
      return sendJson(response, { events: afterOf(request.url) ? [] : [entry(5, "progress")], more: false });
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(streamed(5, "progress", "a") + streamed(6, "sample", "a") + streamed(7, "end", "a"));
  });
  const { told } = watched(new Connection(PAUSES), "a");
  await until(() => told.over);
  assert.deepEqual(told.names, ["progress", "sample", "end"]);
  assert.ok(server.asked.includes("/api/events?runs=a&after=5"));
});

test("a stream that breaks off is gone on with after the last event that came", LIMIT, async () => {
  let streams = 0;
  server = await serve((request, response) => {
    if (isPull(request.url)) return sendJson(response, { events: [], more: false });
    streams++;
    if (streams === 1) return breakOff(response, streamed(1, "progress", "a"), "text/event-stream");
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(streamed(2, "end", "a"));
  });
  const { told } = watched(new Connection(PAUSES), "a");
  await until(() => told.over);
  assert.deepEqual(told.names, ["progress", "end"]);
  const asked = server.asked.filter((url) => !isPull(url));
  assert.deepEqual(asked.map(afterOf), [0, 1]);
});

test("where no stream opens, pulling alone brings everything", LIMIT, async () => {
  let pulls = 0;
  server = await serve((request, response) => {
    if (!isPull(request.url)) return sendJson(response, { title: "No streams here" }, 503);
    pulls++;
    const id = afterOf(request.url) + 1;
    sendJson(response, { events: pulls % 2 ? [entry(id, id < 3 ? "progress" : "end")] : [], more: false });
  });
  const { told } = watched(new Connection(PAUSES), "a");
  await until(() => told.over);
  assert.deepEqual(told.names, ["progress", "progress", "end"]);
});

test("a run that is not there is told, and asked for no more", LIMIT, async () => {
  server = await serve((request, response) => {
    if (request.url.includes("/runs/gone/")) return sendJson(response, { detail: "There is no such run" }, 404);
    sendJson(response, { events: [entry(1, "end")], more: false });
  });
  const connection = new Connection(PAUSES);
  const gone = watched(connection, "gone");
  await until(() => gone.told.missing);
  assert.equal(gone.told.missing, "There is no such run");
  const { told } = watched(connection, "b");
  await until(() => told.over);
  assert.equal(server.asked.filter((url) => url.includes("gone")).length, 1);
});

test("who comes later is told all there has been at once", LIMIT, async () => {
  server = await serve((_, response) =>
    sendJson(response, { events: [entry(1, "state"), entry(2, "end")], more: false }),
  );
  const connection = new Connection(PAUSES);
  const first = watched(connection, "a");
  await until(() => first.told.over);
  const second = watched(connection, "a");
  assert.deepEqual(second.told.names, ["state", "end"]);
  assert.ok(second.told.over);
  assert.equal(server.asked.length, 1);
});

test("a run that is left is told no more and its stream is closed", LIMIT, async () => {
  let closed = false;
  server = await serve((request, response) => {
    if (isPull(request.url)) return sendJson(response, { events: [], more: false });
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(streamed(1, "progress", "a"));
    response.on("close", () => {
      closed = true;
    });
  });
  const connection = new Connection(PAUSES);
  const { told, watcher } = watched(connection, "a");
  await until(() => told.names.length);
  connection.leave("a", watcher);
  await until(() => closed);
  assert.deepEqual(told.names, ["progress"]);
});
