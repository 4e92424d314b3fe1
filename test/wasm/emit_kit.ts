/** Runs single kernels in a memory that is full of NaN, over split grids, and looks at what they touched. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { f32x4 } from "../../kernels/wasm/asm/code.ts";
import { type KernelModule, kernelModule } from "../../kernels/wasm/asm/module.ts";
import { normal } from "../../runtime/core/random.ts";

/** NaNs, and as integers large negative numbers. They differ: what is read beyond an operand must not hide a write. */
const POISON = 0xffc0dead;
const POISON_AROUND_OUTPUT = 0xffc0beef;
/** A number: sums that start from a NaN keep its bits, and would hide that they were stored. */
const BEHIND_SCRATCH = 0x3f800000;
/** What words of the output hold that were not written. */
export const UNWRITTEN: number = -(2 ** 125);
const WORDS_BETWEEN = 16;
const PAGE_BYTES = 65536;

export type Values = Float32Array | Int32Array | Uint8Array;

export interface KernelRun {
  readonly inputs: readonly Values[];
  /** Length of the output, elements of 4 bytes. */
  readonly outputLength: number;
  /** Argument words, given the byte addresses of the output and of the inputs. */
  readonly args: (output: number, inputs: readonly number[]) => readonly number[];
  readonly grid: number;
  /** Bytes of private scratch. */
  readonly scratch?: number;
  /** Words by which every buffer is moved off its 64-byte boundary. */
  readonly misaligned?: number;
}

export interface KernelCase {
  readonly name: string;
  readonly module: KernelModule;
  /** Runs the bytes of a module of this kind and says what is wrong with its results. */
  readonly check: (bytes: Uint8Array) => string | undefined;
  /** The module holds relaxed instructions, which not every engine takes. */
  readonly relaxed?: boolean;
}

/** Arguments' address, first and end grid item, scratch's address. */
export type KernelFunction = (args: number, begin: number, end: number, scratch: number) => void;

const memory = new WebAssembly.Memory({ initial: 8, maximum: 65536 });

/** Copies bytes inside the test memory, as a kernel of its own might. */
export function copyBytes(to: number, from: number, bytes: number): void {
  new Uint8Array(memory.buffer).copyWithin(to, from, from + bytes);
}

/** Links a kernel to the test memory; a module is compiled once for all its runs. */
export function instantiate(bytes: Uint8Array): KernelFunction {
  const module = new WebAssembly.Module(Uint8Array.from(bytes));
  return new WebAssembly.Instance(module, { e: { m: memory } }).exports.f as KernelFunction;
}

/** Buffers one after another with poison between them. */
function layOut(run: KernelRun): { readonly places: readonly number[]; readonly end: number } {
  let at = 0;
  const lengths = [run.outputLength * 4, ...run.inputs.map((x) => x.byteLength), 256, run.scratch ?? 0];
  const places = lengths.map((bytes, i) => {
    const boundary = Math.ceil(at / 64) * 64 + WORDS_BETWEEN * 4;
    const place = boundary + (i > run.inputs.length ? 0 : (run.misaligned ?? 0) * 4);
    at = place + bytes;
    return place;
  });
  return { places, end: Math.ceil(at / 64) * 64 + WORDS_BETWEEN * 4 };
}

/**
 * Runs the grid in parts that end at the given items, and returns the output; words that were never written hold
 * {@link UNWRITTEN}.
 * @throws Error when anything but the output and the scratch was written, or a word of the output by two parts.
 */
function runParts(kernel: KernelFunction, run: KernelRun, ends: readonly number[]): Float32Array {
  const { places, end } = layOut(run);
  if (end > memory.buffer.byteLength) memory.grow(Math.ceil((end - memory.buffer.byteLength) / PAGE_BYTES));
  const words = new Uint32Array(memory.buffer, 0, end / 4).fill(POISON);
  const [output, ...rest] = places;
  words.fill(POISON_AROUND_OUTPUT, output / 4 - WORDS_BETWEEN, output / 4 + run.outputLength + WORDS_BETWEEN);
  const inputs = rest.slice(0, run.inputs.length);
  const [table, scratch] = rest.slice(run.inputs.length);
  words.fill(BEHIND_SCRATCH, (scratch + (run.scratch ?? 0)) / 4);
  const raw = new Uint8Array(memory.buffer);
  run.inputs.forEach((x, i) => {
    raw.set(new Uint8Array(x.buffer, x.byteOffset, x.byteLength), inputs[i]);
  });
  new Int32Array(memory.buffer, table).set(run.args(output, inputs));
  const before = words.slice();
  const written = words.subarray(output / 4, output / 4 + run.outputLength);
  const unwritten = bitsOf(Float32Array.of(UNWRITTEN))[0];
  const merged = new Uint32Array(run.outputLength).fill(unwritten);
  ends.forEach((stop, part) => {
    written.fill(unwritten);
    kernel(table, part === 0 ? 0 : ends[part - 1], stop, scratch);
    for (let i = 0; i < merged.length; i++) {
      if (written[i] === unwritten) continue;
      if (merged[i] !== unwritten) throw new Error(`word ${i} of the output was written by two parts of the grid`);
      merged[i] = written[i];
    }
  });
  before.set(written, output / 4);
  const scratchWords = words.subarray(scratch / 4, (scratch + (run.scratch ?? 0)) / 4);
  before.set(scratchWords, scratch / 4);
  for (let i = 0; i < words.length; i++) {
    if (words[i] !== before[i]) throw new Error(`wrote at ${i * 4 - output} bytes from the output's first`);
  }
  return new Float32Array(merged.buffer);
}

const bitsOf = (x: Float32Array): Uint32Array => new Uint32Array(x.buffer, x.byteOffset, x.length);

/** Position of the first word that differs; -1 when there is none. NaNs of any bits are equal. */
export function firstDifference(a: Float32Array, b: Float32Array): number {
  const [p, q] = [bitsOf(a), bitsOf(b)];
  for (let i = 0; i < p.length; i++) if (p[i] !== q[i] && !(Number.isNaN(a[i]) && Number.isNaN(b[i]))) return i;
  return -1;
}

/** Whether this engine takes relaxed SIMD. */
export const RELAXED: boolean = WebAssembly.validate(
  Uint8Array.from(kernelModule(() => [f32x4.relaxedMadd(f32x4.of(1), f32x4.of(2), f32x4.of(3)), 0x1a]).bytes),
);

/**
 * Runs whole, item by item, and in two unequal parts; all must agree. @throws Error that says what was wrong.
 */
export function runKernel(kernel: KernelFunction, run: KernelRun): Float32Array {
  const whole = runParts(kernel, run, [run.grid]);
  const single = Array.from({ length: Math.min(run.grid, 64) - 1 }, (_, i) => i + 1);
  const splits = [[...single, run.grid]];
  if (run.grid > 3) splits.push([Math.floor(run.grid / 3), run.grid]);
  for (const ends of splits) {
    const at = firstDifference(whole, runParts(kernel, run, ends));
    if (at >= 0) throw new Error(`word ${at} differs when the grid is cut at ${ends.join(", ")}`);
  }
  return whole;
}

/** Compares with exact values: |found - expected| <= error(expected); NaN and infinities must agree. */
export function compareWithin(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  error: (y: number) => number,
): string | undefined {
  for (let i = 0; i < expected.length; i++) {
    const [x, y] = [found[i], expected[i]];
    const rounded = Math.fround(y);
    const right = Number.isFinite(rounded) ? Math.abs(x - y) <= error(y) : Object.is(x, rounded);
    if (!right) return `element ${i} is ${x} instead of ${y}`;
  }
  return undefined;
}

/** The same with |found - expected| <= relative |expected| + absolute. */
export function compare(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  relative: number,
  absolute: number,
): string | undefined {
  return compareWithin(found, expected, (y) => relative * Math.abs(y) + absolute);
}

/** Everything a check may meet in a wrong module, as a sentence. */
export function guarded(check: () => string | undefined): string | undefined {
  try {
    return check();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** `count` normal numbers of a seed. */
export function normals(seed: number, count: number, mean = 0, std = 1): Float32Array {
  return new Float32Array(count).map((_, i) => mean + std * normal(seed, i));
}

/** Why a case cannot run here. */
export function skipReason(c: KernelCase): string | false {
  return c.relaxed === true && !RELAXED ? "this engine has no relaxed SIMD" : false;
}

/** One test per case: the module as it was emitted passes its own check. */
export function testCases(cases: readonly KernelCase[]): void {
  for (const c of cases) {
    test(c.name, { skip: skipReason(c) }, () => assert.equal(c.check(c.module.bytes), undefined));
  }
}
