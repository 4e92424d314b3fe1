/** Tables that follow from the sizes of the images of one call. */
import type { Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { gridRotary, type PatchGrid, rotaryFrequencies } from "../../runtime/nn/mod.ts";
import type { PixtralConfig } from "./config.ts";

const i32 = (shape: readonly number[], data: Int32Array): Tensor => ({ dtype: "i32", shape, data });

const patchesOf = ({ rows, columns }: PatchGrid): number => rows * columns;

/**
 * `patch_index` i32 [patches]: where the images' own patches lie among those of a batch that was padded to `padded`, image by
 * image and row by row.
 */
export function patchIndex(grids: readonly PatchGrid[], padded: PatchGrid): Tensor {
  const patches = grids.reduce((n, g) => n + patchesOf(g), 0);
  const at = new Int32Array(patches);
  let to = 0;
  for (const [image, { rows, columns }] of grids.entries()) {
    for (let row = 0; row < rows; row++) {
      const from = (image * padded.rows + row) * padded.columns;
      for (let column = 0; column < columns; column++) at[to++] = from + column;
    }
  }
  return i32([patches], at);
}

/** `cu_seqlens` i32 [images + 1]: first patch of every image, then their number. */
export function imageOffsets(grids: readonly PatchGrid[]): Tensor {
  const offsets = new Int32Array(grids.length + 1);
  for (const [i, grid] of grids.entries()) offsets[i + 1] = offsets[i] + patchesOf(grid);
  return i32([offsets.length], offsets);
}

/**
 * `cos` and `sin` [patches, head_dim / 2]: frequencies theta^(-2i / head_dim), of which the even ones turn by the patch's row
 * and stand first, the odd ones by its column.
 */
export function patchRotary(grids: readonly PatchGrid[], config: PixtralConfig): Tensors {
  const headDim = config.hiddenSize / config.heads;
  const every = (first: number): Float32Array =>
    rotaryFrequencies(
      config.theta,
      Array.from({ length: headDim / 4 }, (_, i) => (4 * i + 2 * first) / headDim),
    );
  const { cos, sin } = gridRotary(grids, [
    { axis: "row", frequencies: every(0) },
    { axis: "column", frequencies: every(1) },
  ]);
  const shape = [cos.length / (headDim / 2), headDim / 2];
  return { cos: { dtype: "f32", shape, data: cos }, sin: { dtype: "f32", shape, data: sin } };
}

/**
 * `merge_index` i32 [tokens, size * size]: the patches of every square, row by row in the square, in the image and image by
 * image. Sides of the grids are multiples of `size`.
 */
export function mergeIndex(grids: readonly PatchGrid[], size: number): Tensor {
  const patches = grids.reduce((n, g) => n + patchesOf(g), 0);
  const at = new Int32Array(patches);
  let to = 0;
  let first = 0;
  for (const grid of grids) {
    for (let row = 0; row < grid.rows; row += size) {
      for (let column = 0; column < grid.columns; column += size) {
        for (let y = row; y < row + size; y++) {
          for (let x = column; x < column + size; x++) at[to++] = first + y * grid.columns + x;
        }
      }
    }
    first += patchesOf(grid);
  }
  return i32([patches / (size * size), size * size], at);
}
