/** Pictures as bytes: resampled, and put in the order of a tower's input. */

import { type Dim, mul } from "../core/dim.ts";
import type { GraphBuilder, Node } from "../ir/builder.ts";

/** The table of an axis as inputs `<axis>_starts` i32 [outputs], `_weights` i32 [outputs, taps], `_bits` i32 [1]. */
function tableInputs(b: GraphBuilder, axis: string, outputs: Dim, taps: Dim): readonly Node[] {
  return [
    b.input(`${axis}_starts`, [outputs], "i32"),
    b.input(`${axis}_weights`, [outputs, taps], "i32"),
    b.input(`${axis}_bits`, [1], "i32"),
  ];
}

/**
 * Inputs `pixels` u8 [source_height, source_width, 3] and the tables of `column` and `row`; output `planes` u8 [height, 3,
 * width]: a plane for each channel of a row.
 * @param narrow the weights have 16 bits
 */
export function resizedPixels(b: GraphBuilder, narrow: boolean): void {
  const { source_height, source_width, height, width, column_taps, row_taps } = b.dims;
  const pixels = b.input("pixels", [source_height, source_width, 3], "u8");
  const columns = tableInputs(b, "column", width, column_taps);
  const rows = tableInputs(b, "row", height, row_taps);
  const wide = b.op("resample_columns", [pixels, ...columns], { narrow });
  const line = b.reshape(wide, [source_height, mul(3, width)]);
  b.output("planes", b.reshape(b.op("resample_rows", [line, ...rows], { narrow }), [height, 3, width]));
}

/** Order of samples, as `PixelLayout` of `fovea/core` with nothing left out. */
export interface PatchOrder {
  /** Pixels along a side of a patch. */
  readonly patch: number;
  /** Patches along a side of a block. */
  readonly merge: number;
  /** True for [patch, patch, 3] inside a patch, false for [3, patch, patch]. */
  readonly channelsLast: boolean;
}

/**
 * Input `planes` u8 [block_rows * merge * patch, 3, block_columns * merge * patch]; output `samples` u8, patch by patch in
 * blocks of merge x merge.
 */
export function orderedPatches(b: GraphBuilder, { patch, merge, channelsLast }: PatchOrder): void {
  const { block_rows, block_columns } = b.dims;
  const side = patch * merge;
  const planes = b.input("planes", [mul(block_rows, side), 3, mul(block_columns, side)], "u8");
  const split = b.reshape(planes, [block_rows, merge, patch, 3, block_columns, merge, patch]);
  const order = channelsLast ? [0, 4, 1, 5, 2, 6, 3] : [0, 4, 1, 5, 3, 2, 6];
  b.output("samples", b.transpose(split, order));
}

/** Input `planes` u8 [height, 3, width]; output `samples` u8 [3, height, width]. */
export function orderedPlanes(b: GraphBuilder): void {
  const { height, width } = b.dims;
  b.output("samples", b.transpose(b.input("planes", [height, 3, width], "u8"), [1, 0, 2]));
}
