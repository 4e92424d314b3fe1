/** What kernels with an invocation for each number of a product share. */
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { lowerExpr, mathFor } from "./expr.ts";
import type { KernelScope } from "./kernel.ts";
import type { MatmulOptions } from "./matmul.ts";
import { operandAt } from "./row_operands.ts";

/**
 * Module scope and `run`: each invocation computes a number of the result, or two neighbours where they are a word.
 * @param sum statements that define `sum` at `batch`, row `r` and column `c` of `element`
 */
export function elementRun(
  scope: KernelScope,
  { out, operands }: Pick<MatmulOptions["kinds"], "out" | "operands">,
  epilogue: ScalarExpr,
  workgroup: number,
  sum: string,
): string {
  const { word, load, store, storePair } = scope;
  const { code, result } = lowerExpr(epilogue, ["sum", ...operands.map((_, o) => `e${o}`)]);
  const reads = operands.map((_, o) => `let e${o} = ${load(`o${o}`, operandAt(scope, o, "c"))};`);
  const each = out === "write16" ? 2 : 1;
  return `${mathFor(1)}
fn number_at(element: u32) -> f32 {
  let c = element % ${word("n")};
  let r = (element / ${word("n")}) % ${word("m")};
  let batch = element / (${word("n")} * ${word("m")});
  ${sum}
  ${reads.join("\n  ")}
  ${code}
  return ${result};
}
fn run(item: u32, lane: u32) {
  let element = (item * ${workgroup}u + lane) * ${each}u;
  if (element >= ${word("elements")}) { return; }
  ${
    each === 1
      ? store("out", "element", "number_at(element)")
      : storePair("out", "element", "number_at(element)", "number_at(element + 1u)")
  }
}`;
}
