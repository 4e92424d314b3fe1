/**
 * Symbolic sizes. A {@link Dim} is a plain integer or a canonical sum of products over atoms, where an atom is a
 * named symbol or an integer quotient, remainder, maximum or minimum of two dims. Two dims are equal exactly when their
 * {@link dimKey}s are; intervals live outside of dims (a compile range is a narrower {@link Box} for the same dims).
 */
import { internal } from "./diagnostics.ts";

/** The values that a symbol may have. */
export interface Interval {
  /** Least value, inclusive. */
  readonly min: number;
  /** Largest value, inclusive. */
  readonly max: number;
  /** A divisor that every value has; 1 unless given. */
  readonly multipleOf?: number;
}

/** Intervals by symbol name. */
export type Box = Readonly<Record<string, Interval>>;

/** Values by symbol name. */
export type Bindings = Readonly<Record<string, number>>;

/** What an atom is: a symbol, or an integer function of two dims. */
export type AtomKind = "symbol" | "floor_div" | "mod" | "max" | "min";

/** An indivisible factor of a term. For `symbol`, `name` is set; for the others `a` and `b`. */
export interface Atom {
  /** What it is made of. */
  readonly kind: AtomKind;
  /** The symbol's name; of symbols alone. */
  readonly name?: string;
  /** First operand: the dividend of quotients and remainders. */
  readonly a?: Dim;
  /** Second operand: the divisor of quotients and remainders. */
  readonly b?: Dim;
  /** Canonical text: equal atoms have equal keys. */
  readonly key: string;
}

/** `coefficient` times the product of `atoms`. */
export interface Term {
  /** A whole number, never 0. */
  readonly coefficient: number;
  /** Sorted by key, repeated for powers; none for a constant. */
  readonly atoms: readonly Atom[];
}

/** A non-constant dim: a sum of terms, of which at least one has an atom. {@link symbol}, {@link add} and the like make it. */
export interface DimExpression {
  /** Sorted by the keys of their atoms, a constant last. */
  readonly terms: readonly Term[];
  /** Canonical text, such as `tokens + 1`: equal dims have equal keys. */
  readonly key: string;
}

/** A size: a whole number, or a canonical expression over symbols. */
export type Dim = number | DimExpression;
/** Sizes of all axes, outermost first. */
export type Shape = readonly Dim[];

const atomsKey = (atoms: readonly Atom[]): string => atoms.map((a) => a.key).join("*");

/** Canonical text of a dim: equal dims have equal keys. */
export function dimKey(d: Dim): string {
  return typeof d === "number" ? String(d) : d.key;
}

/** Whether two dims are equal for all values of their symbols. */
export function dimEquals(a: Dim, b: Dim): boolean {
  return a === b || dimKey(a) === dimKey(b);
}

/** Whether two shapes have as many axes and equal sizes. */
export function shapeEquals(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((d, i) => dimEquals(d, b[i]));
}

/** `[batch, tokens, 768]` as text. */
export function shapeText(shape: Shape): string {
  return `[${shape.map(dimKey).join(", ")}]`;
}

function fromTerms(terms: Iterable<Term>): Dim {
  const merged = new Map<string, Term>();
  for (const t of terms) {
    const key = atomsKey(t.atoms);
    const old = merged.get(key);
    merged.set(key, old ? { coefficient: old.coefficient + t.coefficient, atoms: t.atoms } : t);
  }
  const list = [...merged.entries()].filter(([, t]) => t.coefficient !== 0);
  if (list.length === 0) return 0;
  if (list.length === 1 && list[0][0] === "") return list[0][1].coefficient;
  // The constant comes last so that texts read "tokens + 1".
  list.sort(([a], [b]) => (a === "" ? 1 : b === "" ? -1 : a < b ? -1 : 1));
  const key = list
    .map(([k, t]) => (k === "" ? `${t.coefficient}` : t.coefficient === 1 ? k : `${t.coefficient}*${k}`))
    .join(" + ");
  return { terms: list.map(([, t]) => t), key };
}

function termsOf(d: Dim): readonly Term[] {
  return typeof d === "number" ? [{ coefficient: d, atoms: [] }] : d.terms;
}

function fromAtom(atom: Atom): Dim {
  return { terms: [{ coefficient: 1, atoms: [atom] }], key: atom.key };
}

/** A named size. Names are identifiers. */
export function symbol(name: string): Dim {
  if (!/^[a-z][a-z0-9_]*$/i.test(name)) internal(`symbol name "${name}" is not an identifier`);
  return fromAtom({ kind: "symbol", name, key: name });
}

/** The sum, canonical; of nothing 0. */
export function add(...dims: readonly Dim[]): Dim {
  if (dims.every((d) => typeof d === "number")) return dims.reduce((a, b) => a + b, 0);
  return fromTerms(dims.flatMap((d) => termsOf(d)));
}

/** The product, canonical; of nothing 1. */
export function mul(...dims: readonly Dim[]): Dim {
  let factor = 1;
  const symbolic: DimExpression[] = [];
  for (const d of dims) {
    if (typeof d === "number") factor *= d;
    else symbolic.push(d);
  }
  if (factor === 0) return 0;
  const [first, ...others] = symbolic;
  if (first === undefined) return factor;
  if (factor === 1 && others.length === 0) return first;
  let terms: readonly Term[] = first.terms.map((t) => ({ coefficient: factor * t.coefficient, atoms: t.atoms }));
  for (const d of others) {
    terms = terms.flatMap((x) =>
      d.terms.map((y) => ({
        coefficient: x.coefficient * y.coefficient,
        atoms: [...x.atoms, ...y.atoms].sort((p, q) => (p.key < q.key ? -1 : p.key > q.key ? 1 : 0)),
      })),
    );
  }
  return fromTerms(terms);
}

/** a - b. */
export function sub(a: Dim, b: Dim): Dim {
  return add(a, mul(-1, b));
}

function binaryAtom(kind: Exclude<AtomKind, "symbol">, a: Dim, b: Dim): Dim {
  return fromAtom({ kind, a, b, key: `${kind}(${dimKey(a)}, ${dimKey(b)})` });
}

/** floor(a / b). Exact division of every term is carried out at once. */
export function floorDiv(a: Dim, b: Dim): Dim {
  if (b === 0) internal(`${dimKey(a)} is divided by 0`);
  if (b === 1 || a === 0) return a;
  if (typeof a === "number" && typeof b === "number") return Math.floor(a / b);
  if (typeof b === "number" && termsOf(a).every((t) => t.coefficient % b === 0)) {
    return fromTerms(termsOf(a).map((t) => ({ coefficient: t.coefficient / b, atoms: t.atoms })));
  }
  const quotient = typeof b === "number" ? undefined : divideExactly(a, b);
  return quotient ?? binaryAtom("floor_div", a, b);
}

/** a / b when b is one product that divides every term of a. */
function divideExactly(a: Dim, b: DimExpression): Dim | undefined {
  if (b.terms.length !== 1) return undefined;
  const divisor = b.terms[0];
  const out: Term[] = [];
  for (const t of termsOf(a)) {
    if (t.coefficient % divisor.coefficient !== 0) return undefined;
    const rest = [...t.atoms];
    for (const atom of divisor.atoms) {
      const at = rest.findIndex((x) => x.key === atom.key);
      if (at < 0) return undefined;
      rest.splice(at, 1);
    }
    out.push({ coefficient: t.coefficient / divisor.coefficient, atoms: rest });
  }
  return fromTerms(out);
}

/** ceil(a / b) for a positive `b`. */
export function ceilDiv(a: Dim, b: number): Dim {
  return floorDiv(add(a, b - 1), b);
}

/** a - floor(a / b) * b: never negative for a positive `b`. */
export function mod(a: Dim, b: Dim): Dim {
  if (b === 0) internal(`${dimKey(a)} is divided by 0`);
  if (a === 0) return 0;
  if (typeof a === "number" && typeof b === "number") return a - Math.floor(a / b) * b;
  if (typeof b === "number" && termsOf(a).every((t) => t.coefficient % b === 0)) return 0;
  return binaryAtom("mod", a, b);
}

/** An atom whose operands may change places: both orders have one key. */
function symmetricAtom(kind: "max" | "min", a: Dim, b: Dim): Dim {
  return dimKey(a) < dimKey(b) ? binaryAtom(kind, a, b) : binaryAtom(kind, b, a);
}

/** The larger of two dims. */
export function max(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return Math.max(a, b);
  return dimEquals(a, b) ? a : symmetricAtom("max", a, b);
}

/** The smaller of two dims. */
export function min(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return Math.min(a, b);
  return dimEquals(a, b) ? a : symmetricAtom("min", a, b);
}

/** Number of elements of a shape; of a scalar 1. */
export function product(shape: Shape): Dim {
  return mul(...shape);
}

/** The value that a symbol is bound to. @throws Error `internal:` where it has none */
export function symbolValue(name: string, bindings: Bindings): number {
  const v = bindings[name];
  if (v === undefined) internal(`symbol "${name}" has no value`);
  return v;
}

/** The value of an atom of two operands, by their values. @throws Error `internal:` for a division by 0 */
export function applyAtom(kind: string, a: number, b: number): number {
  switch (kind) {
    case "floor_div":
    case "mod": {
      if (b === 0) internal(`a size divides ${a} by 0`);
      const quotient = Math.floor(a / b);
      return kind === "mod" ? a - quotient * b : quotient;
    }
    case "max":
      return Math.max(a, b);
    case "min":
      return Math.min(a, b);
    default:
      return internal(`a size has the unknown atom "${kind}"`);
  }
}

function atomValue(atom: Atom, bindings: Bindings): number {
  if (atom.kind === "symbol") return symbolValue(atom.name as string, bindings);
  return applyAtom(atom.kind, evaluate(atom.a as Dim, bindings), evaluate(atom.b as Dim, bindings));
}

/** The integer value of `d` when every symbol has the given value. */
export function evaluate(d: Dim, bindings: Bindings): number {
  if (typeof d === "number") return d;
  let sum = 0;
  for (const t of d.terms) {
    let p = t.coefficient;
    for (const a of t.atoms) p *= atomValue(a, bindings);
    sum += p;
  }
  return sum;
}

function atomBounds(atom: Atom, box: Box): Interval {
  if (atom.kind === "symbol") {
    const i = box[atom.name as string];
    if (i === undefined) internal(`symbol "${atom.name}" has no interval`);
    return i;
  }
  const a = bounds(atom.a as Dim, box);
  const b = bounds(atom.b as Dim, box);
  switch (atom.kind) {
    case "floor_div": {
      // A divisor is never 0, so the extremes are at its ends and next to 0.
      const divisors = [b.min, b.max, -1, 1].filter((d) => d !== 0 && d >= b.min && d <= b.max);
      if (divisors.length === 0) internal(`the divisor of ${atom.key} is always 0`);
      const all = divisors.flatMap((d) => [Math.floor(a.min / d), Math.floor(a.max / d)]);
      return { min: Math.min(...all), max: Math.max(...all) };
    }
    case "mod":
      if (a.min >= 0 && a.max < b.min) return { min: a.min, max: a.max };
      return {
        min: Math.min(0, b.min + 1),
        max: Math.max(0, a.min >= 0 ? Math.min(b.max - 1, a.max) : b.max - 1),
      };
    case "max":
      return { min: Math.max(a.min, b.min), max: Math.max(a.max, b.max) };
    case "min":
      return { min: Math.min(a.min, b.min), max: Math.min(a.max, b.max) };
  }
}

/** Smallest interval that interval arithmetic proves for `d` inside `box`. */
export function bounds(d: Dim, box: Box): Interval {
  if (typeof d === "number") return { min: d, max: d };
  let low = 0;
  let high = 0;
  for (const t of d.terms) {
    let lo = t.coefficient;
    let hi = t.coefficient;
    for (const a of t.atoms) {
      const b = atomBounds(a, box);
      const all = [lo * b.min, lo * b.max, hi * b.min, hi * b.max];
      lo = Math.min(...all);
      hi = Math.max(...all);
    }
    low += lo;
    high += hi;
  }
  return { min: low, max: high };
}

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b));

function atomDivisor(atom: Atom, box: Box): number {
  switch (atom.kind) {
    case "symbol": {
      const { min, max, multipleOf = 1 } = atomBounds(atom, box);
      return min === max ? min : multipleOf;
    }
    case "max":
    case "min":
      return gcd(divisorOf(atom.a as Dim, box), divisorOf(atom.b as Dim, box));
    case "floor_div": {
      const whole = divisorOf(atom.a as Dim, box);
      return typeof atom.b === "number" && whole % atom.b === 0 ? Math.abs(whole / atom.b) : 1;
    }
    case "mod":
      return gcd(divisorOf(atom.a as Dim, box), divisorOf(atom.b as Dim, box));
  }
}

/** The largest number known to divide every value of `d` inside `box`; 0 where `d` is always 0. */
export function divisorOf(d: Dim, box: Box): number {
  if (typeof d === "number") return Math.abs(d);
  return d.terms.reduce(
    (all, t) =>
      gcd(
        all,
        t.atoms.reduce((product, a) => product * atomDivisor(a, box), Math.abs(t.coefficient)),
      ),
    0,
  );
}

/** The one value that `d` has everywhere in `box`, if it has one. */
export function fixedValue(d: Dim, box: Box): number | undefined {
  const { min, max } = bounds(d, box);
  return min === max ? min : undefined;
}

/** Names of all symbols in `d`. */
export function symbolsOf(d: Dim, into: Set<string> = new Set()): Set<string> {
  if (typeof d === "number") return into;
  for (const t of d.terms) {
    for (const a of t.atoms) {
      if (a.kind === "symbol") into.add(a.name as string);
      else {
        symbolsOf(a.a as Dim, into);
        symbolsOf(a.b as Dim, into);
      }
    }
  }
  return into;
}
