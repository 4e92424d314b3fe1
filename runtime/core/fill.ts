/** Made-up contents of buffers, the same on every engine: what a proof runs a kernel on. */
import { f32ToF16, roundToHalf } from "./half.ts";
import { fillHash, hashStream } from "./random.ts";

/** Made-up contents that follow from a seed. */
export type Fill =
  /** f32, evenly distributed over -scale..scale. */
  | { readonly kind: "uniform"; readonly seed: number; readonly scale: number }
  /** f16, the nearest to what `uniform` is. */
  | { readonly kind: "halves"; readonly seed: number; readonly scale: number }
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

/** Elements of a filled buffer. Arrays that it hands out may be its own: nobody writes to them. */
export interface FillReader {
  /** The element at a position. */
  (position: number): number;
  /** `count` elements, the first at `start`, each `step` behind the one before. */
  run(start: number, step: number, count: number): Float64Array;
  /** `number` such runs, whose starts lie `between` apart; absent where that is no faster than run by run. */
  runs?(start: number, between: number, number: number, step: number, count: number): Float64Array[];
  /** Elements at any positions, in their order. */
  many(positions: readonly number[]): Float64Array;
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
  const numbers = new Uint32Array(PERIOD);
  fillHash(numbers, seed);
  streams.set(seed, numbers);
  return numbers;
}

/** One period of drawn contents; nothing for contents that follow a rule. */
function drawn(fill: Fill): Float32Array | Int32Array | Uint8Array | undefined {
  if (fill.kind === "same") return new Int32Array(PERIOD).fill(fill.value);
  if (fill.kind === "uniform" || fill.kind === "halves") {
    const numbers = streamOf(fill.seed);
    // The middles of 2^32 equal steps.
    const step = (2 * fill.scale) / 4294967296;
    const values = new Float32Array(PERIOD);
    for (let i = 0; i < PERIOD; i++) values[i] = (numbers[i] + 0.5) * step - fill.scale;
    return fill.kind === "halves" ? values.map((v) => roundToHalf("f16", v)) : values;
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

/**
 * One period of drawn contents in the order in which a step passes through it, repeated: the period is a prime, so that
 * every step comes past all elements, and elements at even steps are neighbours here.
 */
class Walk {
  readonly #period: Float64Array;
  /** Where an element of the period lies in the walk. */
  readonly #places = new Uint16Array(PERIOD);
  #values: Float64Array;

  constructor(period: Float64Array, step: number) {
    this.#period = new Float64Array(PERIOD);
    for (let i = 0, at = 0; i < PERIOD; i++, at = (at + step) % PERIOD) {
      this.#period[i] = period[at];
      this.#places[at] = i;
    }
    this.#values = this.#period;
  }

  /** `count` elements from a position of the period on; not a copy. */
  run(from: number, count: number): Float64Array {
    const first = this.#places[from];
    if (first + count > this.#values.length) {
      const longer = new Float64Array(Math.ceil((first + count) / PERIOD) * PERIOD);
      for (let at = 0; at < longer.length; at += PERIOD) longer.set(this.#period, at);
      this.#values = longer;
    }
    return this.#values.subarray(first, first + count);
  }
}

/** Drawn contents as they are read, for as long as few are kept: claims share fills over points and ranges. */
interface Drawn {
  readonly period: Float64Array;
  /** By step, modulo the period. */
  readonly walks: Map<number, Walk>;
}

const kept = new Map<string, Drawn>();
/** About those of one component; each takes some tens of kilobytes. */
const MOST_DRAWN = 64;

function drawnOf(fill: Fill): Drawn | undefined {
  if (fill.kind === "mask" || fill.kind === "offsets") return undefined;
  const key = JSON.stringify(fill);
  const known = kept.get(key);
  if (known !== undefined) return known;
  if (kept.size >= MOST_DRAWN) kept.clear();
  const made = { period: new Float64Array(drawn(fill) ?? []), walks: new Map<number, Walk>() };
  kept.set(key, made);
  return made;
}

/** Longer runs are copied. */
const MOST_KEPT = 16 * PERIOD;

function readDrawn({ period, walks }: Drawn): FillReader {
  const at = (position: number): number => period[position % PERIOD];
  const many = (positions: readonly number[]): Float64Array => {
    const values = new Float64Array(positions.length);
    for (let i = 0; i < values.length; i++) values[i] = period[positions[i] % PERIOD];
    return values;
  };
  /** Nothing where runs are copied. */
  const walkOf = (stride: number, count: number): Walk | undefined => {
    if (count > MOST_KEPT || stride === 0) return undefined;
    let walk = walks.get(stride);
    if (walk === undefined) {
      walk = new Walk(period, stride);
      walks.set(stride, walk);
    }
    return walk;
  };
  const run = (start: number, step: number, count: number): Float64Array => {
    const stride = step % PERIOD;
    let from = start % PERIOD;
    const walk = walkOf(stride, count);
    if (walk !== undefined) return walk.run(from, count);
    const values = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      values[i] = period[from];
      from += stride;
      if (from >= PERIOD) from -= PERIOD;
    }
    return values;
  };
  const runs = (start: number, between: number, number: number, step: number, count: number): Float64Array[] => {
    const found: Float64Array[] = [];
    const walk = walkOf(step % PERIOD, count);
    for (let i = 0; i < number; i++) {
      const first = start + i * between;
      found.push(walk === undefined ? run(first, step, count) : walk.run(first % PERIOD, count));
    }
    return found;
  };
  return Object.assign(at, { run, runs, many });
}

/** The elements of a filled buffer. */
export function fillReader(fill: Fill): FillReader {
  const known = drawnOf(fill);
  if (known !== undefined) return readDrawn(known);
  const at = byRule(fill as Extract<Fill, { kind: "mask" | "offsets" }>);
  const run = (start: number, step: number, count: number): Float64Array =>
    Float64Array.from({ length: count }, (_, i) => at(start + i * step));
  return Object.assign(at, { run, many: (positions: readonly number[]) => new Float64Array(positions.map(at)) });
}

/** Contents as they lie in memory: f16 as its bits. */
export type Filled = Float32Array | Int32Array | Uint8Array | Uint16Array;

/** Room for values; those of f16 are written as f32 first. */
function storageFor({ kind }: Fill, elements: number): Float32Array | Int32Array | Uint8Array {
  if (kind === "bytes") return new Uint8Array(elements);
  return kind === "uniform" || kind === "halves" || kind === "mask"
    ? new Float32Array(elements)
    : new Int32Array(elements);
}

function asStored({ kind }: Fill, values: Float32Array | Int32Array | Uint8Array): Filled {
  if (kind !== "halves") return values;
  const bits = new Uint16Array(values.length);
  f32ToF16(values as Float32Array, bits);
  return bits;
}

/**
 * A whole buffer: u8 for bytes, f32 for values and masks, and for what is f16 in memory, else i32.
 * @param data of this type and size; written and returned, instead of fresh memory
 */
export function fillBuffer(
  fill: Fill,
  elements: number,
  data: Float32Array | Int32Array | Uint8Array = storageFor(fill, elements),
): Float32Array | Int32Array | Uint8Array {
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
export function fillRun(fill: Fill, first: number, count: number): Filled {
  const read = fillReader(fill);
  const data = storageFor(fill, count);
  data.set(read.run(first, 1, count));
  return asStored(fill, data);
}

/** Whole periods, few enough to stay in a cache. */
const PIECE = 32 * PERIOD;

/** The same buffer in pieces, one behind the other: large ones need no memory of their size, since equal pieces are one. */
export function fillPieces(fill: Fill, elements: number): readonly Filled[] {
  if (elements <= PIECE || fill.kind === "mask" || fill.kind === "offsets")
    return [asStored(fill, fillBuffer(fill, elements))];
  const piece = asStored(fill, fillBuffer(fill, PIECE));
  const rest = elements % PIECE;
  return [...Array(Math.floor(elements / PIECE)).fill(piece), ...(rest === 0 ? [] : [piece.subarray(0, rest)])];
}

/** Seed of a checkpoint tensor's made-up contents: FNV-1a over the UTF-16 units of its name. */
export function nameSeed(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
