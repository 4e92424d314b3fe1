/** Ops over the last axis: a workgroup for each row, partial results met in workgroup memory. */
import type { Node } from "../../../runtime/ir/node.ts";
import type { ArgumentKind } from "../device/code.ts";
import { f32, gpuKernel, LOWEST, pointer, words } from "./kernel.ts";

const WORKGROUP = 128;

/** `sum_` and `max_` of a value of each invocation, the same result for all. */
const REDUCTIONS = (["sum", "max"] as const)
  .map(
    (name) => `
fn ${name}_(lane: u32, value: f32) -> f32 {
  workgroupBarrier();
  partial[lane] = value;
  for (var half = ${WORKGROUP / 2}u; half > 0u; half = half >> 1u) {
    workgroupBarrier();
    if (lane < half) { partial[lane] = ${name === "sum" ? "partial[lane] + partial[lane + half]" : "max(partial[lane], partial[lane + half])"}; }
  }
  workgroupBarrier();
  return partial[0];
}`,
  )
  .join("\n");

interface Scope {
  readonly x: string;
  readonly out: string;
  /** Scale and bias at a column. */
  readonly scale: string;
  readonly bias: string;
  readonly width: string;
}

const each = (body: string): string => `for (var i = lane; i < width; i += ${WORKGROUP}u) { ${body} }`;
const sumOf = (value: string): string => `acc = 0.0f;\n  ${each(`acc += ${value};`)}\n  acc = sum_(lane, acc);`;
const countOf = "f32(width)";

/** Statements for one row; `acc` is a variable. */
const BODIES: Readonly<Record<string, (s: Scope, node: Node) => string>> = {
  layer_norm: ({ x, out, scale, bias }, { attributes, inputs }) => `
  ${sumOf(x)}
  let mean = acc / ${countOf};
  ${sumOf(`(${x} - mean) * (${x} - mean)`)}
  let by = 1.0f / sqrt(acc / ${countOf} + ${f32(attributes.eps as number)});
  ${each(`${out} = (${x} - mean) * by${inputs.length > 1 ? ` * ${scale}` : ""}${inputs.length > 2 ? ` + ${bias}` : ""};`)}`,
  rms_norm: ({ x, out, scale }, { attributes, inputs }) => `
  ${sumOf(`${x} * ${x}`)}
  let by = 1.0f / sqrt(acc / ${countOf} + ${f32(attributes.eps as number)});
  ${each(`${out} = ${x} * by${inputs.length > 1 ? ` * ${scale}` : ""};`)}`,
  l2_normalize: ({ x, out }) => `
  ${sumOf(`${x} * ${x}`)}
  let by = 1.0f / sqrt(acc);
  ${each(`${out} = ${x} * by;`)}`,
  softmax: ({ x, out }) => `
  acc = ${LOWEST};
  ${each(`acc = max(acc, ${x});`)}
  let top = max_(lane, acc);
  ${sumOf(`exp(${x} - top)`)}
  ${each(`${out} = exp(${x} - top) / acc;`)}`,
  reduce_sum: ({ x, out }) => `${sumOf(x)}\n  if (lane == 0u) { ${out} = acc; }`,
  reduce_mean: ({ x, out }) => `${sumOf(x)}\n  if (lane == 0u) { ${out} = acc / ${countOf}; }`,
  reduce_max: ({ x, out }) => `
  acc = ${LOWEST};
  ${each(`acc = max(acc, ${x});`)}
  acc = max_(lane, acc);
  if (lane == 0u) { ${out} = acc; }`,
};

/** Operations for an element, for the roofline. */
const FLOPS: Readonly<Record<string, number>> = { layer_norm: 8, rms_norm: 4, l2_normalize: 3, softmax: 20 };

export const isRowOp = (op: string): boolean => Object.hasOwn(BODIES, op);
export const rowFlops = (op: string): number => FLOPS[op] ?? 1;

/** Arguments: output, input and parameters; width, and elements from row to row of input and output. */
export function rowKernel(node: Node, kinds: readonly Exclude<ArgumentKind, "word">[]): Uint8Array {
  const parameters = node.inputs.slice(1).map((_, i) => `parameter${i}`);
  return gpuKernel({
    name: node.op,
    args: [
      pointer("out", "write"),
      ...["x", ...parameters].map((name, i) => pointer(name, kinds[i])),
      ...words("width", "step", "out_step"),
    ],
    element: "f32",
    workgroup: WORKGROUP,
    write: ({ word, at }) => {
      const parameter = (i: number): string => (i < parameters.length ? at(parameters[i], "i") : "");
      const scope: Scope = {
        x: at("x", `item * ${word("step")} + i`),
        out: at("out", `item * ${word("out_step")} + ${node.op.startsWith("reduce_") ? "0u" : "i"}`),
        scale: parameter(0),
        bias: parameter(1),
        width: word("width"),
      };
      return `
var<workgroup> partial: array<f32, ${WORKGROUP}>;
${REDUCTIONS}
fn run(item: u32, lane: u32) {
  let width = ${scope.width};
  var acc = 0.0f;
  ${BODIES[node.op](scope, node)}
}`;
    },
  });
}
