/** Adds what the parts of K of a product gave, and computes what follows from it. */
import { ceilDiv, type Dim } from "../../../runtime/core/dim.ts";
import { gpuKernel, pointer, words } from "./kernel.ts";
import type { MatmulOptions } from "./matmul.ts";
import { elementRun } from "./matmul_element.ts";
import { operandNames } from "./row_operands.ts";

const WORKGROUP = 128;

export const sumGrid = (elements: Dim): Dim => ceilDiv(elements, WORKGROUP);

export interface SumOptions {
  readonly kinds: Pick<MatmulOptions["kinds"], "out" | "operands">;
  /** Input 0 is the product; the others are the operands. */
  readonly epilogue: NonNullable<MatmulOptions["epilogue"]>;
}

/** `count`: parts; `elements`: those of C. */
export const sumNames = ({ kinds }: SumOptions): readonly string[] => [
  ...["m", "n", "count", "elements"],
  ...operandNames(kinds.operands.length),
];

/** Pointers: output, parts one behind the other, operands. */
export function sumKernel(options: SumOptions): Uint8Array {
  const { epilogue, kinds } = options;
  return gpuKernel({
    name: "matmul_sum",
    args: [
      pointer("out", kinds.out),
      pointer("parts", "read"),
      ...kinds.operands.map((kind, i) => pointer(`o${i}`, kind)),
      ...words(...sumNames(options)),
    ],
    element: "f32",
    workgroup: WORKGROUP,
    write: (scope) => {
      const part = scope.load("parts", `element + part * ${scope.word("elements")}`);
      return elementRun(
        scope,
        kinds,
        epilogue,
        WORKGROUP,
        `var sum = 0.0f;
  for (var part = 0u; part < ${scope.word("count")}; part++) { sum += ${part}; }`,
      );
    },
  });
}
