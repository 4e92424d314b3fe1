/** How far a result is from its reference. */
import type { Tensor } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";

export interface Comparison {
  readonly maxAbs: number;
  /** `maxAbs` over the reference's standard deviation. */
  readonly maxRel: number;
  readonly cosine: number;
  /** Largest `maxRel` that passes. */
  readonly tolerance: number;
  readonly pass: boolean;
}

export interface Limits {
  /** In standard deviations of the reference. */
  readonly tolerance: number;
  /** Least cosine that passes. */
  readonly cosine?: number;
}

/**
 * Compares two tensors of one shape, rows (of the last axis) with `keep[row] === false` left out.
 * A result that is not finite where the reference is fails.
 */
export function compare(
  name: string,
  found: Tensor,
  expected: Tensor,
  limits: Limits,
  keep?: (row: number) => boolean,
): Comparison {
  if (found.shape.join() !== expected.shape.join()) {
    throw new FoveaError(
      "check_failed",
      `The result "${name}" has the shape [${found.shape.join(", ")}], its reference [${expected.shape.join(", ")}].`,
      { exitCode: 1 },
    );
  }
  const width = expected.shape[expected.shape.length - 1] ?? 1;
  const sums = { count: 0, mean: 0, square: 0, dot: 0, own: 0, theirs: 0 };
  let maxAbs = 0;
  for (let i = 0; i < expected.data.length; i++) {
    if (keep !== undefined && !keep(Math.floor(i / width))) continue;
    const [a, b] = [found.data[i], expected.data[i]];
    const difference = Math.abs(a - b);
    // NaN must not get lost in a maximum.
    maxAbs = difference <= maxAbs ? maxAbs : Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
    sums.count++;
    sums.mean += b;
    sums.square += b * b;
    sums.dot += a * b;
    sums.own += a * a;
    sums.theirs += b * b;
  }
  const mean = sums.mean / sums.count;
  const std = Math.sqrt(Math.max(0, sums.square / sums.count - mean * mean));
  const maxRel = maxAbs === 0 ? 0 : maxAbs / std;
  const cosine = sums.own === 0 && sums.theirs === 0 ? 1 : sums.dot / Math.sqrt(sums.own * sums.theirs);
  const pass = sums.count > 0 && maxRel <= limits.tolerance && (limits.cosine === undefined || cosine >= limits.cosine);
  return { maxAbs, maxRel, cosine, tolerance: limits.tolerance, pass };
}

/** Results of made-up numbers can be fast and wrong. @throws FoveaError `check_failed` */
export function checkFinite(result: Readonly<Record<string, { readonly data: ArrayLike<number> }>>): void {
  for (const [name, { data }] of Object.entries(result)) {
    for (let i = 0; i < data.length; i++) {
      if (Number.isFinite(data[i])) continue;
      throw new FoveaError("check_failed", `The result "${name}" is not finite at element ${i}.`, { exitCode: 1 });
    }
  }
}
