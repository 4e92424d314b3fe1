/** Shapes of results that several operands decide: a shape and type, or a sentence that says what does not fit. */
import { add, type Dim, dimEquals, dimKey, floorDiv, type Shape, shapeEquals, shapeText, sub } from "../core/dim.ts";
import type { Attributes, Inferred, Node } from "./node.ts";

/** Result of numpy broadcasting, or a sentence. */
export function broadcastShapes(shapes: readonly Shape[]): Shape | string {
  const rank = Math.max(...shapes.map((s) => s.length));
  const out: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    let d: Dim = 1;
    for (const s of shapes) {
      const at = i - (rank - s.length);
      if (at < 0 || dimEquals(s[at], 1)) continue;
      if (!dimEquals(d, 1) && !dimEquals(d, s[at])) {
        return `sizes ${dimKey(d)} and ${dimKey(s[at])} do not broadcast on axis ${i - rank}; they must be equal or one of them 1.`;
      }
      d = s[at];
    }
    out.push(d);
  }
  return out;
}

/** [..., M, K] x [..., K, N], or x [N, K] with `transpose_b`; the axes before broadcast. */
export function inferMatmul([a, b]: readonly Node[], attributes: Attributes): Inferred | string {
  if (a.shape.length < 2 || b.shape.length < 2) return "both operands need at least two axes.";
  const [n, k] =
    attributes.transpose_b === true ? b.shape.slice(-2) : [b.shape[b.shape.length - 1], b.shape[b.shape.length - 2]];
  const ka = a.shape[a.shape.length - 1];
  if (!dimEquals(ka, k)) {
    return `the inner sizes ${dimKey(ka)} and ${dimKey(k)} differ${attributes.transpose_b === true ? " (weights are [out, in])" : ""}.`;
  }
  const batch = broadcastShapes([a.shape.slice(0, -2), b.shape.slice(0, -2)]);
  if (typeof batch === "string") return batch;
  return { shape: [...batch, a.shape[a.shape.length - 2], n], dtype: "f32" };
}

/** q [batch, queries, heads, head_dim], k and v [batch, keys, key heads, head_dim], then what `key_mask` and `segments` announce. */
export function inferAttention(inputs: readonly Node[], attributes: Attributes): Inferred | string {
  const [q, k, v] = inputs;
  for (const [name, n] of [
    ["query", q],
    ["key", k],
    ["value", v],
  ] as const) {
    if (n.shape.length !== 4)
      return `the ${name} must be [batch, tokens, heads, head_dim], found ${shapeText(n.shape)}.`;
  }
  if (!shapeEquals(k.shape, v.shape))
    return `keys ${shapeText(k.shape)} and values ${shapeText(v.shape)} must have one shape.`;
  if (!dimEquals(q.shape[0], k.shape[0]) || !dimEquals(q.shape[3], k.shape[3])) {
    return `query ${shapeText(q.shape)} and keys ${shapeText(k.shape)} must agree in batch and head_dim.`;
  }
  const [heads, keyHeads] = [q.shape[2], k.shape[2]];
  const shared = typeof heads === "number" && typeof keyHeads === "number" ? heads % keyHeads : sub(heads, keyHeads);
  if (shared !== 0) return `${dimKey(heads)} query heads cannot share ${dimKey(keyHeads)} key heads evenly.`;
  const extra = (attributes.key_mask === true ? 1 : 0) + (attributes.segments === true ? 1 : 0);
  if (inputs.length !== 3 + extra)
    return `${3 + extra} operands are announced by key_mask and segments, found ${inputs.length}.`;
  if (attributes.key_mask === true && !(inputs[3].dtype === "f32" && shapeEquals(inputs[3].shape, k.shape.slice(0, 2))))
    return `the key mask must be f32 ${shapeText(k.shape.slice(0, 2))}.`;
  const offsets = attributes.segments === true ? inputs[inputs.length - 1] : undefined;
  if (offsets !== undefined && !(offsets.dtype === "i32" && offsets.shape.length === 1))
    return "the segment offsets must be i32 with one axis.";
  const window = attributes.window ?? 0;
  if (typeof window !== "number" || !Number.isSafeInteger(window) || window < 0)
    return `its window must be a whole number of tokens, or 0 for none, found ${String(window)}.`;
  if (window > 0 && !dimEquals(q.shape[1], k.shape[1]))
    return `a window needs as many queries as keys, found ${dimKey(q.shape[1])} and ${dimKey(k.shape[1])}.`;
  return { shape: q.shape, dtype: "f32" };
}

/** Operands that agree in all sizes but those of one axis, which add up. */
export function inferConcat(inputs: readonly Node[], attributes: Attributes): Inferred | string {
  const axis = attributes.axis as number;
  const first = inputs[0].shape;
  if (axis < 0 || axis >= first.length) return `axis ${axis} is outside of 0..${first.length - 1}.`;
  let total: Dim = 0;
  for (const n of inputs) {
    if (n.dtype !== inputs[0].dtype) return "its operands must have one type.";
    const same = n.shape.length === first.length && n.shape.every((d, i) => i === axis || dimEquals(d, first[i]));
    if (!same)
      return `all sizes but those of axis ${axis} must agree, found ${shapeText(first)} and ${shapeText(n.shape)}.`;
    total = add(total, n.shape[axis]);
  }
  return { shape: first.map((d, i) => (i === axis ? total : d)), dtype: inputs[0].dtype };
}

/** Axis of size T becomes [(T - size) / step + 1, size]: overlapping runs, as a convolution reads them. */
export function inferWindows([x]: readonly Node[], attributes: Attributes): Inferred | string {
  const { axis, size, step } = attributes as { axis: number; size: number; step: number };
  if (axis < 0 || axis >= x.shape.length) return `axis ${axis} is outside of 0..${x.shape.length - 1}.`;
  if (!(size >= 1 && step >= 1)) return `windows need a size and a step of at least 1, found ${size} and ${step}.`;
  const all = x.shape[axis];
  if (typeof all === "number" && all < size) return `an axis of size ${all} has no window of ${size}.`;
  const count = add(floorDiv(sub(all, size), step), 1);
  return { shape: [...x.shape.slice(0, axis), count, size, ...x.shape.slice(axis + 1)], dtype: x.dtype };
}

/** x [batch, tokens, heads, head_dim], cos and sin [tokens, pairs] or [batch, tokens, pairs], 2 pairs <= head_dim. */
export function inferRotary([x, cos, sin]: readonly Node[]): Inferred | string {
  if (x.shape.length !== 4) return `it takes [batch, tokens, heads, head_dim], found ${shapeText(x.shape)}.`;
  if (!shapeEquals(cos.shape, sin.shape))
    return `cos ${shapeText(cos.shape)} and sin ${shapeText(sin.shape)} must have one shape.`;
  const pairs = cos.shape[cos.shape.length - 1];
  const width = x.shape[3];
  if (typeof pairs !== "number" || typeof width !== "number" || 2 * pairs > width) {
    return `its ${dimKey(pairs)} pairs must be a constant, at most half of head_dim ${dimKey(width)}.`;
  }
  const expected = cos.shape.length === 3 ? [x.shape[0], x.shape[1], pairs] : [x.shape[1], pairs];
  return shapeEquals(cos.shape, expected)
    ? { shape: x.shape, dtype: "f32" }
    : `its tables must be [tokens, pairs] or [batch, tokens, pairs], found ${shapeText(cos.shape)}.`;
}
