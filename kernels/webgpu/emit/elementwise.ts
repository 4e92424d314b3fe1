/** One pass over strided operands: a scalar expression, or a copy of words. */
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { ceilDiv, type Dim, mul } from "../../../runtime/core/dim.ts";
import { lowerExpr, mathFor } from "./expr.ts";
import { gpuKernel, isHalf, type KernelArgument, type Memory, pointer, words } from "./kernel.ts";

const WORKGROUP = 256;

export type OperandType = "f32" | "i32" | "u8";

export interface ElementwiseOptions {
  /** What is computed; nothing copies the only operand's bits. */
  readonly expr: ScalarExpr | undefined;
  readonly operands: readonly { readonly dtype: OperandType; readonly kind: Memory }[];
  /** f16 for an output that is dense and of an even size. */
  readonly out?: "write" | "write16";
  /** Axes outside of the innermost one. */
  readonly outer: number;
}

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** Words behind the pointers: the innermost size, the outer sizes, then each operand's strides (the output's first), innermost first. */
export const elementwiseNames = ({ operands, outer }: ElementwiseOptions): readonly string[] => [
  "inner",
  ...range(outer).map((axis) => `size${axis}`),
  ...range(operands.length + 1).flatMap((operand) => [
    `step${operand}`,
    ...range(outer).map((axis) => `stride${operand}_${axis}`),
  ]),
];

/** Workgroups for so many elements. */
export const elementwiseGrid = (sizes: readonly Dim[]): Dim => ceilDiv(mul(...sizes), WORKGROUP);

export function elementwiseKernel(options: ElementwiseOptions): Uint8Array {
  const { expr, operands, outer, out = "write" } = options;
  const args: KernelArgument[] = [
    pointer("out", out),
    ...operands.map(({ kind }, i) => pointer(`in${i}`, kind)),
    ...words(...elementwiseNames(options)),
  ];
  // Bits that are copied may be no f32, and other types have no memory of their own.
  const hasHalves = isHalf(out) || operands.some(({ kind }) => isHalf(kind));
  const asWords = hasHalves || expr === undefined || operands.some(({ dtype }) => dtype !== "f32");
  return gpuKernel({
    name: expr === undefined ? "copy" : "elementwise",
    args,
    element: asWords && !hasHalves ? "u32" : "f32",
    workgroup: WORKGROUP,
    write: ({ word, at, byte, load: loadNumber, storePair }) => {
      const place = (operand: number): string =>
        [`x * ${word(`step${operand}`)}`, ...range(outer).map((a) => `i${a} * ${word(`stride${operand}_${a}`)}`)].join(
          " + ",
        );
      const load = ({ dtype, kind }: ElementwiseOptions["operands"][number], i: number): string => {
        if (isHalf(kind)) {
          const value = loadNumber(`in${i}`, `p${i + 1}`);
          return expr === undefined ? `bitcast<u32>(${value})` : value;
        }
        if (dtype !== "u8") {
          const value = at(`in${i}`, `p${i + 1}`);
          return !asWords || expr === undefined
            ? value
            : dtype === "i32"
              ? `f32(bitcast<i32>(${value}))`
              : `bitcast<f32>(${value})`;
        }
        return `f32(${byte(`in${i}`, `p${i + 1}`)})`;
      };
      const total = ["1u", word("inner"), ...range(outer).map((a) => word(`size${a}`))].join(" * ");
      const split = range(outer)
        .map((_, k) => outer - 1 - k)
        .map((a) => `let i${a} = rest % ${word(`size${a}`)};\n  rest = rest / ${word(`size${a}`)};`);
      const values = operands.map((_, i) => `a${i}`);
      const { code, result } = expr === undefined ? { code: "", result: "a0" } : lowerExpr(expr, values);
      const body = `let x = element % ${word("inner")};
  var rest = element / ${word("inner")};
  ${split.join("\n  ")}
  ${range(operands.length + 1)
    .map((i) => `let p${i} = ${place(i)};`)
    .join("\n  ")}
  ${operands.map((operand, i) => `let a${i} = ${load(operand, i)};`).join("\n  ")}
  ${code}`;
      if (isHalf(out))
        return `${mathFor(1)}
fn number_at(element: u32) -> f32 {
  ${body}
  return ${result};
}
fn run(item: u32, lane: u32) {
  let element = (item * ${WORKGROUP}u + lane) * 2u;
  if (element >= ${total}) { return; }
  ${storePair("out", "element", "number_at(element)", "number_at(element + 1u)")}
}`;
      return `${expr === undefined ? "" : mathFor(1)}
fn run(item: u32, lane: u32) {
  let element = item * ${WORKGROUP}u + lane;
  if (element >= ${total}) { return; }
  ${body}
  ${at("out", "p0")} = ${asWords && expr !== undefined ? `bitcast<u32>(${result})` : result};
}`;
    },
  });
}
