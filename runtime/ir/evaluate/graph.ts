/** Evaluation of whole graphs: every op of the table by its own function, ops of plugins by their expansion. */
import { FoveaError, internal } from "../../core/diagnostics.ts";
import { type Bindings, type Dim, evaluate as evaluateDim, type Shape } from "../../core/dim.ts";
import type { HalfDType } from "../../core/dtype.ts";
import { type Graph, topological } from "../graph.ts";
import { type Attributes, createInterner, type Node, type OpTable } from "../node.ts";
import { OP_TABLE, type OpName } from "../ops.ts";
import { attention } from "./attention.ts";
import * as elementwise from "./elementwise.ts";
import { gather, takeRow } from "./gather.ts";
import { broadcastTo, concat, patchify, reshape, slice, storedAs, transpose, windows } from "./layout.ts";
import { matmul } from "./matmul.ts";
import { l2Normalize, layerNorm, rmsNorm, softmax } from "./normalize.ts";
import { channelScales, quantizedMatmul } from "./quantize.ts";
import { reduceMax, reduceMean, reduceSum } from "./reduce.ts";
import { resampleColumns, resampleRows, resampleTable } from "./resample.ts";
import { rotary } from "./rotary.ts";
import { type RefTensor, refTensor, sameShape, shapeText } from "./tensor.ts";

/** Values of a node from those of its operands. */
export type Evaluate = (operands: readonly RefTensor[], attributes: Attributes, bindings: Bindings) => RefTensor;

/** Ops that compute; inputs and weights are bound instead. */
export type ComputedOp = Exclude<OpName, "input" | "weight">;

const sizes = (shape: unknown, bindings: Bindings): number[] =>
  (shape as Shape).map((d: Dim) => evaluateDim(d, bindings));

/** The function of every op that computes. */
export const EVALUATORS: Readonly<Record<ComputedOp, Evaluate>> = {
  constant: (_, a) => refTensor("f32", [], [a.value as number]),

  neg: ([x]) => elementwise.neg(x),
  abs: ([x]) => elementwise.abs(x),
  exp: ([x]) => elementwise.exp(x),
  log: ([x]) => elementwise.log(x),
  sqrt: ([x]) => elementwise.sqrt(x),
  rsqrt: ([x]) => elementwise.rsqrt(x),
  tanh: ([x]) => elementwise.tanh(x),
  erf: ([x]) => elementwise.erf(x),
  sigmoid: ([x]) => elementwise.sigmoid(x),
  relu: ([x]) => elementwise.relu(x),
  gelu: ([x]) => elementwise.gelu(x),
  gelu_tanh: ([x]) => elementwise.geluTanh(x),
  quick_gelu: ([x]) => elementwise.quickGelu(x),
  silu: ([x]) => elementwise.silu(x),
  add: ([a, b]) => elementwise.add(a, b),
  sub: ([a, b]) => elementwise.sub(a, b),
  mul: ([a, b]) => elementwise.mul(a, b),
  div: ([a, b]) => elementwise.div(a, b),
  max: ([a, b]) => elementwise.max(a, b),
  min: ([a, b]) => elementwise.min(a, b),
  lt: ([a, b]) => elementwise.lt(a, b),
  le: ([a, b]) => elementwise.le(a, b),
  eq: ([a, b]) => elementwise.eq(a, b),
  where: ([c, a, b]) => elementwise.where(c, a, b),
  cast: ([x]) => refTensor("f32", x.shape, x.data),
  narrow: ([x]) => ({ ...storedAs(x, "f16"), dtype: "f16" }),

  reshape: ([x], a, at) => reshape(x, sizes(a.shape, at)),
  transpose: ([x], a) => transpose(x, a.perm as readonly number[]),
  slice: ([x], a, at) => {
    const [start, end] = sizes([a.start, a.end], at);
    return slice(
      x,
      x.shape.map((_, i) => (i === a.axis ? start : 0)),
      x.shape.map((d, i) => (i === a.axis ? end : d)),
    );
  },
  broadcast_to: ([x], a, at) => broadcastTo(x, sizes(a.shape, at)),
  widen: ([x]) => ({ ...x, dtype: "f32" }),
  windows: ([x], a) => windows(x, a.axis as number, a.size as number, a.step as number),
  contiguous: ([x]) => x,

  reduce_sum: ([x]) => reduceSum(x, [-1], true),
  reduce_mean: ([x]) => reduceMean(x, [-1], true),
  reduce_max: ([x]) => reduceMax(x, [-1], true),
  layer_norm: ([x, w, b], a) => layerNorm(x, w, b, a.eps as number),
  rms_norm: ([x, w], a) => rmsNorm(x, w, a.eps as number),
  softmax: ([x]) => softmax(x),
  l2_normalize: ([x]) => l2Normalize(x),

  matmul: ([a, b], attributes) => matmul(a, b, { transposeB: attributes.transpose_b === true }),
  attention: ([q, k, v, ...extra], a) => {
    const keyMask = a.key_mask === true ? extra[0] : undefined;
    const cuSeqlens = a.segments === true ? extra[a.key_mask === true ? 1 : 0] : undefined;
    return attention(q, k, v, {
      scale: a.scale as number,
      causal: a.causal === true,
      window: (a.window as number | undefined) ?? 0,
      ...(keyMask === undefined ? {} : { keyMask }),
      ...(cuSeqlens === undefined ? {} : { cuSeqlens }),
    });
  },
  quantized_matmul: ([x, w], a) => quantizedMatmul(x, w, a.scaled === true),
  channel_scales: ([w, magnitudes]) => channelScales(w, magnitudes),

  gather: ([table, indices]) => gather(table, indices),
  take_row: ([x, indices]) => takeRow(x, indices),
  rotary: ([x, cos, sin], a) => rotary(x, cos, sin, a.interleaved === true),
  patchify: ([x], a) => patchify(x, a.patch_height as number, a.patch_width as number),
  concat: (operands, a) => concat(operands, a.axis as number),
  stored_as: ([x], a) => storedAs(x, a.dtype as HalfDType),
  resample_columns: ([x, ...table], a) => resampleColumns(x, resampleTable(table, a.narrow === true)),
  resample_rows: ([x, ...table], a) => resampleRows(x, resampleTable(table, a.narrow === true)),
};

/** The function of an op, or nothing for inputs, weights and ops of plugins. */
export function evaluatorOf(op: string): Evaluate | undefined {
  return Object.hasOwn(EVALUATORS, op) ? EVALUATORS[op as ComputedOp] : undefined;
}

/** The simpler ops that mean the same, over inputs named by operand position. */
export function expansionOf(node: Node, table: OpTable): Graph {
  const row = table.get(node.op);
  if (row?.expand === undefined) {
    throw new FoveaError(
      "evaluate.no_meaning",
      `The reference evaluator cannot apply "${node.op}": it is no built-in operation and its row has no expansion. Give the operation's row an \`expand\`.`,
    );
  }
  // Nodes of two interners must not meet in one graph: their ids would collide.
  const { make } = createInterner(table);
  const inputs = node.inputs.map((x, i) => make("input", [], { name: String(i), shape: x.shape, dtype: x.dtype }));
  return { symbols: {}, inputs, outputs: [{ name: "y", node: row.expand(inputs, node.attributes, make) }] };
}

/**
 * Value of one node from those of its operands. Symbols have the values in `bindings`.
 * @throws FoveaError `evaluate.operand`, `evaluate.no_meaning`
 */
export function evaluateNode(
  node: Node,
  operands: readonly RefTensor[],
  bindings: Bindings,
  table: OpTable = OP_TABLE,
): RefTensor {
  const own = evaluatorOf(node.op);
  if (own !== undefined) return own(operands, node.attributes, bindings);
  if (node.op === "input" || node.op === "weight") return internal(`${node.op} nodes are bound, not evaluated`);
  const inputs = Object.fromEntries(operands.map((t, i) => [String(i), t]));
  return evaluateGraph(expansionOf(node, table), bindings, inputs, () => internal("expansions have no weights"), table)
    .y;
}

/** A checkpoint tensor by its name relative to the instance. */
export type WeightValues = (name: string, shape: readonly number[]) => RefTensor;

/**
 * Values of all outputs, computed in f64 and never rounded. Shapes of inputs and weights are checked.
 * @throws FoveaError `evaluate.operand` for a missing or misshapen input or weight, `evaluate.no_meaning`
 */
export function evaluateGraph(
  graph: Graph,
  bindings: Bindings,
  inputs: Readonly<Record<string, RefTensor>>,
  weights: WeightValues,
  table: OpTable = OP_TABLE,
): Record<string, RefTensor> {
  const values = new Map<Node, RefTensor>();
  for (const node of topological(graph.outputs.map((o) => o.node))) {
    const shape = sizes(node.shape, bindings);
    const name = String(node.attributes.name);
    const value =
      node.op === "input"
        ? inputs[name]
        : node.op === "weight"
          ? weights(name, shape)
          : evaluateNode(
              node,
              node.inputs.map((i) => values.get(i) as RefTensor),
              bindings,
              table,
            );
    if (value === undefined || !sameShape(value.shape, shape)) {
      const found = value === undefined ? "nothing" : `shape ${shapeText(value.shape)}`;
      const what = node.op === "input" || node.op === "weight" ? `${node.op} "${name}"` : `the result of "${node.op}"`;
      throw new FoveaError(
        "evaluate.operand",
        `The reference evaluator found ${found} for ${what}, expected shape ${shapeText(shape)}.`,
      );
    }
    values.set(node, value);
  }
  return Object.fromEntries(graph.outputs.map((o) => [o.name, values.get(o.node) as RefTensor]));
}
