/** Operands that are read at a batch, a row and a column of a result: three steps of each are words. */
import type { KernelScope } from "./kernel.ts";

/** Words of so many operands, elements. */
export const operandNames = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, o) => [`o${o}_batch`, `o${o}_row`, `o${o}_column`]).flat();

/**
 * Where an operand is read at `batch`, row `r` and `column`.
 * @param each numbers of what is read at once: columns and places count those, steps from row to row are multiples
 */
export function operandAt({ word }: Pick<KernelScope, "word">, o: number, column: string, each: 1 | 4 = 1): string {
  const row = `batch * ${word(`o${o}_batch`)} + r * ${word(`o${o}_row`)}`;
  return `${each === 1 ? row : `(${row}) / ${each}u`} + ${column} * ${word(`o${o}_column`)}`;
}
