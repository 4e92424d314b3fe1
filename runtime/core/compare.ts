/** Comparisons of dims inside a box: decided by the intervals, or by where an interval would have to be split. */
import { add, type Bindings, type Box, bounds, type Dim, dimKey, evaluate, sub, symbolsOf } from "./dim.ts";
import { type Relation, slackOf } from "./relation.ts";

/** A split that decides a comparison on both sides. */
export interface SplitPoint {
  /** Name of the symbol whose interval is split. */
  readonly symbol: string;
  /** Last value of the lower part. */
  readonly end: number;
}

/** Decided, or a split that decides it, or why no split along one symbol does. */
export type Decision = boolean | SplitPoint | { readonly problem: string };

/** 1 where a dim never falls while one symbol grows, -1 where it never rises, 0 where it stays; nothing when neither. */
type Direction = 1 | -1 | 0 | undefined;

const together = (a: Direction, b: Direction): Direction => (a === 0 || a === b ? b : b === 0 ? a : undefined);

const isNonNegative = (d: Dim, box: Box): boolean => bounds(d, box).min >= 0;

function directionOf(d: Dim, symbol: string, box: Box): Direction {
  if (typeof d === "number") return 0;
  let whole: Direction = 0;
  for (const { coefficient, atoms } of d.terms) {
    let own: Direction = 0;
    for (const atom of atoms) {
      const factor = { terms: [{ coefficient: 1, atoms: [atom] }], key: atom.key };
      // Factors that may be negative turn each other's direction around.
      if (atoms.length > 1 && !isNonNegative(factor, box)) return undefined;
      own = together(own, atomDirection(atom, symbol, box));
    }
    const turned = own === undefined || own === 0 || coefficient > 0 ? own : own === 1 ? -1 : 1;
    whole = together(whole, turned);
    if (whole === undefined) return undefined;
  }
  return whole;
}

function atomDirection(atom: { kind: string; name?: string; a?: Dim; b?: Dim }, symbol: string, box: Box): Direction {
  if (atom.kind === "symbol") return atom.name === symbol ? 1 : 0;
  const [a, b] = [directionOf(atom.a as Dim, symbol, box), directionOf(atom.b as Dim, symbol, box)];
  if (atom.kind === "max" || atom.kind === "min") return together(a, b);
  if (b !== 0) return undefined;
  if (atom.kind === "mod") return a === 0 ? 0 : undefined;
  return isNonNegative(sub(atom.b as Dim, 1), box) ? a : undefined;
}

/** Whether `d` is at least 0 everywhere in `box`, nowhere, or on one side of a split. */
export function decideNonNegative(d: Dim, box: Box, relations: readonly Relation[] = []): Decision {
  const { min, max } = bounds(d, box);
  if (min >= 0) return true;
  if (max < 0) return false;
  for (const relation of relations) {
    const slack = slackOf(relation);
    if (bounds(sub(d, slack), box).min >= 0) return true;
    if (bounds(add(d, slack), box).max < 0) return false;
  }
  const names = [...symbolsOf(d)].sort();
  const free = names.filter((name) => box[name].min < box[name].max);
  const fixed = Object.fromEntries(names.map((name) => [name, box[name].min]));
  if (free.length === 0) return evaluate(d, fixed) >= 0;
  if (free.length > 1) return { problem: `it depends on ${free.join(" and ")} together` };
  const [symbol] = free;
  if (directionOf(d, symbol, box) === undefined)
    return { problem: `${dimKey(d)} neither grows nor falls throughout as ${symbol} grows` };
  const { multipleOf = 1 } = box[symbol];
  const holds = (step: number): boolean =>
    evaluate(d, { ...fixed, [symbol]: step * multipleOf } satisfies Bindings) >= 0;
  let low = Math.ceil(box[symbol].min / multipleOf);
  let high = Math.floor(box[symbol].max / multipleOf);
  const first = holds(low);
  if (holds(high) === first) return first;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle) === first) low = middle;
    else high = middle;
  }
  return { symbol, end: low * multipleOf };
}
