/** Products whose results are too few for tiles: an invocation for each number, straight from memory. */
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { ceilDiv, type Dim } from "../../../runtime/core/dim.ts";
import { lowerExpr, mathFor } from "./expr.ts";
import { gpuKernel, pointer, words } from "./kernel.ts";
import { type MatmulOptions, matmulNames } from "./matmul.ts";
import { elementPlace, operandReads } from "./matmul_element.ts";

const WORKGROUP = 64;

export const directGrid = (elements: Dim): Dim => ceilDiv(elements, WORKGROUP);

/** Takes what `matmulKernel` takes, and behind it the elements of the result. */
export function directKernel(
  options: Omit<MatmulOptions, "tile" | "whole"> & { readonly epilogue: ScalarExpr },
): Uint8Array {
  const { transposed, epilogue, kinds } = options;
  return gpuKernel({
    name: "matmul",
    args: [
      pointer("out", "write"),
      pointer("a", kinds.a),
      pointer("b", kinds.b),
      ...kinds.operands.map((kind, i) => pointer(`o${i}`, kind)),
      ...words(...matmulNames(options), "elements"),
    ],
    element: "f32",
    workgroup: WORKGROUP,
    write: (scope) => {
      const { word, at } = scope;
      const { code, result } = lowerExpr(epilogue, ["sum", ...kinds.operands.map((_, o) => `e${o}`)]);
      const [firstB, stepB] = transposed ? [`c * ${word("b_row")}`, "p"] : ["c", `p * ${word("b_row")}`];
      return `${mathFor(1)}
fn run(item: u32, lane: u32) {
  ${elementPlace(scope, WORKGROUP)}
  let a_at = batch * ${word("a_batch")} + r * ${word("a_row")};
  let b_at = batch * ${word("b_batch")} + ${firstB};
  var sum = 0.0f;
  for (var p = 0u; p < ${word("k")}; p++) { sum = fma(${at("a", "a_at + p")}, ${at("b", `b_at + ${stepB}`)}, sum); }
  ${operandReads(scope, kinds)}
  ${code}
  ${at("out", "element")} = ${result};
}`;
    },
  });
}
