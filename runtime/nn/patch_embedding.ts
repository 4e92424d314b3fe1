/** Patch embedding: a convolution whose stride is its kernel's size, as one matrix product. */
import { FoveaError } from "../core/diagnostics.ts";
import { shapeText } from "../core/dim.ts";
import type { ValueSteps } from "../core/value_steps.ts";
import type { GraphBuilder, Node } from "../ir/builder.ts";
import { pixelProduct } from "./pixel_product.ts";

/** A patch embedding's sizes and normalisation. */
export interface PatchEmbeddingOptions {
  /** Width of the result. */
  readonly outFeatures: number;
  /** Pixel rows of a patch, which divide those of the picture. */
  readonly patchHeight: number;
  /** Pixels of a row of a patch, which divide those of the picture. */
  readonly patchWidth: number;
  /** True where the checkpoint has a `bias` [out]; false unless given. */
  readonly bias?: boolean;
  /** How pixels of u8 are normalised; f32 is taken as it is. */
  readonly steps?: ValueSteps | undefined;
}

/**
 * [batch, channels, height, width] of f32, or of u8 with `steps` -> [batch, patches, out] with the convolution's `<prefix>weight`
 * [out, channels, patch_height, patch_width]. Patches go row by row.
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
  return pixelProduct(b, b.patchify(pixels, patchHeight, patchWidth), rows, {
    layout: "planes",
    steps,
    ...(bias ? { bias: b.weight(`${prefix}bias`, [outFeatures]) } : {}),
  });
}
