/**
 * Tables that follow from the grids of a request's images and videos: segments, window order, rotary angles, weights of
 * learned positions. Patches come frame by frame and, within a frame, merge block by merge block (row by row of blocks,
 * then row by row inside a block), as Qwen2VLImageProcessor writes them. A unit is one merge block.
 */
import { bf16ToNumber, numberToBf16 } from "../../runtime/core/half.ts";
import { gridRotary, type RotaryTable, rotaryFrequencies } from "../../runtime/nn/mod.ts";

/** Patches of an image (one frame) or a video. */
export interface Grid {
  readonly frames: number;
  readonly rows: number;
  readonly columns: number;
}

/** Patches of a grid. */
export function gridPatches({ frames, rows, columns }: Grid): number {
  return frames * rows * columns;
}

/** Patches of all grids. */
export function totalPatches(grids: readonly Grid[]): number {
  return grids.reduce((n, grid) => n + gridPatches(grid), 0);
}

/** 0 and the running sums of `lengths`. */
function offsetsOf(lengths: readonly number[]): Int32Array {
  const offsets = new Int32Array(lengths.length + 1);
  for (const [i, length] of lengths.entries()) offsets[i + 1] = offsets[i] + length;
  return offsets;
}

/** `cu_seqlens` where each frame is a segment: [frames + 1] offsets in patches. */
export function frameSegments(grids: readonly Grid[]): Int32Array {
  return offsetsOf(grids.flatMap(({ frames, rows, columns }) => new Array<number>(frames).fill(rows * columns)));
}

/** Length of the longest segment. */
export function longestSegment(offsets: Int32Array): number {
  let longest = 0;
  for (let i = 1; i < offsets.length; i++) longest = Math.max(longest, offsets[i] - offsets[i - 1]);
  return longest;
}

/** Place of every patch inside its frame, in the order of the patches. */
export interface PatchPlaces {
  readonly rows: Int32Array;
  readonly columns: Int32Array;
}

export function patchPlaces(grids: readonly Grid[], mergeSize: number): PatchPlaces {
  const patches = totalPatches(grids);
  const places = { rows: new Int32Array(patches), columns: new Int32Array(patches) };
  let at = 0;
  for (const { frames, rows, columns } of grids) {
    const begin = at;
    for (let top = 0; top < rows; top += mergeSize) {
      for (let left = 0; left < columns; left += mergeSize) {
        for (let row = top; row < top + mergeSize; row++) {
          for (let column = left; column < left + mergeSize; column++, at++) {
            places.rows[at] = row;
            places.columns[at] = column;
          }
        }
      }
    }
    for (let frame = 1; frame < frames; frame++, at += rows * columns) {
      for (const own of [places.rows, places.columns]) own.copyWithin(at, begin, begin + rows * columns);
    }
  }
  return places;
}

/** Units in the order of windows: `order[i]` is the unit that comes i-th; windows follow one another. */
export interface WindowOrder {
  readonly order: Int32Array;
  /** [windows + 1] offsets in units. */
  readonly offsets: Int32Array;
}

/** Windows of `side` x `side` units over every frame, row by row; those at the right and lower edge are smaller. */
export function windowOrder(grids: readonly Grid[], mergeSize: number, side: number): WindowOrder {
  const order = new Int32Array(totalPatches(grids) / (mergeSize * mergeSize));
  const lengths: number[] = [];
  let at = 0;
  let first = 0;
  for (const { frames, rows, columns } of grids) {
    const [high, wide] = [rows / mergeSize, columns / mergeSize];
    for (let frame = 0; frame < frames; frame++, first += high * wide) {
      for (let top = 0; top < high; top += side) {
        for (let left = 0; left < wide; left += side) {
          const [bottom, right] = [Math.min(top + side, high), Math.min(left + side, wide)];
          for (let row = top; row < bottom; row++) {
            for (let column = left; column < right; column++) order[at++] = first + row * wide + column;
          }
          lengths.push((bottom - top) * (right - left));
        }
      }
    }
  }
  return { order, offsets: offsetsOf(lengths) };
}

/** Patches in the order of their units. */
export function patchOrder(units: Int32Array, mergeSize: number): Int32Array {
  const unit = mergeSize * mergeSize;
  return Int32Array.from({ length: units.length * unit }, (_, i) => units[Math.floor(i / unit)] * unit + (i % unit));
}

/** Where each unit went: the inverse of an order. */
export function inverseOrder(order: Int32Array): Int32Array {
  const inverse = new Int32Array(order.length);
  for (let i = 0; i < order.length; i++) inverse[order[i]] = i;
  return inverse;
}

/** Values in another order. */
export function reordered(values: Int32Array, order: Int32Array): Int32Array {
  const out = new Int32Array(order.length);
  for (let i = 0; i < order.length; i++) out[i] = values[order[i]];
  return out;
}

/**
 * Radians that a head's pairs turn by for each step along an axis: theta^(-i / pairs).
 * @param bfloat16 rounds them as a model does that is cast as a whole
 */
export function axisFrequencies(pairs: number, theta: number, bfloat16: boolean): Float32Array {
  const exponents = Array.from({ length: pairs }, (_, i) => i / pairs);
  const frequencies = rotaryFrequencies(theta, exponents);
  return bfloat16 ? frequencies.map((f) => bf16ToNumber(numberToBf16(f))) : frequencies;
}

/** cos and sin [patches, 2 * frequencies]: the first half of a patch's pairs turns by its row, the second by its column. */
export function rotaryAngles({ rows, columns }: PatchPlaces, frequencies: Float32Array): RotaryTable {
  const pairs = frequencies.length;
  const positions = Math.max(largest(rows), largest(columns)) + 1;
  const table = gridRotary([{ rows: positions, columns: 1 }], [{ axis: "row", frequencies }]);
  const spread = (from: Float32Array): Float32Array => {
    const out = new Float32Array(rows.length * 2 * pairs);
    for (let patch = 0, to = 0; patch < rows.length; patch++) {
      const [byRow, byColumn] = [rows[patch] * pairs, columns[patch] * pairs];
      for (let i = 0; i < pairs; i++) out[to++] = from[byRow + i];
      for (let i = 0; i < pairs; i++) out[to++] = from[byColumn + i];
    }
    return out;
  };
  return { cos: spread(table.cos), sin: spread(table.sin) };
}

function largest(values: Int32Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) if (values[i] > most) most = values[i];
  return most;
}

/** Rows of a table of learned positions and the weight of each: [4, patches], corner by corner. */
export interface PositionWeights {
  readonly index: Int32Array;
  readonly weights: Float32Array;
}

/** Neighbours of `count` places that lie evenly from the first to the last of `side` positions, in f32. */
interface AxisWeights {
  readonly low: Int32Array;
  readonly high: Int32Array;
  /** Share of `high`. */
  readonly share: Float32Array;
}

function axisWeights(count: number, side: number): AxisWeights {
  const axis = { low: new Int32Array(count), high: new Int32Array(count), share: new Float32Array(count) };
  const step = count < 2 ? 0 : Math.fround((side - 1) / (count - 1));
  for (let i = 0; i < count; i++) {
    // From both ends to the middle, as torch.linspace rounds.
    const ahead = i < count / 2;
    const place = Math.fround(ahead ? step * i : side - 1 - Math.fround(step * (count - 1 - i)));
    axis.low[i] = Math.floor(place);
    axis.high[i] = Math.min(axis.low[i] + 1, side - 1);
    axis.share[i] = Math.fround(place - axis.low[i]);
  }
  return axis;
}

/** Bilinear weights that bring a table of `side` x `side` positions to every patch of the grids. */
export function positionWeights(grids: readonly Grid[], { rows, columns }: PatchPlaces, side: number): PositionWeights {
  const patches = rows.length;
  const out = { index: new Int32Array(4 * patches), weights: new Float32Array(4 * patches) };
  let at = 0;
  for (const grid of grids) {
    const [down, across] = [axisWeights(grid.rows, side), axisWeights(grid.columns, side)];
    for (const end = at + gridPatches(grid); at < end; at++) {
      const [row, column] = [rows[at], columns[at]];
      const [y, x] = [down.share[row], across.share[column]];
      for (let corner = 0; corner < 4; corner++) {
        const [lower, right] = [corner >= 2, corner % 2 === 1];
        const to = corner * patches + at;
        out.index[to] = (lower ? down.high : down.low)[row] * side + (right ? across.high : across.low)[column];
        out.weights[to] = (lower ? y : 1 - y) * (right ? x : 1 - x);
      }
    }
  }
  return out;
}
