/** What a kernel over rows computes before it reduces them: parts of a product added up, an expression, or both. */
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { type Lanes, lowerExpr, mathFor } from "./expr.ts";
import { type KernelArgument, type KernelScope, type Memory, pointer } from "./kernel.ts";
import { operandAt, operandNames } from "./row_operands.ts";

export interface RowFront {
  /** Of a number of the row: input 0 is the sum of the parts where there are some; the operands follow. */
  readonly expr: ScalarExpr;
  /** Parts of a product lie one behind the other, each as large as all rows. */
  readonly parts: boolean;
  readonly operands: readonly Memory[];
  /** Rows are written as well, to `x`: always where they are too long for registers. */
  readonly stored: boolean;
}

/** Pointers in the place of the row's own. */
export const frontPointers = ({ parts, operands, stored }: RowFront): readonly KernelArgument[] => [
  ...(stored ? [pointer("x", "write")] : []),
  ...(parts ? [pointer("parts", "read")] : []),
  ...operands.map((kind, o) => pointer(`o${o}`, kind)),
];

/** Words behind the row's own. `m`: rows of a batch; `count`: parts; `elements`: those of a part. */
export const frontNames = ({ parts, operands }: RowFront): readonly string[] => [
  "m",
  ...(parts ? ["count", "elements"] : []),
  ...operandNames(operands.length),
];

/** How a row is read: by numbers, or by fours of them, which columns then count. */
export interface FrontReader {
  readonly lanes: Lanes;
  readonly type: "f32" | "vec4<f32>";
  /** A value of a pointer, `place` in values. */
  readonly load: (name: string, place: string) => string;
}

/** `front_` at module scope: what is computed at a column of row `item` from what the parts add up to. */
export function frontFunction(scope: KernelScope, front: RowFront, { lanes, type, load }: FrontReader): string {
  const inputs = front.operands.map((_, o) => `e${o}`);
  const reads = inputs.map((name, o) => `let ${name} = ${load(`o${o}`, operandAt(scope, o, "c", lanes))};`);
  const { code, result } = lowerExpr(front.expr, front.parts ? ["sum", ...inputs] : inputs, lanes);
  return `${mathFor(lanes)}
fn front_(item: u32, c: u32, sum: ${type}) -> ${type} {
  let r = item % ${scope.word("m")};
  let batch = item / ${scope.word("m")};
  ${reads.join("\n  ")}
  ${code}
  return ${result};
}`;
}

/** Statements after which each variable of `names` is what the front gives at its column; parts of all are read together. */
export function frontValues(
  { word }: KernelScope,
  { parts }: RowFront,
  { lanes, type, load }: FrontReader,
  values: readonly { readonly name: string; readonly column: string }[],
): string {
  const inValues = (name: string): string => (lanes === 1 ? word(name) : `(${word(name)} / ${lanes}u)`);
  const added = (): string => {
    const first = `part * ${inValues("elements")} + item * ${inValues("width")}`;
    const each = values.map(({ name, column }) => `${name} += ${load("parts", `first + ${column}`)};`);
    return `for (var part = 0u; part < ${word("count")}; part++) { let first = ${first}; ${each.join(" ")} }`;
  };
  return [
    ...values.map(({ name }) => `var ${name} = ${type}();`),
    ...(parts ? [added()] : []),
    ...values.map(({ name, column }) => `${name} = front_(item, ${column}, ${name});`),
  ].join("\n  ");
}
