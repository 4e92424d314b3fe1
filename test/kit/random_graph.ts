/** Random small graphs from a seed: every built-in op appears in some of the first few dozen. */
import { type Bindings, type Box, mul } from "../../runtime/core/dim.ts";
import { fillNormal, hash32 } from "../../runtime/core/random.ts";
import type { GraphBuilder, Node } from "../../runtime/ir/builder.ts";
import { type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { EDGE_GROWTHS } from "./edge_growths.ts";

/** Symbols of every random graph. */
export const RANDOM_SYMBOLS: Box = { batch: { min: 1, max: 4 }, tokens: { min: 2, max: 6 } };

const WIDTH = 8;
const ROWS = 5;
/** Values of a patch of two columns of 24 tokens. */
const MOST_PATCH = 48;

/** A whole number in 0..count-1. */
type Pick = (count: number) => number;

/** What a growth may use. */
export interface GrowthScope {
  readonly b: GraphBuilder;
  readonly pick: Pick;
  /** Values of shape [batch, tokens, WIDTH]. */
  readonly values: Node[];
  readonly pair: readonly [Node, Node];
  readonly indices: Node;
  /** u8 [batch, tokens, WIDTH]. */
  readonly bytes: Node;
  readonly rows: Node;
  /** Starts i32 [batch], weights i32 [batch, 4] and bits i32 [1] of a resampling. */
  readonly table: readonly [Node, Node, Node];
  readonly keyMask: Node;
  /** Offsets of two segments of the tokens. */
  readonly segments: Node;
  readonly weight: (shape: readonly number[]) => Node;
}

/** One more value of shape [batch, tokens, WIDTH] from two of them. */
export type Grow = (s: GrowthScope, x: Node, y: Node) => Node;

const unary =
  (name: string): Grow =>
  (s, x) =>
    s.b.unary(name, x);
/** Ops that passes make for devices that keep values as f16, and authors do not: test/compile/narrow_values_test.ts evaluates them. */
export const OPS_OF_PASSES: readonly string[] = ["narrow", "widen"];

const stored = (s: GrowthScope, x: Node, dtype: "f16" | "bf16"): Node => s.b.op("stored_as", [x], { dtype });
const positive = (s: GrowthScope, x: Node): Node => s.b.add(s.b.unary("abs", x), s.b.constant(0.5));
const shaped = (s: GrowthScope, x: Node): Node => s.b.reshape(x, [s.b.dims.batch, s.b.dims.tokens, WIDTH]);

function heads(s: GrowthScope, x: Node): Node {
  return s.b.reshape(x, [s.b.dims.batch, s.b.dims.tokens, 2, WIDTH / 2]);
}

/** Angles of a position as weights; numbers that are no cosines show mistakes as well. */
function tables(s: GrowthScope, pairs: number): [Node, Node] {
  const row = (): Node => s.b.broadcastTo(s.weight([pairs]), [s.b.dims.tokens, pairs]);
  return [
    s.b.mul(row(), s.b.slice(s.b.reshape(s.b.slice(s.pair[0], 0, 0, 1), [s.b.dims.tokens, WIDTH]), 1, 0, pairs)),
    row(),
  ];
}

/** A weight that turns rows of patches, [batch, 4, 2 * tokens], into rows of the same length. */
function perPatch(s: GrowthScope, patches: Node): Node {
  const width = patches.shape[2];
  return s.b.slice(s.b.slice(s.weight([MOST_PATCH, MOST_PATCH]), 0, 0, width), 1, 0, width);
}

function perBatchTables(s: GrowthScope, x: Node): [Node, Node] {
  return [s.b.slice(x, 2, 0, 2), s.b.slice(x, 2, 3, 5)];
}

/** Every way to grow, the simplest first. */
export const GROWTHS: readonly Grow[] = [
  ...["neg", "abs", "tanh", "erf", "sigmoid", "relu", "gelu", "gelu_tanh", "quick_gelu", "silu"].map(unary),
  (s, x) => s.b.unary("exp", s.b.unary("tanh", x)),
  ...["log", "sqrt", "rsqrt"].map(
    (name): Grow =>
      (s, x) =>
        s.b.unary(name, positive(s, x)),
  ),
  ...["add", "sub", "mul", "max", "min"].map(
    (name): Grow =>
      (s, x, y) =>
        s.b.op(name, [x, y]),
  ),
  (s, x, y) => s.b.div(x, positive(s, y)),
  (s, x) => s.b.mul(s.b.add(x, s.b.constant(0.25)), s.weight([WIDTH])),
  // Comparisons read inputs: rounding must not decide which way they go.
  ...["lt", "le", "eq"].map(
    (name): Grow =>
      (s, x, y) =>
        s.b.op("where", [s.b.op(name, s.pair), x, y]),
  ),
  ...["reduce_sum", "reduce_mean", "reduce_max"].map(
    (name): Grow =>
      (s, x, y) =>
        s.b.add(y, s.b.unary(name, x)),
  ),
  (s, x) => s.b.layerNorm(x, s.weight([WIDTH]), s.weight([WIDTH]), 1e-5),
  (s, x) => s.b.rmsNorm(x, s.weight([WIDTH]), 1e-6),
  (s, x) => s.b.softmax(x),
  (s, x) => s.b.op("l2_normalize", [positive(s, x)]),
  (s, x) => s.b.add(s.b.matmul(x, s.weight([WIDTH, WIDTH]), { transposeB: true }), s.weight([WIDTH])),
  // A weight repeated to a symbolic size depends on weights alone and yet is no weight.
  (s, x) => s.b.mul(x, s.b.unary("sigmoid", s.b.broadcastTo(s.weight([WIDTH]), x.shape))),
  (s, x) => s.b.matmul(x, s.weight([WIDTH, WIDTH])),
  ...(["f16", "bf16"] as const).flatMap((dtype): Grow[] => [
    (s, x) => s.b.matmul(x, stored(s, s.weight([WIDTH, WIDTH]), dtype), { transposeB: true }),
    (s, x) => s.b.add(x, stored(s, s.weight([WIDTH]), dtype)),
    (s, x) => s.b.add(x, s.b.gather(stored(s, s.b.unary("neg", s.weight([ROWS, WIDTH])), dtype), s.indices)),
  ]),
  (s, x) => s.b.matmul(x, s.b.transpose(s.weight([WIDTH, WIDTH]), [1, 0])),
  (s, x, y) => s.b.matmul(s.b.softmax(s.b.matmul(x, y, { transposeB: true })), x),
  (s, x) => s.b.transpose(s.b.unary("tanh", s.b.transpose(x, [0, 2, 1])), [0, 2, 1]),
  (s, x, y) => s.b.concat([s.b.slice(x, 2, 3, WIDTH), s.b.slice(y, 2, 0, 3)], 2),
  (s, x) => s.b.add(x, s.b.broadcastTo(s.b.slice(x, 1, 1, 2), x.shape)),
  (s, x) => shaped(s, s.b.softmax(s.b.reshape(x, [s.b.dims.batch, s.b.op("contiguous", [x]).shape[1], 2, WIDTH / 2]))),
  (s, x) => s.b.op("contiguous", [s.b.transpose(s.b.op("contiguous", [s.b.transpose(x, [2, 0, 1])]), [1, 2, 0])]),
  (s, x, y) =>
    shaped(s, s.b.attention(heads(s, x), heads(s, y), heads(s, x), { causal: s.pick(2) === 0, window: s.pick(3) })),
  (s, x, y) => shaped(s, s.b.attention(heads(s, x), heads(s, x), heads(s, y), { keyMask: s.keyMask, scale: 0.3 })),
  (s, x) => shaped(s, s.b.rotary(heads(s, x), ...tables(s, 1 + s.pick(2)), { interleaved: s.pick(2) === 0 })),
  (s, x) => shaped(s, s.b.rotary(heads(s, s.b.unary("abs", x)), ...perBatchTables(s, x))),
  // A convolution over the width: windows of 3 with a step of 1, as a product.
  (s, x, y) => {
    const seen = s.b.reshape(s.b.windows(x, 2, 3, 1), [
      s.b.dims.batch,
      s.b.op("contiguous", [x]).shape[1],
      WIDTH - 2,
      3,
    ]);
    const summed = s.b.reshape(s.b.matmul(seen, s.weight([1, 3]), { transposeB: true }), [
      s.b.dims.batch,
      s.b.dims.tokens,
      WIDTH - 2,
    ]);
    return s.b.concat([summed, s.b.slice(y, 2, 0, 2)], 2);
  },
  (s, x) => s.b.add(x, s.b.gather(s.weight([ROWS, WIDTH]), s.indices)),
  (s, x, y) => s.b.add(y, s.b.reshape(s.b.takeRow(x, s.rows), [s.b.dims.batch, 1, WIDTH])),
  // Samples of pixels with weights that are scaled once, before all runs.
  (s, x) => s.b.add(x, s.b.matmul(s.b.cast(s.bytes), s.b.mul(s.weight([WIDTH, WIDTH]), s.b.constant(1 / 128)))),
  (s, x, y) => s.b.add(s.b.mul(x, s.b.constant(64)), s.b.add(s.b.cast(s.bytes), y)),
  (s, x) => s.b.add(x, s.b.cast(s.b.reshape(s.b.takeRow(s.bytes, s.rows), [s.b.dims.batch, 1, WIDTH]))),
  (s) => {
    const patches = s.b.patchify(s.b.reshape(s.bytes, [s.b.dims.batch, s.b.dims.tokens, 4, 2]), 2, 1);
    return shaped(s, s.b.matmul(s.b.cast(patches), s.b.mul(perPatch(s, patches), s.b.constant(1 / 128))));
  },
  (s, x) => shaped(s, s.b.patchify(s.b.reshape(x, [s.b.dims.batch, s.b.dims.tokens, 4, 2]), 2, 1)),
  (s, x) => {
    const { batch, tokens } = s.b.dims;
    const lines = s.b.reshape(s.bytes, [tokens, mul(batch, WIDTH)]);
    const some = s.b.slice(s.b.op("resample_rows", [lines, ...s.table], { narrow: s.pick(2) === 0 }), 1, 0, WIDTH);
    return s.b.add(x, s.b.cast(s.b.reshape(some, [batch, 1, WIDTH])));
  },
  (s, x) => {
    const { batch, tokens } = s.b.dims;
    const pixels = s.b.reshape(s.b.slice(s.bytes, 2, 0, 6), [mul(batch, tokens), 2, 3]);
    const all = s.b.op("resample_columns", [pixels, ...s.table], { narrow: s.pick(2) === 0 });
    const some = s.b.slice(s.b.slice(all, 1, 2, 3), 2, 0, 1);
    return s.b.add(x, s.b.cast(s.b.reshape(some, [batch, tokens, 1])));
  },
  ...EDGE_GROWTHS,
];

/** One growth of a graph: which one, on which of the last values (0 is the last), and what its own choices follow from. */
export interface GrowthStep {
  readonly growth: number;
  readonly x: number;
  readonly y: number;
  readonly salt: number;
}

/** A graph as plain data, which can be made smaller piece by piece. */
export interface GraphRecipe {
  readonly steps: readonly GrowthStep[];
  /** Another output beside the last value: its position among the values. */
  readonly other?: number;
  /** Integers that were moved are an output too. */
  readonly integers?: boolean;
}

/** The recipe of a seed: a few growths and one or two outputs. */
export function randomRecipe(seed: number): GraphRecipe {
  let drawn = 0;
  const pick: Pick = (count) => hash32(seed, drawn++) % count;
  const steps = Array.from({ length: 3 + pick(6) }, () => ({
    growth: pick(GROWTHS.length),
    x: pick(3),
    y: pick(3),
    salt: pick(1 << 16),
  }));
  return {
    steps,
    ...(pick(2) === 0 ? { other: pick(steps.length + 2) } : {}),
    ...(pick(8) === 0 ? { integers: true } : {}),
  };
}

/** Declares the graph of a recipe. */
export function growGraph(b: GraphBuilder, { steps, other, integers }: GraphRecipe): void {
  const { batch, tokens } = b.dims;
  const pair = [b.input("x", [batch, tokens, WIDTH]), b.input("y", [batch, tokens, WIDTH])] as const;
  const rows = b.input("rows", [batch], "i32");
  let weights = 0;
  const shared = {
    b,
    pair,
    values: [...pair],
    indices: b.input("indices", [batch, tokens], "i32"),
    bytes: b.input("bytes", [batch, tokens, WIDTH], "u8"),
    rows,
    table: [rows, b.input("taps", [batch, 4], "i32"), b.input("bits", [1], "i32")] as const,
    keyMask: b.input("key_mask", [batch, tokens]),
    segments: b.input("cu_seqlens", [3], "i32"),
    weight: (shape: readonly number[]) => b.weight(`w${weights++}`, shape),
  };
  const { values } = shared;
  for (const { growth, x, y, salt } of steps) {
    let drawn = 0;
    const scope: GrowthScope = { ...shared, pick: (count) => hash32(salt, drawn++) % count };
    const operand = (back: number): Node => values[values.length - 1 - (back % Math.min(3, values.length))];
    values.push(GROWTHS[growth % GROWTHS.length](scope, operand(x), operand(y)));
  }
  b.output("last", values[values.length - 1]);
  if (other !== undefined) b.output("other", values[other % values.length]);
  if (integers === true) b.output("integers", b.op("contiguous", [b.transpose(shared.indices, [1, 0])]));
}

/** Declares a random graph. Equal seeds declare equal graphs. */
export function growRandomGraph(b: GraphBuilder, seed: number): void {
  growGraph(b, randomRecipe(seed));
}

/** Values for the symbols of a random graph. */
export function randomBindings(seed: number): Bindings {
  return { batch: 1 + (hash32(seed, 900) % 4), tokens: 2 + (hash32(seed, 901) % 5) };
}

/** Standard normal values, rounded to f32. */
export function randomTensor(seed: number, shape: readonly number[]): RefTensor {
  const data = new Float32Array(shape.reduce((a, d) => a * d, 1));
  fillNormal(data, seed, 0, 1);
  return refTensor("f32", shape, data);
}

/** Inputs of a random graph at the given sizes. */
export function randomInputs(seed: number, at: Bindings): Record<string, RefTensor> {
  const { batch, tokens } = at;
  const whole = (salt: number, shape: readonly number[], below: number, dtype: "i32" | "u8" = "i32"): RefTensor =>
    refTensor(
      dtype,
      shape,
      Array.from({ length: shape.reduce((a, d) => a * d, 1) }, (_, i) => hash32(seed + salt, i) % below),
    );
  const mask = whole(5, [batch, tokens], 3);
  return {
    x: randomTensor(seed * 7 + 1, [batch, tokens, WIDTH]),
    y: randomTensor(seed * 7 + 2, [batch, tokens, WIDTH]),
    indices: whole(3, [batch, tokens], ROWS),
    bytes: whole(6, [batch, tokens, WIDTH], 256, "u8"),
    rows: whole(4, [batch], tokens),
    cu_seqlens: refTensor("i32", [3], [0, hash32(seed, 902) % (tokens + 1), tokens]),
    // Half of the sums lie below the middle of the range.
    taps: whole(7, [batch, 4], 2 ** 13),
    bits: refTensor("i32", [1], [14]),
    key_mask: refTensor(
      "f32",
      mask.shape,
      Array.from(mask.data, (v, i) => (i % tokens === 0 || v > 0 ? 1 : 0)),
    ),
  };
}

/** Weights by name: seeded normal values. */
export function randomWeights(seed: number): (name: string, shape: readonly number[]) => RefTensor {
  return (name, shape) => {
    let salt = seed * 31;
    for (const c of name) salt = (Math.imul(salt, 33) + c.charCodeAt(0)) >>> 0;
    return randomTensor(salt, shape);
  };
}
