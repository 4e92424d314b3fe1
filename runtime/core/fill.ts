/** Made-up contents of buffers, the same on every engine: what a proof runs a kernel on. */
import { hashStream } from "./random.ts";

export type Fill =
  /** f32, evenly distributed over -scale..scale. */
  | { readonly kind: "uniform"; readonly seed: number; readonly scale: number }
  /** i32 in 0..below-1. */
  | { readonly kind: "index"; readonly seed: number; readonly below: number }
  /** i32, one number everywhere. */
  | { readonly kind: "same"; readonly value: number }
  /** u8 in 0..255. */
  | { readonly kind: "bytes"; readonly seed: number }
  /** f32, 0 for about one in four and never at the first element of a row. */
  | { readonly kind: "mask"; readonly seed: number; readonly row: number }
  /** i32, `count` ascending offsets from 0 to `total`. */
  | { readonly kind: "offsets"; readonly count: number; readonly total: number };

/** Elements of a filled buffer by position, or many at even steps. */
export interface FillReader {
  (position: number): number;
  run(start: number, step: number, count: number): Float64Array;
}

/**
 * Drawn contents repeat after this many elements, so that large buffers fill at the speed of a copy. A prime: rows of no
 * usual width look alike.
 */
const PERIOD = 1021;

/** Numbers of a stream, once for each seed while few are kept: claims of one place are proven on the same ones in every range. */
const streams = new Map<number, Uint32Array>();
const MOST_STREAMS = 256;

function streamOf(seed: number): Uint32Array {
  const known = streams.get(seed);
  if (known !== undefined) return known;
  if (streams.size >= MOST_STREAMS) streams.clear();
  const hash = hashStream(seed);
  const numbers = new Uint32Array(PERIOD);
  for (let i = 0; i < PERIOD; i++) numbers[i] = hash(i);
  streams.set(seed, numbers);
  return numbers;
}

/** One period of drawn contents; nothing for contents that follow a rule. */
function drawn(fill: Fill): Float32Array | Int32Array | Uint8Array | undefined {
  if (fill.kind === "same") return new Int32Array(PERIOD).fill(fill.value);
  if (fill.kind === "uniform") {
    const numbers = streamOf(fill.seed);
    // The middles of 2^32 equal steps.
    const step = (2 * fill.scale) / 4294967296;
    const values = new Float32Array(PERIOD);
    for (let i = 0; i < PERIOD; i++) values[i] = (numbers[i] + 0.5) * step - fill.scale;
    return values;
  }
  if (fill.kind === "bytes") return new Uint8Array(streamOf(fill.seed));
  if (fill.kind !== "index") return undefined;
  const numbers = streamOf(fill.seed);
  const values = new Int32Array(PERIOD);
  for (let i = 0; i < PERIOD; i++) values[i] = numbers[i] % fill.below;
  return values;
}

function byRule(fill: Extract<Fill, { kind: "mask" | "offsets" }>): (position: number) => number {
  if (fill.kind === "offsets")
    return (position) => (fill.count < 2 ? 0 : Math.floor((position * fill.total) / (fill.count - 1)));
  const hash = hashStream(fill.seed);
  return (position) => (position % fill.row !== 0 && hash(position) % 4 === 0 ? 0 : 1);
}

/** One period as numbers that are read many at once, for as long as few are kept: claims share fills over points and ranges. */
const periods = new Map<string, Float64Array>();

function periodOf(fill: Fill): Float64Array | undefined {
  if (fill.kind === "mask" || fill.kind === "offsets") return undefined;
  const key = JSON.stringify(fill);
  const known = periods.get(key);
  if (known !== undefined) return known;
  if (periods.size >= MOST_STREAMS) periods.clear();
  const made = new Float64Array(drawn(fill) ?? []);
  periods.set(key, made);
  return made;
}

/** The elements of a filled buffer. */
export function fillReader(fill: Fill): FillReader {
  const table = periodOf(fill);
  const at =
    table === undefined
      ? byRule(fill as Extract<Fill, { kind: "mask" | "offsets" }>)
      : (position: number): number => table[position % PERIOD];
  const run = (start: number, step: number, count: number): Float64Array => {
    const values = new Float64Array(count);
    if (table === undefined) for (let i = 0; i < count; i++) values[i] = at(start + i * step);
    else if (step === 1) {
      for (let done = 0; done < count; ) {
        const from = (start + done) % PERIOD;
        const part = table.subarray(from, Math.min(PERIOD, from + count - done));
        values.set(part, done);
        done += part.length;
      }
    } else {
      const stride = step % PERIOD;
      for (let i = 0, from = start % PERIOD; i < count; i++) {
        values[i] = table[from];
        from += stride;
        if (from >= PERIOD) from -= PERIOD;
      }
    }
    return values;
  };
  return Object.assign(at, { run });
}

function storageFor({ kind }: Fill, elements: number): Float32Array | Int32Array | Uint8Array {
  if (kind === "bytes") return new Uint8Array(elements);
  return kind === "uniform" || kind === "mask" ? new Float32Array(elements) : new Int32Array(elements);
}

/** A whole buffer: u8 for bytes, f32 for values and masks, else i32. */
export function fillBuffer(fill: Fill, elements: number): Float32Array | Int32Array | Uint8Array {
  const data = storageFor(fill, elements);
  const table = drawn(fill);
  if (table === undefined) {
    const at = byRule(fill as Extract<Fill, { kind: "mask" | "offsets" }>);
    for (let i = 0; i < elements; i++) data[i] = at(i);
    return data;
  }
  data.set(table.subarray(0, Math.min(elements, PERIOD)));
  // Whole periods double what is there.
  for (let filled = PERIOD; filled < elements; filled *= 2)
    data.copyWithin(filled, 0, Math.min(filled, elements - filled));
  return data;
}

/** Some elements of a buffer, one behind the other. */
export function fillRun(fill: Fill, first: number, count: number): Float32Array | Int32Array | Uint8Array {
  const read = fillReader(fill);
  const data = storageFor(fill, count);
  data.set(read.run(first, 1, count));
  return data;
}

/** Whole periods, few enough to stay in a cache. */
const PIECE = 32 * PERIOD;

/** The same buffer in pieces, one behind the other: large ones need no memory of their size, since equal pieces are one. */
export function fillPieces(fill: Fill, elements: number): readonly (Float32Array | Int32Array | Uint8Array)[] {
  if (elements <= PIECE || fill.kind === "mask" || fill.kind === "offsets") return [fillBuffer(fill, elements)];
  const piece = fillBuffer(fill, PIECE);
  const rest = elements % PIECE;
  return [...Array(Math.floor(elements / PIECE)).fill(piece), ...(rest === 0 ? [] : [piece.subarray(0, rest)])];
}

/** Seed of a checkpoint tensor's made-up contents: FNV-1a over the UTF-16 units of its name. */
export function nameSeed(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
