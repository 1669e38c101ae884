// A safetensors file, read in the browser: eight bytes say how long its JSON header is, the numbers stand behind it.
// Only what is asked for is read.

const LONGEST_HEADER = 16e6; // bytes
const START = 8; // bytes before the header
const WIDTHS = { F64: 8, F32: 4, F16: 2, BF16: 2 };
const TO_SINGLE = {
  F64: (buffer) => Float32Array.from(new Float64Array(buffer)),
  F32: (buffer) => new Float32Array(buffer),
  F16: (buffer) => new Float32Array(new Float16Array(buffer)),
  BF16: (buffer) => new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer),
};

/** What is wrong with a file, as one sentence for the page. */
export class BadFile extends Error {}

export class Safetensors {
  /** Reads the header of a File; throws BadFile where it does not fit the file. */
  static async open(file) {
    const size = file.size;
    const bytes = new Uint8Array(await file.slice(0, START).arrayBuffer());
    refusePickles(bytes);
    if (size < START) throw new BadFile(`“${file.name}” is no safetensors file: it has only ${size} bytes.`);
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    if (length > size - START)
      throw new BadFile(
        `“${file.name}” is no whole safetensors file: its header should have ` +
          `${length.toLocaleString("en")} bytes, the file has ${size.toLocaleString("en")}.`,
      );
    if (length > LONGEST_HEADER)
      throw new BadFile(
        `The header of “${file.name}” has ${length.toLocaleString("en")} bytes; at most ` +
          `${LONGEST_HEADER.toLocaleString("en")} are read.`,
      );
    let header;
    try {
      header = JSON.parse(
        new TextDecoder("utf-8", { fatal: true }).decode(await file.slice(START, START + length).arrayBuffer()),
      );
    } catch {
      throw new BadFile(`“${file.name}” is no safetensors file: its header is not JSON.`);
    }
    if (header === null || typeof header !== "object" || Array.isArray(header))
      throw new BadFile(`“${file.name}” is no safetensors file: its header is not a JSON object.`);
    return new Safetensors(file, START + length, header);
  }

  constructor(file, begin, { __metadata__: metadata, ...tensors }) {
    Object.assign(this, { file, begin, tensors, metadata: metadata ?? {}, names: Object.keys(tensors) });
    for (const name of this.names) this.#check(name);
  }

  #check(name) {
    const { shape, data_offsets: offsets, dtype } = this.tensors[name] ?? {};
    const room = this.file.size - this.begin;
    const whole = (list) => Array.isArray(list) && list.every((entry) => Number.isSafeInteger(entry) && entry >= 0);
    if (!whole(shape) || !whole(offsets) || offsets.length !== 2)
      throw new BadFile(`The header does not say the shape and place of “${name}”.`);
    const [from, to] = offsets;
    if (from > to || to > room)
      throw new BadFile(`“${name}” should lie at bytes ${from} to ${to}, but the file holds ${room} bytes of numbers.`);
    const needed = shape.reduce((product, side) => product * side, WIDTHS[dtype] ?? NaN);
    if (!Number.isNaN(needed) && needed !== to - from)
      throw new BadFile(
        `“${name}” of shape ${shapeText(shape)} needs ${needed} bytes as ${dtype}, but has ${to - from}.`,
      );
  }

  shape(name) {
    return this.tensors[name].shape;
  }

  /** The numbers of a tensor as Float32Array, row after row. */
  async values(name) {
    const {
      dtype,
      data_offsets: [from, to],
    } = this.tensors[name];
    if (!(dtype in WIDTHS))
      throw new BadFile(
        `“${name}” is stored as ${String(dtype).slice(0, 20)}; a trace is read from ${Object.keys(WIDTHS).join(", ")}.`,
      );
    return TO_SINGLE[dtype](await this.file.slice(this.begin + from, this.begin + to).arrayBuffer());
  }
}

// A pickle runs as a program when it is opened, and torch.save writes one inside a zip: neither is looked into.
function refusePickles(bytes) {
  const zipped = [0x50, 0x4b, 3, 4].every((byte, k) => bytes[k] === byte);
  // a header's length ends in zeros
  const pickled = bytes[0] === 0x80 && bytes[1] >= 2 && bytes[1] <= 5 && bytes.subarray(4).some((byte) => byte !== 0);
  if (zipped || pickled)
    throw new BadFile(
      "This is a pickle (a .pt, .pth or .ckpt file), which could run anything when opened, so it is " +
        "not. Convert it on your own machine: gatescope convert model.pt",
    );
}

/** A shape as it is written on the page. */
export const shapeText = (shape) => (shape.length ? `(${shape.join(", ")})` : "()");
