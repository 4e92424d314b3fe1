/** Ops over the last axis: a workgroup for each row, partial results met in workgroup memory. */
import type { Dim } from "../../../runtime/core/dim.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { f32, gpuKernel, isHalf, type KernelScope, LOWEST, type Memory, pointer, words } from "./kernel.ts";
import { type FrontReader, frontFunction, frontNames, frontPointers, frontValues, type RowFront } from "./row_front.ts";

/** Invocations for a row; where memory is read in fours, half of them hold twice as much. */
const lanesOf = (inFours: boolean): number => (inFours ? 64 : 128);

/** Values of an invocation that lie in registers: up to so many, or so many fours. */
const heldOf = (inFours: boolean): number => (inFours ? 8 : 16);

const COMBINED = { sum: "all + partial[i]", max: "max(all, partial[i])" } as const;
const JOINED = { sum: (v: string) => `own + ${v}`, max: (v: string) => `max(own, ${v})` } as const;
const OF_FOUR = {
  sum: (v: string) => `${v}.x + ${v}.y + ${v}.z + ${v}.w`,
  max: (v: string) => `max(max(${v}.x, ${v}.y), max(${v}.z, ${v}.w))`,
} as const;

/** `sum_` and `max_` of a value of each invocation, the same result for all: each adds what all left in workgroup memory. */
const reductions = (lanes: number): string =>
  (["sum", "max"] as const)
    .map(
      (name) => `
fn ${name}_(lane: u32, value: f32) -> f32 {
  workgroupBarrier();
  partial[lane >> 2u][lane & 3u] = value;
  workgroupBarrier();
  var all = partial[0];
  for (var i = 1u; i < ${lanes / 4}u; i++) { all = ${COMBINED[name]}; }
  return ${OF_FOUR[name]("all")};
}`,
    )
    .join("\n");

/** How a kernel walks a row; values are numbers, or fours of them. */
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
  /** Statements after which `acc` is the sum or the largest of a value over the row. */
  readonly reduce: (how: "sum" | "max", value: string) => string;
}

const countOf = "f32(width)";

/** Statements for one row; `acc` is a variable. */
const BODIES: Readonly<Record<string, (s: Scope, node: Node) => string>> = {
  layer_norm: (s, { attributes, inputs }) => `
  ${s.reduce("sum", s.x)}
  let mean = acc / ${countOf};
  ${s.reduce("sum", `(${s.x} - mean) * (${s.x} - mean)`)}
  let by = 1.0f / sqrt(acc / ${countOf} + ${f32(attributes.eps as number)});
  ${s.each(s.put(`(${s.x} - mean) * by${inputs.length > 1 ? ` * ${s.scale}` : ""}${inputs.length > 2 ? ` + ${s.bias}` : ""}`))}`,
  rms_norm: (s, { attributes, inputs }) => `
  ${s.reduce("sum", `${s.x} * ${s.x}`)}
  let by = 1.0f / sqrt(acc / ${countOf} + ${f32(attributes.eps as number)});
  ${s.each(s.put(`${s.x} * by${inputs.length > 1 ? ` * ${s.scale}` : ""}`))}`,
  l2_normalize: (s) => `
  ${s.reduce("sum", `${s.x} * ${s.x}`)}
  let by = 1.0f / sqrt(acc);
  ${s.each(s.put(`${s.x} * by`))}`,
  softmax: (s) => `
  ${s.reduce("max", s.x)}
  let top = acc;
  ${s.reduce("sum", `exp(${s.x} - top)`)}
  ${s.each(s.put(`exp(${s.x} - top) / acc`))}`,
  reduce_sum: (s) => `${s.reduce("sum", s.x)}\n  if (lane == 0u) { ${s.put("acc")} }`,
  reduce_mean: (s) => `${s.reduce("sum", s.x)}\n  if (lane == 0u) { ${s.put(`acc / ${countOf}`)} }`,
  reduce_max: (s) => `
  ${s.reduce("max", s.x)}
  if (lane == 0u) { ${s.put("acc")} }`,
};

/** Operations for an element, for the roofline. */
const FLOPS: Readonly<Record<string, number>> = { layer_norm: 8, rms_norm: 4, l2_normalize: 3, softmax: 20 };

export const isRowOp = (op: string): boolean => Object.hasOwn(BODIES, op);
/** Ops that give a number for a row. */
export const givesNumbers = (op: string): boolean => op.startsWith("reduce_");
export const rowFlops = (op: string): number => FLOPS[op] ?? 1;

/** Whether rows of a width lie in registers, and can be computed without being written. */
export const isHeld = (width: Dim, inFours: boolean): width is number =>
  typeof width === "number" && width <= lanesOf(inFours) * heldOf(inFours) * (inFours ? 4 : 1);

/** How the memory of a row's kernel is used. */
export interface RowOptions {
  /** Of the op's operands; the first is none where the row is computed. */
  readonly kinds: readonly Memory[];
  readonly out: "write" | "write16";
  /** It is read and written in fours of f32: the width, places and all steps are multiples of 4, and the op gives rows. */
  readonly inFours: boolean;
  /** Computes the rows that the op reads. */
  readonly front?: RowFront;
}

/**
 * Arguments: output, input or what the front reads, and parameters; width, and elements from row to row of input and output,
 * words of the front. Results of f16 are written by pairs, of which an invocation has both; rows are even then.
 */
export function rowKernel(node: Node, { kinds, out, inFours, front }: RowOptions): Uint8Array {
  const width = node.inputs[0].shape[node.inputs[0].shape.length - 1];
  const parameters = node.inputs.slice(1).map((_, i) => `parameter${i}`);
  const lanes = lanesOf(inFours);
  return gpuKernel({
    name: node.op,
    args: [
      pointer("out", out),
      ...(front === undefined ? [pointer("x", kinds[0])] : frontPointers(front)),
      ...parameters.map((name, i) => pointer(name, kinds[i + 1])),
      ...words("width", "step", "out_step", ...(front === undefined ? [] : frontNames(front))),
    ],
    element: inFours ? "vec4<f32>" : "f32",
    workgroup: lanes,
    write: (scope) => {
      const walked = inFours ? foursOf(scope, width, parameters) : numbersOf(scope, { node, width, parameters, out });
      const { reader, each } = walked;
      const { type } = reader;
      const filled = front === undefined ? readValues(walked) : computedValues(scope, front, walked);
      const zero = { sum: `${type}()`, max: `${type}(${LOWEST})` };
      const reduce = (how: "sum" | "max", value: string): string => `{ var own = ${zero[how]};
  ${each(`own = ${JOINED[how](value)};`)}
  acc = ${how}_(lane, ${inFours ? OF_FOUR[how]("own") : "own"}); }`;
      return `${front === undefined ? "" : frontFunction(scope, front, reader)}
var<workgroup> partial: array<vec4<f32>, ${lanes / 4}>;
${reductions(lanes)}
fn run(item: u32, lane: u32) {
  let width = ${walked.width};
  var acc = 0.0f;
  ${isHalf(out) ? "var waiting = 0.0f;" : ""}
  ${filled}
  ${BODIES[node.op]({ ...walked, reduce }, node)}
}`;
    },
  });
}

/** A row as an invocation walks it. */
interface Walked extends Omit<Scope, "reduce"> {
  readonly reader: FrontReader;
  /** Columns of the values that lie in registers, `x0` and on, none of them beyond the row; none where the row is too long. */
  readonly columns: readonly string[];
  /** The row's value at a column. */
  readonly read: (i: string) => string;
  /** Statement that writes it. */
  readonly write: (i: string, value: string) => string;
  /** Statements for each of an invocation's columns `i` of a row that is too long. */
  readonly walk: (body: string) => string;
}

const readValues = ({ columns, read }: Walked): string =>
  columns.map((column, c) => `let x${c} = ${read(column)};`).join("\n  ");

/** The row is computed into registers, or into memory, where each invocation finds what it wrote itself. */
function computedValues(scope: KernelScope, front: RowFront, { columns, reader, each, walk, write }: Walked): string {
  const values = columns.map((column, c) => ({ name: `x${c}`, column }));
  const own = frontValues(scope, front, reader, values.length > 0 ? values : [{ name: "value", column: "i" }]);
  if (values.length === 0) return walk(`${own}\n  ${write("i", "value")}`);
  return front.stored ? `${own}\n  ${each(write("i", "x"))}` : own;
}

function foursOf({ word, memory }: KernelScope, width: Dim, parameters: readonly string[]): Walked {
  const lanes = lanesOf(true);
  const four = (name: string, place: string): string => `${memory(name)}[(${word(name)} >> 4u) + ${place}]`;
  const x = (i: string): string => four("x", `item * (${word("step")} / 4u) + ${i}`);
  const parameter = (i: number): string => (i < parameters.length ? four(parameters[i], "i") : "");
  const fours = isHeld(width, true) ? width / 4 : 0;
  const isWhole = (c: number): boolean => (c + 1) * lanes <= fours;
  const column = (c: number): string => `lane + ${c * lanes}u`;
  const columns = Array.from({ length: Math.ceil(fours / lanes) }, (_, c) =>
    isWhole(c) ? column(c) : `min(${column(c)}, ${fours - 1}u)`,
  );
  const walk = (body: string): string => `for (var i = lane; i < width / 4u; i += ${lanes}u) { ${body} }`;
  const each = (body: string): string =>
    columns.length === 0
      ? walk(`let x = ${x("i")}; ${body}`)
      : columns
          .map(
            (_, c) => `{ let i = ${column(c)}; let x = x${c}; ${isWhole(c) ? "" : `if (i < ${fours}u) `}{ ${body} } }`,
          )
          .join("\n  ");
  return {
    ...{ x: "x", width: word("width"), scale: parameter(0), bias: parameter(1), each, columns, walk },
    reader: { lanes: 4, type: "vec4<f32>", load: four },
    read: x,
    write: (i, value) => `${x(i)} = ${value};`,
    put: (value) => `${four("out", `item * (${word("out_step")} / 4u) + i`)} = ${value};`,
  };
}

interface NumbersOptions {
  readonly node: Node;
  readonly width: Dim;
  readonly parameters: readonly string[];
  readonly out: "write" | "write16";
}

function numbersOf(
  { word, load, store, storePair }: KernelScope,
  { node, width, parameters, out }: NumbersOptions,
): Walked {
  const lanes = lanesOf(false);
  const isPaired = isHalf(out);
  const parameter = (i: number): string => (i < parameters.length ? load(parameters[i], "i") : "");
  const placeOf = (i: string): string => `item * ${word("step")} + ${i}`;
  const x = (i: string): string => load("x", placeOf(i));
  const held = isHeld(width, false) ? Math.ceil(width / lanes) : 0;
  /** Column of an invocation's value `c`, and whether it is inside of the row. */
  const column = (c: number): string =>
    isPaired ? `2u * lane + ${(c >> 1) * 2 * lanes + (c & 1)}u` : `lane + ${c * lanes}u`;
  const counted = isPaired ? held + (held & 1) : held;
  const last = (c: number): number => (isPaired ? ((c >> 1) + 1) * 2 * lanes : (c + 1) * lanes);
  const columns = Array.from({ length: counted }, (_, c) => {
    const i = column(c);
    return last(c) > (width as number) ? `min(${i}, ${(width as number) - 1}u)` : i;
  });
  const walk = (body: string): string =>
    isPaired
      ? `for (var first = 2u * lane; first < width; first += ${2 * lanes}u) {
    for (var i = first; i < first + 2u; i++) { ${body} } }`
      : `for (var i = lane; i < width; i += ${lanes}u) { ${body} }`;
  const each = (body: string): string =>
    columns.length === 0
      ? walk(`let x = ${x("i")}; ${body}`)
      : columns
          .map((_, c) => {
            const inside = last(c) > (width as number) ? "if (i < width) " : "";
            return `{ let i = ${column(c)}; let x = x${c}; ${inside}{ ${body} } }`;
          })
          .join("\n  ");
  const place = `item * ${word("out_step")} + ${givesNumbers(node.op) ? "0u" : "i"}`;
  return {
    ...{ x: "x", width: word("width"), scale: parameter(0), bias: parameter(1), each, columns, walk },
    reader: { lanes: 1, type: "f32", load },
    read: x,
    write: (i, value) => store("x", placeOf(i), value),
    // The first of a pair waits for the second.
    put: (value) =>
      isPaired
        ? `if ((i & 1u) == 0u) { waiting = ${value}; } else { ${storePair("out", `(${place} - 1u)`, "waiting", value)} }`
        : store("out", place, value),
  };
}
