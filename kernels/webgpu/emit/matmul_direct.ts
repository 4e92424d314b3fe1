/** Products whose results are too few for tiles: an invocation for each number, straight from memory. */
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { ceilDiv, type Dim } from "../../../runtime/core/dim.ts";
import { gpuKernel, pointer, words } from "./kernel.ts";
import { type MatmulOptions, matmulNames } from "./matmul.ts";
import { elementRun } from "./matmul_element.ts";

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
      pointer("out", kinds.out),
      pointer("a", kinds.a),
      pointer("b", kinds.b),
      ...kinds.operands.map((kind, i) => pointer(`o${i}`, kind)),
      ...words(...matmulNames(options), "elements"),
    ],
    element: "f32",
    workgroup: WORKGROUP,
    write: (scope) => {
      const { word, load } = scope;
      const [firstB, stepB] = transposed ? [`c * ${word("b_row")}`, "p"] : ["c", `p * ${word("b_row")}`];
      return elementRun(
        scope,
        kinds,
        epilogue,
        WORKGROUP,
        `let a_at = batch * ${word("a_batch")} + r * ${word("a_row")};
  let b_at = batch * ${word("b_batch")} + ${firstB};
  var sum = 0.0f;
  for (var p = 0u; p < ${word("k")}; p++) { sum = fma(${load("a", "a_at + p")}, ${load("b", `b_at + ${stepB}`)}, sum); }`,
      );
    },
  });
}
