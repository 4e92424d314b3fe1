/**
 * Patches of pixels times a weight. Patches of bytes are not normalised first: `(x * rescale - mean) / std` is affine, so
 * that it goes into the weight and the bias, which is work on weights alone.
 */
import { FoveaError } from "../core/diagnostics.ts";
import { shapeText } from "../core/dim.ts";
import type { ValueSteps } from "../core/value_steps.ts";
import type { GraphBuilder, Node } from "../ir/builder.ts";

/** How the values of a patch lie: channel by channel, or a pixel's channels side by side. */
export type PatchLayout = "planes" | "interleaved";

/** x . weight - shift is the product of normalised samples x. */
export interface FoldedWeight {
  /** [out, in] */
  readonly weight: Node;
  /** [out]; nothing where no mean is subtracted. */
  readonly shift?: Node;
}

/** A number for each channel, as a vector; a scalar where all are equal. */
function byChannel(b: GraphBuilder, values: readonly number[], shape: readonly number[]): Node {
  if (values.every((v) => v === values[0])) return b.constant(values[0]);
  const each = values.map((v) => b.reshape(b.constant(v), [1]));
  return b.reshape(b.concat(each, 0), shape);
}

/**
 * The weight of a product with normalised samples [out, in] as one of a product with the samples themselves. Each row holds
 * `steps.mean.length` channels in the given layout.
 * @throws FoveaError `shape_error` for rows that are no whole channels
 */
export function foldValueSteps(b: GraphBuilder, weight: Node, layout: PatchLayout, steps: ValueSteps): FoldedWeight {
  const { rescaleFactor = 1, mean, std } = steps;
  if (mean === undefined || std === undefined) return { weight: b.mul(weight, b.constant(rescaleFactor)) };
  const channels = mean.length;
  const [out, width] = weight.shape;
  if (typeof out !== "number" || typeof width !== "number" || width % channels !== 0 || std.length !== channels) {
    throw new FoveaError(
      "shape_error",
      `A weight of ${shapeText(weight.shape)} cannot take ${mean.length} means and ${std.length} deviations; rows must be whole channels.`,
    );
  }
  const inner = width / channels;
  const [split, along] =
    layout === "planes"
      ? [
          [out, channels, inner],
          [channels, 1],
        ]
      : [[out, inner, channels], [channels]];
  const parts = b.reshape(weight, split);
  const times = (values: readonly number[]): Node => b.reshape(b.mul(parts, byChannel(b, values, along)), [out, width]);
  const shifted = times(mean.map((m, c) => m / std[c]));
  return {
    weight: times(std.map((s) => rescaleFactor / s)),
    shift: b.reshape(b.op("reduce_sum", [shifted]), [out]),
  };
}

/** How {@link pixelProduct} normalises. */
export interface PixelProductOptions {
  /** Order of the values in a row of patches and of the weight. */
  readonly layout: PatchLayout;
  /** How bytes are normalised; f32 is taken as it is. */
  readonly steps?: ValueSteps | undefined;
  /** [out] */
  readonly bias?: Node;
}

/** patches [..., in] of f32, or of u8 with `steps`, times weight [out, in], plus a bias -> [..., out]. */
export function pixelProduct(b: GraphBuilder, patches: Node, weight: Node, options: PixelProductOptions): Node {
  const { layout, steps, bias } = options;
  const times = (x: Node, w: Node): Node => b.matmul(x, w, { transposeB: true });
  if (patches.dtype === "f32") {
    const product = times(patches, weight);
    return bias === undefined ? product : b.add(product, bias);
  }
  if (steps === undefined) {
    throw new FoveaError("shape_error", `Pixels of ${patches.dtype} need the steps that normalise them, found none.`);
  }
  const folded = foldValueSteps(b, weight, layout, steps);
  const product = times(b.cast(patches), folded.weight);
  if (folded.shift === undefined) return bias === undefined ? product : b.add(product, bias);
  return bias === undefined ? b.sub(product, folded.shift) : b.add(product, b.sub(bias, folded.shift));
}
