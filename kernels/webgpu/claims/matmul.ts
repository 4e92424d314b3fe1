/** Matrix products with what is computed from their results. */
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { exprKey } from "../../../runtime/abi/claims/expr.ts";
import { type Grown, grow } from "../../../runtime/abi/claims/grow.ts";
import { bytesOf, pointer, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import { type ProductForm, productForm } from "../../../runtime/abi/claims/product_form.ts";
import type { Claim, ClaimContext, KernelSpec, Offer } from "../../../runtime/abi/kernel.ts";
import {
  add,
  type Box,
  bounds,
  type Dim,
  dimEquals,
  divisorOf,
  floorDiv,
  min,
  mul,
  product,
  type Shape,
  sub,
} from "../../../runtime/core/dim.ts";
import { broadcastStrides, denseStrides } from "../../../runtime/core/strides.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { exprFlops } from "../emit/expr.ts";
import { DEPTH, type GpuTile, type MatmulOptions, matmulGrid, matmulKernel, TILES } from "../emit/matmul.ts";
import { directGrid, directKernel } from "../emit/matmul_direct.ts";
import { kindOf, tooManyBuffers } from "./kinds.ts";

const NAME = "matmul";

/** Results up to so many numbers are no work for tiles. */
const FEW_ELEMENTS = 64 * 64;

/** Workgroups that keep a large card busy. */
const MANY_TILES = 128;

interface TilePart {
  readonly tile: GpuTile;
  readonly grid: Dim;
}

/**
 * The largest tile of which there are enough, at the least and at the most that the range holds. Where they differ, the size of
 * a call says which of two launches has a grid.
 */
function tilesFor({ rows, batch }: ProductForm, n: Dim, box: Box): readonly TilePart[] {
  const gridOf = (tile: GpuTile): Dim => matmulGrid(rows, n, batch, tile);
  const limits = TILES.map((tile) => bounds(gridOf(tile), box));
  const chosen = (end: "min" | "max"): number => {
    const found = limits.findIndex((l) => l[end] >= MANY_TILES);
    return found < 0 ? TILES.length - 1 : found;
  };
  const [large, small] = [TILES[chosen("max")], TILES[chosen("min")]];
  if (large === small) return [{ tile: large, grid: gridOf(large) }];
  const enough = min(1, floorDiv(gridOf(large), MANY_TILES));
  return [
    { tile: large, grid: mul(enough, gridOf(large)) },
    { tile: small, grid: mul(sub(1, enough), gridOf(small)) },
  ];
}

interface Epilogue {
  readonly expr: ScalarExpr;
  /** What is combined with the product. */
  readonly operands: readonly Node[];
  readonly covers: readonly Node[];
  readonly output: Node;
}

const seen = (context: ClaimContext, node: Node): { readonly shape: Shape; readonly strides: readonly Dim[] } =>
  context.isWeight(node) ? { shape: node.shape, strides: denseStrides(node.shape) } : context.view(node);

const last = <T>(list: readonly T[], from = 1): T => list[list.length - from];

const lead = (shape: Shape, strides: readonly Dim[], to: Shape): readonly Dim[] =>
  broadcastStrides(shape.slice(0, -1), strides.slice(0, -1), to);

/** An operand's step along the columns. */
const columnStep = (shape: Shape, strides: readonly Dim[], n: Dim): Dim =>
  shape.length === 0 || (dimEquals(last(shape), 1) && !dimEquals(n, 1)) ? 0 : last(strides);

function formOf(
  context: ClaimContext,
  node: Node,
  { operands }: Epilogue,
): { form: ProductForm; dense: boolean } | string {
  const [a, b] = node.inputs;
  const to = node.shape.slice(0, -1);
  const one = b.shape.slice(0, -2).every((d) => dimEquals(d, 1));
  const views = operands.map((x) => seen(context, x));
  const ofOperands = views.map((v) => lead(v.shape, v.strides, to));
  const view = seen(context, a);
  const ofB = one ? [] : [broadcastStrides(b.shape.slice(0, -2), denseStrides(b.shape).slice(0, -2), to.slice(0, -1))];
  const formFor = (strides: readonly Dim[]): ProductForm | undefined =>
    productForm(to, [lead(a.shape, strides, to), ...ofOperands, ...ofB.map((s) => [...s, 0])], one);
  const inPlace = dimEquals(last(view.strides), 1) ? formFor(view.strides) : undefined;
  const form = inPlace ?? formFor(denseStrides(a.shape));
  return form === undefined
    ? "what it reads cannot be walked as batches of rows."
    : { form, dense: inPlace === undefined };
}

function claimProduct(context: ClaimContext, node: Node, epilogue: Epilogue): Offer {
  const refuse = (reason: string): Offer => ({ kernel: NAME, node, reason });
  const [a, b] = node.inputs;
  const odd = [a, b, ...epilogue.operands].find((x) => x.dtype !== "f32");
  if (odd !== undefined) return refuse(`it multiplies f32, and an operand is ${odd.dtype}.`);
  if (tooManyBuffers(context, [a, b, ...epilogue.operands]))
    return refuse("it would read more buffers than every adapter grants.");
  const found = formOf(context, node, epilogue);
  if (typeof found === "string") return refuse(found);
  const { form, dense } = found;
  const [n, k] = [last(node.shape), last(a.shape)];
  const read = [a, b, ...epilogue.operands];
  const sources = sourcesOf(
    context,
    read,
    read.map((_, i) => (i === 1 || (i === 0 && dense) ? "dense" : "strided")),
  );
  const flops = mul(add(mul(2, k), exprFlops(epilogue.expr)), product(node.shape));
  const claim: Claim = {
    kernel: NAME,
    covers: epilogue.covers,
    output: epilogue.output,
    operands: sources.operands,
    weights: sources.weights,
    cost: { flops, bytes: add(bytesOf(epilogue.output), ...read.map(bytesOf)), launches: 1 },
    emit: (e) => {
      const places = read.map((_, i) => sources.source(e, i));
      const transposed = node.attributes.transpose_b === true;
      const options: Omit<MatmulOptions, "tile" | "whole"> = {
        transposed,
        epilogue: epilogue.expr,
        kinds: {
          a: kindOf(context, a),
          b: kindOf(context, b),
          operands: epilogue.operands.map((o) => kindOf(context, o)),
        },
      };
      const [ofA, ...others] = form.strides;
      const batchB = others.length > epilogue.operands.length ? last(others).batch : 0;
      const words: readonly Dim[] = [
        ...[form.rows, n, k, ofA.batch, ofA.row, batchB, transposed ? k : n],
        ...epilogue.operands.flatMap((o, i) => {
          const place = places[i + 2];
          return [others[i].batch, others[i].row, columnStep(o.shape, place.strides, n)];
        }),
      ];
      const step = (code: Uint8Array, grid: Dim, more: readonly Dim[] = []): void =>
        e.step({
          name: epilogue.covers.map((c) => c.op).join("_"),
          code,
          args: [
            { place: e.output, offset: 0, mode: "write" },
            ...places.map((place, i) => pointer(place, read[i])),
            ...[...words, ...more].map((size) => ({ size })),
          ],
          grid,
          flops,
        });
      const elements = product(node.shape);
      if (bounds(elements, context.box).max <= FEW_ELEMENTS) {
        step(directKernel(options), directGrid(elements), [elements]);
        return;
      }
      const whole = divisorOf(k, context.box) % DEPTH === 0;
      for (const { tile, grid } of tilesFor(form, n, context.box))
        step(matmulKernel({ ...options, whole, tile }), grid);
    },
  };
  return claim;
}

/** The product under a chain of elementwise ops, where it is the chain's only product and as large as its result. */
function epilogueOf(grown: Grown, node: Node, output: Node): Epilogue | undefined {
  const at = grown.leaves.indexOf(node);
  if (at < 0) return undefined;
  const operands = grown.leaves.filter((_, i) => i !== at);
  const renamed = (expr: ScalarExpr): ScalarExpr => {
    if ("input" in expr) return { input: expr.input === at ? 0 : expr.input < at ? expr.input + 1 : expr.input };
    return "op" in expr ? { op: expr.op, args: expr.args.map(renamed) } : expr;
  };
  return { expr: renamed(grown.expr), operands, covers: [node, ...grown.covers], output };
}

export const MATMUL_KERNEL: KernelSpec = {
  name: NAME,
  device: "webgpu",
  reads: [],
  claim: (context, node): readonly Offer[] => {
    if (node.op === "matmul")
      return [claimProduct(context, node, { expr: { input: 0 }, operands: [], covers: [node], output: node })];
    if (context.kind(node) !== "elementwise" || node.dtype !== "f32") return [];
    const fused = grow(context, node, { fuse: true });
    return fused.leaves.flatMap((leaf): readonly Offer[] => {
      const own =
        leaf.op === "matmul" &&
        leaf.shape.length === node.shape.length &&
        leaf.shape.every((d, i) => dimEquals(d, node.shape[i])) &&
        !context.isOutput(leaf) &&
        !context.isWeight(leaf) &&
        context.users(leaf).every((u) => fused.covers.includes(u));
      const epilogue = own ? epilogueOf(fused, leaf, node) : undefined;
      return epilogue === undefined || exprKey(epilogue.expr) === "$0" ? [] : [claimProduct(context, leaf, epilogue)];
    });
  },
};
