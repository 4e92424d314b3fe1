/** What follows a product element by element, so that one kernel computes both. */
import { type Dim, dimEquals, type Shape } from "../../core/dim.ts";
import { broadcastStrides, denseStrides } from "../../core/strides.ts";
import type { Node } from "../../ir/node.ts";
import type { ClaimContext } from "../kernel.ts";
import type { ScalarExpr } from "./expr.ts";
import { grow, renumber } from "./grow.ts";

/** What is applied to a product: input 0 is the product, inputs 1.. are `operands`. */
export interface Epilogue {
  /** The result's element as a function of one element of each input. */
  readonly expr: ScalarExpr;
  /** Values that are read beside the product, all of them of a shape that broadcasts to its own. */
  readonly operands: readonly Node[];
  /** Covered nodes after the product, operands before users. */
  readonly covers: readonly Node[];
  /** What the claim computes, of the product's shape. */
  readonly output: Node;
}

/** A product with what follows it. */
export interface ProductWithEpilogue {
  /** Node of the product. */
  readonly product: Node;
  /** What follows it; covers nothing where nothing does. */
  readonly epilogue: Epilogue;
}

/** A product by itself. */
export const withoutEpilogue = (product: Node): ProductWithEpilogue => ({
  product,
  epilogue: { expr: { input: 0 }, operands: [], covers: [], output: product },
});

/**
 * The products, nodes of `op`, that an elementwise region ending in `root` follows: as large as its result, read by nobody
 * else and neither weights nor results themselves. Where the region has several, each can be computed with the others as
 * operands.
 */
export function productsUnder(context: ClaimContext, root: Node, op: string): readonly ProductWithEpilogue[] {
  const { expr, leaves, covers } = grow(context, root, { fuse: true });
  const inside = new Set(covers);
  return leaves.flatMap((product, at) => {
    const fits =
      product.op === op &&
      !context.isWeight(product) &&
      !context.isOutput(product) &&
      context.users(product).every((u) => inside.has(u)) &&
      product.shape.length === root.shape.length &&
      product.shape.every((d, i) => dimEquals(d, root.shape[i]));
    if (!fits) return [];
    const order = leaves.map((_, i) => (i === at ? 0 : i < at ? i + 1 : i));
    const operands = leaves.filter((_, i) => i !== at);
    return [{ product, epilogue: { expr: renumber(expr, order), operands, covers, output: root } }];
  });
}

/** Shape and element strides of a value where it will be read: weights lie densely. */
export function seen(context: ClaimContext, node: Node): { readonly shape: Shape; readonly strides: readonly Dim[] } {
  return context.isWeight(node) ? { shape: node.shape, strides: denseStrides(node.shape) } : context.view(node);
}

/** Element strides over a result's leading axes `lead`; the operand's own leading axes broadcast to them. */
export function leadStrides(shape: Shape, strides: readonly Dim[], lead: Shape): readonly Dim[] {
  return broadcastStrides(shape.slice(0, -1), strides.slice(0, -1), lead);
}
