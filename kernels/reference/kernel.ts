/** The one kernel of the reference device: it claims every op of the table by itself. */
import type {
  Arg,
  Claim,
  ClaimContext,
  EmitContext,
  KernelSpec,
  Offer,
  Operand,
  PackedLayout,
  Place,
  View,
} from "../../runtime/abi/kernel.ts";
import { add, type Dim, evaluate, mul, product } from "../../runtime/core/dim.ts";
import { DTYPE_BYTES, type DType, type HalfDType } from "../../runtime/core/dtype.ts";
import { denseStrides } from "../../runtime/core/strides.ts";
import { evaluateNode, evaluatorOf, type RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import { topological } from "../../runtime/ir/graph.ts";
import type { Node } from "../../runtime/ir/node.ts";
import { encodeCode, HELD_TYPES, type OperandLayout, type ReferenceCode } from "./code.ts";

const NAME = "reference";

/** Where an operand's values come from. */
type Source =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "weight"; readonly view: View; readonly stored?: HalfDType }
  | { readonly kind: "value"; readonly operand: number };

/** The number that a scalar made of constants alone has. */
function constantValue(node: Node): number | undefined {
  if (node.shape.length > 0) return undefined;
  const nodes = topological([node]);
  if (!nodes.every((n) => n.shape.length === 0 && n.op !== "input" && n.op !== "weight")) return undefined;
  const values = new Map<Node, RefTensor>();
  for (const n of nodes) {
    const operands = n.inputs.map((i) => values.get(i) as RefTensor);
    values.set(n, evaluateNode(n, operands, {}));
  }
  return (values.get(node) as RefTensor).data[0];
}

function flopsOf(node: Node): Dim {
  const [a, b] = node.inputs;
  if (node.op === "matmul" || node.op === "quantized_matmul")
    return mul(2, product(node.shape), a.shape[a.shape.length - 1]);
  if (node.op === "attention") {
    return mul(4, product(node.shape), (node.attributes.longest_segment as Dim | undefined) ?? b.shape[1]);
  }
  return product(node.shape);
}

const bytesOf = (node: Node): Dim => mul(product(node.shape), DTYPE_BYTES[node.dtype]);

function layoutOf(node: Node, source: Source): OperandLayout {
  if (source.kind === "constant") return { constant: source.value };
  const stored = source.kind === "weight" ? source.stored : undefined;
  return { dtype: stored ?? node.dtype, rank: node.shape.length };
}

/** A weight's numbers one after another, two bytes each. */
function denseHalf(value: Node, dtype: HalfDType): PackedLayout {
  const { shape } = value;
  const rank = shape.length;
  const count = evaluate(product(shape), {});
  const code: ReferenceCode = {
    op: "contiguous",
    attributes: {},
    operands: [{ dtype: "f32", rank }],
    output: { dtype, rank },
  };
  const sizes = (dims: readonly Dim[]): Arg[] => dims.map((size) => ({ size }));
  return {
    name: `dense ${dtype}`,
    bytes: DTYPE_BYTES[dtype] * count,
    dtype,
    dense: true,
    pack: (source, destination) => ({
      name: "stored_as",
      code: encodeCode(code),
      args: [
        { place: source, offset: 0, mode: "read" },
        ...sizes(shape),
        ...sizes(denseStrides(shape)),
        { place: destination, offset: 0, mode: "write" },
        ...sizes(shape),
      ],
      grid: 1,
      flops: 0,
    }),
  };
}

/** Attributes that say what is computed: sizes are those of views and sources, or of costs alone. */
function plainAttributes(node: Node): ReferenceCode["attributes"] {
  if (node.op === "constant" || node.op === "weight") return {};
  const { longest_segment: _, ...own } = node.attributes;
  return own as ReferenceCode["attributes"];
}

function emit(e: EmitContext, node: Node, inputs: readonly Node[], sources: readonly Source[]): void {
  // A source that is an output is copied out of the place where it is kept.
  const isSource = node.op === "constant" || node.op === "weight";
  const output = { dtype: node.dtype, rank: node.shape.length };
  const code: ReferenceCode = {
    op: isSource ? "contiguous" : node.op,
    attributes: plainAttributes(node),
    operands: inputs.map((n, i) => layoutOf(n, sources[i])),
    output,
  };
  const args: Arg[] = [];
  const sizes = (dims: readonly Dim[]): void => {
    for (const size of dims) args.push({ size });
  };
  const read = (place: Place, offset: Dim, dtype: DType, shape: readonly Dim[], strides: readonly Dim[]): void => {
    args.push({ place, offset: mul(offset, DTYPE_BYTES[dtype]), mode: "read" });
    sizes(shape);
    sizes(strides);
  };
  sources.forEach((source, i) => {
    if (source.kind === "weight") {
      const { base, offset, shape, strides } = source.view;
      const { stored } = source;
      const place = stored === undefined ? e.weight(base) : e.weight(base.inputs[0], denseHalf(base.inputs[0], stored));
      read(place, offset, stored ?? inputs[i].dtype, shape, strides);
    } else if (source.kind === "value") {
      const { place, offset, shape, strides } = e.operand(source.operand);
      read(place, offset, inputs[i].dtype, shape, strides);
    }
  });
  args.push({ place: e.output, offset: 0, mode: "write" });
  sizes(node.shape);
  e.step({ name: node.op, code: encodeCode(code), args, grid: 1, flops: flopsOf(node) });
}

/** The type that a weight is kept in, where it is read through `stored_as`. */
function storedType(base: Node): { readonly stored?: HalfDType } {
  return base.op === "stored_as" ? { stored: base.attributes.dtype as HalfDType } : {};
}

function claim(context: ClaimContext, node: Node): readonly Offer[] {
  const kind = context.kind(node);
  const isSource = node.op === "constant" || node.op === "weight";
  if (kind === "view" || (!isSource && evaluatorOf(node.op) === undefined)) return [];
  const inputs = isSource ? [node] : node.inputs;
  const odd = [node, ...inputs].find((n) => !HELD_TYPES.includes(n.dtype));
  if (odd !== undefined) {
    const reason = `values of type ${odd.dtype} are not held by this device, only ${HELD_TYPES.join(", ")}.`;
    return [{ kernel: NAME, node, reason }];
  }
  const operands: Operand[] = [];
  const sources = inputs.map((n): Source => {
    const value = constantValue(n);
    if (value !== undefined) return { kind: "constant", value };
    const view = context.view(n);
    if (context.isWeight(view.base)) return { kind: "weight", view, ...storedType(view.base) };
    const access = node.op === "contiguous" ? "strided" : "dense";
    return { kind: "value", operand: operands.push({ node: n, access }) - 1 };
  });
  const offer: Claim = {
    kernel: NAME,
    covers: [node],
    output: node,
    operands,
    weights: sources.flatMap((s) =>
      s.kind !== "weight" ? [] : [s.stored === undefined ? s.view.base : s.view.base.inputs[0]],
    ),
    cost: {
      flops: flopsOf(node),
      bytes: add(...[node, ...inputs].map(bytesOf)),
      launches: 1,
    },
    emit: (e) => emit(e, node, inputs, sources),
  };
  return [offer];
}

export const REFERENCE_KERNEL: KernelSpec = { name: NAME, device: "reference", reads: [], claim };
