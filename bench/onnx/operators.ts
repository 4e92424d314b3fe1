/** What each operation of a component's graph is in ONNX, written as an exporter of PyTorch writes it. */
import type { Dim } from "../../runtime/core/dim.ts";
import type { Attributes, Node } from "../../runtime/ir/node.ts";
import type { Convolution } from "./convolutions.ts";
import type { GraphWriter } from "./graph_writer.ts";
import type { OnnxAttribute } from "./model.ts";

/** The largest f32, whose negative hides a key as Hugging Face's masks do. */
const LARGEST = 3.4028234663852886e38;

/** What a converter works with; operands are names of values that were written. */
export interface Conversion {
  readonly writer: GraphWriter;
  readonly node: Node;
  readonly operands: readonly string[];
  readonly sizes: (shape: readonly Dim[]) => readonly number[];
  /** The same text gives the value that was written first. */
  readonly once: (key: string, write: () => string) => string;
}

type Converter = (conversion: Conversion) => string;

const simple =
  (op: string, attributes?: Readonly<Record<string, OnnxAttribute>>): Converter =>
  ({ writer, operands }) =>
    writer.node(op, operands, attributes);

const reduction =
  (op: string): Converter =>
  ({ writer, operands }) =>
    writer.node(op, [...operands, writer.ints([-1])], { keepdims: 1 });

/** x times the sigmoid of some of it. */
function gated({ writer, operands: [x] }: Conversion, factor: number): string {
  const inner = factor === 1 ? x : writer.node("Mul", [x, writer.float(factor)]);
  return writer.node("Mul", [x, writer.node("Sigmoid", [inner])]);
}

/** Matrices of weights are turned by the peer when it opens the model, as all that depends on constants alone. */
function matmul({ writer, node, operands: [a, b], once }: Conversion): string {
  if (node.attributes.transpose_b !== true) return writer.node("MatMul", [a, b]);
  const rank = node.inputs[1].shape.length;
  const perm = Array.from({ length: rank }, (_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i));
  return writer.node("MatMul", [a, once(`${b} turned`, () => writer.node("Transpose", [b], { perm }))]);
}

function unsupported({ causal, segments, window = 0 }: Attributes): string | undefined {
  if (causal === true) return "causal attention";
  if (segments === true) return "attention within segments";
  return window === 0 ? undefined : "attention within a window";
}

/** softmax(scale q k^T + mask) v of [batch, tokens, heads, head_dim]. @throws Error for what no tower here has */
function attention({ writer, node, operands: [q, k, v, mask], sizes, once }: Conversion): string {
  const problem = unsupported(node.attributes);
  const [query, keys] = node.inputs.map((n) => sizes(n.shape));
  if (problem !== undefined || query[2] !== keys[2]) {
    throw new Error(`The ONNX exporter has no ${problem ?? "attention whose heads share keys"}; leave the model out.`);
  }
  const perm = [0, 2, 1, 3];
  const product = writer.node("MatMul", [
    writer.node("Transpose", [q], { perm }),
    writer.node("Transpose", [k], { perm: [0, 2, 3, 1] }),
  ]);
  const scaled = writer.node("Mul", [product, writer.float(node.attributes.scale as number)]);
  const hidden = (): string => {
    const shown = writer.node("Reshape", [mask, writer.ints([keys[0], 1, 1, keys[1]])]);
    return writer.node("Mul", [writer.node("Sub", [shown, writer.float(1)]), writer.float(LARGEST)]);
  };
  const scores = mask === undefined ? scaled : writer.node("Add", [scaled, once(`${mask} hides`, hidden)]);
  const weights = writer.node("Softmax", [scores], { axis: -1 });
  const mixed = writer.node("MatMul", [weights, writer.node("Transpose", [v], { perm })]);
  return writer.node("Transpose", [mixed], { perm });
}

const CONVERTERS: Readonly<Record<string, Converter>> = {
  constant: ({ writer, node }) => writer.float(node.attributes.value as number),
  reshape: ({ writer, node, operands, sizes }) => writer.node("Reshape", [...operands, writer.ints(sizes(node.shape))]),
  broadcast_to: ({ writer, node, operands, sizes }) =>
    writer.node("Expand", [...operands, writer.ints(sizes(node.shape))]),
  transpose: ({ writer, node, operands }) =>
    writer.node("Transpose", operands, { perm: node.attributes.perm as readonly number[] }),
  slice: ({ writer, node, operands, sizes }) => {
    const { start, end, axis } = node.attributes as { readonly start: Dim; readonly end: Dim; readonly axis: number };
    const places = [sizes([start]), sizes([end]), [axis]];
    return writer.node("Slice", [...operands, ...places.map((one) => writer.ints(one))]);
  },
  concat: ({ writer, node, operands }) => writer.node("Concat", operands, { axis: node.attributes.axis as number }),
  gather: simple("Gather", { axis: 0 }),
  layer_norm: ({ writer, node, operands }) =>
    writer.node("LayerNormalization", operands, { axis: -1, epsilon: { float: node.attributes.eps as number } }),
  softmax: simple("Softmax", { axis: -1 }),
  matmul,
  attention,
  reduce_sum: reduction("ReduceSum"),
  reduce_mean: reduction("ReduceMean"),
  reduce_max: reduction("ReduceMax"),
  neg: simple("Neg"),
  abs: simple("Abs"),
  exp: simple("Exp"),
  log: simple("Log"),
  sqrt: simple("Sqrt"),
  rsqrt: ({ writer, operands }) => writer.node("Reciprocal", [writer.node("Sqrt", operands)]),
  tanh: simple("Tanh"),
  erf: simple("Erf"),
  sigmoid: simple("Sigmoid"),
  relu: simple("Relu"),
  gelu: simple("Gelu"),
  gelu_tanh: simple("Gelu", { approximate: "tanh" }),
  quick_gelu: (conversion) => gated(conversion, 1.702),
  silu: (conversion) => gated(conversion, 1),
  add: simple("Add"),
  sub: simple("Sub"),
  mul: simple("Mul"),
  div: simple("Div"),
  max: simple("Max"),
  min: simple("Min"),
};

/** The converter of an operation, where there is one. */
export function converterOf(op: string): Converter | undefined {
  return Object.hasOwn(CONVERTERS, op) ? CONVERTERS[op] : undefined;
}

/**
 * A convolution over pixels gives [batch, patches, out], one over time [batch, steps, out], as the product does that it
 * stands for. @param input the convolution's own, channels first
 */
export function convolution(
  { writer, node, sizes }: Pick<Conversion, "writer" | "node" | "sizes">,
  { kernel, strides, padding }: Convolution,
  input: string,
  weights: readonly string[],
): string {
  const pads = [...kernel, ...kernel].map(() => padding);
  const result = writer.node("Conv", [input, ...weights], { kernel_shape: kernel, strides, pads });
  const [batch, positions, out] = sizes(node.shape);
  const flat = kernel.length === 1 ? result : writer.node("Reshape", [result, writer.ints([batch, out, positions])]);
  return writer.node("Transpose", [flat], { perm: [0, 2, 1] });
}
