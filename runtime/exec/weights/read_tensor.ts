/** Reads one stored tensor in slices and turns it into f32 on the way. */
import { FoveaError } from "../../core/diagnostics.ts";
import { bytesOf, countElements, DTYPE_BYTES, decodeToF32, isFloatDType } from "../../core/dtype.ts";
import type { ByteSource } from "./byte_source.ts";
import { readableDType, type StoredTensor } from "./safetensors.ts";
import type { ReadOptions } from "./tensor_source.ts";

export const DEFAULT_SLICE_BYTES: number = 1 << 23;

/** A buffer that reads take and give back; reads at the same time get one of their own. */
export class SliceBuffer {
  readonly bytes: number;
  #free: Uint8Array | undefined;

  /** @param bytes of the largest slice */
  constructor(bytes: number) {
    this.bytes = Math.max(bytes, 8);
  }

  /** A slice for a tensor of `bytes`: no longer than it, since clearing fresh memory takes longer than most tensors do. */
  take(bytes: number): Uint8Array {
    const wanted = Math.min(bytes, this.bytes);
    const taken = this.#free !== undefined && this.#free.length >= wanted ? this.#free : new Uint8Array(wanted);
    if (taken === this.#free) this.#free = undefined;
    return taken;
  }

  give(buffer: Uint8Array): void {
    if (this.#free === undefined || this.#free.length < buffer.length) this.#free = buffer;
  }
}

/** Adding one to a full exponent carries into the sign: one test for eight numbers, and no branch. */
function holdsFullExponent(bits: Int32Array): boolean {
  const whole = bits.length & ~7;
  let carried = 0;
  for (let i = 0; i < whole; i += 8) {
    carried |=
      ((bits[i] & 0x7f800000) + 0x800000) |
      ((bits[i + 1] & 0x7f800000) + 0x800000) |
      ((bits[i + 2] & 0x7f800000) + 0x800000) |
      ((bits[i + 3] & 0x7f800000) + 0x800000) |
      ((bits[i + 4] & 0x7f800000) + 0x800000) |
      ((bits[i + 5] & 0x7f800000) + 0x800000) |
      ((bits[i + 6] & 0x7f800000) + 0x800000) |
      ((bits[i + 7] & 0x7f800000) + 0x800000);
  }
  for (let i = whole; i < bits.length; i++) carried |= (bits[i] & 0x7f800000) + 0x800000;
  return carried < 0;
}

/** Counts what is not finite: every exponent bit of an f32 set. */
class NonFiniteCount {
  #count = 0;
  #first = 0;

  add(values: Float32Array, offset: number): void {
    const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
    if (!holdsFullExponent(bits)) return;
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
      `Tensor "${tensor.name}" in ${source.name} holds ${this.#count} of ${total} values that are NaN or infinite, the first at index ${this.#first}. Such a checkpoint is damaged or was trained to divergence; use another one.`,
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

/**
 * The whole tensor as f32. f32 is read in place; other types pass through the slice buffer. Values that are not finite are
 * reported when all is read and their number is known.
 */
export async function readTensor(
  source: ByteSource,
  tensor: StoredTensor,
  slices: SliceBuffer,
  options: ReadOptions = {},
): Promise<Float32Array> {
  const dtype = readableDType(source.name, tensor);
  const total = countElements(tensor.shape);
  const result = options.into ?? new Float32Array(total);
  const size = DTYPE_BYTES[dtype];
  const step = sliceElements(slices, size);
  const count = new NonFiniteCount();
  const checked = isFloatDType(dtype);
  const stored = dtype === "f32" ? undefined : slices.take(total * size);
  try {
    for (let at = 0; at < total; at += step) {
      options.signal?.throwIfAborted();
      const part = result.subarray(at, Math.min(at + step, total));
      const bytes = stored?.subarray(0, part.length * size) ?? bytesOf(part);
      await fill(source, tensor, bytes, tensor.offset + at * size);
      if (stored !== undefined) decodeToF32(dtype, bytes, part);
      if (checked) count.add(part, at);
    }
  } finally {
    if (stored !== undefined) slices.give(stored);
  }
  count.check(source, tensor);
  return result;
}
