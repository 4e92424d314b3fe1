/** Matrix products with what follows them, element by element, in their epilogue. */

import {
  type Epilogue,
  leadStrides,
  type ProductWithEpilogue,
  productsUnder,
  seen,
  withoutEpilogue,
} from "../../../runtime/abi/claims/epilogue.ts";
import { isScalarOp } from "../../../runtime/abi/claims/expr.ts";
import { bytesOf, pointer, type Source, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import { type ProductForm, productForm } from "../../../runtime/abi/claims/product_form.ts";
import type {
  Claim,
  ClaimContext,
  EmitContext,
  KernelSpec,
  Offer,
  PackedLayout,
  Place,
  View,
} from "../../../runtime/abi/kernel.ts";
import {
  add,
  bounds,
  type Dim,
  dimEquals,
  divisorOf,
  evaluate,
  mul,
  product,
  type Shape,
} from "../../../runtime/core/dim.ts";
import { denseStrides } from "../../../runtime/core/strides.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { exprFlops } from "../emit/expr.ts";
import {
  type MatmulOptions,
  matmulArguments,
  matmulGrid,
  matmulItem,
  matmulKernel,
  matmulScratch,
} from "../emit/matmul.ts";
import {
  halfPackedWords,
  PACK_ARGUMENTS,
  type PackOptions,
  packedElements,
  packGrid,
  packKernel,
  packScratch,
} from "../emit/pack_b.ts";
import { accessOf, axisFromEnd, columnStride, rowsOfTile } from "./epilogue.ts";
import { hintOf, sizeOf } from "./sizes.ts";
import { type StoredWeight, storedWeight } from "./stored.ts";

const NAME = "matmul";

interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly madd: boolean;
  readonly turn: number;
}

/** What is read as the left-hand side. */
interface LeftSide {
  /** f32, or u8 that the kernel converts. */
  readonly value: Node;
  /** The covered conversion. */
  readonly covers: readonly Node[];
}

/** Everything that emission needs to know about a product. */
interface Product {
  readonly node: Node;
  readonly left: LeftSide;
  readonly epilogue: Epilogue;
  readonly tile: Tile;
  readonly n: Dim;
  readonly k: Dim;
  readonly transposed: boolean;
  readonly form: ProductForm;
  /** A's view must be copied first. */
  readonly copiesA: boolean;
  /** B's view must be copied first. */
  readonly copiesB: boolean;
  /** B is a weight that is packed once: one matrix, since weights with batches are packed before every product as values are. */
  readonly packsWeight: boolean;
  /** The right-hand side where it is a weight of two-byte numbers. */
  readonly stored: StoredWeight | undefined;
  /** Numbers of A are spread in scratch. */
  readonly spread: boolean;
}

/** Columns from which on spreading the left-hand side's numbers costs less than it saves. */
const SPREAD_COLUMNS = 64;

/** Batches of the right-hand side: one matrix for all, or one for each of the result's. */
function batchesOfB(b: Node, lead: Shape): "one" | "each" | undefined {
  const own = b.shape.slice(0, -2);
  if (own.every((d) => dimEquals(d, 1))) return "one";
  const batch = lead.slice(0, -1);
  return own.length === batch.length && own.every((d, i) => dimEquals(d, batch[i])) ? "each" : undefined;
}

/** Batches that are equally far apart, of rows whose elements lie side by side. */
function isRegular({ shape, strides }: View): boolean {
  return (
    (dimEquals(axisFromEnd(strides, 1), 1) || dimEquals(axisFromEnd(shape, 1), 1)) &&
    productForm(shape.slice(0, -1), [strides.slice(0, -1)], false) !== undefined
  );
}

/** Bytes that nothing but the product reads as f32. */
function bytesOnTheLeft(context: ClaimContext, node: Node): LeftSide | undefined {
  const [a, b] = node.inputs;
  const own = a !== b && a.op === "cast" && a.inputs[0].dtype === "u8" && !context.isWeight(a) && !context.isOutput(a);
  return own && context.users(a).every((u) => u === node) ? { value: a.inputs[0], covers: [a] } : undefined;
}

function analyze(context: ClaimContext, node: Node, left: LeftSide, epilogue: Epilogue): Product | string {
  const [, b] = node.inputs;
  const a = left.value;
  const odd = [node.inputs[0], b, ...epilogue.operands].find((x) => x.dtype !== "f32");
  if (odd !== undefined) return `it multiplies f32, and an operand is ${odd.dtype}.`;
  const transposed = node.attributes.transpose_b === true;
  const lead = node.shape.slice(0, -1);
  const n = axisFromEnd(node.shape, 1);
  const k = axisFromEnd(a.shape, 1);
  const batches = batchesOfB(b, lead);
  if (batches === undefined)
    return "the right-hand side's batches broadcast along some axes only; broadcast them before.";
  const packsWeight = context.isWeight(b) && batches === "one";
  const copiesB = !context.isWeight(b) && !isRegular(context.view(b));
  const views = epilogue.operands.map((x) => seen(context, x));
  const along = epilogue.operands.map((x, i) => columnStride(x, views[i].strides, n));
  if (along.some((s) => s === undefined))
    return "a value that is combined with the product is not contiguous along its last axis.";
  const operandStrides = views.map((v) => leadStrides(v.shape, v.strides, lead));
  const view = seen(context, a);
  const inPlace = dimEquals(axisFromEnd(view.strides, 1), 1) || dimEquals(k, 1);
  const dense = denseStrides(a.shape);
  const formFor = (strides: readonly Dim[]): ProductForm | undefined =>
    productForm(lead, [leadStrides(a.shape, strides, lead), ...operandStrides], batches === "one");
  const found = inPlace ? formFor(view.strides) : undefined;
  const form = found ?? formFor(dense);
  if (form === undefined)
    return "what it reads cannot be walked as batches of rows; broadcast it to the result's batches before.";
  const { tileRows, tileColumns, tileTurn, tileSpread, relaxedMadd } = context.capabilities;
  const mHint = hintOf(form.rows, context.box);
  const rows = rowsOfTile(tileRows as number, mHint);
  const tile = { rows, columns: tileColumns as number, madd: relaxedMadd === true, turn: tileTurn as number };
  // Products of bytes read panels of f32.
  const stored = left.value.dtype === "u8" || !packsWeight ? undefined : storedWeight(context, b);
  // Pairs of other panels belong to two steps.
  const isPlain = left.value.dtype === "f32" && (stored === undefined || tile.columns % 8 === 0);
  const isLarge = (mHint.exact ?? mHint.most ?? rows + 1) > rows && bounds(n, context.box).min >= SPREAD_COLUMNS;
  const spread = tileSpread === true && isPlain && isLarge;
  return {
    node,
    left,
    epilogue,
    tile,
    n,
    k,
    transposed,
    form,
    copiesA: found === undefined,
    copiesB,
    packsWeight,
    stored,
    spread,
  };
}

/** Right-hand side in panels, packed once when it is a weight, else before every product. */
function packedB(
  e: EmitContext,
  product_: Product,
  b: Source | undefined,
): { readonly place: Place; readonly batchStride: Dim } {
  const { node, n, k, transposed, tile, stored } = product_;
  const { columns } = tile;
  const elements = packedElements(n, k, columns);
  const half = stored && { dtype: stored.dtype, k: evaluate(k, {}) };
  const options: PackOptions = { columns, transposed, ...(half === undefined ? {} : { half }) };
  const rowLength = transposed ? k : n;
  const words = (values: Readonly<Record<string, Dim>>): { readonly size: Dim }[] =>
    PACK_ARGUMENTS.slice(2).map((name) => ({ size: values[name] }));
  if (b === undefined) {
    // Panels of whole rows have the size of their rows.
    const inPlace = transposed && half === undefined;
    const packing = inPlace ? { ...options, inPlace: evaluate(k, {}) } : options;
    const layout: PackedLayout = {
      name: `panels of ${columns} columns${transposed ? ", transposed" : ""}${half === undefined ? "" : `, ${half.dtype}`}`,
      bytes: 4 * (half === undefined ? evaluate(elements, {}) : halfPackedWords(evaluate(n, {}), half.k, columns)),
      ...(half === undefined ? {} : { dtype: half.dtype }),
      ...(inPlace ? { inPlace } : {}),
      pack: (source, destination) => ({
        name: "pack",
        code: packKernel(packing).bytes,
        args: [
          { place: destination, offset: 0, mode: "write" },
          { place: source, offset: 0, mode: "read" },
          ...words({ n, k, row_stride: rowLength, batch_stride: 0 }),
        ],
        grid: packGrid(n, 1, columns),
        flops: 0,
        workerScratch: packScratch(packing),
      }),
    };
    return { place: e.weight(stored?.value ?? node.inputs[1], layout), batchStride: 0 };
  }
  const each = !b.shape.slice(0, -2).every((d) => dimEquals(d, 1));
  const batch = each ? product(b.shape.slice(0, -2)) : 1;
  const own = productForm(b.shape.slice(0, -1), [b.strides.slice(0, -1)], false);
  const place = e.scratch(mul(batch, elements, 4));
  e.step({
    name: "pack",
    code: packKernel(options).bytes,
    args: [
      { place, offset: 0, mode: "write" },
      pointer(b, node.inputs[1]),
      ...words({ n, k, row_stride: axisFromEnd(b.strides, 2), batch_stride: own?.strides[0].batch ?? 0 }),
    ],
    grid: packGrid(n, batch, columns),
    flops: 0,
  });
  return { place, batchStride: each ? elements : 0 };
}

function emit(e: EmitContext, p: Product, a: Source, b: Source | undefined, operands: readonly Source[]): void {
  const { epilogue, form, tile, n, k } = p;
  const [ofA, ...ofOperands] = form.strides;
  const access = epilogue.operands.map((x, i) =>
    accessOf(columnStride(x, operands[i].strides, n) ?? 0, ofOperands[i].batch, ofOperands[i].row),
  );
  const options: MatmulOptions = {
    ...tile,
    n: sizeOf(n, e.box),
    k: sizeOf(k, e.box),
    mHint: hintOf(form.rows, e.box),
    wholePanels: divisorOf(n, e.box) % tile.columns === 0,
    aRowStride: sizeOf(ofA.row, e.box),
    aBytes: p.left.value.dtype === "u8",
    epilogue: epilogue.expr,
    operands: access,
    ...(p.stored === undefined ? {} : { half: p.stored.dtype }),
    ...(p.spread ? { spread: true } : {}),
  };
  const packed = packedB(e, p, b);
  const sizes: Record<string, Dim> = {
    m: form.rows,
    n,
    k,
    a_row_stride: ofA.row,
    a_batch_stride: ofA.batch,
    b_batch_stride: packed.batchStride,
  };
  const pointers: Record<string, { readonly place: Place; readonly offset: Dim; readonly mode: "read" | "write" }> = {
    output: { place: e.output, offset: 0, mode: "write" },
    a: pointer(a, p.left.value),
    b: { place: packed.place, offset: 0, mode: "read" },
  };
  operands.forEach((source, i) => {
    pointers[`operand_${i}`] = pointer(source, epilogue.operands[i]);
    sizes[`operand_${i}_row_stride`] = ofOperands[i].row;
    sizes[`operand_${i}_batch_stride`] = ofOperands[i].batch;
  });
  e.step({
    name: [...p.left.covers, p.node, ...epilogue.covers].map((c) => c.op).join("_"),
    code: matmulKernel(options).bytes,
    args: matmulArguments(options).map((name) => pointers[name] ?? { size: sizes[name] }),
    grid: matmulGrid(form.rows, n, form.batch, options),
    flops: flopsOf(p),
    workerScratch: matmulScratch(options),
    itemOf: (dims) => matmulItem(evaluate(form.rows, dims), evaluate(n, dims), options),
  });
}

function flopsOf({ node, epilogue, k }: Product): Dim {
  const elements = product(node.shape);
  return add(mul(2, elements, k), mul(exprFlops(epilogue.expr), elements));
}

function claimProduct(context: ClaimContext, p: Product): Claim {
  const { node, left, epilogue, packsWeight } = p;
  const [, b] = node.inputs;
  const a = left.value;
  const read = [a, ...(packsWeight ? [] : [b]), ...epilogue.operands];
  const sources = sourcesOf(context, read);
  // Weights are no operands.
  const values = [a, b].flatMap((n, i) => (context.isWeight(n) ? [] : [i === 0 ? p.copiesA : p.copiesB]));
  const operands = sources.operands.map((o, i) => (values[i] === true ? { ...o, access: "dense" as const } : o));
  return {
    kernel: NAME,
    covers: [...left.covers, node, ...epilogue.covers],
    output: epilogue.output,
    operands,
    weights: [...sources.weights, ...(packsWeight ? [p.stored?.value ?? b] : [])],
    cost: {
      flops: flopsOf(p),
      bytes: add(
        ...[epilogue.output, a, ...epilogue.operands].map(bytesOf),
        p.stored === undefined ? bytesOf(b) : mul(2, product(b.shape)),
      ),
      launches: packsWeight ? 1 : 2,
    },
    emit: (e) => {
      const found = read.map((_, i) => sources.source(e, i));
      const rest = found.slice(packsWeight ? 1 : 2);
      emit(e, p, found[0], packsWeight ? undefined : found[1], rest);
    },
  };
}

function offersFor(context: ClaimContext, { product, epilogue }: ProductWithEpilogue): readonly Offer[] {
  const bytes = bytesOnTheLeft(context, product);
  const sides: readonly LeftSide[] = [
    { value: product.inputs[0], covers: [] },
    ...(bytes === undefined ? [] : [bytes]),
  ];
  return sides.map((left) => {
    const found = analyze(context, product, left, epilogue);
    return typeof found === "string"
      ? { kernel: NAME, node: epilogue.output, reason: found }
      : claimProduct(context, found);
  });
}

export const MATMUL_KERNEL: KernelSpec = {
  name: NAME,
  device: "wasm",
  reads: ["tileRows", "tileColumns", "tileTurn", "tileSpread", "relaxedMadd"],
  claim: (context, node) => {
    if (node.op === "matmul") return offersFor(context, withoutEpilogue(node));
    if (!isScalarOp(node.op)) return [];
    return productsUnder(context, node, "matmul").flatMap((found) => offersFor(context, found));
  },
};
