/** Compile ranges: boxes of intervals over a component's symbols, each with an artifact of its own. */

import { FoveaError } from "./diagnostics.ts";
import type { Bindings, Box, Interval } from "./dim.ts";

/** Ends of the ranges along one symbol: `[64, 256]` over 1..512 gives 1..64, 65..256, 257..512. */
export interface RangeSpec {
  /** Symbol along which the whole interval is split. */
  readonly axis?: string;
  /** Upper ends of all but the last range, ascending. */
  readonly ends?: readonly number[];
  /** Sizes with an artifact of their own; an exact tuple beats the box that holds it. */
  readonly exact?: readonly Bindings[];
}

export interface RangeOptions {
  readonly tag: string;
  readonly maxArtifacts?: number;
}

export const DEFAULT_MAX_ARTIFACTS = 8;

export function intervalText(i: Interval): string {
  const step = i.multipleOf !== undefined && i.multipleOf > 1 ? ` step ${i.multipleOf}` : "";
  return i.min === i.max ? String(i.min) : `${i.min}..${i.max}${step}`;
}

/** `batch 1..64, tokens 50` with symbols in name order. */
export function boxText(box: Box): string {
  return Object.keys(box)
    .sort()
    .map((name) => `${name} ${intervalText(box[name])}`)
    .join(", ");
}

function refuse(tag: string, problem: string): never {
  throw new FoveaError("invalid_range", `The compile ranges of component "${tag}" are invalid: ${problem}`);
}

function checkInterval(tag: string, name: string, i: Interval): void {
  const step = i.multipleOf ?? 1;
  if (!Number.isSafeInteger(i.min) || !Number.isSafeInteger(i.max) || i.min < 0)
    refuse(tag, `symbol "${name}" needs whole bounds >= 0, found ${i.min}..${i.max}.`);
  if (!Number.isSafeInteger(step) || step < 1)
    refuse(tag, `symbol "${name}" needs a whole \`multipleOf\` >= 1, found ${step}.`);
  if (i.min > i.max) refuse(tag, `the interval of "${name}" is empty (${i.min}..${i.max}); swap its bounds.`);
  if (i.max - (i.max % step) < i.min) {
    refuse(tag, `no multiple of ${step} lies in ${i.min}..${i.max} of "${name}"; widen the interval.`);
  }
}

/** True when every symbol of `box` has a value inside its interval. */
export function boxHolds(box: Box, at: Bindings): boolean {
  return Object.entries(box).every(([name, i]) => {
    const v = at[name];
    return v !== undefined && v >= i.min && v <= i.max && v % (i.multipleOf ?? 1) === 0;
  });
}

/**
 * The disjoint boxes that `spec` makes of the whole interval, exact tuples first.
 * @throws FoveaError `invalid_range` for empty, unordered, out-of-interval or too many ranges, with the fix.
 */
export function splitRanges(symbols: Box, spec: RangeSpec, options: RangeOptions): readonly Box[] {
  const { tag } = options;
  for (const [name, i] of Object.entries(symbols)) checkInterval(tag, name, i);
  const boxes: Box[] = [];
  for (const tuple of spec.exact ?? []) {
    for (const name of Object.keys(tuple)) {
      if (!Object.hasOwn(symbols, name))
        refuse(tag, `an exact size names "${name}"; its symbols are ${Object.keys(symbols).join(", ")}.`);
    }
    if (!boxHolds(symbols, tuple)) {
      refuse(
        tag,
        `the exact size ${JSON.stringify(tuple)} lies outside of ${boxText(symbols)}; give every symbol a value inside.`,
      );
    }
    const box = Object.fromEntries(Object.keys(symbols).map((n) => [n, { min: tuple[n], max: tuple[n] }]));
    const text = boxText(box);
    if (boxes.some((b) => boxText(b) === text)) refuse(tag, `the exact size ${text} is listed twice; drop one.`);
    boxes.push(box);
  }
  const ends = spec.ends ?? [];
  if (ends.length === 0) boxes.push(symbols);
  else {
    const axis = spec.axis;
    if (axis === undefined || !Object.hasOwn(symbols, axis)) {
      refuse(tag, `ends need an axis out of ${Object.keys(symbols).join(", ")}, found ${axis ?? "none"}.`);
    }
    const whole = symbols[axis];
    let from = whole.min;
    for (const [i, end] of [...ends, whole.max].entries()) {
      const most = i < ends.length ? whole.max - 1 : whole.max;
      if (!Number.isSafeInteger(end) || end < from || end > most) {
        refuse(tag, `end ${end} of "${axis}" must lie in ${from}..${most}; ends ascend and stay below ${whole.max}.`);
      }
      const part = { ...whole, min: from, max: end };
      checkInterval(tag, axis, part);
      boxes.push({ ...symbols, [axis]: part });
      from = end + 1;
    }
  }
  const limit = options.maxArtifacts ?? DEFAULT_MAX_ARTIFACTS;
  if (boxes.length > limit) {
    refuse(
      tag,
      `${ends.length + 1} ranges and ${spec.exact?.length ?? 0} exact sizes make ${boxes.length} artifacts, over maxArtifacts ${limit}; drop some or raise it.`,
    );
  }
  return boxes;
}

/** How far `at` lies outside of `box`, summed over all symbols. */
function distance(box: Box, at: Bindings): number {
  return Object.entries(box).reduce((sum, [name, i]) => sum + Math.max(0, i.min - at[name], at[name] - i.max), 0);
}

/**
 * Index of the box that serves `at`: an exact tuple beats a box because it comes first.
 * @throws FoveaError `outside_ranges` naming component, symbol, value and nearest range.
 */
export function dispatch(tag: string, boxes: readonly Box[], at: Bindings): number {
  const found = boxes.findIndex((b) => boxHolds(b, at));
  if (found >= 0) return found;
  const refuseWith = (problem: string): never => {
    throw new FoveaError("outside_ranges", `Component "${tag}" was asked for ${problem}`);
  };
  const names = Object.keys(boxes[0] ?? {}).sort();
  const unbound = names.find((name) => !Number.isSafeInteger(at[name]));
  if (unbound !== undefined) refuseWith(`${unbound} = ${at[unbound]}; give it a whole number.`);
  // An exact size is near only where nothing else is.
  const nearest = [...boxes].reverse().reduce((a, b) => (distance(b, at) < distance(a, at) ? b : a));
  const name = names.find((n) => !boxHolds({ [n]: nearest[n] }, at)) as string;
  return refuseWith(
    `${name} = ${at[name]}, which lies outside of its compile ranges; the nearest is ${boxText(nearest)}.`,
  );
}
