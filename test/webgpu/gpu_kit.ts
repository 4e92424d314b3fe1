/** Opens the device of this machine's WebGPU, and runs single kernels between poison. */
import assert from "node:assert/strict";
import { decodeCode, pointersOf } from "../../kernels/webgpu/device/code.ts";
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import type { Device, OpenOptions } from "../../runtime/abi/device.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
import { f16ToF32, f32ToF16 } from "../../runtime/core/half.ts";
import { normal } from "../../runtime/core/random.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { deviceHost } from "../../runtime/session/artifacts/devices.ts";

const ADVICE =
  "The tests of WebGPU need an adapter: a graphics driver, or one that computes on the processor; on Debian and Ubuntu: apt-get install libvulkan1 chromium (its SwiftShader is then found by itself).";

/** @throws Error that says what to install where there is no adapter */
export async function openGpu(options: OpenOptions = {}): Promise<Device> {
  const [spec] = webgpuPlugin.devices ?? [];
  const host = deviceHost(await detectHost());
  const found = await spec.probe(host);
  if ("unavailable" in found) throw new Error(`${ADVICE} Here ${found.unavailable}.`);
  return spec.open(host, options);
}

export type Values = Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;

export interface GpuRun {
  readonly code: Uint8Array;
  /** In the order of the kernel's pointers behind its outputs. */
  readonly inputs: readonly Values[];
  /** Where reading of an input begins, elements; 0 unless given. */
  readonly starts?: readonly number[];
  /** Elements of the output, f32 unless `bytes`. */
  readonly outputLength: number;
  readonly bytes?: boolean;
  /** Elements of a second output, f32, whose pointer comes behind the first's. */
  readonly alsoLength?: number;
  /** Words behind the pointers. */
  readonly words: readonly number[];
  readonly grid: number;
}

const AROUND = 256;
/** A NaN, and as an integer a large one. */
const POISON = 0xffc0dead;

const inWhole = (bytes: number): number => Math.ceil(bytes / 64) * 64;

/** The output of a kernel that has one: see {@link runOutputs}. */
export async function runKernel(device: Device, run: Omit<GpuRun, "alsoLength">): Promise<Float32Array | Uint8Array> {
  return (await runOutputs(device, run)).output;
}

/** What a kernel wrote. */
export interface GpuOutputs {
  readonly output: Float32Array | Uint8Array;
  /** The second; empty where there is none. */
  readonly also: Float32Array;
}

/** Outputs and inputs lie in one buffer full of NaN, weights in buffers of their own; nothing but the outputs may change. */
export async function runOutputs(device: Device, run: GpuRun): Promise<GpuOutputs> {
  const { inputs, starts = [], outputLength, bytes = false, alsoLength = 0, words, grid, code } = run;
  const digest = digestBytes(code);
  await device.load(new Map([[digest, code]]));
  const header = decodeCode(digest, code);
  const kinds = pointersOf(header).map((at) => header.args[at]);
  const outputBytes = outputLength * (bytes ? 1 : 4);
  const firstInput = alsoLength === 0 ? 1 : 2;
  const alsoAt = AROUND + inWhole(outputBytes) + AROUND;
  let end = alsoAt + (alsoLength === 0 ? 0 : inWhole(4 * alsoLength) + AROUND);
  const places = inputs.map((x, i) => {
    if (kinds[i + firstInput] === "weight") return -1;
    const at = end;
    end += inWhole(x.byteLength) + AROUND;
    return at;
  });
  const before = new Uint32Array(end / 4).fill(POISON);
  const raw = new Uint8Array(before.buffer);
  inputs.forEach((x, i) => {
    if (places[i] >= 0) raw.set(new Uint8Array(x.buffer), places[i]);
  });
  const arena = device.allocate(end);
  const weights = inputs.map((x, i) => (places[i] < 0 ? device.allocate(x.byteLength) : undefined));
  try {
    device.write(arena, 0, raw);
    for (const [i, weight] of weights.entries())
      if (weight !== undefined) device.write(weight, 0, new Uint8Array(inputs[i].buffer));
    const pointers = inputs.map((x, i) => ({
      buffer: weights[i] ?? arena,
      offset: Math.max(0, places[i]) + (starts[i] ?? 0) * x.BYTES_PER_ELEMENT,
    }));
    const outputs = [AROUND, alsoAt].slice(0, firstInput).map((offset) => ({ buffer: arena, offset }));
    const args = [...outputs, ...pointers, ...words];
    const bound = device.bind([{ kernel: header.name, code: digest, args, grid, flops: 0, workerScratch: 0 }]);
    await device.run(bound, {});
    const after = new Uint8Array(end);
    await device.read(arena, 0, after);
    bound.release();
    const [output, also] = [
      [AROUND, outputBytes],
      [alsoAt, 4 * alsoLength],
    ].map(([at, length]) => {
      const found = after.slice(at, at + length);
      after.set(raw.subarray(at, at + length), at);
      return found;
    });
    const changed = after.findIndex((byte, i) => byte !== raw[i]);
    assert.equal(changed, -1, `wrote ${changed - AROUND} bytes from the output's first, outside of it`);
    return { output: bytes ? output : new Float32Array(output.buffer), also: new Float32Array(also.buffer) };
  } finally {
    device.release(arena);
    for (const weight of weights) if (weight !== undefined) device.release(weight);
  }
}

/** `count` normal numbers of a seed. */
export function normals(seed: number, count: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => normal(seed, i));
}

/** Normal numbers that f16 holds, and their bytes in memory. */
export function halves(
  seed: number,
  count: number,
): { readonly values: Float32Array<ArrayBuffer>; readonly bytes: Uint8Array<ArrayBuffer> } {
  const bits = new Uint16Array(count);
  f32ToF16(normals(seed, count), bits);
  const values = new Float32Array(count);
  f16ToF32(bits, values);
  return { values, bytes: new Uint8Array(bits.buffer) };
}

/** Numbers of f16 in memory. */
export function asValues(bytes: Float32Array | Uint8Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(bytes.length / 2);
  f16ToF32(new Uint16Array(new Uint8Array(bytes as Uint8Array).buffer), values);
  return values;
}

/** One step of f16 at the largest value. */
export const HALF_STEP: number = 2 ** -10;

/** |found - expected| <= tolerance * (1 + the largest magnitude), everywhere. */
export function assertNear(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]));
  assert.equal(found.length, expected.length);
  for (let i = 0; i < expected.length; i++) {
    const off = Math.abs(found[i] - expected[i]);
    assert.ok(off <= tolerance * (1 + largest), `${what}: element ${i} is ${found[i]} instead of ${expected[i]}`);
  }
}
