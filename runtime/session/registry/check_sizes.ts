/** The sizes at which a kernel of files is checked. */
import type { Interval } from "../../core/dim.ts";
import type { KernelLayout } from "../../foreign/layout.ts";
import type { AxisPattern, SizeRange } from "../../foreign/manifest.ts";

/** Largest sizes that are tried, and numbers of an operand or result, so that a check takes seconds. */
const LARGEST = 512;
export const LARGEST_GRID = 64;
const MOST_NUMBERS = 2 ** 19;

/** Values of sizes by name. */
export type Sizes = Readonly<Record<string, number>>;

/** The values of a range up to `most`, and its least one where that is larger. */
export function intervalOf(
  { min = 1, max = Number.POSITIVE_INFINITY, multipleOf = 1 }: SizeRange = {},
  most: number,
): Interval {
  const up = (n: number): number => Math.ceil(n / multipleOf) * multipleOf;
  const low = up(Math.max(1, min));
  const high = Math.max(low, Math.floor(Math.min(max, Math.max(most, low)) / multipleOf) * multipleOf);
  return { min: low, max: high, multipleOf };
}

/** The ends of an interval and a value between that is no power of two. */
export function valuesOf({ min, max, multipleOf = 1 }: Interval): readonly number[] {
  const steps = Math.floor((max - min) / multipleOf);
  return [...new Set([min, min + multipleOf * Math.floor(steps * 0.37), max])];
}

/** Corners that are tried of more than three sizes. */
const MOST_CORNERS = 8;

/** Without the dots of all leading axes. */
export const sizeName = (axis: string): string => axis.replace(/^\.\.\./, "");

/**
 * The values of each size that is tried. Where a shape has many axes, whose product counts, those without a largest value of their
 * own end earlier, and all of them where that is not enough.
 */
function intervalsOf({ kernel, sizes }: KernelLayout): ReadonlyMap<string, Interval> {
  const { ranges = {}, grid } = kernel;
  const shapes = [...Object.values(kernel.operands).map(({ shape }) => shape), kernel.output];
  const upTo = (most: number, bounded: number): ReadonlyMap<string, Interval> =>
    new Map(
      [...sizes].map((name) => {
        const own = ranges[name]?.max === undefined ? most : bounded;
        return [name, intervalOf(ranges[name], name === grid ? LARGEST_GRID : own)];
      }),
    );
  const fits = (intervals: ReadonlyMap<string, Interval>): boolean => {
    const most = (axis: AxisPattern): number =>
      typeof axis === "number" ? axis : (intervals.get(sizeName(axis))?.max ?? 1);
    return shapes.every((shape) => shape.reduce<number>((n, axis) => n * most(axis), 1) <= MOST_NUMBERS);
  };
  const halves = Array.from({ length: Math.log2(LARGEST) }, (_, i) => LARGEST / 2 ** i);
  const all = [...halves.map((most) => upTo(most, LARGEST)), ...halves.map((most) => upTo(1, most))];
  return all.find(fits) ?? upTo(1, 1);
}

/** Sizes beside the grid's: the corners of their ranges, and a place between. */
export function pointsOf(layout: KernelLayout): readonly Sizes[] {
  const { kernel, sizes } = layout;
  const names = [...sizes].filter((name) => name !== kernel.grid);
  const intervals = intervalsOf(layout);
  const values = names.map((name) => valuesOf(intervals.get(name) as Interval));
  const between = names.map((_, n) => values[n][values[n].length >> 1]);
  const corners = Array.from({ length: Math.min(MOST_CORNERS, 2 ** names.length) }, (_, corner) =>
    names.map((_, n) => ((corner >> (n % 3)) & 1 ? values[n][values[n].length - 1] : values[n][0])),
  );
  // The largest last: its times are what is told.
  const all = [corners[0], between, ...corners.slice(1)];
  const points = all.map((point) => Object.fromEntries(names.map((name, n) => [name, point[n]])));
  return [...new Map(points.map((point) => [JSON.stringify(point), point])).values()];
}
