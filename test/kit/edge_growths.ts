/** Growths at the edges of what authors write: integers, symbolic sizes, segments, spellings that rules remove. */
import { add, sub } from "../../runtime/core/dim.ts";
import type { GraphBuilder, Node } from "../../runtime/ir/builder.ts";
import type { Grow, GrowthScope } from "./random_graph.ts";

const WIDTH = 8;
const HEADS = 2;

const tokensOf = (s: GrowthScope): Node["shape"][number] => s.b.dims.tokens;
const shaped = (s: GrowthScope, x: Node): Node => s.b.reshape(x, [s.b.dims.batch, tokensOf(s), WIDTH]);
const heads = (s: GrowthScope, x: Node, count = HEADS): Node =>
  s.b.reshape(x, [s.b.dims.batch, tokensOf(s), count, WIDTH / HEADS]);

/** The indices as numbers to compare: [batch, tokens, 1], i32. */
const column = (s: GrowthScope): Node => s.b.reshape(s.indices, [s.b.dims.batch, tokensOf(s), 1]);

/** Rows 1.. behind row 0 last: sizes that hold a symbol less one. */
const turned = (s: GrowthScope, x: Node): Node =>
  s.b.concat([s.b.slice(x, 1, 1, tokensOf(s)), s.b.slice(x, 1, 0, 1)], 1);

/** Query, key and value by products of one value, some with a bias. */
const projections: Grow = (s, x) => {
  const [q, k, v] = [0, 1, 2].map(() => {
    const product = s.b.matmul(x, s.weight([WIDTH, WIDTH]), { transposeB: true });
    return heads(s, s.pick(3) === 0 ? product : s.b.add(product, s.weight([WIDTH])));
  });
  return shaped(s, s.b.attention(q, k, v, { causal: s.pick(2) === 0 }));
};

type Spelling = (b: GraphBuilder, x: Node, s: GrowthScope) => Node;

/** A number repeated, for an operand of shape [batch, tokens, WIDTH]. */
const repeated = (b: GraphBuilder, shape: Node["shape"], value = 2): Node => b.broadcastTo(b.constant(value), shape);

/** Values that canonical rules spell otherwise, each for one rule. */
export const SPELLINGS: Readonly<Record<string, Spelling>> = {
  "reshape to its own shape": (b, x) => b.reshape(x, x.shape),
  "reshape of reshape": (b, x, s) => shaped(s, b.reshape(x, [b.dims.tokens, b.dims.batch, WIDTH])),
  "transpose that keeps the order": (b, x) => b.transpose(x, [0, 1, 2]),
  "transpose of transpose": (b, x, s) => {
    const perm = s.pick(2) === 0 ? [1, 2, 0] : [2, 0, 1];
    return b.transpose(
      b.transpose(x, perm),
      perm.map((_, i) => perm.indexOf(i)),
    );
  },
  "slice of everything": (b, x, s) => {
    const axis = s.pick(3);
    return b.slice(x, axis, 0, x.shape[axis]);
  },
  "broadcast to its own shape": (b, x) => b.broadcastTo(x, x.shape),
  "broadcast of broadcast": (b, x, s) =>
    b.add(x, b.broadcastTo(b.broadcastTo(s.weight([WIDTH]), [b.dims.tokens, WIDTH]), x.shape)),
  "multiply by one": (b, x, s) => (s.pick(2) === 0 ? b.mul(x, b.constant(1)) : b.mul(b.constant(1), x)),
  "weights of a product read as [out, in]": (b, x, s) =>
    b.matmul(x, b.transpose(s.weight([WIDTH, WIDTH]), [1, 0]), { transposeB: s.pick(2) === 0 }),
  "elementwise op of constants alone": (b, x, s) =>
    b.mul(x, b.unary(["exp", "tanh", "gelu", "neg"][s.pick(4)], b.div(b.constant(1), b.constant(2 + s.pick(3))))),
  "elementwise op of a repeated constant": (b, x, s) => {
    const value = repeated(b, s.pick(2) === 0 ? x.shape : [WIDTH], 0.5 + s.pick(3));
    return s.pick(2) === 0 ? b.sub(value, x) : b.op("max", [x, value]);
  },
  "view of a repeated constant": (b, x, s) => {
    const { tokens } = b.dims;
    const views: readonly (() => Node)[] = [
      () => b.reshape(repeated(b, [2, WIDTH / 2]), [WIDTH]),
      () => b.transpose(repeated(b, [WIDTH, tokens]), [1, 0]),
      () => b.slice(repeated(b, [add(tokens, 3), WIDTH]), 0, 3, add(tokens, 3)),
      () => b.op("contiguous", [repeated(b, [WIDTH])]),
    ];
    return b.add(x, views[s.pick(views.length)]());
  },
};

/** Each grows one more value of shape [batch, tokens, WIDTH]. */
export const EDGE_GROWTHS: readonly Grow[] = [
  ...Object.values(SPELLINGS).map(
    (spell): Grow =>
      (s, x) =>
        spell(s.b, x, s),
  ),
  projections,
  // Integers: compared, chosen by, moved, looked up through.
  ...["lt", "le", "eq"].map(
    (name): Grow =>
      (s, x, y) =>
        s.b.op("where", [s.b.op(name, [column(s), s.b.reshape(s.rows, [s.b.dims.batch, 1, 1])]), x, y]),
  ),
  (s, x, y) => s.b.op("where", [column(s), x, y]),
  (s, x) => {
    const { batch, tokens } = s.b.dims;
    const turnedRows = s.b.concat([s.b.slice(s.indices, 1, 1, tokens), s.b.slice(s.indices, 1, 0, 1)], 1);
    const moved = s.b.op("contiguous", [s.b.transpose(turnedRows, [1, 0])]);
    return s.b.add(x, s.b.gather(s.weight([5, WIDTH]), s.b.reshape(s.b.transpose(moved, [1, 0]), [batch, tokens])));
  },
  // Rows of a value at one index for each of the batch.
  (s, x, y) => {
    const table = s.b.reshape(s.b.slice(x, 0, 0, 1), [tokensOf(s), WIDTH]);
    return s.b.add(y, s.b.reshape(s.b.gather(table, s.rows), [s.b.dims.batch, 1, WIDTH]));
  },
  turned,
  // A convolution over tokens: windows of two, as a product.
  (s, x) => {
    const { batch, tokens } = s.b.dims;
    const seen = s.b.reshape(s.b.windows(x, 1, 2, 1), [batch, sub(tokens, 1), 2 * WIDTH]);
    return s.b.concat([s.b.slice(x, 1, 0, 1), s.b.matmul(seen, s.weight([WIDTH, 2 * WIDTH]), { transposeB: true })], 1);
  },
  // Segments, more queries than keys.
  (s, x, y) => shaped(s, s.b.attention(heads(s, x), heads(s, y), heads(s, y), { cuSeqlens: s.segments })),
  (s, x, y) =>
    shaped(
      s,
      s.b.attention(heads(s, x), heads(s, x), heads(s, y), {
        cuSeqlens: s.segments,
        longestSegment: tokensOf(s),
        keyMask: s.keyMask,
        window: s.pick(3),
      }),
    ),
  (s, x, y) => {
    const { batch, tokens } = s.b.dims;
    const fewer = (n: Node): Node =>
      s.b.reshape(s.b.slice(n, 1, 1, tokens), [batch, sub(tokens, 1), HEADS, WIDTH / HEADS]);
    return shaped(s, s.b.attention(heads(s, x), fewer(y), fewer(x)));
  },
  // Query heads that share a key head.
  (s, x, y) => {
    const first = s.pick(HEADS);
    const shared = s.b.slice(heads(s, y), 2, first, first + 1);
    return shaped(s, s.b.attention(heads(s, x), shared, shared, { causal: s.pick(2) === 0 }));
  },
  // Attention of heads by products: batches that are not equally far apart, or that are repeated, on the right-hand side.
  (s, x, y) => {
    const turned = (n: Node): Node => s.b.transpose(heads(s, n), [0, 2, 1, 3]);
    const of = turned(s.pick(2) === 0 ? y : s.b.broadcastTo(s.b.slice(y, 0, 0, 1), y.shape));
    const weights = s.b.softmax(s.b.matmul(turned(x), of, { transposeB: true }));
    return shaped(s, s.b.transpose(s.b.matmul(weights, of), [0, 2, 1, 3]));
  },
  // A weight for each head.
  (s, x) => {
    const weights = s.weight([1, HEADS, WIDTH / HEADS, WIDTH / HEADS]);
    const own = s.b.broadcastTo(weights, [s.b.dims.batch, ...weights.shape.slice(1)]);
    const one = s.b.slice(s.b.transpose(heads(s, x), [0, 2, 1, 3]), 0, 0, 1);
    const all = s.pick(2) === 0 ? s.b.matmul(one, weights) : s.b.matmul(s.b.transpose(heads(s, x), [0, 2, 1, 3]), own);
    return s.b.add(x, s.b.reshape(s.b.transpose(all, [0, 2, 1, 3]), [all.shape[0], tokensOf(s), WIDTH]));
  },
  // One right-hand side for all batches, whose rows do not lie side by side.
  (s, x, y) => {
    const { tokens } = s.b.dims;
    const columns = s.b.transpose(s.b.reshape(s.b.slice(y, 0, 0, 1), [tokens, WIDTH]), [1, 0]);
    const side =
      s.pick(2) === 0 ? s.b.slice(columns, 1, 1, tokens) : s.b.broadcastTo(s.b.slice(columns, 1, 0, 1), [WIDTH, 3]);
    return s.b.matmul(s.b.unary("tanh", s.b.matmul(x, side)), side, { transposeB: true });
  },
  // Products of batches: weights that every batch has, and rows that every batch has.
  (s, x) => s.b.matmul(x, s.b.broadcastTo(s.weight([WIDTH, WIDTH]), [s.b.dims.batch, WIDTH, WIDTH])),
  (s, x, y) => s.b.add(y, s.b.matmul(s.b.slice(x, 0, 0, 1), s.weight([WIDTH, WIDTH]))),
  // Products of integers, of inputs: rounding on the way must not decide about a code.
  (s, x) => s.b.add(x, s.b.op("quantized_matmul", [s.pair[0], s.weight([WIDTH, WIDTH])])),
  (s, x) => {
    const { b } = s;
    const w = s.weight([WIDTH, WIDTH]);
    const scales = b.op("channel_scales", [w, b.unary("abs", s.weight([WIDTH]))]);
    const factors = b.reshape(b.div(b.constant(1), scales), [1, WIDTH]);
    const rows = b.concat([b.mul(w, scales), factors], 0);
    return b.add(x, b.op("quantized_matmul", [s.pair[1], rows], { scaled: true }));
  },
];
