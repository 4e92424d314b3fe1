/** When a JPEG file may be read at a reduced size: shrink on load. */
import { decodedSide, type PictureSize, type PixelCut, type Reduction } from "../core/pixel_cut.ts";

/**
 * Least sides of a picture that was read at a reduced size, in sides of what it is resized to. libjpeg averages the pixels of
 * a reduction and none beside them, so that the more the resize's own filter has left to average, the closer it comes to that
 * of a whole decode. With these margins samples of a photograph differ by about one grey level on average from what a whole
 * decode gives, whatever the reduction (docs/performance.md).
 */
export const REDUCTION_MARGIN: Readonly<Record<Reduction, number>> = { 2: 1.5, 4: 2, 8: 3 };

/** The largest reduction that leaves every cut of a picture enough pixels; 1 where there is none. */
export function jpegReduction(size: PictureSize, cuts: readonly PixelCut[]): Reduction | 1 {
  const fits = (by: Reduction): boolean =>
    cuts.every(
      ({ resized }) =>
        resized !== undefined &&
        decodedSide(size.width, by) >= REDUCTION_MARGIN[by] * resized.width &&
        decodedSide(size.height, by) >= REDUCTION_MARGIN[by] * resized.height,
    );
  return ([8, 4, 2] as const).find(fits) ?? 1;
}
