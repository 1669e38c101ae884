// What is waited for, how long, and what is said meanwhile.

import assert from "node:assert/strict";
import { test } from "node:test";
import { patiently, pauseAfter, untilAnswered } from "../../static/data/patience.js";
import { Problem } from "../../static/data/stream.js";

const refused = (status, retryAfter = 0, own = true) =>
  new Problem(status, "No", "All are taken.", [], { retryAfter, own });

/** Fails as told, call by call, then gives "here"; `calls` counts. */
function failing(...problems) {
  const ask = async () => {
    ask.calls++;
    if (problems.length) throw problems.shift();
    return "here";
  };
  ask.calls = 0;
  return ask;
}

test("pauses grow, end growing, differ from page to page, and are as long as the service asks", () => {
  const longest = (failures, problem) => Math.max(...Array.from({ length: 200 }, () => pauseAfter(failures, problem)));
  const all = [1, 2, 3, 4, 5, 6, 50].map((failures) => longest(failures));
  assert.ok(all.every((pause, k) => k === 0 || k === 6 || pause > all[k - 1]));
  assert.ok(all[0] <= 500 && all.at(-1) <= 10000 && all.at(-1) > 9000);
  assert.ok(new Set(Array.from({ length: 20 }, () => pauseAfter(3))).size > 15);
  const asked = Array.from({ length: 200 }, () => pauseAfter(1, { retryAfter: 30 }));
  assert.ok(Math.min(...asked) >= 30000 && Math.max(...asked) <= 36000);
});

test("a place that is taken is waited for and said so", async () => {
  const ask = failing(refused(503, 0.05), refused(503, 0.05));
  const said = [];
  assert.equal(await patiently(ask, { say: (words) => said.push(words) }), "here");
  assert.equal(ask.calls, 3);
  assert.equal(said.length, 2);
  assert.match(said[0], /^All are taken\. It is tried again by itself in 1 s\.$/);
});

test("after three tries the last refusal is told, and what is no want of places at once", async () => {
  const full = failing(...Array(5).fill(refused(503, 0.01)));
  await assert.rejects(patiently(full, { say() {} }), { status: 503 });
  assert.equal(full.calls, 3);
  for (const problem of [refused(422), refused(413), refused(429, 1), refused(507, 60), refused(0), refused(503, 60)]) {
    const ask = failing(problem);
    await assert.rejects(patiently(ask, { say: assert.fail }), problem);
    assert.equal(ask.calls, 1);
  }
});

test("waiting for a place can be called off", async () => {
  const stop = new AbortController();
  const ask = failing(refused(503, 20));
  const asking = patiently(ask, { signal: stop.signal, say: () => stop.abort() });
  await assert.rejects(asking, { name: "AbortError" });
  assert.equal(ask.calls, 1);
  const off = patiently(failing(refused(503, 20)), { signal: AbortSignal.abort(), say() {} });
  await assert.rejects(off, { name: "AbortError" });
});

test("what a page cannot do without is asked for until there is an answer", async () => {
  const ask = failing(refused(0), refused(502, 0, false), refused(404, 0, false), refused(429, 0.01));
  const said = [];
  assert.equal(await untilAnswered(ask, (words) => said.push(words)), "here");
  assert.equal(ask.calls, 5);
  assert.equal(said.at(-1), "");
  await assert.rejects(untilAnswered(failing(refused(404)), assert.fail), { status: 404 });
});
