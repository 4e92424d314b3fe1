/** Weights of one component instance on a device, packed once and shared by all ranges. */
import type { Port, WeightUse } from "../abi/artifact.ts";
import type { Device, DeviceBuffer } from "../abi/device.ts";
import { FoveaError, internal } from "../core/diagnostics.ts";
import { countElements, DTYPE_BYTES, encodeFromF32, type HalfDType } from "../core/dtype.ts";
import { bindSteps, slotBytes } from "./linker.ts";
import { holdsNonFinite, overflow } from "./overflow.ts";
import { joinShared, type Shared } from "./shared_work.ts";
import { Staging } from "./staging.ts";
import type { WeightCache } from "./weight_cache.ts";

/**
 * Reads a checkpoint tensor as dense f32.
 * @param into of the tensor's size: a reader may write there and return it, instead of an array of its own
 * @throws the signal's reason on abort
 */
export type TensorReader = (
  name: string,
  shape: readonly number[],
  signal?: AbortSignal,
  into?: Float32Array,
) => Promise<Float32Array>;

/** Between the instances of a component that several were joined to; no tensor's name holds it. */
export const INSTANCE_JOINT = " + ";

/**
 * The name of an instance's tensor, without the checkpoint's prefix. Of joined instances the tensor's own name begins with the
 * position of one: `1/norm.weight` of `layers.0. + layers.1.` is `layers.1.norm.weight`.
 */
export function tensorName(instance: string, name: string): string {
  if (!instance.includes(INSTANCE_JOINT)) return `${instance}${name}`;
  const slash = name.indexOf("/");
  return `${instance.split(INSTANCE_JOINT)[Number(name.slice(0, slash))]}${name.slice(slash + 1)}`;
}

export interface InstanceWeights {
  /** Buffers of resident uses, in order. */
  resolve(uses: readonly WeightUse[]): readonly DeviceBuffer[];
  /**
   * Loads the uses that are not resident.
   * @param shared what several such calls pass their weights through; each has its own unless given
   * @throws FoveaError `closed` after {@link release}, also where that came while they were loaded; what reading throws
   */
  load(uses: readonly WeightUse[], read: TensorReader, signal?: AbortSignal, shared?: Staging): Promise<void>;
  /** Whether a use is resident. */
  has(use: WeightUse): boolean;
  readonly bytes: number;
  release(): void;
}

/** A reader that gives more than was asked for would write over its neighbours. */
async function readValues(
  read: TensorReader,
  { name, shape }: WeightUse["sources"][number],
  signal?: AbortSignal,
  into?: Float32Array,
): Promise<Float32Array> {
  const values = await read(name, shape, signal, into);
  const expected = shape.reduce((a, b) => a * b, 1);
  if (values.length !== expected) internal(`the tensor "${name}" has ${values.length} elements, expected ${expected}`);
  return values;
}

const portBytes = ({ shape, dtype }: Port): number =>
  shape.reduce<number>((n, d) => n * (d as number), DTYPE_BYTES[dtype]);

/** Device bytes that loading a weight takes for a while, beside those that it keeps. */
export function stagingBytes({ prologue, inPlace }: WeightUse): number {
  if (prologue === undefined) return 0;
  const inputs = inPlace === true ? [] : prologue.inputs.map(portBytes);
  return [...inputs, ...slotBytes(prologue, {})].reduce((a, b) => a + b, 0);
}

/** How weights are read, and where they pass through. */
interface Way {
  readonly device: Device;
  readonly staging: Staging;
  readonly read: TensorReader;
  readonly signal: AbortSignal | undefined;
}

type Source = WeightUse["sources"][number];

/** Reads a tensor to a place in a buffer: straight into its memory, where the device shows that. */
async function readTo(
  { device, staging, read, signal }: Way,
  buffer: DeviceBuffer,
  offset: number,
  source: Source,
  dtype: "f32" | HalfDType,
): Promise<void> {
  const elements = countElements(source.shape);
  const window = dtype === "f32" ? device.window?.(buffer, offset, 4 * elements) : undefined;
  if (window !== undefined) {
    const place = new Float32Array(window.buffer, window.byteOffset, elements);
    const values = await readValues(read, source, signal, place);
    if (values !== place) place.set(values);
    return;
  }
  const array = staging.takeArray(elements);
  try {
    const values = await readValues(read, source, signal, array.subarray(0, elements));
    device.write(buffer, offset, encodeFromF32(dtype, values));
  } finally {
    staging.giveArray(array);
  }
}

/** Fills a buffer with the next sources, one behind the other. */
async function fillFrom(
  way: Way,
  buffer: DeviceBuffer,
  bytes: number,
  sources: Iterator<Source>,
  dtype: "f32" | HalfDType = "f32",
): Promise<void> {
  for (let at = 0; at < bytes; ) {
    const { value: source } = sources.next();
    // An odd number of two bytes each leaves half a word.
    if (source === undefined && DTYPE_BYTES[dtype] === 2 && bytes - at === 2) return;
    if (source === undefined) return internal("a weight has fewer sources than it is large");
    await readTo(way, buffer, at, source, dtype);
    at += countElements(source.shape) * DTYPE_BYTES[dtype];
  }
}

/** Runs a prologue: sources to staging, steps, result kept; staging is given back. */
async function runPrologue(way: Way, use: WeightUse, destination: DeviceBuffer): Promise<void> {
  const { device, staging, read, signal } = way;
  const list = use.prologue;
  if (list === undefined) return internal("a weight without prologue was asked to run one");
  const taken: DeviceBuffer[] = [];
  // What a prologue makes of constants alone has a prologue of its own.
  const nested = createInstanceWeights(device);
  try {
    const stage = (bytes: number): DeviceBuffer => {
      const buffer = staging.take(bytes);
      taken.push(buffer);
      return buffer;
    };
    const inputs = use.inPlace === true ? [destination] : list.inputs.map((p) => stage(portBytes(p)));
    const slots = slotBytes(list, {}).map((n) => stage(n));
    await nested.load(list.weights, read, signal);
    const weights = nested.resolve(list.weights);
    const sources = use.sources[Symbol.iterator]();
    for (const [i, port] of list.inputs.entries()) await fillFrom(way, inputs[i], portBytes(port), sources);
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
    for (const buffer of taken) staging.give(buffer);
  }
}

/** Bytes that are read back at a time. */
const CHECKED_AT_ONCE = 1 << 20;

/** Refuses what the rounding made infinite. @throws FoveaError `weight_overflow` */
async function checkStored(
  device: Device,
  use: WeightUse,
  buffer: DeviceBuffer,
  read: TensorReader,
  instance: string | undefined,
): Promise<void> {
  if (use.dtype === undefined || instance === undefined) return;
  const chunk = new Uint8Array(Math.min(CHECKED_AT_ONCE, use.bytes));
  for (let at = 0; at < use.bytes; at += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, use.bytes - at));
    await device.read(buffer, at, part);
    if (!holdsNonFinite(use.dtype, part)) continue;
    const tensors: { name: string; values: Float32Array }[] = [];
    for (const s of use.sources)
      tensors.push({ name: tensorName(instance, s.name), values: await readValues(read, s) });
    throw overflow(use.dtype, tensors);
  }
}

/** Memory of a weight. @throws FoveaError `out_of_memory` that names its tensors and their shapes */
function allocateFor(device: Device, { bytes, sources }: WeightUse, instance: string | undefined): DeviceBuffer {
  try {
    return device.allocate(bytes);
  } catch (error) {
    if (!(error instanceof FoveaError) || instance === undefined || sources.length === 0) throw error;
    const tensors = sources.map(({ name, shape }) => `"${tensorName(instance, name)}" [${shape.join(", ")}]`);
    throw error.adding(`It was for the weight ${tensors.join(" with ")}.`);
  }
}

/**
 * @param instance prefix of the tensors' names; numbers that the type of a weight cannot hold are then refused. Made-up
 * tensors have none.
 * @param cache where packed weights that are worth it are kept between loads
 */
export function createInstanceWeights(device: Device, instance?: string, cache?: WeightCache): InstanceWeights {
  const resident = new Map<string, DeviceBuffer>();
  /** Overlapping loads of one weight wait for the first. */
  const loading = new Map<string, Shared<void>>();
  let released = false;
  const checkKept = (): void => {
    if (released)
      throw new FoveaError("closed", "The weights were given back while they were still wanted; load the model again.");
  };
  const loadOne = async (use: WeightUse, way: Way): Promise<void> => {
    const buffer = allocateFor(device, use, instance);
    const kept = use.keep === true ? cache : undefined;
    try {
      const known = await kept?.get(use, (bytes, offset) => device.write(buffer, offset, bytes));
      if (!known)
        await (use.prologue === undefined
          ? fillFrom(way, buffer, use.bytes, use.sources[Symbol.iterator](), use.dtype)
          : runPrologue(way, use, buffer));
      await checkStored(device, use, buffer, way.read, instance);
      if (known === false) {
        const packed = new Uint8Array(use.bytes);
        await device.read(buffer, 0, packed);
        await kept?.put(use, packed);
      }
      checkKept();
    } catch (error) {
      device.release(buffer);
      throw error;
    }
    resident.set(use.key, buffer);
  };
  return {
    has: ({ key }) => resident.has(key),
    resolve: (uses) => uses.map((u) => resident.get(u.key) ?? internal(`weight ${u.key} is not loaded`)),
    load: async (uses, read, signal, shared) => {
      const staging = shared ?? new Staging(device);
      try {
        for (const use of uses) {
          if (resident.has(use.key)) continue;
          signal?.throwIfAborted();
          checkKept();
          await joinShared(loading, use.key, signal, () => loadOne(use, { device, staging, read, signal }));
        }
      } finally {
        if (shared === undefined) staging.release();
      }
    },
    get bytes() {
      let n = 0;
      for (const b of resident.values()) n += b.bytes;
      return n;
    },
    release: () => {
      released = true;
      for (const b of resident.values()) device.release(b);
      resident.clear();
    },
  };
}
