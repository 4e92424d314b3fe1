/** Rows of the op table for fixed-point resampling of bytes. */
import { type Dim, dimEquals, type Shape, shapeEquals, shapeText } from "../core/dim.ts";
import { TAPS_AT_ONCE } from "../core/pixel_cut.ts";
import type { OpRow } from "./node.ts";

/**
 * x u8, and how its axis is resampled: starts i32 [outputs], weights i32 [outputs, taps], bits i32 [1]. Output `i` is
 * `(2 ** (bits - 1) + sum over k of source[starts[i] + k] * weights[i, k]) >> bits` in wrapping i32 arithmetic, clamped to
 * 0..255; sources behind the axis' end count as 0. `narrow` takes the low 16 bits of the weights, signed.
 */
export function resampling(rank: number, shapeOf: (x: Shape, outputs: Dim) => Shape | string): OpRow {
  return {
    kind: "index",
    arity: [4, 4],
    infer: ([x, starts, weights, bits], { narrow }) => {
      if (x.dtype !== "u8" || x.shape.length !== rank) {
        return `it resamples u8 values of ${rank} axes, found ${x.dtype}${shapeText(x.shape)}.`;
      }
      if (typeof narrow !== "boolean") return `\`narrow\` must be true or false, found ${String(narrow)}.`;
      const whole = [starts, weights, bits].every((n) => n.dtype === "i32");
      const taps = weights.shape[1];
      const fits =
        whole &&
        starts.shape.length === 1 &&
        weights.shape.length === 2 &&
        dimEquals(starts.shape[0], weights.shape[0]) &&
        shapeEquals(bits.shape, [1]);
      if (!fits) {
        const found = [starts, weights, bits].map((n) => `${n.dtype}${shapeText(n.shape)}`).join(", ");
        return `its table must be starts i32 [outputs], weights i32 [outputs, taps] and bits i32 [1], found ${found}.`;
      }
      if (typeof taps === "number" && taps % TAPS_AT_ONCE !== 0)
        return `its weights must have a multiple of ${TAPS_AT_ONCE} taps, found ${taps}.`;
      const shape = shapeOf(x.shape, starts.shape[0]);
      return typeof shape === "string" ? shape : { shape, dtype: "u8" };
    },
  };
}
