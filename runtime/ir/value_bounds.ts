/**
 * How large values can get, whatever the inputs: bounds on the magnitude of their numbers and on the length of their rows, from
 * the weights' sizes, from what norms make of any row, and from what each op can do to both.
 */
import type { Dim } from "../core/dim.ts";
import type { WeightFacts } from "../core/weight_facts.ts";
import type { Node } from "../ir/node.ts";

export interface Bound {
  /** No number's magnitude is larger. */
  readonly largest: number;
  /** No row (last axis) is longer: the root of the sum of its squares. */
  readonly row: number;
}

const ANY: Bound = { largest: Number.POSITIVE_INFINITY, row: Number.POSITIVE_INFINITY };

const widthOf = ({ shape }: Node): number => {
  const last: Dim = shape.length === 0 ? 1 : shape[shape.length - 1];
  return typeof last === "number" ? last : Number.POSITIVE_INFINITY;
};

/** Each of both follows from the other: a number is no larger than its row, and a row no longer than the root of its width times. */
function both(node: Node, largest: number, row: number = Number.POSITIVE_INFINITY): Bound {
  const numbers = Math.min(largest, row);
  const longest = numbers === 0 ? 0 : Math.sqrt(widthOf(node)) * numbers;
  return { largest: numbers, row: Math.min(row, longest) };
}

/** 0 times anything is 0 here: what is multiplied is finite. */
const times = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : a * b);

type RuleOf = (node: Node, of: (operand: Node) => Bound) => Bound;

const same: RuleOf = (node, of) => {
  const { largest, row } = of(node.inputs[0]);
  return both(node, largest, row);
};
const atMostOne: RuleOf = (node) => both(node, 1);
const sum: RuleOf = (node, of) => {
  const parts = node.inputs.map(of);
  // A row that is repeated along a longer axis is longer than its own.
  const rows = node.inputs.map((x, i) => (widthOf(x) === widthOf(node) ? parts[i].row : Number.POSITIVE_INFINITY));
  return both(
    node,
    parts.reduce((n, p) => n + p.largest, 0),
    rows.reduce((n, r) => n + r, 0),
  );
};
const largestOf: RuleOf = (node, of) => both(node, Math.max(...node.inputs.map((x) => of(x).largest)));

/**
 * Behind a norm every row is at most the root of its width long. With a weight and a bias: that times the largest weight, and the
 * bias's own length.
 */
const norm: RuleOf = (node, of) => {
  const length = Math.sqrt(widthOf(node));
  const [weight = { largest: 1, row: length }, bias = { largest: 0, row: 0 }] = node.inputs.slice(1).map(of);
  return both(node, times(length, weight.largest) + bias.largest, times(length, weight.largest) + bias.row);
};

/** Cauchy and Schwarz: a sum of products is at most the one row's length times the other's. */
const matmul: RuleOf = (node, of) => {
  const [a, b] = node.inputs;
  const depth = widthOf(a);
  const column = node.attributes.transpose_b === true ? of(b).row : times(Math.sqrt(depth), of(b).largest);
  return both(node, times(of(a).row, column));
};

const RULES: Readonly<Record<string, RuleOf>> = {
  constant: (node) => both(node, Math.abs(node.attributes.value as number)),
  cast: (node, of) => (node.inputs[0].dtype === "u8" ? both(node, 255) : same(node, of)),
  neg: same,
  abs: same,
  relu: same,
  // |gelu(x)| and |silu(x)| are at most |x|, and so is what is like them.
  gelu: same,
  gelu_tanh: same,
  quick_gelu: same,
  silu: same,
  tanh: atMostOne,
  erf: atMostOne,
  sigmoid: atMostOne,
  lt: atMostOne,
  le: atMostOne,
  eq: atMostOne,
  softmax: (node) => both(node, 1, 1),
  l2_normalize: (node) => both(node, 1, 1),
  layer_norm: norm,
  rms_norm: norm,
  add: sum,
  sub: sum,
  mul: (node, of) => {
    const [a, b] = node.inputs.map(of);
    const rows = node.inputs.map((x, i) =>
      widthOf(x) === widthOf(node) ? times([a, b][i].row, [b, a][i].largest) : Number.POSITIVE_INFINITY,
    );
    return both(node, times(a.largest, b.largest), Math.min(...rows));
  },
  max: largestOf,
  min: largestOf,
  where: (node, of) => both(node, Math.max(...node.inputs.slice(1).map((x) => of(x).largest))),
  reduce_max: (node, of) => both(node, of(node.inputs[0]).largest),
  reduce_mean: (node, of) => both(node, of(node.inputs[0]).largest),
  reduce_sum: (node, of) => both(node, times(Math.sqrt(widthOf(node.inputs[0])), of(node.inputs[0]).row)),
  matmul,
  // Means of rows of values.
  attention: (node, of) => both(node, of(node.inputs[2]).largest, of(node.inputs[2]).row),
  // Pairs are turned, which leaves their lengths.
  rotary: (node, of) => {
    const { largest, row } = of(node.inputs[0]);
    return both(node, times(Math.SQRT2, largest), row);
  },
  gather: same,
  take_row: same,
  concat: largestOf,
  stored_as: same,
  contiguous: same,
  narrow: same,
  widen: same,
  // A part of a row is no longer than the row; rows that are joined may be.
  reshape: (node, of) => {
    const { largest, row } = of(node.inputs[0]);
    return widthOf(node) <= widthOf(node.inputs[0]) ? both(node, largest, row) : both(node, largest);
  },
  slice: same,
  transpose: (node, of) => {
    const { largest, row } = of(node.inputs[0]);
    const perm = node.attributes.perm as readonly number[];
    return perm[perm.length - 1] === perm.length - 1 ? both(node, largest, row) : both(node, largest);
  },
  broadcast_to: (node, of) => both(node, of(node.inputs[0]).largest),
  windows: (node, of) => both(node, of(node.inputs[0]).largest),
  patchify: (node, of) => both(node, of(node.inputs[0]).largest),
};

/** Bounds of a graph's values; infinite where nothing is known, as of inputs. */
export function createBounds(facts: WeightFacts): (node: Node) => Bound {
  const known = new Map<Node, Bound>();
  const of = (node: Node): Bound => {
    const old = known.get(node);
    if (old !== undefined) return old;
    const found = bound(node);
    known.set(node, found);
    return found;
  };
  const bound = (node: Node): Bound => {
    if (node.op === "weight") return facts[node.attributes.name as string] ?? ANY;
    if (node.dtype !== "f32" && node.dtype !== "f16") return ANY;
    return Object.hasOwn(RULES, node.op) ? RULES[node.op](node, of) : ANY;
  };
  return of;
}
