// Safetensors files: every number format, and a sentence for every way in which a file can be wrong.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BadFile, Safetensors } from "../../static/data/safetensors.js";
import { fileOf, fileOfTensors } from "./files.mjs";

const refuses = (file, message) =>
  assert.rejects(Safetensors.open(file), (problem) => {
    assert.ok(problem instanceof BadFile, `${problem.stack}`);
    assert.match(problem.message, message);
    return true;
  });

test("tensors of every number format are read as single precision, row after row", async () => {
  const doubles = Float64Array.of(0.1, -1e300);
  const halves = Uint16Array.of(0x3c00, 0x0001, 0x7c00, 0xfc00, 0x7e00, 0x8000);
  const brains = Uint16Array.of(0x3f80, 0xc040, 0x7f80);
  const singles = Float32Array.of(1.5, NaN);
  const header = { __metadata__: { note: "∂" } };
  const pieces = [];
  let at = 0;
  for (const [name, dtype, shape, table] of [
    ["d", "F64", [2], doubles],
    ["h", "F16", [2, 3], halves],
    ["b", "BF16", [3, 1], brains],
    ["s", "F32", [], singles.subarray(0, 1)],
    ["none", "F32", [0, 4], singles.subarray(0, 0)],
    ["whole", "I64", [1], new Uint8Array(8)],
  ]) {
    header[name] = { dtype, shape, data_offsets: [at, at + table.byteLength] };
    pieces.push(new Uint8Array(table.buffer, table.byteOffset, table.byteLength));
    at += table.byteLength;
  }
  const file = await Safetensors.open(fileOf(header, await new Blob(pieces).bytes()));
  assert.deepEqual(file.metadata, { note: "∂" });
  assert.deepEqual(file.names, ["d", "h", "b", "s", "none", "whole"]);
  assert.deepEqual(file.shape("h"), [2, 3]);
  assert.deepEqual([...(await file.values("d"))], [Math.fround(0.1), -Infinity]);
  assert.deepEqual([...(await file.values("h"))], [1, 2 ** -24, Infinity, -Infinity, NaN, -0]);
  assert.deepEqual([...(await file.values("b"))], [1, -3, Infinity]);
  assert.deepEqual([...(await file.values("s"))], [1.5]);
  assert.equal((await file.values("none")).length, 0);
  await assert.rejects(file.values("whole"), { message: /stored as I64; a trace is read from F64, F32, F16, BF16/ });
});

test("a file that is too short for its own header is refused", async () => {
  await refuses(new File([], "a"), /“a” is no safetensors file: it has only 0 bytes/);
  await refuses(new File(["1234567"], "a"), /only 7 bytes/);
  await refuses(fileOf("{}", undefined, { length: 3 }), /its header should have 3 bytes, the file has 10/);
  await refuses(fileOf("{}", undefined, { length: 2n ** 64n - 1n }), /no whole safetensors file/);
});

test("a header that is longer than any is refused before it is read", async () => {
  await refuses(
    fileOf("{}", new Uint8Array(16000001), { length: 16000001 }),
    /has 16,000,001 bytes; at most 16,000,000/,
  );
});

test("a header that is no JSON object is refused", async () => {
  for (const text of ["", "{", "{'a': 1}", "\u0000"]) await refuses(fileOf(text), /its header is not JSON/);
  await refuses(new File([Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe)], "a"), /its header is not JSON/);
  for (const content of [null, [], 1, "a"]) await refuses(fileOf(JSON.stringify(content)), /not a JSON object/);
});

const whole = { dtype: "F32", shape: [2], data_offsets: [0, 8] };
const WITHOUT_PLACE = [
  null,
  1,
  {},
  { ...whole, shape: undefined },
  { ...whole, shape: "2" },
  { ...whole, shape: [-1] },
  { ...whole, shape: [1.5] },
  { ...whole, shape: [2 ** 53] },
  { ...whole, data_offsets: undefined },
  { ...whole, data_offsets: [0] },
  { ...whole, data_offsets: [0, 4, 8] },
  { ...whole, data_offsets: [-8, 0] },
  { ...whole, data_offsets: [0, "8"] },
];

test("a tensor without a shape or a place is refused by name", async () => {
  await Safetensors.open(fileOf({ a: whole }, new Uint8Array(8)));
  for (const tensor of WITHOUT_PLACE)
    await refuses(fileOf({ a: tensor }, new Uint8Array(8)), /does not say the shape and place of “a”/);
});

test("a tensor that lies outside the file, or backwards, is refused", async () => {
  await refuses(fileOf({ a: whole }, new Uint8Array(7)), /“a” should lie at bytes 0 to 8, but the file holds 7 bytes/);
  await refuses(fileOf({ a: { ...whole, data_offsets: [8, 0] } }, new Uint8Array(8)), /bytes 8 to 0/);
});

test("a tensor whose shape needs other bytes than it has is refused", async () => {
  for (const shape of [[], [1], [3], [2, 2], [0]])
    await refuses(
      fileOf({ a: { ...whole, shape } }, new Uint8Array(8)),
      /“a” of shape .* needs \d+ bytes as F32, but has 8/,
    );
  await refuses(fileOf({ a: { ...whole, dtype: "F64" } }, new Uint8Array(8)), /needs 16 bytes as F64/);
});

test("a pickle is refused without a look, whatever it is called", async () => {
  for (const bytes of [
    [0x50, 0x4b, 3, 4, 0, 0, 0, 0],
    [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46],
  ])
    await refuses(new File([Uint8Array.from(bytes)], "a.safetensors"), /pickle .* gatescope convert model\.pt/);
});

test("a header of 640 bytes is no pickle", async () => {
  const file = await Safetensors.open(fileOf(JSON.stringify({ __metadata__: { a: "" } }).padEnd(640)));
  assert.deepEqual(file.names, []);
  assert.equal((await Safetensors.open(fileOfTensors({ b: [[1], [2]] }))).names[0], "b");
});
