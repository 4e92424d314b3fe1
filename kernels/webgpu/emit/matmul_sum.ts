/** Adds what the parts of K of a product gave, and computes what follows from it. */
import { ceilDiv, type Dim } from "../../../runtime/core/dim.ts";
import { lowerExpr, mathFor } from "./expr.ts";
import { gpuKernel, pointer, words } from "./kernel.ts";
import type { MatmulOptions } from "./matmul.ts";
import { elementPlace, operandReads } from "./matmul_element.ts";

const WORKGROUP = 128;

export const sumGrid = (elements: Dim): Dim => ceilDiv(elements, WORKGROUP);

export interface SumOptions extends Pick<MatmulOptions, "kinds"> {
  /** Input 0 is the product; the others are the operands. */
  readonly epilogue: NonNullable<MatmulOptions["epilogue"]>;
}

/** `count`: parts; `elements`: those of C. */
export const sumNames = ({ kinds }: SumOptions): readonly string[] => [
  ...["m", "n", "count", "elements"],
  ...kinds.operands.flatMap((_, i) => [`o${i}_batch`, `o${i}_row`, `o${i}_column`]),
];

/** Pointers: output, parts one behind the other, operands. */
export function sumKernel(options: SumOptions): Uint8Array {
  const { epilogue, kinds } = options;
  return gpuKernel({
    name: "matmul_sum",
    args: [
      pointer("out", "write"),
      pointer("parts", "read"),
      ...kinds.operands.map((kind, i) => pointer(`o${i}`, kind)),
      ...words(...sumNames(options)),
    ],
    element: "f32",
    workgroup: WORKGROUP,
    write: (scope) => {
      const { word, at } = scope;
      const { code, result } = lowerExpr(epilogue, ["sum", ...kinds.operands.map((_, o) => `e${o}`)]);
      return `${mathFor(1)}
fn run(item: u32, lane: u32) {
  ${elementPlace(scope, WORKGROUP)}
  ${operandReads(scope, kinds)}
  var sum = 0.0f;
  for (var part = 0u; part < ${word("count")}; part++) { sum += ${at("parts", `element + part * ${word("elements")}`)}; }
  ${code}
  ${at("out", "element")} = ${result};
}`;
    },
  });
}
