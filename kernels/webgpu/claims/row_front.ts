/** What the launch of a row op computes itself in the place of reading it, as its claim knows it. */
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import type { Source } from "../../../runtime/abi/claims/operands.ts";
import type { FormStrides } from "../../../runtime/abi/claims/product_form.ts";
import type { Arg, Place } from "../../../runtime/abi/kernel.ts";
import { type Box, type Dim, dimEquals, divisorOf, type Shape } from "../../../runtime/core/dim.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { isHalf, type Memory } from "../emit/kernel.ts";
import type { RowFront } from "../emit/row_front.ts";
import { pointerTo } from "./kinds.ts";

/** An operand that is read at each number of a row. */
export interface FrontOperand {
  readonly node: Node;
  readonly source: Source;
  readonly kind: Memory;
  readonly strides: FormStrides;
  /** Step along the columns. */
  readonly column: Dim;
}

/** Rows that are computed: an expression over operands, and before them over what parts of a product add up to. */
export interface ComputedRows {
  readonly expr: ScalarExpr;
  /** Rows of a batch. */
  readonly rows: Dim;
  /** Parts lie one behind the other, `elements` each. */
  readonly parts?: { readonly place: Place; readonly count: Dim; readonly elements: Dim };
  readonly operands: readonly FrontOperand[];
}

/** An operand's step along `n` columns. */
export const columnStep = (shape: Shape, strides: readonly Dim[], n: Dim): Dim => {
  const last = shape.length - 1;
  return last < 0 || (dimEquals(shape[last], 1) && !dimEquals(n, 1)) ? 0 : strides[last];
};

/** Whether all that is read lies in fours of f32. */
export function liesInFours({ operands }: ComputedRows, box: Box): boolean {
  return operands.every(
    ({ kind, source, strides, column }) =>
      !isHalf(kind) &&
      dimEquals(column, 1) &&
      [source.offset, strides.batch, strides.row].every((d) => divisorOf(d, box) % 4 === 0),
  );
}

export const frontOf = ({ expr, parts, operands }: ComputedRows, stored: boolean): RowFront => ({
  ...{ expr, stored, parts: parts !== undefined, operands: operands.map(({ kind }) => kind) },
});

/** Arguments for the front's pointers; `x` where its rows are written. */
export const frontArgs = ({ parts, operands }: ComputedRows, x: Place | undefined): readonly Arg[] => [
  ...(x === undefined ? [] : [{ place: x, offset: 0, mode: "write" } as const]),
  ...(parts === undefined ? [] : [{ place: parts.place, offset: 0, mode: "read" } as const]),
  ...operands.map(({ source, node, kind }) => pointerTo(source, node, kind)),
];

export const frontWords = ({ rows, parts, operands }: ComputedRows): readonly Dim[] => [
  rows,
  ...(parts === undefined ? [] : [parts.count, parts.elements]),
  ...operands.flatMap(({ strides, column }) => [strides.batch, strides.row, column]),
];
