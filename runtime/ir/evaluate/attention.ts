/** Scaled dot-product attention of the reference evaluator. */
import { exp } from "../../core/math.ts";
import { type RefTensor, refuse, requireFloat, requireInteger, requireShape, shapeText } from "./tensor.ts";

type Values = RefTensor["data"];

export interface AttentionOptions {
  /** Factor on query . key; commonly 1 / sqrt(head_dim). */
  readonly scale: number;
  /** Query i sees keys 0..i only; needs as many queries as keys. */
  readonly causal?: boolean;
  /** [batch, key tokens]: keys with 0 are not seen. */
  readonly keyMask?: RefTensor;
  /** [segments + 1], i32, from 0 to the number of tokens: tokens see only keys of their own segment, in every batch entry. */
  readonly cuSeqlens?: RefTensor;
  /** Query i sees keys i - window..i + window only, 0 for all; needs as many queries as keys. */
  readonly window?: number;
}

/** First and end key that each token may see. */
function segmentBounds(cu: RefTensor | undefined, queries: number, keys: number): [Int32Array, Int32Array] {
  const first = new Int32Array(queries);
  const end = new Int32Array(queries).fill(keys);
  if (cu === undefined) return [first, end];
  requireInteger("attention", "cu_seqlens", cu);
  if (queries !== keys)
    refuse("attention", `${queries} queries, ${keys} keys and cu_seqlens`, "as many queries as keys");
  const ends = cu.data;
  const ascending = ends.every((e, i) => i === 0 || e >= ends[i - 1]);
  if (cu.shape.length !== 1 || ends.length < 2 || ends[0] !== 0 || ends[ends.length - 1] !== keys || !ascending) {
    refuse("attention", `cu_seqlens ${shapeText([...ends])}`, `one axis, ascending from 0 to ${keys}`);
  }
  for (let s = 0; s + 1 < ends.length; s++) {
    first.fill(ends[s], ends[s], ends[s + 1]);
    end.fill(ends[s + 1], ends[s], ends[s + 1]);
  }
  return [first, end];
}

function check(q: RefTensor, k: RefTensor, v: RefTensor, options: AttentionOptions): void {
  requireFloat("attention", q, k, v);
  const named = [
    ["query", q],
    ["key", k],
    ["value", v],
  ] as const;
  for (const [name, t] of named) {
    if (t.shape.length !== 4) {
      refuse("attention", `a ${name} of shape ${shapeText(t.shape)}`, "[batch, tokens, heads, head_dim]");
    }
  }
  requireShape("attention", "a value", v, k.shape);
  if (q.shape[0] !== k.shape[0] || q.shape[3] !== k.shape[3]) {
    refuse("attention", `query ${shapeText(q.shape)} and key ${shapeText(k.shape)}`, "one batch and one head_dim");
  }
  if (q.shape[2] % k.shape[2] !== 0) {
    refuse("attention", `${q.shape[2]} query heads and ${k.shape[2]} key heads`, "key heads that divide query heads");
  }
  if (options.causal === true && q.shape[1] !== k.shape[1]) {
    refuse("attention", `${q.shape[1]} queries and ${k.shape[1]} keys`, "as many queries as keys for causal attention");
  }
  if ((options.window ?? 0) > 0 && q.shape[1] !== k.shape[1]) {
    refuse("attention", `${q.shape[1]} queries and ${k.shape[1]} keys`, "as many queries as keys for a window");
  }
  if (options.keyMask !== undefined) requireShape("attention", "a key mask", options.keyMask, k.shape.slice(0, 2));
}

/**
 * Writes the products of the query at `from` with the keys at the offsets `at[0..count]`, each a sum in ascending order. Four
 * go on side by side: one alone waits for each of its additions.
 */
function dots(
  query: Values,
  from: number,
  key: Values,
  at: Int32Array,
  count: number,
  width: number,
  out: Float64Array,
): void {
  let j = 0;
  for (; j + 4 <= count; j += 4) {
    const k0 = at[j];
    const k1 = at[j + 1];
    const k2 = at[j + 2];
    const k3 = at[j + 3];
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let d = 0; d < width; d++) {
      const q = query[from + d];
      s0 += q * key[k0 + d];
      s1 += q * key[k1 + d];
      s2 += q * key[k2 + d];
      s3 += q * key[k3 + d];
    }
    out[j] = s0;
    out[j + 1] = s1;
    out[j + 2] = s2;
    out[j + 3] = s3;
  }
  for (; j < count; j++) {
    let sum = 0;
    for (let d = 0; d < width; d++) sum += query[from + d] * key[at[j] + d];
    out[j] = sum;
  }
}

/** Writes the sum of `shares` times the values at the offsets `at`, in their order, over `sum`; four columns side by side. */
function mix(
  shares: Float64Array,
  value: Values,
  at: Int32Array,
  count: number,
  width: number,
  sum: number,
  out: Float64Array,
): void {
  let d = 0;
  for (; d + 4 <= width; d += 4) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let j = 0; j < count; j++) {
      const p = shares[j];
      const from = at[j] + d;
      s0 += p * value[from];
      s1 += p * value[from + 1];
      s2 += p * value[from + 2];
      s3 += p * value[from + 3];
    }
    out[d] = s0 / sum;
    out[d + 1] = s1 / sum;
    out[d + 2] = s2 / sum;
    out[d + 3] = s3 / sum;
  }
  for (; d < width; d++) {
    let own = 0;
    for (let j = 0; j < count; j++) own += shares[j] * value[at[j] + d];
    out[d] = own / sum;
  }
}

/**
 * softmax(scale q k^T) v per head: Vaswani et al. 2017. q [batch, Tq, heads, head_dim], k and v
 * [batch, Tk, key heads, head_dim] -> [batch, Tq, heads, head_dim] (f32). Query head h reads key head
 * floor(h * key heads / heads) (grouped queries: Ainslie et al. 2023). A query that sees no key gives zeros.
 */
export function attention(q: RefTensor, k: RefTensor, v: RefTensor, options: AttentionOptions): RefTensor {
  check(q, k, v, options);
  const [batch, queries, heads, width] = q.shape;
  const [, keys, keyHeads] = k.shape;
  const group = heads / keyHeads;
  const [segmentFirst, segmentEnd] = segmentBounds(options.cuSeqlens, queries, keys);
  const reach = options.window ? options.window : Number.POSITIVE_INFINITY;
  const mask = options.keyMask?.data;
  const [query, key, value] = [q.data, k.data, v.data];
  const data = new Float64Array(q.data.length);
  const scores = new Float64Array(keys);
  const seen = new Int32Array(keys);
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < queries; i++) {
      const first = Math.max(segmentFirst[i], i - reach);
      const end = Math.min(segmentEnd[i], options.causal === true ? i + 1 : i + reach + 1);
      for (let h = 0; h < heads; h++) {
        const head = Math.floor(h / group);
        let count = 0;
        for (let j = first; j < end; j++) {
          if (mask !== undefined && mask[b * keys + j] === 0) continue;
          seen[count++] = ((b * keys + j) * keyHeads + head) * width;
        }
        const atQuery = ((b * queries + i) * heads + h) * width;
        dots(query, atQuery, key, seen, count, width, scores);
        let largest = -Infinity;
        for (let j = 0; j < count; j++) {
          scores[j] *= options.scale;
          largest = Math.max(largest, scores[j]);
        }
        if (largest === -Infinity) continue;
        let sum = 0;
        let kept = 0;
        for (let j = 0; j < count; j++) {
          const p = exp(scores[j] - largest);
          if (p === 0) continue;
          sum += p;
          scores[kept] = p;
          seen[kept++] = seen[j];
        }
        mix(scores, value, seen, kept, width, sum, data.subarray(atQuery, atQuery + width));
      }
    }
  }
  return { dtype: "f32", shape: q.shape, data };
}
