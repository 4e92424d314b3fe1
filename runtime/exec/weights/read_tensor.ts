/** Reads one stored tensor in slices and turns it into f32 on the way. */
import { FoveaError } from "../../core/diagnostics.ts";
import { bytesOf, countElements, DTYPE_BYTES, decodeToF32, isFloatDType } from "../../core/dtype.ts";
import type { ByteSource } from "./byte_source.ts";
import { readableDType, type StoredTensor } from "./safetensors.ts";
import type { ReadOptions, TensorSink } from "./tensor_source.ts";

export const DEFAULT_SLICE_BYTES: number = 1 << 23;

/** A buffer that reads take and give back; reads at the same time get one of their own. */
export class SliceBuffer {
  readonly bytes: number;
  #free: Uint8Array | undefined;

  /** @param bytes of one slice */
  constructor(bytes: number) {
    this.bytes = Math.max(bytes, 8);
  }

  take(): Uint8Array {
    const taken = this.#free ?? new Uint8Array(this.bytes);
    this.#free = undefined;
    return taken;
  }

  give(buffer: Uint8Array): void {
    this.#free = buffer;
  }
}

/** Counts what is not finite: every exponent bit of an f32 set. */
class NonFiniteCount {
  #count = 0;
  #first = 0;

  add(values: Float32Array, offset: number): void {
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    for (let i = 0; i < bits.length; i++) {
      if ((bits[i] & 0x7f800000) !== 0x7f800000) continue;
      if (this.#count === 0) this.#first = offset + i;
      this.#count++;
    }
  }

  check(source: ByteSource, tensor: StoredTensor): void {
    if (this.#count === 0) return;
    const total = countElements(tensor.shape);
    throw new FoveaError(
      "non_finite_weights",
      `Tensor "${tensor.name}" in ${source.name} holds ${this.#count} of ${total} values that are NaN or infinite, the first at index ${this.#first}. Such a checkpoint is damaged or was trained to divergence; use another one, or allow non-finite weights.`,
    );
  }
}

async function fill(source: ByteSource, tensor: StoredTensor, into: Uint8Array, position: number): Promise<void> {
  const read = await source.read(into, position);
  if (read === into.length) return;
  throw new FoveaError(
    "invalid_safetensors",
    `${source.name} ended at byte ${position + read} while tensor "${tensor.name}" was read; it had ${source.size} bytes when it was opened. Leave the file alone while it is loaded.`,
  );
}

/**
 * Elements per slice, at least one.
 * @param bytes of one element as stored
 */
const sliceElements = (slices: SliceBuffer, bytes: number): number => Math.floor(slices.bytes / bytes);

/** The whole tensor as f32. f32 is read in place; other types pass through the slice buffer. */
export async function readTensor(
  source: ByteSource,
  tensor: StoredTensor,
  slices: SliceBuffer,
  options: ReadOptions = {},
): Promise<Float32Array> {
  const dtype = readableDType(source.name, tensor);
  const result = new Float32Array(countElements(tensor.shape));
  if (dtype !== "f32") {
    await streamTensor(source, tensor, slices, (offset, chunk) => result.set(chunk, offset), options);
    return result;
  }
  const count = new NonFiniteCount();
  const step = sliceElements(slices, 4);
  for (let at = 0; at < result.length; at += step) {
    options.signal?.throwIfAborted();
    const part = result.subarray(at, at + step);
    await fill(source, tensor, bytesOf(part), tensor.offset + at * 4);
    if (!options.allowNonFinite) count.add(part, at);
  }
  count.check(source, tensor);
  return result;
}

/**
 * Hands the tensor to `sink` slice by slice. Non-finite values are reported after the last slice, when their number is
 * known: what the sink took must be thrown away then.
 */
export async function streamTensor(
  source: ByteSource,
  tensor: StoredTensor,
  slices: SliceBuffer,
  sink: TensorSink,
  options: ReadOptions = {},
): Promise<void> {
  const dtype = readableDType(source.name, tensor);
  const total = countElements(tensor.shape);
  const size = DTYPE_BYTES[dtype];
  const step = Math.min(sliceElements(slices, size), total);
  const count = new NonFiniteCount();
  const checked = isFloatDType(dtype) && !options.allowNonFinite;
  const stored = slices.take();
  const values = new Float32Array(step);
  try {
    for (let at = 0; at < total; at += step) {
      options.signal?.throwIfAborted();
      const elements = Math.min(step, total - at);
      const bytes = stored.subarray(0, elements * size);
      await fill(source, tensor, bytes, tensor.offset + at * size);
      const chunk = values.subarray(0, elements);
      decodeToF32(dtype, bytes, chunk);
      if (checked) count.add(chunk, at);
      await sink(at, chunk);
    }
  } finally {
    slices.give(stored);
  }
  count.check(source, tensor);
}
