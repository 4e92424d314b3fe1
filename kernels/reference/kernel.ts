/** The one kernel of the reference device: it claims every op of the table by itself. */
import type {
  Arg,
  Claim,
  ClaimContext,
  EmitContext,
  KernelSpec,
  Offer,
  Operand,
  Place,
  View,
} from "../../runtime/abi/kernel.ts";
import { add, type Dim, mul, product } from "../../runtime/core/dim.ts";
import { DTYPE_BYTES } from "../../runtime/core/dtype.ts";
import { evaluateNode, evaluatorOf, type RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import { topological } from "../../runtime/ir/graph.ts";
import type { Node } from "../../runtime/ir/node.ts";
import { encodeCode, HELD_TYPES, type OperandLayout, type ReferenceCode } from "./code.ts";

const NAME = "reference";

/** Where an operand's values come from. */
type Source =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "weight"; readonly view: View }
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
  if (node.op === "matmul") return mul(2, product(node.shape), a.shape[a.shape.length - 1]);
  if (node.op === "attention") {
    return mul(4, product(node.shape), (node.attributes.longest_segment as Dim | undefined) ?? b.shape[1]);
  }
  return product(node.shape);
}

const bytesOf = (node: Node): Dim => mul(product(node.shape), DTYPE_BYTES[node.dtype]);

function layoutOf(node: Node, source: Source): OperandLayout {
  if (source.kind === "constant") return { constant: source.value };
  return { dtype: node.dtype, rank: node.shape.length };
}

/** Attributes of the ops that are claimed hold no symbols: those that do are views or sources. */
function plainAttributes(node: Node): ReferenceCode["attributes"] {
  if (node.op === "constant" || node.op === "weight") return {};
  return node.attributes as ReferenceCode["attributes"];
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
  const read = (place: Place, offset: Dim, of: Node, shape: readonly Dim[], strides: readonly Dim[]): void => {
    args.push({ place, offset: mul(offset, DTYPE_BYTES[of.dtype]), mode: "read" });
    sizes(shape);
    sizes(strides);
  };
  sources.forEach((source, i) => {
    if (source.kind === "weight") {
      const { base, offset, shape, strides } = source.view;
      read(e.weight(base), offset, inputs[i], shape, strides);
    } else if (source.kind === "value") {
      const { place, offset, shape, strides } = e.operand(source.operand);
      read(place, offset, inputs[i], shape, strides);
    }
  });
  args.push({ place: e.output, offset: 0, mode: "write" });
  sizes(node.shape);
  e.step({ name: node.op, code: encodeCode(code), args, grid: 1, flops: flopsOf(node) });
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
    if (context.isWeight(view.base)) return { kind: "weight", view };
    const access = node.op === "contiguous" ? "strided" : "dense";
    return { kind: "value", operand: operands.push({ node: n, access }) - 1 };
  });
  const offer: Claim = {
    kernel: NAME,
    covers: [node],
    output: node,
    operands,
    weights: sources.flatMap((s) => (s.kind === "weight" ? [s.view.base] : [])),
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
