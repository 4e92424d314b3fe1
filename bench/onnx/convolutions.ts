/** Products that were convolutions where the model was published, and are again in an export. */
import { dimEquals } from "../../runtime/core/dim.ts";
import type { Node } from "../../runtime/ir/node.ts";

export interface Convolution {
  /** [batch, channels, height, width]; [batch, steps, channels] for one axis. */
  readonly input: Node;
  /** [out, channels, ...kernel] */
  readonly weight: Node;
  /** [out] */
  readonly bias: Node | undefined;
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  /** Zeros at each end. */
  readonly padding: number;
}

const isZeros = (n: Node): boolean =>
  n.op === "broadcast_to" && n.inputs[0].op === "constant" && n.inputs[0].attributes.value === 0;

/** What `convolution1d` of `runtime/nn` pads: the same number of rows of zeros before and behind. */
function withoutPadding(x: Node): readonly [input: Node, padding: number] {
  const [first, middle, last] = x.inputs;
  const padded =
    x.op === "concat" && x.attributes.axis === 1 && x.inputs.length === 3 && isZeros(first) && isZeros(last);
  if (!padded || typeof first.shape[1] !== "number" || !dimEquals(first.shape[1], last.shape[1])) return [x, 0];
  return [middle, first.shape[1]];
}

/** The product of rows with a kernel that lies flat, as `patchEmbedding` and `convolution1d` of `runtime/nn` write it. */
function productOf(node: Node, bias: Node | undefined): Convolution | undefined {
  if (node.op !== "matmul" || node.attributes.transpose_b !== true) return undefined;
  const [rows, flat] = node.inputs;
  if (flat.op !== "reshape") return undefined;
  if (rows.op === "patchify" && flat.inputs[0].op === "weight" && flat.inputs[0].shape.length === 4) {
    const kernel = [rows.attributes.patch_height as number, rows.attributes.patch_width as number];
    return { input: rows.inputs[0], weight: flat.inputs[0], bias, kernel, strides: kernel, padding: 0 };
  }
  const [windows, turned] = [rows.inputs[0], flat.inputs[0]];
  const overTime =
    rows.op === "reshape" &&
    windows.op === "windows" &&
    windows.attributes.axis === 1 &&
    turned.op === "transpose" &&
    turned.inputs[0].op === "weight" &&
    String(turned.attributes.perm) === "0,2,1";
  if (!overTime) return undefined;
  const [input, padding] = withoutPadding(windows.inputs[0]);
  const { size, step } = windows.attributes as { readonly size: number; readonly step: number };
  return { input, weight: turned.inputs[0], bias, kernel: [size], strides: [step], padding };
}

/** The convolution that a node is, with its bias where the node adds one. */
export function convolutionOf(node: Node): Convolution | undefined {
  if (node.op !== "add") return productOf(node, undefined);
  const [product, bias] = node.inputs;
  return bias.op === "weight" && bias.shape.length === 1 ? productOf(product, bias) : undefined;
}
