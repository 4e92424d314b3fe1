/** Runs single kernels in a memory that is full of NaN, over split grids, and looks at what they touched. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { f32x4 } from "../../kernels/wasm/asm/code.ts";
import { type KernelModule, kernelModule } from "../../kernels/wasm/asm/module.ts";
import { normal } from "../../runtime/core/random.ts";

/** A NaN, and as an integer a large negative number. */
const POISON = 0xffc0dead;
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
}

/** Arguments' address, first and end grid item, scratch's address. */
export type KernelFunction = (args: number, begin: number, end: number, scratch: number) => void;

const memory = new WebAssembly.Memory({ initial: 8, maximum: 65536 });

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
 * Runs the whole grid, cut at the given items, and returns the output; words that were never written hold {@link UNWRITTEN}.
 * @throws Error when anything but the output and the scratch was written.
 */
function runOnce(kernel: KernelFunction, run: KernelRun, cuts: readonly number[]): Float32Array {
  const { places, end } = layOut(run);
  if (end > memory.buffer.byteLength) memory.grow(Math.ceil((end - memory.buffer.byteLength) / PAGE_BYTES));
  const words = new Uint32Array(memory.buffer, 0, end / 4).fill(POISON);
  const [output, ...rest] = places;
  new Float32Array(memory.buffer, output, run.outputLength).fill(UNWRITTEN);
  const inputs = rest.slice(0, run.inputs.length);
  const [table, scratch] = rest.slice(run.inputs.length);
  const raw = new Uint8Array(memory.buffer);
  run.inputs.forEach((x, i) => {
    raw.set(new Uint8Array(x.buffer, x.byteOffset, x.byteLength), inputs[i]);
  });
  new Int32Array(memory.buffer, table).set(run.args(output, inputs));
  const before = words.slice();
  const edges = [0, ...cuts, run.grid];
  // Backwards, so that nothing can rely on an earlier part.
  for (let i = edges.length - 1; i > 0; i--) kernel(table, edges[i - 1], edges[i], scratch);
  const [firstOut, firstScratch] = [output / 4, scratch / 4];
  const endScratch = firstScratch + (run.scratch ?? 0) / 4;
  for (let i = 0; i < words.length; i++) {
    const owned = (i >= firstOut && i < firstOut + run.outputLength) || (i >= firstScratch && i < endScratch);
    if (!owned && words[i] !== before[i]) throw new Error(`wrote ${(i - firstOut) * 4} bytes from its output`);
  }
  return new Float32Array(memory.buffer.slice(output, output + run.outputLength * 4));
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

/** Runs whole, item by item, and cut in two unequal parts; all must agree. @throws Error that says what was wrong. */
export function runKernel(kernel: KernelFunction, run: KernelRun): Float32Array {
  const whole = runOnce(kernel, run, []);
  const splits = [Array.from({ length: Math.max(0, Math.min(run.grid, 64) - 1) }, (_, i) => i + 1)];
  if (run.grid > 3) splits.push([Math.floor(run.grid / 3)]);
  for (const cuts of splits) {
    const at = firstDifference(whole, runOnce(kernel, run, cuts));
    if (at >= 0) throw new Error(`word ${at} differs when the grid is cut at ${cuts.join(", ")}`);
  }
  return whole;
}

/**
 * Compares with exact values: |found - expected| <= absolute + relative |expected|; NaN and infinities must agree.
 * Returns a sentence, or nothing.
 */
export function compare(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  relative: number,
  absolute: number,
): string | undefined {
  for (let i = 0; i < expected.length; i++) {
    const e = Math.fround(expected[i]);
    const ok = Number.isFinite(e)
      ? Math.abs(found[i] - expected[i]) <= absolute + relative * Math.abs(e)
      : Object.is(found[i], e);
    if (!ok) return `element ${i} is ${found[i]} instead of ${expected[i]}`;
  }
  return undefined;
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
  return Float32Array.from({ length: count }, (_, i) => mean + std * normal(seed, i));
}

/** One test per case: the module as it was emitted passes its own check. */
export function testCases(cases: readonly KernelCase[]): void {
  for (const c of cases) test(c.name, () => assert.equal(c.check(c.module.bytes), undefined));
}
