/** Relations between symbols: what holds for all sizes that a component is ever called with. */
import { type Bindings, type Box, bounds, type Dim, dimKey, evaluate, sub, symbol, symbolsOf } from "./dim.ts";

/** `["longest_segment", "<=", "patches"]`: each side a symbol's name, a number or a dim. */
export type Relation = readonly [left: string | Dim, "<=", right: string | Dim];

const dimOf = (side: string | Dim): Dim => (typeof side === "string" ? symbol(side) : side);

/** `longest_segment <= patches` */
export function relationText([left, sign, right]: Relation): string {
  return `${dimKey(dimOf(left))} ${sign} ${dimKey(dimOf(right))}`;
}

/** What a relation says is never negative: its right side without its left one. */
export function slackOf([left, , right]: Relation): Dim {
  return sub(dimOf(right), dimOf(left));
}

/** Names of the symbols that a relation speaks of. */
export function symbolsOfRelation([left, , right]: Relation): ReadonlySet<string> {
  return symbolsOf(dimOf(right), symbolsOf(dimOf(left)));
}

/** The first relation that sizes break. */
export function brokenRelation(relations: readonly Relation[], at: Bindings): Relation | undefined {
  return relations.find((r) => evaluate(slackOf(r), at) < 0);
}

/** The first relation that all sizes of a box break. */
export function ruledOut(relations: readonly Relation[], box: Box): Relation | undefined {
  return relations.find((r) => bounds(slackOf(r), box).max < 0);
}
