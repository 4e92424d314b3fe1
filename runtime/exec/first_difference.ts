/** The first place in which two values of plain data differ, in canonical order: why one request is not another. */
import { canonicalJson } from "../core/canonical_json.ts";

/** A place in which two values of plain data differ, and what is there in each. */
export interface Difference {
  /** Such as `graph.nodes[3]`. */
  readonly path: string;
  /** JSON of the first value there, such as a cache's entry; nothing where it has no such place. */
  readonly before: string | undefined;
  /** JSON of the second, such as what was wanted. */
  readonly after: string | undefined;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A list of which only this many levels are told apart: rows of nodes are shown whole. */
const isRow = (value: unknown): boolean => Array.isArray(value) && value.some((v) => typeof v !== "object");

/** @returns nothing for equal values */
export function firstDifference(before: unknown, after: unknown, path = ""): Difference | undefined {
  const text = (value: unknown): string | undefined => (value === undefined ? undefined : canonicalJson(value));
  if (text(before) === text(after)) return undefined;
  const whole: Difference = { path, before: text(before), after: text(after) };
  if (Array.isArray(before) && Array.isArray(after) && !isRow(before) && !isRow(after)) {
    for (let i = 0; i < Math.max(before.length, after.length); i++) {
      const found = firstDifference(before[i], after[i], `${path}[${i}]`);
      if (found !== undefined) return found;
    }
  }
  if (isObject(before) && isObject(after)) {
    for (const key of [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()) {
      const found = firstDifference(before[key], after[key], path === "" ? key : `${path}.${key}`);
      if (found !== undefined) return found;
    }
  }
  return whole;
}

/** How many leaves two values have in common: what a missing entry most likely was. */
export function likeness(a: unknown, b: unknown): number {
  if (isObject(a) && isObject(b)) return Object.keys(a).reduce((n, key) => n + likeness(a[key], b[key]), 0);
  if (Array.isArray(a) && Array.isArray(b)) return a.reduce((n: number, value, i) => n + likeness(value, b[i]), 0);
  return a === b ? 1 : 0;
}
