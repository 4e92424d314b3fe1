/** What a caller must know of attention to launch it: options, argument words, scratch, grid and the parts of long items. */
import { add, ceilDiv, type Dim, min, mul } from "../../../runtime/core/dim.ts";
import { type ScratchLayout, scratchLayout } from "./attention_layout.ts";
import { exprFlops } from "./expr.ts";

export interface AttentionOptions {
  /** At least 1. */
  readonly headDim: number;
  /** Query heads for each key head; 1 unless given. */
  readonly group?: number;
  /** Factor on query . key. */
  readonly scale: number;
  /** Query i sees keys 0..i. */
  readonly causal: boolean;
  /** f32 [batch, keys]: keys with 0 are not seen. */
  readonly keyMask: boolean;
  /** i32 cu_seqlens [segments + 1]: tokens see keys of their own segment. */
  readonly segments: boolean;
  /** Query i sees keys i - window..i + window; 0 is no limit. */
  readonly window: number;
  /** Allows relaxed multiply-add. */
  readonly madd: boolean;
  /** Steps of a product in one turn of its inner loop; 1 unless given. */
  readonly turn?: number;
  /**
   * Queries and weights are spread in scratch for the products (see attention_spread.ts). Needs a `window` of 0: where blocks of
   * keys begin would follow from the tile's rows, and bits with it.
   */
  readonly spread?: boolean;
  /**
   * Keys of a part, a multiple of the keys of a block: a block of queries meets its keys in as many calls as it has parts, in
   * order and with the same scratch, so that no call is long. 0 computes it in one call. Needs a `window` of 0.
   */
  readonly partKeys: number;
  /** No head has more queries; nothing where that is not known. */
  readonly mostQueries?: number;
  /** No query sees more keys; nothing where that is not known. */
  readonly mostKeys?: number;
}

/** What the size of scratch and grid depends on. */
export type AttentionLayoutOptions = Pick<
  AttentionOptions,
  "headDim" | "window" | "madd" | "turn" | "spread" | "partKeys" | "mostQueries" | "mostKeys"
>;

/**
 * Names of the argument words, in order. `output`, `q`, `k`, `v`, `key_mask` and `cu_seqlens` are pointers; strides are
 * elements, those within a head are 1. The output is dense [batch, queries, heads, head_dim], the mask dense.
 */
export function attentionArguments(options: AttentionOptions): readonly string[] {
  return [
    ...["output", "q", "k", "v", "heads", "queries", "keys"],
    ...["q", "k", "v"].flatMap((name) => ["batch", "token", "head"].map((axis) => `${name}_${axis}_stride`)),
    ...(options.keyMask ? ["key_mask"] : []),
    ...(options.segments ? ["cu_seqlens", "segments"] : []),
    ...(options.partKeys > 0 ? ["parts"] : []),
  ];
}

/** The blocks of queries and keys, and where scratch holds them. */
export const attentionLayout = (options: AttentionLayoutOptions): ScratchLayout =>
  scratchLayout({ ...options, windowed: options.window > 0, parted: options.partKeys > 0 });

/** Bytes of private scratch. */
export function attentionScratch(options: AttentionLayoutOptions): number {
  return attentionLayout(options).bytes;
}

/** Grid items: blocks of queries of every head. */
export function attentionGrid(batch: Dim, heads: Dim, queries: Dim, options: AttentionLayoutOptions): Dim {
  return mul(batch, heads, ceilDiv(queries, attentionLayout(options).queries));
}

/** The grid item that writes an element of the output [batch, queries, heads, head_dim]. */
export function attentionItem(
  queries: number,
  heads: number,
  options: AttentionLayoutOptions,
): (element: number) => number {
  const { queries: most, tile } = attentionLayout(options);
  const blocks = Math.ceil(queries / most);
  const height = Math.ceil(Math.ceil(queries / blocks) / tile.rows) * tile.rows;
  return (element) => {
    const row = Math.floor(element / options.headDim);
    const token = Math.floor(row / heads);
    const batch = Math.floor(token / queries);
    const head = batch * heads + (row - token * heads);
    return head * blocks + Math.floor((token - batch * queries) / height);
  };
}

/** Operations for one query and one key: score, exponential, weighted sum. */
export function attentionPairFlops(headDim: number): number {
  return 4 * headDim + exprFlops({ op: "exp", args: [{ input: 0 }] });
}

/** Most operations of a call that computes a part: 2 ms at 10 GFLOP/s. */
const PART_FLOPS = 2e7;

/** Keys of a part for one head_dim. */
export function attentionPartKeys(options: AttentionLayoutOptions): number {
  const { queries, keys } = attentionLayout(options);
  const most = PART_FLOPS / (queries * attentionPairFlops(options.headDim));
  return keys * Math.max(1, Math.floor(most / keys));
}

/**
 * Most keys between the first and the last that a block of queries meets.
 * @param longest of the segments, where there are some
 */
export function attentionSpan(keys: Dim, longest: Dim | undefined, options: AttentionLayoutOptions): Dim {
  // A block reaches into a segment at either end and holds others between them.
  return longest === undefined ? keys : min(keys, add(mul(2, longest), attentionLayout(options).queries));
}
