/** Sizes among the attributes of an op: each must be a whole number or made of symbols. */
import type { Dim } from "../core/dim.ts";
import type { Attributes } from "./node.ts";

/** Attributes that hold sizes. */
const SIZES: readonly string[] = ["shape", "start", "end", "size", "step", "longest_segment"];

/** Attributes that hold positions, which may lie outside of an axis: the op itself says so. */
const POSITIONS: readonly string[] = ["start", "end"];

const isSize = (d: unknown, least: number): boolean =>
  typeof d === "number" ? Number.isSafeInteger(d) && d >= least : typeof d === "object" && d !== null && "terms" in d;

const leastOf = (attribute: string): number => (POSITIONS.includes(attribute) ? Number.MIN_SAFE_INTEGER : 0);

/** The first of an op's sizes that is none. */
export function unnamedSize(attributes: Attributes): { readonly found: unknown } | undefined {
  for (const name in attributes) {
    if (!SIZES.includes(name)) continue;
    const value: unknown = attributes[name];
    const least = leastOf(name);
    if (!Array.isArray(value)) {
      if (!isSize(value, least)) return { found: value };
      continue;
    }
    for (const d of value) if (!isSize(d, least)) return { found: d };
  }
  return undefined;
}

/** The same attributes with 1 for what is no size. */
export function repaired(attributes: Attributes): Attributes {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => {
      if (!SIZES.includes(name)) return [name, value];
      const fix = (d: unknown): Dim => (isSize(d, leastOf(name)) ? (d as Dim) : 1);
      return [name, Array.isArray(value) ? Array.from(value as unknown[], fix) : fix(value)];
    }),
  );
}
