/** Products of integers: rows are quantised into scratch, weights once at load; what follows is in the epilogue. */

import {
  type Epilogue,
  leadStrides,
  type ProductWithEpilogue,
  productsUnder,
  seen,
  withoutEpilogue,
} from "../../../runtime/abi/claims/epilogue.ts";
import { isScalarOp } from "../../../runtime/abi/claims/expr.ts";
import { bytesOf, pointer, rowStride, type Source, sourcesOf } from "../../../runtime/abi/claims/operands.ts";
import { type ProductForm, productForm } from "../../../runtime/abi/claims/product_form.ts";
import type { Claim, ClaimContext, EmitContext, KernelSpec, Offer, PackedLayout } from "../../../runtime/abi/kernel.ts";
import { add, type Dim, evaluate, mul, product } from "../../../runtime/core/dim.ts";
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
import { type PackCodesOptions, packCodesKernel, packedCodes } from "../emit/pack_codes.ts";
import {
  codeSteps,
  codeWords,
  quantizeArguments,
  quantizeRowsKernel,
  ROW_PARAMETER_BYTES,
} from "../emit/quantize_rows.ts";
import type { IntegerForm } from "../emit/tile.ts";
import { accessOf, axisFromEnd, columnStride, rowsOfTile } from "./epilogue.ts";
import { hintOf } from "./sizes.ts";

const NAME = "quantized_matmul";

/** Everything that emission needs to know about a product. */
interface Product {
  readonly node: Node;
  readonly epilogue: Epilogue;
  readonly form: ProductForm;
  readonly rows: number;
  readonly columns: number;
  readonly integers: IntegerForm;
  readonly n: number;
  readonly k: number;
  readonly scaled: boolean;
  /** Rows of x are read where they are, any distance apart. */
  readonly inPlace: boolean;
}

function analyze(context: ClaimContext, node: Node, epilogue: Epilogue): Product | string {
  const [x, w] = node.inputs;
  if (!context.isWeight(w)) return "codes of its right-hand side are packed at load, and this one is no weight.";
  const odd = epilogue.operands.find((o) => o.dtype !== "f32");
  if (odd !== undefined) return `what follows the codes is of f32, and an operand is ${odd.dtype}.`;
  const lead = node.shape.slice(0, -1);
  const n = axisFromEnd(node.shape, 1);
  const views = epilogue.operands.map((o) => seen(context, o));
  if (epilogue.operands.some((o, i) => columnStride(o, views[i].strides, n) === undefined))
    return "what follows the codes reads a value that is not contiguous along its columns.";
  const form = productForm(
    lead,
    views.map((v) => leadStrides(v.shape, v.strides, lead)),
    true,
  );
  if (form === undefined) return "what follows the codes reads rows at uneven distances.";
  const { integerRows, integerColumns, relaxedMadd } = context.capabilities;
  const view = seen(context, x);
  return {
    ...{ node, epilogue, form },
    rows: rowsOfTile(integerRows as number, hintOf(form.rows, context.box)),
    columns: integerColumns as number,
    integers: relaxedMadd === true ? "dot" : "pairs",
    n: evaluate(n, {}),
    k: evaluate(axisFromEnd(x.shape, 1), {}),
    scaled: node.attributes.scaled === true,
    inPlace: rowStride(view.shape, view.strides) !== undefined,
  };
}

/** Weights in the kernel's layout; with factors for x these are the dense last row of `w`, kept behind. */
function layoutOf(
  options: PackCodesOptions,
  scaled: boolean,
): { readonly layout: PackedLayout; readonly factors: number } {
  const { bytes } = packedCodes(options);
  const { form, columns, n, k } = options;
  return {
    factors: bytes,
    layout: {
      name: `codes in panels of ${columns} columns, ${form}${scaled ? ", with factors" : ""}`,
      bytes: bytes + (scaled ? 4 * k : 0),
      keep: true,
      pack: (source, destination) => ({
        name: "pack_codes",
        code: packCodesKernel(options, scaled).bytes,
        args: [
          { place: destination, offset: 0, mode: "write" },
          { place: source, offset: 0, mode: "read" },
        ],
        grid: Math.ceil(n / columns),
        flops: 0,
      }),
    },
  };
}

function emit(e: EmitContext, p: Product, x: Source, operands: readonly Source[]): void {
  const { node, epilogue, form, integers, n, k, scaled } = p;
  const [xNode, w] = node.inputs;
  const all = mul(form.batch, form.rows);
  const words = codeWords({ form: integers, k });
  const codes = e.scratch(mul(all, 4 * words + ROW_PARAMETER_BYTES));
  const parameters = mul(all, 4 * words);
  const packed: PackCodesOptions = { form: integers, columns: p.columns, n, k };
  const { layout, factors } = layoutOf(packed, scaled);
  const place = e.weight(w, layout);
  const { scales, sums } = packedCodes(packed);

  const quantize = { form: integers, k, scaled };
  const rowArguments = {
    codes: { place: codes, offset: 0, mode: "write" },
    parameters: { place: codes, offset: parameters, mode: "write" },
    x: pointer(x, xNode),
    factors: { place, offset: factors, mode: "read" },
    row_stride: { size: rowStride(x.shape, x.strides) ?? k },
  } as const;
  e.step({
    name: "quantize_rows",
    code: quantizeRowsKernel(quantize).bytes,
    args: quantizeArguments(quantize).map((name) => rowArguments[name as keyof typeof rowArguments]),
    grid: all,
    flops: mul(6, product(xNode.shape)),
  });

  const accesses = epilogue.operands.map((o, i) =>
    accessOf(columnStride(o, operands[i].strides, n) ?? 0, form.strides[i].batch, form.strides[i].row),
  );
  const options: MatmulOptions = {
    ...{ rows: p.rows, columns: p.columns, madd: false, integers, n },
    k: codeSteps(integers, k),
    mHint: hintOf(form.rows, e.box),
    aRowStride: words,
    epilogue: epilogue.expr,
    operands: [...accesses, "column", "column", "row", "row"],
  };
  const perRow = { row: ROW_PARAMETER_BYTES / 4, batch: mul(ROW_PARAMETER_BYTES / 4, form.rows) };
  const perColumn = { row: 0, batch: 0 };
  const read = [
    ...operands.map((o, i) => ({ at: pointer(o, epilogue.operands[i]), ...form.strides[i] })),
    { at: { place: codes, offset: parameters, mode: "read" }, ...perRow },
    { at: { place: codes, offset: add(parameters, 4), mode: "read" }, ...perRow },
    { at: { place, offset: scales, mode: "read" }, ...perColumn },
    { at: { place, offset: sums, mode: "read" }, ...perColumn },
  ] as const;
  const args: Record<string, Parameters<EmitContext["step"]>[0]["args"][number]> = {
    output: { place: e.output, offset: 0, mode: "write" },
    a: { place: codes, offset: 0, mode: "read" },
    b: { place, offset: 0, mode: "read" },
    m: { size: form.rows },
    a_batch_stride: { size: mul(form.rows, words) },
    b_batch_stride: { size: 0 },
  };
  read.forEach(({ at, row, batch }, i) => {
    args[`operand_${i}`] = at;
    args[`operand_${i}_row_stride`] = { size: row };
    args[`operand_${i}_batch_stride`] = { size: batch };
  });
  e.step({
    name: [node, ...epilogue.covers].map((c) => c.op).join("_"),
    code: matmulKernel(options).bytes,
    args: matmulArguments(options).map((name) => args[name]),
    grid: matmulGrid(form.rows, n, form.batch, options),
    flops: flopsOf(p),
    workerScratch: matmulScratch(options),
    itemOf: (dims) => matmulItem(evaluate(form.rows, dims), n, options),
  });
}

function flopsOf({ node, epilogue, k }: Product): Dim {
  const elements = product(node.shape);
  return add(mul(2, elements, k), mul(exprFlops(epilogue.expr), elements));
}

function claimProduct(context: ClaimContext, p: Product): Claim {
  const { node, epilogue } = p;
  const [x, w] = node.inputs;
  const read = [x, ...epilogue.operands];
  const sources = sourcesOf(context, read, [
    p.inPlace ? "strided" : "dense",
    ...epilogue.operands.map(() => "strided" as const),
  ]);
  return {
    kernel: NAME,
    covers: [node, ...epilogue.covers],
    output: epilogue.output,
    operands: sources.operands,
    weights: [...sources.weights, w],
    cost: {
      flops: flopsOf(p),
      bytes: add(...[epilogue.output, x, ...epilogue.operands].map(bytesOf), product(w.shape)),
      launches: 2,
    },
    emit: (e) => {
      const [source, ...operands] = read.map((_, i) => sources.source(e, i));
      emit(e, p, source, operands);
    },
  };
}

function offersFor(context: ClaimContext, { product: node, epilogue }: ProductWithEpilogue): readonly Offer[] {
  const found = analyze(context, node, epilogue);
  return [
    typeof found === "string" ? { kernel: NAME, node: epilogue.output, reason: found } : claimProduct(context, found),
  ];
}

export const QUANTIZED_KERNEL: KernelSpec = {
  name: NAME,
  device: "wasm",
  reads: ["integerRows", "integerColumns", "relaxedMadd"],
  claim: (context, node) => {
    if (node.op === NAME) return offersFor(context, withoutEpilogue(node));
    if (!isScalarOp(node.op)) return [];
    return productsUnder(context, node, NAME).flatMap((found) => offersFor(context, found));
  },
};
