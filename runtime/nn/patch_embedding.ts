/** Patch embedding: a convolution whose stride is its kernel's size, as one matrix product. */
import { FoveaError } from "../core/diagnostics.ts";
import { dimEquals, floorDiv, mul, shapeText } from "../core/dim.ts";
import type { ValueSteps } from "../core/value_steps.ts";
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { pixelProduct } from "./pixel_product.ts";

/** A patch embedding's sizes and normalisation. */
export interface PatchEmbeddingOptions {
  /** Width of the result. */
  readonly outFeatures: number;
  /** Pixel rows of a patch. */
  readonly patchHeight: number;
  /** Pixels of a row of a patch. */
  readonly patchWidth: number;
  /** True where the checkpoint has a `bias` [out]; false unless given. */
  readonly bias?: boolean;
  /** How pixels of u8 are normalised; f32 is taken as it is. */
  readonly steps?: ValueSteps | undefined;
}

/** What `size` divides along an axis. */
function wholeParts(b: GraphBuilder, pixels: Node, axis: number, size: number): Node {
  const whole = mul(floorDiv(pixels.shape[axis], size), size);
  return dimEquals(whole, pixels.shape[axis]) ? pixels : b.slice(pixels, axis, 0, whole);
}

/**
 * [batch, channels, height, width] of f32, or of u8 with `steps` -> [batch, patches, out] with the convolution's `<prefix>weight`
 * [out, channels, patch_height, patch_width]. Patches go row by row; rows and columns of pixels that fill none are left out.
 */
export function patchEmbedding(b: GraphBuilder, pixels: Node, prefix: string, options: PatchEmbeddingOptions): Node {
  const { outFeatures, patchHeight, patchWidth, bias = false, steps } = options;
  const channels = pixels.shape[1];
  if (typeof channels !== "number") {
    throw new FoveaError(
      "shape_error",
      `A patch embedding takes [batch, channels, height, width] with a constant number of channels, found ${shapeText(pixels.shape)}.`,
    );
  }
  const kernel = b.weight(`${prefix}weight`, [outFeatures, channels, patchHeight, patchWidth]);
  const rows = b.reshape(kernel, [outFeatures, channels * patchHeight * patchWidth]);
  const whole = wholeParts(b, wholeParts(b, pixels, 2, patchHeight), 3, patchWidth);
  return pixelProduct(b, b.patchify(whole, patchHeight, patchWidth), rows, {
    layout: "planes",
    steps,
    ...(bias ? { bias: b.weight(`${prefix}bias`, [outFeatures]) } : {}),
  });
}
