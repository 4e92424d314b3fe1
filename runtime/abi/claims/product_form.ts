/** How the axes of a product's result map to [batch, rows, columns] for everything that is read beside the result. */
import { type Dim, dimEquals, mul, product, type Shape } from "../../core/dim.ts";

/** Element strides over [batch, rows]. */
export interface FormStrides {
  /** From one batch to the next; 0 where all read the same. */
  readonly batch: Dim;
  /** From one row to the next; 0 where all read the same. */
  readonly row: Dim;
}

/** A product as batches of rows. */
export interface ProductForm {
  /** Number of batches; 1 where all leading axes are rows. */
  readonly batch: Dim;
  /** Rows of a batch. */
  readonly rows: Dim;
  /** In the order of the given strides. */
  readonly strides: readonly FormStrides[];
}

/** Step of a run of axes that can be walked as one, 0 when all are broadcast; nothing when there is no such step. */
function runStride(sizes: Shape, strides: readonly Dim[]): Dim | undefined {
  const axes = sizes.map((size, i) => ({ size, stride: strides[i] })).filter((a) => !dimEquals(a.size, 1));
  for (let i = 0; i + 1 < axes.length; i++) {
    if (!dimEquals(axes[i].stride, mul(axes[i + 1].stride, axes[i + 1].size))) return undefined;
  }
  return axes.length === 0 ? 0 : axes[axes.length - 1].stride;
}

/** The result's leading axes as one run of rows. */
function flatForm(lead: Shape, strides: readonly (readonly Dim[])[]): ProductForm | undefined {
  const rows = strides.map((s) => runStride(lead, s));
  if (rows.some((r) => r === undefined)) return undefined;
  return { batch: 1, rows: product(lead), strides: rows.map((row) => ({ batch: 0, row: row as Dim })) };
}

/** The last of the leading axes as rows, those before it as batches. */
function batchedForm(lead: Shape, strides: readonly (readonly Dim[])[]): ProductForm | undefined {
  const last = lead.length - 1;
  if (last < 0) return undefined;
  const batches = strides.map((s) => runStride(lead.slice(0, last), s.slice(0, last)));
  if (batches.some((b) => b === undefined)) return undefined;
  return {
    batch: product(lead.slice(0, last)),
    rows: lead[last],
    strides: batches.map((batch, i) => ({ batch: batch as Dim, row: strides[i][last] })),
  };
}

/**
 * The form for the leading axes `lead` of a result and the strides over them of everything that is read.
 * @param flat whether all leading axes may become rows: not when the right-hand side changes along them
 */
export function productForm(lead: Shape, strides: readonly (readonly Dim[])[], flat: boolean): ProductForm | undefined {
  return (flat ? flatForm(lead, strides) : undefined) ?? batchedForm(lead, strides);
}
