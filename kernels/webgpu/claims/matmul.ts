/** Matrix products with what is computed from their results. */

import {
  type Epilogue,
  leadStrides,
  type ProductWithEpilogue,
  productsUnder,
  seen,
  withoutEpilogue,
} from "../../../runtime/abi/claims/epilogue.ts";
import { isScalarOp } from "../../../runtime/abi/claims/expr.ts";
import { bytesOf, type Source, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import { type ProductForm, productForm } from "../../../runtime/abi/claims/product_form.ts";
import type { Arg, Claim, ClaimContext, EmitContext, KernelSpec, Offer } from "../../../runtime/abi/kernel.ts";
import { add, bounds, type Dim, dimEquals, divisorOf, mul, product } from "../../../runtime/core/dim.ts";
import { broadcastStrides, denseStrides } from "../../../runtime/core/strides.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { exprFlops } from "../emit/expr.ts";
import { isHalf } from "../emit/kernel.ts";
import { type GpuTile, matmulKernel } from "../emit/matmul.ts";
import { directGrid, directKernel } from "../emit/matmul_direct.ts";
import { MATRIX_TILE, type MatrixTile, matrixMatmulKernel } from "../emit/matmul_matrix.ts";
import { sumGrid, sumKernel } from "../emit/matmul_sum.ts";
import { MATRIX_DIALECTS } from "../emit/matrix_dialect.ts";
import { halfWeight, isHalfWeight, kindOf, outOf, pointerTo, tooManyBuffers } from "./kinds.ts";
import { type Deal, matrixDeals, tileDeals } from "./matmul_deals.ts";
import { columnStep, type FrontOperand } from "./row_front.ts";
import { isArithmetic, type NormLaunches, withSource } from "./row_join.ts";

const NAME = "matmul";

/** Results up to so many numbers of so short sums are no work for tiles. */
const FEW_ELEMENTS = 64 * 64;
const SHORT = 128;

/** Rows that tiles of subgroup matrices would leave empty for the most part. */
const FEW_ROWS = 16;

/** Workgroups of products by subgroup matrices that a large card computes at once. */
const MATRICES_AT_ONCE = 132;

interface Dealt {
  /** Options of the kernel of subgroup matrices, where that is taken. */
  readonly matrix: ReturnType<typeof matrixOptions> | undefined;
  readonly deals: readonly Deal<GpuTile | MatrixTile>[];
}

interface MatrixQuery {
  readonly form: ProductForm;
  readonly n: Dim;
  readonly kinds: MatmulKinds;
  readonly places: readonly Omit<Source, "place">[];
}

type MatmulKinds = Parameters<typeof matmulKernel>[0]["kinds"];

/**
 * Words that subgroup matrices of a product are read by, where the device has them and both sides are f16 whose lines begin at
 * multiples of 4 or 2 words; nothing otherwise.
 */
function matrixUnit(
  { capabilities, box }: ClaimContext,
  { form, n, k, kinds, transposed, places }: MatrixQuery & { readonly k: Dim; readonly transposed: boolean },
): 2 | 4 | undefined {
  const { subgroupMatrix } = capabilities;
  if (typeof subgroupMatrix !== "string" || !Object.hasOwn(MATRIX_DIALECTS, subgroupMatrix)) return undefined;
  if (!transposed || !isHalf(kinds.a) || !isHalf(kinds.b)) return undefined;
  if (bounds(form.rows, box).max <= FEW_ROWS) return undefined;
  const [ofA, ...others] = form.strides;
  const batchB = others.length > places.length - 2 ? last(others).batch : 0;
  const steps = [k, ofA.batch, ofA.row, batchB, places[0].offset, places[1].offset];
  const fits = (halves: number): boolean => steps.every((d) => divisorOf(d, box) % halves === 0);
  const columns = divisorOf(n, box);
  if (fits(8) && columns % (isHalf(kinds.out) ? 8 : 4) === 0) return 4;
  return fits(4) && columns % 4 === 0 ? 2 : undefined;
}

/** What the kernel of subgroup matrices takes beside its tile. */
function matrixOptions(
  { capabilities, box }: ClaimContext,
  { form, n, unit, kinds, places, epilogue }: MatrixQuery & { readonly unit: 2 | 4; readonly epilogue: Epilogue },
): Pick<Parameters<typeof matrixMatmulKernel>[0], "dialect" | "unit" | "kinds"> {
  const operands = epilogue.operands.map((o, i) => {
    const { strides, offset } = places[i + 2];
    const { batch, row } = form.strides[i + 1];
    const kind = kinds.operands[i];
    const numbers = isHalf(kind) ? 2 * unit : unit;
    const steps = [batch, row, offset];
    const whole =
      dimEquals(columnStep(o.shape, strides, n), 1) && steps.every((d) => divisorOf(d, box) % numbers === 0);
    return { kind, whole, isLine: dimEquals(row, 0) };
  });
  return { dialect: capabilities.subgroupMatrix as string, unit, kinds: { ...kinds, operands } };
}

const last = <T>(list: readonly T[], from = 1): T => list[list.length - from];

function formOf(
  context: ClaimContext,
  node: Node,
  { operands }: Epilogue,
): { form: ProductForm; dense: boolean } | string {
  const [a, b] = node.inputs;
  const to = node.shape.slice(0, -1);
  const one = b.shape.slice(0, -2).every((d) => dimEquals(d, 1));
  const views = operands.map((x) => seen(context, x));
  const ofOperands = views.map((v) => leadStrides(v.shape, v.strides, to));
  const view = seen(context, a);
  const ofB = one ? [] : [broadcastStrides(b.shape.slice(0, -2), denseStrides(b.shape).slice(0, -2), to.slice(0, -1))];
  const formFor = (strides: readonly Dim[]): ProductForm | undefined =>
    productForm(to, [leadStrides(a.shape, strides, to), ...ofOperands, ...ofB.map((s) => [...s, 0])], one);
  const inPlace = dimEquals(last(view.strides), 1) ? formFor(view.strides) : undefined;
  const form = inPlace ?? formFor(denseStrides(a.shape));
  return form === undefined
    ? "what it reads cannot be walked as batches of rows; broadcast it to the result's batches before."
    : { form, dense: inPlace === undefined };
}

function claimProduct(context: ClaimContext, { product: node, epilogue }: ProductWithEpilogue): Offer {
  const refuse = (reason: string): Offer => ({ kernel: NAME, node, reason });
  const [a, b] = node.inputs;
  const covers = [node, ...epilogue.covers];
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
  const transposed = node.attributes.transpose_b === true;
  const isHalfB = isHalfWeight(context, b);
  const operandKinds = epilogue.operands.map((o) => kindOf(context, o));
  const kinds = {
    out: outOf(epilogue.output),
    a: kindOf(context, a, dense ? "dense" : "strided"),
    b: isHalfB ? ("weight16" as const) : kindOf(context, b, "dense"),
    operands: operandKinds,
  };
  const elements = product(node.shape);
  const isFew = bounds(elements, context.box).max <= FEW_ELEMENTS && bounds(k, context.box).max <= SHORT;

  /** How tiles of it are dealt out. */
  const dealt = (places: MatrixQuery["places"]): Dealt => {
    const unit = matrixUnit(context, { form, n, k, kinds, transposed, places });
    const matrix = unit === undefined ? undefined : matrixOptions(context, { form, unit, kinds, places, epilogue, n });
    const sizes = { ...form, n, k };
    const deals =
      matrix === undefined
        ? tileDeals(sizes, context.box)
        : matrixDeals(MATRIX_TILE, MATRICES_AT_ONCE, sizes, context.box);
    return { matrix, deals };
  };

  const operandsAt = (places: readonly Source[]): readonly FrontOperand[] =>
    epilogue.operands.map((x, i) => {
      const source = places[i + 2];
      const column = columnStep(x.shape, source.strides, n);
      return { node: x, source, kind: operandKinds[i], strides: form.strides[i + 1], column };
    });

  const emit = (e: EmitContext, norm?: NormLaunches): void => {
    const places = read.map((x, i): Source => {
      if (i !== 1 || !isHalfB) return sources.source(e, i);
      return { place: halfWeight(e, b), offset: 0, shape: x.shape, strides: denseStrides(x.shape) };
    });
    const options = { transposed, epilogue: epilogue.expr, kinds };
    const [ofA, ...others] = form.strides;
    const batchB = others.length > epilogue.operands.length ? last(others).batch : 0;
    const sizes = [form.rows, n, k, ofA.batch, ofA.row, batchB, transposed ? k : n];
    const ofOperands = operandsAt(places).flatMap(({ strides, column }) => [strides.batch, strides.row, column]);
    const name = covers.map((c) => c.op).join("_");
    const all = [kinds.a, kinds.b, ...operandKinds];
    const pointers = places.map((place, i) => pointerTo(place, read[i], all[i]));
    const out: Arg = { place: e.output, offset: 0, mode: "write" };
    const inWords = (dims: readonly Dim[]): readonly Arg[] => dims.map((size) => ({ size }));
    if (isFew) {
      const args = [out, ...pointers, ...inWords([...sizes, ...ofOperands, elements])];
      e.step({ name, code: directKernel(options), args, grid: directGrid(elements), flops });
      norm?.behind();
      return;
    }
    const { matrix, deals } = dealt(places);
    for (const { tile, when, grid, split } of deals) {
      const whole = divisorOf(k, context.box) % tile.depth === 0;
      const own = { name, grid: mul(when, grid), flops: mul(when, flops) };
      if (split === undefined) {
        const args = [out, ...pointers, ...inWords([...sizes, ...ofOperands])];
        const code =
          matrix === undefined
            ? matmulKernel({ ...options, whole, tile: tile as GpuTile })
            : matrixMatmulKernel({ ...matrix, epilogue: epilogue.expr, whole, tile: tile as MatrixTile });
        e.step({ ...own, code, args });
        norm?.behind(when);
        continue;
      }
      const parts = e.scratch(split.bytes);
      const partKinds = { out: "write" as const, a: kinds.a, b: kinds.b, operands: [] };
      const part = { epilogue: undefined, whole, kinds: partKinds };
      const partial =
        matrix === undefined
          ? matmulKernel({ ...part, transposed, tile: tile as GpuTile })
          : matrixMatmulKernel({ ...matrix, ...part, tile: tile as MatrixTile });
      const [ofParts, allParts] = (["write", "read"] as const).map((mode): Arg => ({ place: parts, offset: 0, mode }));
      e.step({
        ...own,
        code: partial,
        args: [ofParts, ...pointers.slice(0, 2), ...inWords([...sizes, split.chunk, elements])],
      });
      if (norm !== undefined) {
        const added = { place: parts, count: split.count, elements };
        norm.together({ expr: epilogue.expr, rows: form.rows, parts: added, operands: operandsAt(places) }, when);
        continue;
      }
      e.step({
        name: `${name}_sum`,
        code: sumKernel(options),
        args: [
          ...[out, allParts, ...pointers.slice(2)],
          ...inWords([form.rows, n, split.count, elements, ...ofOperands]),
        ],
        grid: mul(when, sumGrid(elements)),
        flops: 0,
      });
    }
  };

  const claim: Claim = {
    kernel: NAME,
    covers,
    output: epilogue.output,
    operands: sources.operands,
    weights: sources.weights,
    cost: { flops, bytes: add(bytesOf(epilogue.output), ...read.map(bytesOf)), launches: 1 },
    emit: (e) => emit(e),
  };
  const lying = read.map((x) => ({ ...seen(context, x), offset: context.isWeight(x) ? 0 : context.view(x).offset }));
  const isSplit = !isFew && isArithmetic(epilogue.expr) && dealt(lying).deals.some(({ split }) => split !== undefined);
  return isSplit ? withSource(claim, { read: epilogue.operands, addsParts: true, emit }) : claim;
}

export const MATMUL_KERNEL: KernelSpec = {
  name: NAME,
  device: "webgpu",
  reads: ["subgroupMatrix"],
  readsHalves: true,
  claim: (context, node): readonly Offer[] => {
    if (node.op === "matmul") return [claimProduct(context, withoutEpilogue(node))];
    if (!isScalarOp(node.op) || (node.dtype !== "f32" && node.op !== "narrow")) return [];
    return productsUnder(context, node, "matmul").map((found) => claimProduct(context, found));
  },
};
