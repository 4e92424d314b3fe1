/** Compile ranges: boxes of intervals over a component's symbols, each with an artifact of its own. */

import { FoveaError } from "./diagnostics.ts";
import type { Bindings, Box, Interval } from "./dim.ts";
import { brokenRelation, type Relation, relationText, ruledOut, symbolsOfRelation } from "./relation.ts";

/** How the whole interval of a component's symbols is divided. */
export interface RangeList {
  /**
   * Upper ends of all but the last range of a symbol, ascending: `{ tokens: [64, 256] }` over 1..512 gives 1..64, 65..256
   * and 257..512. Ends of several symbols give the product of their ranges.
   */
  readonly ends?: Readonly<Record<string, readonly number[]>>;
  /** The boxes themselves, instead of ends; a symbol that a box leaves out has its whole interval there. */
  readonly boxes?: readonly Box[];
  /** Sizes with an artifact of their own; an exact tuple beats the box that holds it. */
  readonly exact?: readonly Bindings[];
}

/** A division, or `"open"`: one range in which every symbol is 1..2^31 - 1. */
export type RangeSpec = RangeList | "open";

/** How ranges become boxes. */
export interface RangeOptions {
  /** Component that errors name. */
  readonly tag: string;
  /** Most ranges; {@link DEFAULT_MAX_ARTIFACTS} unless given. */
  readonly maxArtifacts?: number;
  /** What holds between symbols. */
  readonly relations?: readonly Relation[];
}

/** Most artifacts of a component and target unless raised. */
export const DEFAULT_MAX_ARTIFACTS = 8;

/** Largest size of an open range: what a 32-bit integer holds. */
export const OPEN_END: number = 2 ** 31 - 1;

/** The intervals that a component is compiled for: its own, or the open ones. */
export function wholeBox(symbols: Box, spec: RangeSpec): Box {
  if (spec !== "open") return symbols;
  return Object.fromEntries(
    Object.entries(symbols).map(([name, i]) => [name, { ...i, min: Math.max(1, i.multipleOf ?? 1), max: OPEN_END }]),
  );
}

/** An interval as `min..max`, with its step where there is one; a single value as a number. */
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

const FORMS = ["ends", "boxes", "exact"];

/** Of callers that no type checker saw. */
function checkForm(tag: string, spec: unknown): void {
  if (spec === "open") return;
  const expected = 'expected "open", or an object with `ends` or `boxes`, and `exact`';
  if (typeof spec !== "object" || spec === null || Array.isArray(spec)) {
    refuse(tag, `they are ${JSON.stringify(spec)}; ${expected}.`);
  }
  const odd = Object.keys(spec).find((name) => !FORMS.includes(name));
  if (odd !== undefined) refuse(tag, `they have a field "${odd}"; ${expected}.`);
  const { ends, boxes, exact } = spec as Readonly<Record<string, unknown>>;
  for (const [name, list] of Object.entries({ boxes, exact, ...(ends as object | undefined) })) {
    if (list === undefined || Array.isArray(list)) continue;
    const what = name === "boxes" || name === "exact" ? `\`${name}\`` : `the ends of "${name}"`;
    refuse(tag, `${what} must be a list; found ${JSON.stringify(list)}.`);
  }
  for (const [name, list] of Object.entries({ boxes, exact })) {
    const at = ((list ?? []) as readonly unknown[]).findIndex((one) => typeof one !== "object" || one === null);
    if (at >= 0) refuse(tag, `\`${name}[${at}]\` must be an object; found ${JSON.stringify((list as unknown[])[at])}.`);
  }
}

/** Of callers that no type checker saw. */
function checkSides(tag: string, box: Readonly<Record<string, unknown>>): void {
  for (const [name, side] of Object.entries(box)) {
    if (typeof side === "object" && side !== null) continue;
    refuse(tag, `symbol "${name}" needs an interval { min, max }; found ${JSON.stringify(side)}.`);
  }
}

/** Names of symbols in relations are texts, which no type checker sees. */
function checkRelations(tag: string, symbols: Box, relations: readonly Relation[]): void {
  const expected = 'expected a list such as [["longest_segment", "<=", "patches"]]';
  const isRelation = (r: unknown): boolean => Array.isArray(r) && r.length === 3 && r[1] === "<=";
  if (!Array.isArray(relations) || !relations.every(isRelation)) {
    refuse(tag, `its relations are ${JSON.stringify(relations)}; ${expected}.`);
  }
  for (const relation of relations as readonly Relation[]) {
    const odd = [...symbolsOfRelation(relation)].find((name) => !Object.hasOwn(symbols, name));
    if (odd === undefined) continue;
    refuse(tag, `the relation ${relationText(relation)} names "${odd}"; its symbols are ${names(symbols)}.`);
  }
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

interface Definition extends RangeOptions {
  readonly symbols: Box;
}

const names = (symbols: Box): string => Object.keys(symbols).join(", ") || "none";

/** Boxes of one size each. */
function exactBoxes({ tag, symbols, relations = [] }: Definition, tuples: readonly Bindings[]): readonly Box[] {
  const boxes: Box[] = [];
  for (const tuple of tuples) {
    for (const name of Object.keys(tuple)) {
      if (!Object.hasOwn(symbols, name))
        refuse(tag, `an exact size names "${name}"; its symbols are ${names(symbols)}.`);
    }
    if (!boxHolds(symbols, tuple)) {
      refuse(
        tag,
        `the exact size ${JSON.stringify(tuple)} lies outside of ${boxText(symbols)}; give every symbol a value inside.`,
      );
    }
    const broken = brokenRelation(relations, tuple);
    if (broken !== undefined) {
      refuse(
        tag,
        `the exact size ${JSON.stringify(tuple)} is unreachable, because ${relationText(broken)}; drop it or change it.`,
      );
    }
    const box = Object.fromEntries(Object.keys(symbols).map((n) => [n, { min: tuple[n], max: tuple[n] }]));
    const text = boxText(box);
    if (boxes.some((b) => boxText(b) === text)) refuse(tag, `the exact size ${text} is listed twice; drop one.`);
    boxes.push(box);
  }
  return boxes;
}

/** The ranges of one symbol. */
function cutInterval(tag: string, name: string, whole: Interval, ends: readonly number[]): readonly Interval[] {
  let from = whole.min;
  return [...ends, whole.max].map((end, i) => {
    const most = i < ends.length ? whole.max - 1 : whole.max;
    if (!Number.isSafeInteger(end) || end < from || end > most) {
      refuse(tag, `end ${end} of "${name}" must lie in ${from}..${most}; ends ascend and stay below ${whole.max}.`);
    }
    const part = { ...whole, min: from, max: end };
    checkInterval(tag, name, part);
    from = end + 1;
    return part;
  });
}

/** All combinations of the symbols' ranges that can occur, the last symbol changing fastest. */
function productBoxes(definition: Definition, ends: NonNullable<RangeList["ends"]>): readonly Box[] {
  const { tag, symbols, relations = [] } = definition;
  for (const name of Object.keys(ends)) {
    if (!Object.hasOwn(symbols, name)) refuse(tag, `ends are given for "${name}"; its symbols are ${names(symbols)}.`);
  }
  let boxes: readonly Box[] = [symbols];
  for (const [name, own] of Object.entries(ends)) {
    const parts = cutInterval(tag, name, symbols[name], own);
    boxes = boxes.flatMap((box) => parts.map((part) => ({ ...box, [name]: part })));
  }
  const reachable = boxes.filter((box) => ruledOut(relations, box) === undefined);
  for (const [name, own] of Object.entries(ends)) {
    for (const part of cutInterval(tag, name, symbols[name], own)) {
      const within = boxes.filter((box) => box[name].min === part.min);
      const [first] = within;
      const reason = ruledOut(relations, first);
      if (reason === undefined || within.some((box) => reachable.includes(box))) continue;
      refuse(
        tag,
        `the range ${name} ${intervalText(part)} is unreachable, because ${relationText(reason)}; drop the end that makes it.`,
      );
    }
  }
  return reachable;
}

const holdsNothing = ({ min, max, multipleOf = 1 }: Interval): boolean => max - (max % multipleOf) < min;

const intersection = (a: Interval, b: Interval): Interval => ({
  ...a,
  min: Math.max(a.min, b.min),
  max: Math.min(a.max, b.max),
});

/** What of `box` lies outside of `taken`, as disjoint boxes. */
function without(box: Box, taken: Box): readonly Box[] {
  const inner: Record<string, Interval> = { ...box };
  const rest: Box[] = [];
  for (const [name, whole] of Object.entries(box)) {
    const both = intersection(whole, taken[name]);
    if (holdsNothing(both)) return [box];
    for (const side of [
      { ...whole, max: both.min - 1 },
      { ...whole, min: both.max + 1 },
    ]) {
      if (side.min <= side.max && !holdsNothing(side)) rest.push({ ...inner, [name]: side });
    }
    inner[name] = both;
  }
  return rest;
}

/** Boxes that were written out: disjoint, inside, and nothing that can occur left over. */
function writtenBoxes({ tag, symbols, relations = [] }: Definition, given: readonly Box[]): readonly Box[] {
  const boxes = given.map((sides) => {
    checkSides(tag, sides);
    for (const [name, side] of Object.entries(sides)) {
      const whole = symbols[name];
      if (whole === undefined) refuse(tag, `a box names "${name}"; its symbols are ${names(symbols)}.`);
      checkInterval(tag, name, { ...whole, min: side.min, max: side.max });
      if (side.min < whole.min || side.max > whole.max) {
        refuse(
          tag,
          `the box ${boxText(sides)} leaves the interval ${intervalText(whole)} of "${name}"; cut it or widen the symbol.`,
        );
      }
    }
    const box = Object.fromEntries(
      Object.entries(symbols).map(([name, whole]) => {
        const side = sides[name] ?? whole;
        return [name, { ...whole, min: side.min, max: side.max }];
      }),
    );
    const reason = ruledOut(relations, box);
    if (reason !== undefined) {
      refuse(tag, `the box ${boxText(box)} is unreachable, because ${relationText(reason)}; drop it.`);
    }
    return box;
  });
  boxes.forEach((a, i) => {
    for (const b of boxes.slice(i + 1)) {
      const both = Object.fromEntries(Object.keys(symbols).map((name) => [name, intersection(a[name], b[name])]));
      if (Object.values(both).some(holdsNothing)) continue;
      refuse(tag, `the boxes ${boxText(a)} and ${boxText(b)} overlap in ${boxText(both)}; cut one of them.`);
    }
  });
  let left: readonly Box[] = [symbols];
  for (const box of boxes) left = left.flatMap((part) => without(part, box));
  const gap = left.find((part) => ruledOut(relations, part) === undefined);
  if (gap !== undefined) {
    refuse(tag, `its boxes leave a gap at ${boxText(gap)}; add a box for it or narrow the symbol's interval.`);
  }
  return boxes;
}

/**
 * The disjoint boxes that `spec` makes of the whole interval, exact tuples first.
 * @throws FoveaError `invalid_range` for empty, unordered, overlapping, unreachable, out-of-interval or too many ranges
 * and for gaps, with the fix.
 */
export function splitRanges(symbols: Box, spec: RangeSpec, options: RangeOptions): readonly Box[] {
  const { tag, relations = [] } = options;
  checkForm(tag, spec);
  checkSides(tag, symbols);
  checkRelations(tag, symbols, relations);
  const list: RangeList = spec === "open" ? {} : spec;
  const definition: Definition = { ...options, symbols: wholeBox(symbols, spec) };
  for (const [name, i] of Object.entries(definition.symbols)) checkInterval(tag, name, i);
  const impossible = ruledOut(relations, definition.symbols);
  if (impossible !== undefined) {
    refuse(tag, `no size holds ${relationText(impossible)} within ${boxText(definition.symbols)}; widen an interval.`);
  }
  if (list.ends !== undefined && list.boxes !== undefined) {
    refuse(tag, "they give both ends and boxes; give one of them.");
  }
  const exact = exactBoxes(definition, list.exact ?? []);
  const boxes =
    list.boxes === undefined ? productBoxes(definition, list.ends ?? {}) : writtenBoxes(definition, list.boxes);
  const isPoint = (box: Box): boolean => Object.values(box).every((i) => i.min === i.max);
  const hidden = boxes.find((box) => isPoint(box) && exact.some((e) => boxText(e) === boxText(box)));
  if (hidden !== undefined && exact.length > 0) {
    refuse(
      tag,
      `the range ${boxText(hidden)} is unreachable, because it is an exact size as well; drop the exact size.`,
    );
  }
  const limit = options.maxArtifacts ?? DEFAULT_MAX_ARTIFACTS;
  const count = boxes.length + exact.length;
  if (count > limit) {
    const sides = Object.values(list.ends ?? {}).map((ends) => ends.length + 1);
    const whole = sides.reduce((a, b) => a * b, 1);
    const unreachable = list.boxes === undefined ? whole - boxes.length : 0;
    const sum = [
      `${list.boxes === undefined && sides.length > 0 ? sides.join(" x ") : boxes.length} ranges`,
      ...(unreachable > 0 ? [`- ${unreachable} unreachable`] : []),
      ...(exact.length > 0 ? [`+ ${exact.length} exact`] : []),
    ];
    refuse(
      tag,
      `${sum.join(" ")} = ${count} artifacts, over maxArtifacts ${limit}; drop some or raise maxArtifacts to ${count}.`,
    );
  }
  return [...exact, ...boxes];
}

/** How far `at` lies outside of `box`, summed over all symbols. */
function distance(box: Box, at: Bindings): number {
  return Object.entries(box).reduce((sum, [name, i]) => sum + Math.max(0, i.min - at[name], at[name] - i.max), 0);
}

/**
 * Index of the box that serves `at`: an exact tuple beats a box because it comes first.
 * @throws FoveaError `outside_ranges` naming component, symbol, value and nearest range; `broken_relation` naming the
 * relation and the values that break it.
 */
export function dispatch(
  tag: string,
  boxes: readonly Box[],
  at: Bindings,
  relations: readonly Relation[] = [],
): number {
  const bound = Object.keys(boxes[0] ?? {}).every((name) => Number.isSafeInteger(at[name]));
  const broken = bound ? brokenRelation(relations, at) : undefined;
  if (broken !== undefined) {
    const sizes = [...symbolsOfRelation(broken)].map((name) => `${name} = ${at[name]}`);
    throw new FoveaError(
      "broken_relation",
      `Component "${tag}" was asked for ${sizes.join(" and ")}, and ${relationText(broken)} must hold; correct the sizes, or the component's \`relations\` if they may occur.`,
    );
  }
  const found = boxes.findIndex((b) => boxHolds(b, at));
  if (found >= 0) return found;
  const refuseWith = (problem: string): never => {
    throw new FoveaError("outside_ranges", `Component "${tag}" was asked for ${problem}`);
  };
  const symbols = Object.keys(boxes[0] ?? {}).sort();
  const unbound = symbols.find((name) => !Number.isSafeInteger(at[name]));
  if (unbound !== undefined) refuseWith(`${unbound} = ${at[unbound]}; give it a whole number.`);
  // An exact size is near only where nothing else is.
  const nearest = [...boxes].reverse().reduce((a, b) => (distance(b, at) < distance(a, at) ? b : a));
  const name = symbols.find((n) => !boxHolds({ [n]: nearest[n] }, at)) as string;
  return refuseWith(
    `${name} = ${at[name]}, which lies outside of its compile ranges; the nearest is ${boxText(nearest)}.`,
  );
}
