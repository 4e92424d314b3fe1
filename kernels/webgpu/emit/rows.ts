/** Ops over the last axis: a workgroup for each row, partial results met in workgroup memory. */
import type { Node } from "../../../runtime/ir/node.ts";
import { f32, gpuKernel, isHalf, LOWEST, type Memory, pointer, words } from "./kernel.ts";

const WORKGROUP = 128;

/** A row's values up to so many lie in registers. */
const HELD = 16 * WORKGROUP;

const QUARTER = WORKGROUP / 4;
const COMBINED = { sum: "all + partial[i]", max: "max(all, partial[i])" } as const;
const OF_FOUR = {
  sum: "all.x + all.y + all.z + all.w",
  max: "max(max(all.x, all.y), max(all.z, all.w))",
} as const;

/** `sum_` and `max_` of a value of each invocation, the same result for all: each adds what all left in workgroup memory. */
const REDUCTIONS = (["sum", "max"] as const)
  .map(
    (name) => `
fn ${name}_(lane: u32, value: f32) -> f32 {
  workgroupBarrier();
  partial[lane >> 2u][lane & 3u] = value;
  workgroupBarrier();
  var all = partial[0];
  for (var i = 1u; i < ${QUARTER}u; i++) { all = ${COMBINED[name]}; }
  return ${OF_FOUR[name]};
}`,
  )
  .join("\n");

interface Scope {
  readonly x: string;
  /** Statement that writes a result at a column. */
  readonly put: (value: string) => string;
  /** Scale and bias at a column. */
  readonly scale: string;
  readonly bias: string;
  readonly width: string;
  /** Statements for each of an invocation's columns `i`. */
  readonly each: (body: string) => string;
}

const sumOf = ({ each }: Scope, value: string): string =>
  `acc = 0.0f;\n  ${each(`acc += ${value};`)}\n  acc = sum_(lane, acc);`;
const countOf = "f32(width)";

/** Statements for one row; `acc` is a variable. */
const BODIES: Readonly<Record<string, (s: Scope, node: Node) => string>> = {
  layer_norm: (s, { attributes, inputs }) => `
  ${sumOf(s, s.x)}
  let mean = acc / ${countOf};
  ${sumOf(s, `(${s.x} - mean) * (${s.x} - mean)`)}
  let by = 1.0f / sqrt(acc / ${countOf} + ${f32(attributes.eps as number)});
  ${s.each(s.put(`(${s.x} - mean) * by${inputs.length > 1 ? ` * ${s.scale}` : ""}${inputs.length > 2 ? ` + ${s.bias}` : ""}`))}`,
  rms_norm: (s, { attributes, inputs }) => `
  ${sumOf(s, `${s.x} * ${s.x}`)}
  let by = 1.0f / sqrt(acc / ${countOf} + ${f32(attributes.eps as number)});
  ${s.each(s.put(`${s.x} * by${inputs.length > 1 ? ` * ${s.scale}` : ""}`))}`,
  l2_normalize: (s) => `
  ${sumOf(s, `${s.x} * ${s.x}`)}
  let by = 1.0f / sqrt(acc);
  ${s.each(s.put(`${s.x} * by`))}`,
  softmax: (s) => `
  acc = ${LOWEST};
  ${s.each(`acc = max(acc, ${s.x});`)}
  let top = max_(lane, acc);
  ${sumOf(s, `exp(${s.x} - top)`)}
  ${s.each(s.put(`exp(${s.x} - top) / acc`))}`,
  reduce_sum: (s) => `${sumOf(s, s.x)}\n  if (lane == 0u) { ${s.put("acc")} }`,
  reduce_mean: (s) => `${sumOf(s, s.x)}\n  if (lane == 0u) { ${s.put(`acc / ${countOf}`)} }`,
  reduce_max: (s) => `
  acc = ${LOWEST};
  ${s.each(`acc = max(acc, ${s.x});`)}
  acc = max_(lane, acc);
  if (lane == 0u) { ${s.put("acc")} }`,
};

/** Operations for an element, for the roofline. */
const FLOPS: Readonly<Record<string, number>> = { layer_norm: 8, rms_norm: 4, l2_normalize: 3, softmax: 20 };

export const isRowOp = (op: string): boolean => Object.hasOwn(BODIES, op);
export const rowFlops = (op: string): number => FLOPS[op] ?? 1;

/**
 * Arguments: output, input and parameters; width, and elements from row to row of input and output. Results of f16 are written
 * by pairs, of which an invocation has both; rows are even then.
 */
export function rowKernel(node: Node, kinds: readonly Memory[], out: "write" | "write16" = "write"): Uint8Array {
  const width = node.inputs[0].shape[node.inputs[0].shape.length - 1];
  const parameters = node.inputs.slice(1).map((_, i) => `parameter${i}`);
  const isPaired = isHalf(out);
  return gpuKernel({
    name: node.op,
    args: [
      pointer("out", out),
      ...["x", ...parameters].map((name, i) => pointer(name, kinds[i])),
      ...words("width", "step", "out_step"),
    ],
    element: "f32",
    workgroup: WORKGROUP,
    write: ({ word, load, store, storePair }) => {
      const parameter = (i: number): string => (i < parameters.length ? load(parameters[i], "i") : "");
      const x = (i: string): string => load("x", `item * ${word("step")} + ${i}`);
      const columns = typeof width === "number" && width <= HELD ? Math.ceil(width / WORKGROUP) : 0;
      /** Column of an invocation's value `c`, and whether it is inside of the row. */
      const column = (c: number): string =>
        isPaired ? `2u * lane + ${(c >> 1) * 2 * WORKGROUP + (c & 1)}u` : `lane + ${c * WORKGROUP}u`;
      const counted = isPaired ? columns + (columns & 1) : columns;
      const last = (c: number): number => (isPaired ? ((c >> 1) + 1) * 2 * WORKGROUP : (c + 1) * WORKGROUP);
      const held = Array.from({ length: counted }, (_, c) => {
        const i = column(c);
        return `let x${c} = ${x(last(c) > (width as number) ? `min(${i}, ${(width as number) - 1}u)` : i)};`;
      });
      const each = (body: string): string =>
        columns === 0
          ? isPaired
            ? `for (var first = 2u * lane; first < width; first += ${2 * WORKGROUP}u) {
    for (var i = first; i < first + 2u; i++) { let x = ${x("i")}; ${body} } }`
            : `for (var i = lane; i < width; i += ${WORKGROUP}u) { let x = ${x("i")}; ${body} }`
          : held
              .map((_, c) => {
                const inside = last(c) > (width as number) ? "if (i < width) " : "";
                return `{ let i = ${column(c)}; let x = x${c}; ${inside}{ ${body} } }`;
              })
              .join("\n  ");
      const place = `item * ${word("out_step")} + ${node.op.startsWith("reduce_") ? "0u" : "i"}`;
      const scope: Scope = {
        x: "x",
        // The first of a pair waits for the second.
        put: (value) =>
          isPaired
            ? `if ((i & 1u) == 0u) { waiting = ${value}; } else { ${storePair("out", `(${place} - 1u)`, "waiting", value)} }`
            : store("out", place, value),
        scale: parameter(0),
        bias: parameter(1),
        width: word("width"),
        each,
      };
      return `
var<workgroup> partial: array<vec4<f32>, ${QUARTER}>;
${REDUCTIONS}
fn run(item: u32, lane: u32) {
  let width = ${scope.width};
  var acc = 0.0f;
  ${isPaired ? "var waiting = 0.0f;" : ""}
  ${held.join("\n  ")}
  ${BODIES[node.op](scope, node)}
}`;
    },
  });
}
