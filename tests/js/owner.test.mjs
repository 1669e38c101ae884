// What a browser owns: networks and runs are told apart, and remembered from one page to the next.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ownedNetworks, ownedRuns, proof } from "../../static/data/owner.js";

test("networks and runs are told apart", () => {
  ownedNetworks.remember("n1", "secret of n1");
  ownedRuns.remember("r1", "secret of r1");
  assert.deepEqual([ownedNetworks.ids, ownedRuns.ids], [["n1"], ["r1"]]);
  assert.equal(ownedNetworks.recall("n1"), "secret of n1");
  assert.equal(ownedRuns.recall("n1"), null);
});

test("the browser's own memory keeps the names it has always had", () => {
  assert.equal(localStorage.getItem("gatescope owner of n1"), "secret of n1");
  assert.equal(localStorage.getItem("gatescope owner of run r1"), "secret of r1");
});

test("what was remembered by another page is found", () => {
  localStorage.setItem("gatescope owner of run r2", "secret of r2");
  localStorage.setItem("something else", "1");
  assert.deepEqual(ownedRuns.ids.sort(), ["r1", "r2"]);
  assert.equal(ownedRuns.recall("r2"), "secret of r2");
});

test("what is forgotten is gone", () => {
  ownedRuns.forget("r1");
  assert.deepEqual(ownedRuns.ids, ["r2"]);
  assert.equal(ownedRuns.recall("r1"), null);
  assert.equal(ownedNetworks.recall("n1"), "secret of n1");
});

test("a token is shown as a bearer's", () => {
  assert.deepEqual(proof("abc"), { Authorization: "Bearer abc" });
});
