// What the connection to the log of runs survives: nonsense, refusals, a server that is gone, proxies that hold streams
// back, and what it says meanwhile.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Connection } from "../../static/data/connection.js";
import { breakOff, sendJson, serve, until } from "./server.mjs";

const PAUSES = { together: 1, pull: 20, silence: 60000, again: [1, 2], first: 60, held: [400, 1000], answer: 2000 };
Object.assign(PAUSES, { trouble: [20, 100] });
const LIMIT = { timeout: 20000 };
const isPull = (url) => url.includes("/events.json");
const afterOf = (url) => Number(/after=(\d+)/.exec(url)[1]);
const limitOf = (url) => Number(/limit=(\d+)/.exec(url)[1]);
const entry = (id, event = "progress") => ({ id, event, data: {} });
const streamed = (id, event = "progress") => `id: ${id}\nevent: ${event}\ndata: {"run": "a"}\n\n`;
const problem = (response, status, detail, headers = {}) => {
  response.writeHead(status, { "Content-Type": "application/problem+json", ...headers });
  response.end(JSON.stringify({ title: "No", status, detail, errors: [] }));
};
const html = (response, status = 200) => response.writeHead(status, { "Content-Type": "text/html" }).end("<html>Hi");
const noStream = (response) => problem(response, 503, "Too many watch");

let server = null;
const alive = [];
afterEach(async () => {
  for (const stop of alive.splice(0)) stop();
  await server.close();
});

/** Watches run `a`; gives everything told: {names, over, missing, troubles: as they were told}. */
function watched(connection) {
  const told = { names: [], over: false, missing: "", troubles: [] };
  const watcher = ({ at, events, over, missing, trouble }) => {
    assert.equal(at, told.names.length);
    told.names.push(...events.map(([name]) => name));
    if (trouble !== (told.troubles.at(-1) ?? "")) told.troubles.push(trouble);
    Object.assign(told, { over, missing });
  };
  connection.watch("a", watcher);
  alive.push(() => connection.leave("a", watcher));
  return told;
}

/** Answers pulls from a log that a test may let grow; `stream` answers the rest. */
const keeping = (log, stream) => (request, response) =>
  isPull(request.url)
    ? sendJson(response, { events: log.filter(({ id }) => id > afterOf(request.url)), more: false })
    : stream(request, response);

const NONSENSE = {
  "a page of HTML": (response) => html(response),
  "an empty answer": (response) => response.writeHead(200).end(),
  null: (response) => sendJson(response, null),
  "an object of another kind": (response) => sendJson(response, { hello: 1 }),
  "events that are no list": (response) => sendJson(response, { events: { 1: 2 }, more: false }),
  "events without ids": (response) => sendJson(response, { events: [{ event: "end" }, null], more: true }),
  "half of a page": (response) => breakOff(response, '{"events": [{"id": 1, "ev'),
  "a hang-up": (response) => response.destroy(),
  "an HTML page of 404": (response) => html(response, 404),
  "an HTML page of 502": (response) => html(response, 502),
  "a fault without words": (response) => sendJson(response, null, 500),
  "words that are none": (response) => sendJson(response, { title: [1], detail: { a: 1 }, errors: {} }, 503),
};

for (const [name, answer] of Object.entries(NONSENSE))
  test(`${name} is said to be wrong and asked for again until the log comes`, LIMIT, async () => {
    let pulls = 0;
    server = await serve((_, response) => {
      pulls++;
      if (pulls < 3) answer(response);
      else sendJson(response, { events: [entry(1, "end")], more: false });
    });
    const told = watched(new Connection(PAUSES));
    await until(() => told.over);
    assert.deepEqual(told.names, ["end"]);
    assert.equal(told.missing, "");
    assert.match(told.troubles[0], /^[A-Z].*[.?] It is tried again by itself in 1 s\.$/);
    assert.equal(told.troubles.at(-1), "", "and that it is well again");
  });

test("pages that say that there is more, and bring nothing, are not asked for without a rest", LIMIT, async () => {
  server = await serve((request, response) =>
    isPull(request.url) ? sendJson(response, { events: [], more: true }) : noStream(response),
  );
  watched(new Connection({ ...PAUSES, pull: 100 }));
  await new Promise((resolve) => setTimeout(resolve, 350));
  assert.ok(server.asked.length < 12, `asked ${server.asked.length} times`);
});

test("smaller pages are asked for where large ones break off, and larger ones again", LIMIT, async () => {
  const log = Array.from({ length: 1600 }, (_, k) => entry(k + 1, k < 1599 ? "progress" : "end"));
  server = await serve((request, response) => {
    const limit = limitOf(request.url);
    if (limit > 600) return breakOff(response, '{"events": [');
    const rest = log.filter(({ id }) => id > afterOf(request.url));
    sendJson(response, { events: rest.slice(0, limit), more: rest.length > limit });
  });
  const told = watched(new Connection(PAUSES));
  await until(() => told.over);
  assert.equal(told.names.length, 1600);
  assert.deepEqual(server.asked.slice(0, 3).map(limitOf), [2000, 1000, 500]);
});

test("as long as the service asks to be left alone it is, and that is said", LIMIT, async () => {
  const times = [];
  server = await serve((_, response) => {
    times.push(performance.now());
    if (times.length === 1) return problem(response, 503, "The log is locked", { "Retry-After": "2" });
    sendJson(response, { events: [entry(1, "end")], more: false });
  });
  const connection = new Connection(PAUSES);
  const told = watched(connection);
  await until(() => told.troubles.length);
  connection.wake();
  await until(() => told.over);
  assert.match(told.troubles[0], /^The log is locked\. It is tried again by itself in 2 s\.$/);
  assert.ok(times[1] - times[0] >= 1990, `came back after ${times[1] - times[0]} ms`);
});

test(
  "a server that is gone is asked again and again, goes on where it was, and waking asks at once",
  LIMIT,
  async () => {
    const log = [entry(1)];
    let gone = false;
    const answer = keeping(log, (_, response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write(streamed(1));
    });
    server = await serve((request, response) => (gone ? response.destroy() : answer(request, response)));
    const connection = new Connection(PAUSES);
    const told = watched(connection);
    await until(() => server.asked.some((url) => !isPull(url)));
    gone = true;
    server.hangUp();
    await until(() => told.troubles.length);
    assert.match(told.troubles[0], /^The server does not answer/);
    log.push(entry(2), entry(3, "end"));
    gone = false;
    connection.wake();
    await until(() => told.over);
    assert.deepEqual(told.names, ["progress", "progress", "end"]);
    assert.equal(told.troubles.at(-1), "");
  },
);

test("a run is gone only if the service itself says so", LIMIT, async () => {
  let pulls = 0;
  server = await serve((_, response) => {
    pulls++;
    if (pulls === 1) html(response, 404);
    else problem(response, 404, "There is no such run");
  });
  const told = watched(new Connection(PAUSES));
  await until(() => told.missing);
  assert.equal(told.missing, "There is no such run");
  assert.equal(pulls, 2);
});

const HOLDING = {
  "with its headers": () => {},
  "after its headers": (response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.flushHeaders();
  },
  "after its first words": (response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write("retry: 3000\n\n");
  },
};

for (const [name, hold] of Object.entries(HOLDING))
  test(`a stream that is held back ${name} costs no more than a pull's pause`, LIMIT, async () => {
    const log = [];
    const growing = setInterval(() => log.push(entry(log.length + 1)), 10);
    alive.push(() => clearInterval(growing));
    server = await serve(keeping(log, (_, response) => hold(response)));
    const connection = new Connection(PAUSES);
    const told = watched(connection);
    const moved = [];
    let seen = 0;
    const begun = performance.now();
    while (performance.now() - begun < 900) {
      if (told.names.length > seen) [seen] = [told.names.length, moved.push(performance.now())];
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const gaps = moved.slice(1).map((time, k) => time - moved[k]);
    assert.ok(moved.length > 5 && Math.max(...gaps) < 300, `${moved.length} moves, gaps up to ${Math.max(...gaps)} ms`);
    const streams = server.asked.filter((url) => !isPull(url)).length;
    assert.ok(streams >= 2 && streams <= 5, `${streams} streams`);
  });

test("streams are tried again after a while, and kept when they come through", LIMIT, async () => {
  const log = [entry(1)];
  let streams = 0;
  server = await serve(
    keeping(log, (_, response) => {
      streams++;
      if (streams < 3) return;
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write(streamed(2) + streamed(3, "end"));
    }),
  );
  const told = watched(new Connection(PAUSES));
  await until(() => told.over);
  assert.deepEqual(told.names, ["progress", "progress", "end"]);
  assert.equal(streams, 3);
});

test("a stream that answers something else is none, and pulling goes on", LIMIT, async () => {
  const log = [entry(1)];
  server = await serve(keeping(log, (_, response) => html(response)));
  const told = watched(new Connection(PAUSES));
  await until(() => server.asked.length > 4);
  log.push(entry(2, "end"));
  await until(() => told.over);
  assert.deepEqual(told.names, ["progress", "end"]);
});

const BROKEN = [": \n\n", "data: {nope\n\n", "id: 9\nevent: progress\ndata: null\n\n", "id: x\ndata: {}\n\n"];
test("events that are none throw nothing, and the stream is asked for again", LIMIT, async () => {
  let streams = 0;
  server = await serve(
    keeping([], (_, response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.end(BROKEN[streams++] ?? streamed(10, "end"));
    }),
  );
  const told = watched(new Connection({ ...PAUSES, held: [30, 30] }));
  await until(() => told.over);
  assert.deepEqual(told.names, ["end"]);
});
