/** Functions of the reference evaluator that move values without computing: views, assembly and casts. */
import type { DType, HalfDType } from "../../core/dtype.ts";
import { roundToHalf } from "../../core/half.ts";
import {
  allocate,
  broadcastShape,
  broadcastStrides,
  elementCount,
  isFloat,
  type RefTensor,
  refuse,
  requireFloat,
  resolveAxis,
  sameShape,
  shapeText,
  stridedCopy,
  stridesOf,
} from "./tensor.ts";

/** The same values in row-major order under another shape. */
export function reshape(x: RefTensor, shape: readonly number[]): RefTensor {
  if (!shape.every((d) => Number.isInteger(d) && d >= 0) || elementCount(shape) !== x.data.length) {
    refuse("reshape", `shape ${shapeText(shape)} for ${shapeText(x.shape)}`, `${x.data.length} elements`);
  }
  return { dtype: x.dtype, shape: [...shape], data: x.data };
}

/** Result axis i is operand axis perm[i]. */
export function transpose(x: RefTensor, perm: readonly number[]): RefTensor {
  const sorted = [...perm].sort((p, q) => p - q);
  if (perm.length !== x.shape.length || !sorted.every((p, i) => p === i)) {
    refuse("transpose", `order ${shapeText(perm)}`, `an order of the ${x.shape.length} axes of ${shapeText(x.shape)}`);
  }
  const strides = stridesOf(x.shape);
  return stridedCopy(
    x,
    perm.map((p) => x.shape[p]),
    perm.map((p) => strides[p]),
  );
}

/** Elements starts[i] <= index < ends[i] of every axis i. */
export function slice(x: RefTensor, starts: readonly number[], ends: readonly number[]): RefTensor {
  const valid =
    starts.length === x.shape.length &&
    ends.length === x.shape.length &&
    x.shape.every((d, i) => Number.isInteger(starts[i]) && starts[i] >= 0 && starts[i] <= ends[i] && ends[i] <= d) &&
    ends.every(Number.isInteger);
  if (!valid) {
    refuse(
      "slice",
      `${shapeText(starts)} to ${shapeText(ends)}`,
      `one start and end per axis in ${shapeText(x.shape)}`,
    );
  }
  const strides = stridesOf(x.shape);
  const base = starts.reduce((sum, s, i) => sum + s * strides[i], 0);
  return stridedCopy(
    x,
    x.shape.map((_, i) => ends[i] - starts[i]),
    strides,
    base,
  );
}

/** Overlapping runs along an axis: size T becomes [(T - size) / step + 1, size]. */
export function windows(x: RefTensor, axis: number, size: number, step: number): RefTensor {
  const at = resolveAxis("windows", axis, x.shape.length);
  const count = Math.floor((x.shape[at] - size) / step) + 1;
  if (!(size >= 1 && step >= 1 && count >= 1))
    refuse("windows", `size ${size}, step ${step}`, `runs within ${x.shape[at]}`);
  const strides = stridesOf(x.shape);
  return stridedCopy(
    x,
    [...x.shape.slice(0, at), count, size, ...x.shape.slice(at + 1)],
    [...strides.slice(0, at), strides[at] * step, strides[at], ...strides.slice(at + 1)],
  );
}

/** Tensors of one type side by side along `axis`; all other sizes agree. */
export function concat(parts: readonly RefTensor[], axis: number): RefTensor {
  if (parts.length === 0) refuse("concat", "no operands", "at least one");
  const [first] = parts;
  const at = resolveAxis("concat", axis, first.shape.length);
  for (const p of parts) {
    const agrees = p.shape.length === first.shape.length && p.shape.every((d, i) => i === at || d === first.shape[i]);
    if (!agrees || p.dtype !== first.dtype) {
      refuse(
        "concat",
        `${first.dtype} ${shapeText(first.shape)} and ${p.dtype} ${shapeText(p.shape)}`,
        `one type, and equal sizes but for axis ${at}`,
      );
    }
  }
  const shape = first.shape.map((d, i) => (i === at ? parts.reduce((sum, p) => sum + p.shape[at], 0) : d));
  const data = allocate(first.dtype, elementCount(shape));
  const outer = elementCount(shape.slice(0, at));
  let to = 0;
  for (let o = 0; o < outer; o++) {
    for (const p of parts) {
      const run = elementCount(p.shape.slice(at));
      data.set(p.data.subarray(o * run, (o + 1) * run), to);
      to += run;
    }
  }
  return { dtype: first.dtype, shape, data };
}

/** Repeats axes of size 1 (and missing leading axes) to reach `shape`. */
export function broadcastTo(x: RefTensor, shape: readonly number[]): RefTensor {
  if (!sameShape(broadcastShape("broadcast_to", x.shape, shape), shape)) {
    refuse("broadcast_to", `shape ${shapeText(x.shape)}`, `a shape that broadcasts to ${shapeText(shape)}`);
  }
  return stridedCopy(x, shape, broadcastStrides(x.shape, shape));
}

/** Inclusive bounds of integer types; those not listed saturate at the bounds of i32, which holds them. */
const INTEGER_BOUNDS: Readonly<Record<string, readonly [number, number]>> = {
  u8: [0, 255],
  i8: [-128, 127],
};

/** To an integer type: truncated towards zero, saturated, NaN to 0. To a float type: unchanged, not rounded. */
export function cast(x: RefTensor, dtype: DType): RefTensor {
  if (isFloat(dtype)) return { dtype, shape: x.shape, data: Float64Array.from(x.data) };
  const [low, high] = INTEGER_BOUNDS[dtype] ?? [-2147483648, 2147483647];
  return { dtype, shape: x.shape, data: Int32Array.from(x.data, (v) => Math.min(Math.max(v, low), high)) };
}

/** The f16 or bf16 nearest to every value; f32 as the type that it is computed with. */
export function storedAs(x: RefTensor, dtype: HalfDType): RefTensor {
  requireFloat("stored_as", x);
  return { dtype: "f32", shape: x.shape, data: Float64Array.from(x.data, (v) => roundToHalf(dtype, v)) };
}

/** Every value rounded to f32, still held as f64: what a caller does before it compares with an f32 kernel. */
export function roundToF32(x: RefTensor): RefTensor {
  requireFloat("round_to_f32", x);
  return { dtype: "f32", shape: x.shape, data: Float64Array.from(x.data, Math.fround) };
}

/**
 * Non-overlapping patches of an image: x [batch, channels, height, width] ->
 * [batch, (height / ph) * (width / pw), channels * ph * pw]. Patches go row by row; inside a patch the order is
 * channel, row, column, as in a flattened convolution kernel, so that `linear` with the kernel [N, C * ph * pw]
 * is the strided convolution. Sizes need to be multiples of the patch.
 */
export function patchify(x: RefTensor, patchHeight: number, patchWidth: number): RefTensor {
  if (x.shape.length !== 4) refuse("patchify", `shape ${shapeText(x.shape)}`, "[batch, channels, height, width]");
  const [batch, channels, height, width] = x.shape;
  if (!(patchHeight > 0 && patchWidth > 0) || height % patchHeight !== 0 || width % patchWidth !== 0) {
    refuse("patchify", `an image of ${height}x${width}`, `multiples of the patch ${patchHeight}x${patchWidth}`);
  }
  const [gh, gw] = [height / patchHeight, width / patchWidth];
  const split = reshape(x, [batch, channels, gh, patchHeight, gw, patchWidth]);
  return reshape(transpose(split, [0, 2, 4, 1, 3, 5]), [batch, gh * gw, channels * patchHeight * patchWidth]);
}
