/** Opens the device of this machine's WebGPU, and runs single kernels between poison. */
import assert from "node:assert/strict";
import { decodeCode, pointersOf } from "../../kernels/webgpu/device/code.ts";
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import type { Device, OpenOptions } from "../../runtime/abi/device.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
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
  /** In the order of the kernel's pointers behind its output. */
  readonly inputs: readonly Values[];
  /** Where reading of an input begins, elements; 0 unless given. */
  readonly starts?: readonly number[];
  /** Elements of the output, f32 unless `bytes`. */
  readonly outputLength: number;
  readonly bytes?: boolean;
  /** Words behind the pointers. */
  readonly words: readonly number[];
  readonly grid: number;
}

const AROUND = 256;
/** A NaN, and as an integer a large one. */
const POISON = 0xffc0dead;

const inWhole = (bytes: number): number => Math.ceil(bytes / 64) * 64;

/**
 * Output and inputs lie in one buffer full of NaN, weights in buffers of their own; nothing but the output may change.
 * @returns the output
 */
export async function runKernel(device: Device, run: GpuRun): Promise<Float32Array | Uint8Array> {
  const { inputs, starts = [], outputLength, bytes = false, words, grid, code } = run;
  const digest = digestBytes(code);
  await device.load(new Map([[digest, code]]));
  const header = decodeCode(digest, code);
  const kinds = pointersOf(header).map((at) => header.args[at]);
  const outputBytes = outputLength * (bytes ? 1 : 4);
  let end = AROUND + inWhole(outputBytes) + AROUND;
  const places = inputs.map((x, i) => {
    if (kinds[i + 1] === "weight") return -1;
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
    const args = [{ buffer: arena, offset: AROUND }, ...pointers, ...words];
    const bound = device.bind([{ kernel: header.name, code: digest, args, grid, flops: 0, workerScratch: 0 }]);
    await device.run(bound, {});
    const after = new Uint8Array(end);
    await device.read(arena, 0, after);
    bound.release();
    const output = after.slice(AROUND, AROUND + outputBytes);
    after.set(raw.subarray(AROUND, AROUND + outputBytes), AROUND);
    const changed = after.findIndex((byte, i) => byte !== raw[i]);
    assert.equal(changed, -1, `wrote ${changed - AROUND} bytes from the output's first, outside of it`);
    return bytes ? output : new Float32Array(output.buffer);
  } finally {
    device.release(arena);
    for (const weight of weights) if (weight !== undefined) device.release(weight);
  }
}

/** `count` normal numbers of a seed. */
export function normals(seed: number, count: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => normal(seed, i));
}

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
