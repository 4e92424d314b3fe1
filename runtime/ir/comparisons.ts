/** Comparisons of sizes while a graph is built: decided by the range, or a reason to split it. */
import { decideNonNegative, type SplitPoint } from "../core/compare.ts";
import { nearest } from "../core/diagnostics.ts";
import { type Box, type Dim, type DimExpression, dimKey, sub, symbol } from "../core/dim.ts";
import type { Relation } from "../core/relation.ts";
import { placeText, type SourcePlace } from "../core/source_place.ts";
import { authorPlace, type OnBreak } from "./traps.ts";

/**
 * Comparisons of two sizes during build, a and b; for methods of a symbol, a is that symbol. Decided by the intervals, else the
 * range is split there and built once for each side; a trace break where no split of one symbol decides.
 */
export interface Comparisons<Arguments extends readonly Dim[]> {
  /** a < b. */
  lessThan(...dims: Arguments): boolean;
  /** a <= b. */
  atMost(...dims: Arguments): boolean;
  /** a > b. */
  greaterThan(...dims: Arguments): boolean;
  /** a >= b. */
  atLeast(...dims: Arguments): boolean;
  /** a = b. */
  equals(...dims: Arguments): boolean;
}

/** A component's symbol: a dim with comparisons, such as `b.dims.tokens.lessThan(512)`. */
export type SymbolDim = DimExpression & Comparisons<readonly [than: Dim]>;

/** Thrown out of a build that asked what its range leaves open; the tracer splits the range and builds both sides. */
export class RangeSplit extends Error {
  readonly point: SplitPoint;
  readonly place: SourcePlace | undefined;

  constructor(point: SplitPoint, place: SourcePlace | undefined) {
    const at = place === undefined ? "" : ` at ${placeText(place)}`;
    super(
      `The comparison${at} holds on one side of ${point.symbol} = ${point.end} alone; a component splits its range there.`,
    );
    this.name = "RangeSplit";
    this.point = point;
    this.place = place;
  }
}

/** Dims of a part of a graph with the comparisons of the whole. Constants have none of their own: give them to the builder's. */
export function comparable(
  b: Comparisons<readonly [a: Dim, b: Dim]>,
  dims: Readonly<Record<string, Dim>>,
): Readonly<Record<string, SymbolDim>> {
  const { lessThan, atMost, greaterThan, atLeast, equals } = b;
  return Object.fromEntries(
    Object.entries(dims).map(([name, d]) => [name, withMethods(d, { lessThan, atMost, greaterThan, atLeast, equals })]),
  );
}

function withMethods(d: Dim, compare: Comparisons<readonly [Dim, Dim]>): SymbolDim {
  if (typeof d === "number") return d as unknown as SymbolDim;
  const methods = Object.entries(compare) as readonly [string, (a: Dim, b: Dim) => boolean][];
  const asked = Object.fromEntries(methods.map(([method, ask]) => [method, (than: Dim) => ask(d, than)]));
  return Object.assign(Object.create(asked), d) as SymbolDim;
}

/** Symbols with comparisons; asking for one that was not declared is `unknown`'s to answer. */
function symbolDims(
  symbols: Box,
  compare: Comparisons<readonly [Dim, Dim]>,
  unknown: (name: string) => SymbolDim,
): Readonly<Record<string, SymbolDim>> {
  const dims = Object.fromEntries(Object.keys(symbols).map((name) => [name, withMethods(symbol(name), compare)]));
  return new Proxy(dims, {
    get: (target, name) =>
      typeof name === "symbol" || Object.hasOwn(target, name) ? Reflect.get(target, name) : unknown(name),
  });
}

/** Names of symbols for messages. */
export const symbolNames = (symbols: Box): string => Object.keys(symbols).join(", ") || "none";

/** A build's symbols and its comparisons; what neither the intervals nor a split decides is told to `breaks`. */
export function createComparisons(
  symbols: Box,
  relations: readonly Relation[],
  breaks: OnBreak,
): { readonly compare: Comparisons<readonly [Dim, Dim]>; readonly dims: Readonly<Record<string, SymbolDim>> } {
  /** Whether a dim is at least 0. */
  const decide = (d: Dim, asked: string): boolean => {
    const decision = decideNonNegative(d, symbols, relations);
    if (typeof decision === "boolean") return decision;
    if ("symbol" in decision) throw new RangeSplit(decision, authorPlace());
    breaks({
      kind: "comparison",
      found: `whether ${asked} depends on the sizes of a call, and no split of one range decides it: ${decision.problem}`,
      remedy: "Declare a symbol for what is compared, state a relation in `relations`, or move the decision to `plan`.",
    });
    return true;
  };
  const compare: Comparisons<readonly [Dim, Dim]> = {
    lessThan: (a, b) => decide(sub(sub(b, a), 1), `${dimKey(a)} < ${dimKey(b)}`),
    atMost: (a, b) => decide(sub(b, a), `${dimKey(a)} <= ${dimKey(b)}`),
    greaterThan: (a, b) => decide(sub(sub(a, b), 1), `${dimKey(a)} > ${dimKey(b)}`),
    atLeast: (a, b) => decide(sub(a, b), `${dimKey(a)} >= ${dimKey(b)}`),
    equals: (a, b) => {
      const asked = `${dimKey(a)} = ${dimKey(b)}`;
      return decide(sub(a, b), asked) && decide(sub(b, a), asked);
    },
  };
  const dims = symbolDims(symbols, compare, (name) => {
    const near = nearest(name, Object.keys(symbols));
    breaks({
      kind: "unnamed_size",
      found: `there is no symbol "${name}"`,
      remedy: `Declare it in the component's \`symbols\`; it has ${symbolNames(symbols)}.${near === undefined ? "" : ` Did you mean "${near}"?`}`,
    });
    return 1 as unknown as SymbolDim;
  });
  return { compare, dims };
}
