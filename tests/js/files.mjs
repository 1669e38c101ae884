// Safetensors files made by hand, byte by byte.

/** A header and numbers as a File; `header` is JSON or a text, `length` what the first eight bytes claim. */
export function fileOf(header, bytes = new Uint8Array(), { length, name = "mine.safetensors" } = {}) {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const start = new DataView(new ArrayBuffer(8));
  start.setBigUint64(0, BigInt(length ?? text.length), true);
  return new File([start, text, bytes], name);
}

/** A file of tensors {name: [shape, numbers]}, all in single precision. */
export function fileOfTensors(tensors, metadata) {
  const header = metadata ? { __metadata__: metadata } : {};
  const numbers = [];
  for (const [name, [shape, values]] of Object.entries(tensors)) {
    const from = 4 * numbers.length;
    numbers.push(...values);
    header[name] = { dtype: "F32", shape, data_offsets: [from, 4 * numbers.length] };
  }
  return fileOf(header, new Uint8Array(Float32Array.from(numbers).buffer));
}
