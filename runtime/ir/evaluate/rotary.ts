/** Rotary positions of the reference evaluator. */
import { type RefTensor, refuse, requireFloat, sameShape, shapeText } from "./tensor.ts";

/**
 * Turns every pair (a, b) to (a cos - b sin, b cos + a sin): Su et al. 2021. x [batch, tokens, heads, head_dim], cos and sin
 * [tokens, pairs] or [batch, tokens, pairs]. Pairs are elements i and i + pairs, or 2i and 2i + 1 when interleaved.
 */
export function rotary(x: RefTensor, cos: RefTensor, sin: RefTensor, interleaved: boolean): RefTensor {
  requireFloat("rotary", x, cos, sin);
  if (x.shape.length !== 4) refuse("rotary", `shape ${shapeText(x.shape)}`, "[batch, tokens, heads, head_dim]");
  const [batch, tokens, heads, width] = x.shape;
  const pairs = cos.shape[cos.shape.length - 1];
  const perBatch = cos.shape.length === 3;
  if (!sameShape(cos.shape, sin.shape) || !sameShape(cos.shape, perBatch ? [batch, tokens, pairs] : [tokens, pairs])) {
    refuse(
      "rotary",
      `tables ${shapeText(cos.shape)} and ${shapeText(sin.shape)}`,
      "[tokens, pairs] or [batch, tokens, pairs]",
    );
  }
  if (2 * pairs > width) refuse("rotary", `${pairs} pairs in a head_dim of ${width}`, "at most half of it");
  const data = Float64Array.from(x.data);
  for (let row = 0; row < batch * tokens * heads; row++) {
    const token = Math.floor(row / heads);
    const angle = (perBatch ? token : token % tokens) * pairs;
    for (let p = 0; p < pairs; p++) {
      const at = row * width + (interleaved ? 2 * p : p);
      const to = at + (interleaved ? 1 : pairs);
      const [a, b, c, s] = [x.data[at], x.data[to], cos.data[angle + p], sin.data[angle + p]];
      data[at] = a * c - b * s;
      data[to] = b * c + a * s;
    }
  }
  return { dtype: "f32", shape: x.shape, data };
}
