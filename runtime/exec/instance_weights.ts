/** Weights of one component instance on a device, packed once and shared by all ranges. */
import type { Port, WeightUse } from "../abi/artifact.ts";
import type { Device, DeviceBuffer } from "../abi/device.ts";
import { internal } from "../core/diagnostics.ts";
import { bindSteps, slotBytes } from "./linker.ts";

/** Reads a checkpoint tensor as dense f32. */
export type TensorReader = (name: string, shape: readonly number[]) => Promise<Float32Array>;

export interface InstanceWeights {
  /** Loads the uses that are not resident and returns all in order. */
  resolve(uses: readonly WeightUse[]): readonly DeviceBuffer[];
  load(uses: readonly WeightUse[], read: TensorReader, signal?: AbortSignal): Promise<void>;
  readonly bytes: number;
  release(): void;
}

const asBytes = (a: Float32Array): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);

/** A reader that gives more than was asked for would write over its neighbours. */
async function readBytes(read: TensorReader, { name, shape }: WeightUse["sources"][number]): Promise<Uint8Array> {
  const values = await read(name, shape);
  const expected = shape.reduce((a, b) => a * b, 1);
  if (values.length !== expected) internal(`the tensor "${name}" has ${values.length} elements, expected ${expected}`);
  return asBytes(values);
}

const portBytes = (p: Port): number => p.shape.reduce<number>((n, d) => n * (d as number), 4);

/** Runs a prologue: sources to staging, steps, result kept; staging is given back. */
async function runPrologue(
  device: Device,
  use: WeightUse,
  destination: DeviceBuffer,
  read: TensorReader,
  signal: AbortSignal | undefined,
): Promise<void> {
  const list = use.prologue;
  if (list === undefined) return internal("a weight without prologue was asked to run one");
  const staging: DeviceBuffer[] = [];
  // What a prologue makes of constants alone has a prologue of its own.
  const nested = createInstanceWeights(device);
  try {
    const stage = (bytes: number): DeviceBuffer => {
      const b = device.allocate(Math.max(bytes, 4));
      staging.push(b);
      return b;
    };
    const inputs = list.inputs.map((p) => stage(portBytes(p)));
    const slots = slotBytes(list, {}).map((n) => stage(n));
    await nested.load(list.weights, read, signal);
    const weights = nested.resolve(list.weights);
    for (let i = 0; i < inputs.length; i++) {
      const source =
        use.sources.find((s) => s.name === list.inputs[i].name) ?? internal("a prologue input has no source");
      device.write(inputs[i], 0, await readBytes(read, source));
    }
    const launches = bindSteps(list, {}, (ref) => {
      const spaces = { input: inputs, output: [destination], scratch: slots, weight: weights };
      return { buffer: spaces[ref.space][ref.index], offset: 0 };
    });
    const bound = device.bind(launches);
    try {
      await device.run(bound, signal === undefined ? {} : { signal });
    } finally {
      bound.release();
    }
  } finally {
    nested.release();
    for (const b of staging) device.release(b);
  }
}

export function createInstanceWeights(device: Device): InstanceWeights {
  const resident = new Map<string, DeviceBuffer>();
  /** Overlapping loads of one weight wait for the first. */
  const loading = new Map<string, Promise<void>>();
  const loadOne = async (use: WeightUse, read: TensorReader, signal: AbortSignal | undefined): Promise<void> => {
    const buffer = device.allocate(use.bytes);
    try {
      if (use.prologue === undefined) device.write(buffer, 0, await readBytes(read, use.sources[0]));
      else await runPrologue(device, use, buffer, read, signal);
    } catch (error) {
      device.release(buffer);
      throw error;
    }
    resident.set(use.key, buffer);
  };
  return {
    resolve: (uses) => uses.map((u) => resident.get(u.key) ?? internal(`weight ${u.key} is not loaded`)),
    load: async (uses, read, signal) => {
      for (const use of uses) {
        if (resident.has(use.key)) continue;
        signal?.throwIfAborted();
        const pending = loading.get(use.key) ?? loadOne(use, read, signal).finally(() => loading.delete(use.key));
        loading.set(use.key, pending);
        await pending;
      }
    },
    get bytes() {
      let n = 0;
      for (const b of resident.values()) n += b.bytes;
      return n;
    },
    release: () => {
      for (const b of resident.values()) device.release(b);
      resident.clear();
    },
  };
}
