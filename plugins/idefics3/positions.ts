/**
 * Which position each patch has. The table is a square of as many rows and columns as a picture of the trained size has
 * patches; along an axis, patch `i` of `count` begins at `i / count` of the picture and has the place of the table in which
 * that lies.
 */
import type { PatchGrid } from "../../runtime/abi/patch_images.ts";

/** PyTorch's `arange` of f32 goes by two vectors of so many elements at a time, each from its first one's f32. */
const LANES = 8;

/**
 * Where the places of a table begin but the first: multiples of `1 / side` in f32. With last bits as the reference's
 * `torch.arange` has them on x86, since patches of a picture of the trained size begin at just these numbers.
 */
function bounds(side: number): Float32Array {
  const step = 1 / side;
  const found = new Float32Array(Math.ceil((1 - step) / step));
  const whole = found.length - (found.length % (2 * LANES));
  for (let i = 0; i < found.length; i++) {
    const lane = i < whole ? i % LANES : 0;
    found[i] = Math.fround(step + step * (i - lane)) + lane * step;
  }
  return found;
}

/** Places [count] along an axis of `side`. */
export function axisPlaces(count: number, side: number): Int32Array {
  const begins = bounds(side);
  const part = Math.fround(1 / count);
  const last = Math.fround(1 - 1e-6);
  const places = new Int32Array(count);
  for (let i = 0, place = 0; i < count; i++) {
    const at = Math.min(Math.fround(i * part), last);
    while (place < begins.length && begins[place] <= at) place++;
    places[i] = place;
  }
  return places;
}

/** Rows [rows * columns] of a table of `side` x `side` positions, patch by patch. */
export function positionIds({ rows, columns }: PatchGrid, side: number): Int32Array {
  const down = axisPlaces(rows, side);
  const across = axisPlaces(columns, side);
  return Int32Array.from(
    { length: rows * columns },
    (_, i) => down[Math.floor(i / columns)] * side + across[i % columns],
  );
}
