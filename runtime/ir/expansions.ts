/** What ops mean in simpler ones, for places where no kernel claims them. */
import type { Attributes, Make, Node } from "./node.ts";

/** A number as a node. */
export const scalar = (make: Make, value: number): Node => make("constant", [], { value });

/** Su et al. 2021: every pair (a, b) becomes (a cos - b sin, b cos + a sin). */
export function expandRotary([x, cos, sin]: readonly Node[], attributes: Attributes, make: Make): Node {
  const pairs = cos.shape[cos.shape.length - 1] as number;
  const width = x.shape[3] as number;
  const lead = x.shape.slice(0, 3);
  const table = (t: Node): Node => make("reshape", [t], { shape: [...t.shape.slice(0, -1), 1, pairs] });
  const part = (start: number, end: number): Node => make("slice", [x], { axis: 3, start, end });
  const interleaved = attributes.interleaved === true;
  const couple = make("reshape", [part(0, 2 * pairs)], { shape: [...lead, pairs, 2] });
  const member = (at: number): Node =>
    make("reshape", [make("slice", [couple], { axis: 4, start: at, end: at + 1 })], { shape: [...lead, pairs] });
  const [a, b] = interleaved ? [member(0), member(1)] : [part(0, pairs), part(pairs, 2 * pairs)];
  const [c, s] = [table(cos), table(sin)];
  const first = make("sub", [make("mul", [a, c]), make("mul", [b, s])]);
  const second = make("add", [make("mul", [b, c]), make("mul", [a, s])]);
  const column = (n: Node): Node => make("reshape", [n], { shape: [...lead, pairs, 1] });
  const turned = interleaved
    ? [make("reshape", [make("concat", [column(first), column(second)], { axis: 4 })], { shape: [...lead, 2 * pairs] })]
    : [first, second];
  const rest = 2 * pairs < width ? [part(2 * pairs, width)] : [];
  const all = [...turned, ...rest];
  return all.length === 1 ? all[0] : make("concat", all, { axis: 3 });
}

export function gelu(make: Make, x: Node): Node {
  // x/2 (1 + erf(x / sqrt 2)), Hendrycks and Gimpel 2016.
  const inner = make("add", [make("erf", [make("mul", [x, scalar(make, Math.SQRT1_2)])]), scalar(make, 1)]);
  return make("mul", [make("mul", [x, scalar(make, 0.5)]), inner]);
}

export function geluTanh(make: Make, x: Node): Node {
  // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), the same paper's approximation.
  const cube = make("mul", [make("mul", [x, x]), x]);
  const u = make("mul", [
    make("add", [x, make("mul", [cube, scalar(make, 0.044715)])]),
    scalar(make, Math.sqrt(2 / Math.PI)),
  ]);
  return make("mul", [make("mul", [x, scalar(make, 0.5)]), make("add", [make("tanh", [u]), scalar(make, 1)])]);
}

export function layerNorm(make: Make, [x, w, b]: readonly Node[], eps: number): Node {
  const centred = make("sub", [x, make("reduce_mean", [x])]);
  const variance = make("reduce_mean", [make("mul", [centred, centred])]);
  const scaled = make("mul", [centred, make("rsqrt", [make("add", [variance, scalar(make, eps)])])]);
  return make("add", [make("mul", [scaled, w]), b]);
}

export function rmsNorm(make: Make, [x, w]: readonly Node[], eps: number): Node {
  const mean = make("reduce_mean", [make("mul", [x, x])]);
  return make("mul", [make("mul", [x, make("rsqrt", [make("add", [mean, scalar(make, eps)])])]), w]);
}
