/** How decoded pixels become the bytes of a tower's input, as plain data that a processor states and a device carries out. */

/** Longest side of a picture, before and after a resize: what a JPEG header can say. */
export const LONGEST_SIDE = 65535;

/** How many pixels along a side a JPEG decoder makes one of. */
export type Reduction = 2 | 4 | 8;

/** A picture's size in pixels. */
export interface PictureSize {
  /** Columns; of a picture that was read at a reduced size, those of the whole. */
  readonly width: number;
  /** Rows; of a picture that was read at a reduced size, those of the whole. */
  readonly height: number;
  /**
   * For a JPEG file that was read at a reduced size: how many pixels along a side one of those stands for that were decoded.
   * A rest at the end of a side, less than one of them, is not there.
   */
  readonly reduction?: Reduction;
}

/** Pixels that were decoded along a side. */
export function decodedSide(side: number, reduction: Reduction | 1 = 1): number {
  return Math.floor(side / reduction);
}

/**
 * How one axis is resampled: output `i` is `(half + sum over k of source[starts[i] + k] * weights[i * taps + k]) >> bits`,
 * clamped to 0..255, where half is `2 ** (bits - 1)` and `k` is `0..taps - 1`. Sources behind the axis' end have weight 0; an
 * output whose weights are all 0 is black.
 */
export interface ResampleTable {
  /** i32 [outputs]. */
  readonly starts: Int32Array;
  /** i32 [outputs, taps]. */
  readonly weights: Int32Array;
  /** A multiple of {@link TAPS_AT_ONCE}; what an output does not need has weight 0. */
  readonly taps: number;
  /** Fraction bits of the weights, 1..22. */
  readonly bits: number;
  /** All weights fit 16 bits with their sign. Follows from the filter and the arithmetic alone: it chooses a component. */
  readonly narrow: boolean;
}

/** Kernels multiply so many sources at a time. */
export const TAPS_AT_ONCE = 4;

/**
 * The order of the samples. Without patches: planes, [3, height, width]. With them: blocks of `merge` x `merge` patches row by
 * row, inside a block its patches row by row, inside a patch [3, patch, patch], or [patch, patch, 3] where channels are last.
 * Sides are whole blocks.
 */
export interface PixelLayout {
  /** Pixels along a side of a patch; absent for planes. */
  readonly patch?: number;
  /** Patches along a side of a block; 1 unless given. */
  readonly merge?: number;
  /** False unless given. */
  readonly channelsLast?: boolean;
}

/** A picture resampled along its rows, then along its columns, with samples of 8 bits. */
export interface PictureResize {
  /** Resamples the decoded rows: its outputs are the result's columns. */
  readonly columns: ResampleTable;
  /** Resamples the columns of that: its outputs are the result's rows. */
  readonly rows: ResampleTable;
  /**
   * Sides of the whole picture after its first resize, where that averages neighbours: what tells whether a JPEG file may be
   * read at a reduced size. A picture with a cut that does not say it is read whole.
   */
  readonly resized?: Omit<PictureSize, "reduction">;
  /** The resize whose result is resampled instead of the picture. What several share is one object, and is made once. */
  readonly of?: PictureResize;
}

/** A picture's way into the input: resampled, then put in order. */
export interface PixelCut extends PictureResize {
  /** In which order the samples are written. */
  readonly layout: PixelLayout;
  /** First byte of its samples in the input. */
  readonly at: number;
  /** Position of its picture in the request; that of the cut in its plan unless given. */
  readonly picture?: number;
}

/** A u8 input that is filled by cuts. */
export interface PixelInput<Name extends string = string> {
  /** Name of the tower's input, such as `pixel_values`. */
  readonly input: Name;
  /** Sizes of the input's axes; their product is its bytes. */
  readonly shape: readonly number[];
  /** At least one of every picture. Bytes that no cut fills are 0. */
  readonly cuts: readonly PixelCut[];
}

/** Bytes of the samples of a cut or a resize. */
export function cutBytes({ columns, rows }: PictureResize): number {
  return 3 * columns.starts.length * rows.starts.length;
}

/** Sources that a table reads: the first, and the one behind the last; 0, 0 for none. */
export function sourceSpan({ starts, weights, taps }: ResampleTable): readonly [number, number] {
  let [first, end] = [Number.POSITIVE_INFINITY, 0];
  for (let i = 0; i < starts.length; i++) {
    let last = taps;
    while (last > 0 && weights[i * taps + last - 1] === 0) last--;
    if (last === 0) continue;
    first = Math.min(first, starts[i]);
    end = Math.max(end, starts[i] + last);
  }
  return first < end ? [first, end] : [0, 0];
}

/** Columns and rows of a cut or a resize. */
export function cutSize({ columns, rows }: PictureResize): { readonly width: number; readonly height: number } {
  return { width: columns.starts.length, height: rows.starts.length };
}
