/**
 * Single elements of a graph's values, in f64: only what an element depends on is computed, so that a few hundred
 * reference values at true sizes cost milliseconds.
 */

import { internal } from "../../core/diagnostics.ts";
import { type Bindings, type Dim, evaluate as evaluateDim, type Shape } from "../../core/dim.ts";
import { exp } from "../../core/math.ts";
import type { Node, OpTable } from "../node.ts";
import { OP_TABLE } from "../ops.ts";
import { evaluateNode } from "./graph.ts";
import { type RefTensor, refTensor, stridesOf } from "./tensor.ts";

/** Element of a value at a row-major position. */
export type ElementAt = (node: Node, position: number) => number;

export interface SampleOptions {
  readonly bindings: Bindings;
  /** Values that are given instead of computed; `undefined` means "compute it". */
  readonly given: (node: Node) => ((position: number) => number) | undefined;
  readonly table?: OpTable;
}

/** The index on every axis of a row-major position. */
function unravel(position: number, strides: readonly number[]): number[] {
  let rest = position;
  return strides.map((s) => {
    const at = Math.floor(rest / s);
    rest -= at * s;
    return at;
  });
}

const dot = (index: readonly number[], strides: readonly number[]): number =>
  index.reduce((sum, i, axis) => sum + i * strides[axis], 0);

/** Creates a sampler; rows that several elements share (norms, softmax, attention weights) are computed once. */
export function createSampler(options: SampleOptions): ElementAt {
  const { bindings } = options;
  const table = options.table ?? OP_TABLE;
  const shapes = new Map<Node, readonly number[]>();
  const sizes = (shape: Shape): number[] => shape.map((d: Dim) => evaluateDim(d, bindings));
  const shapeOf = (node: Node): readonly number[] => {
    const known = shapes.get(node);
    if (known !== undefined) return known;
    const found = sizes(node.shape);
    shapes.set(node, found);
    return found;
  };
  const rows = new Map<Node, Map<number, ArrayLike<number>>>();
  const rowOf = (node: Node, row: number, compute: () => ArrayLike<number>): ArrayLike<number> => {
    const own = rows.get(node) ?? new Map<number, ArrayLike<number>>();
    rows.set(node, own);
    const known = own.get(row) ?? compute();
    own.set(row, known);
    return known;
  };

  /** Elements of the last axis. */
  const readRow = (node: Node, row: number): RefTensor => {
    const shape = shapeOf(node);
    const width = shape[shape.length - 1] ?? 1;
    return refTensor(
      node.dtype,
      [1, width],
      Float64Array.from({ length: width }, (_, i) => at(node, row * width + i)),
    );
  };

  /** Position in an operand that broadcasts against the node's shape. */
  const broadcastPosition = (index: readonly number[], operand: Node): number => {
    const shape = shapeOf(operand);
    const strides = stridesOf(shape);
    const lead = index.length - shape.length;
    return shape.reduce((sum, size, axis) => sum + (size === 1 ? 0 : index[axis + lead] * strides[axis]), 0);
  };

  const elementwise = (node: Node, position: number): number => {
    const index = unravel(position, stridesOf(shapeOf(node)));
    const operands = node.inputs.map((x) => refTensor(x.dtype, [], [at(x, broadcastPosition(index, x))]));
    return evaluateNode(node, operands, bindings, table).data[0];
  };

  const rowwise = (node: Node, position: number): number => {
    const width = shapeOf(node)[shapeOf(node).length - 1];
    const row = Math.floor(position / width);
    const values = rowOf(node, row, () => {
      const [x, ...parameters] = node.inputs;
      const whole = parameters.map((p) =>
        refTensor(
          p.dtype,
          shapeOf(p),
          Float64Array.from({ length: shapeOf(p)[0] }, (_, i) => at(p, i)),
        ),
      );
      return evaluateNode(node, [readRow(x, row), ...whole], bindings, table).data;
    });
    return values[position - row * width];
  };

  const view = (node: Node, position: number): number => {
    const [x] = node.inputs;
    const a = node.attributes;
    if (node.op === "reshape" || node.op === "contiguous") return at(x, position);
    const index = unravel(position, stridesOf(shapeOf(node)));
    if (node.op === "broadcast_to") return at(x, broadcastPosition(index, x));
    const strides = stridesOf(shapeOf(x));
    if (node.op === "transpose")
      return at(
        x,
        dot(
          index,
          (a.perm as readonly number[]).map((p) => strides[p]),
        ),
      );
    const [start] = sizes([a.start as Dim]);
    return at(x, dot(index, strides) + start * strides[a.axis as number]);
  };

  const matmul = (node: Node, position: number): number => {
    const [a, b] = node.inputs;
    const index = unravel(position, stridesOf(shapeOf(node)));
    const column = index[index.length - 1];
    const inner = shapeOf(a)[shapeOf(a).length - 1];
    const fromA = broadcastPosition([...index.slice(0, -1), 0], a);
    const transposed = node.attributes.transpose_b === true;
    const fromB = broadcastPosition([...index.slice(0, -2), transposed ? column : 0, transposed ? 0 : column], b);
    const stepB = transposed ? 1 : shapeOf(b)[shapeOf(b).length - 1];
    let sum = 0;
    for (let k = 0; k < inner; k++) sum += at(a, fromA + k) * at(b, fromB + k * stepB);
    return sum;
  };

  const attention = (node: Node, position: number): number => {
    const [q, k, v, ...extra] = node.inputs;
    const a = node.attributes;
    const [, queries, heads, width] = shapeOf(q);
    const [, keys, keyHeads] = shapeOf(k);
    const row = Math.floor(position / width);
    const head = row % heads;
    const query = Math.floor(row / heads) % queries;
    const batch = Math.floor(row / (heads * queries));
    const mask = a.key_mask === true ? extra[0] : undefined;
    const segments = a.segments === true ? extra[a.key_mask === true ? 1 : 0] : undefined;
    const keyHead = Math.floor(head / (heads / keyHeads));
    const keyAt = (j: number): number => ((batch * keys + j) * keyHeads + keyHead) * width;
    const weights = rowOf(node, row, () => {
      let [first, end] = [0, a.causal === true ? query + 1 : keys];
      for (let s = 0; segments !== undefined && s + 1 < shapeOf(segments)[0]; s++) {
        const [low, high] = [at(segments, s), at(segments, s + 1)];
        if (query >= low && query < high) [first, end] = [low, Math.min(end, high)];
      }
      const scores = new Float64Array(keys).fill(Number.NEGATIVE_INFINITY);
      for (let j = first; j < end; j++) {
        if (mask !== undefined && at(mask, batch * keys + j) === 0) continue;
        let sum = 0;
        for (let d = 0; d < width; d++) sum += at(q, row * width + d) * at(k, keyAt(j) + d);
        scores[j] = sum * (a.scale as number);
      }
      const top = scores.reduce((m, s) => Math.max(m, s), Number.NEGATIVE_INFINITY);
      if (top === Number.NEGATIVE_INFINITY) return new Float64Array(keys);
      const powers = scores.map((s) => exp(s - top));
      const total = powers.reduce((x, y) => x + y, 0);
      return powers.map((p) => p / total);
    });
    const column = position - row * width;
    let sum = 0;
    for (let j = 0; j < keys; j++) if (weights[j] !== 0) sum += weights[j] * at(v, keyAt(j) + column);
    return sum;
  };

  const indexed = (node: Node, position: number): number => {
    const [x, indices] = node.inputs;
    const width = shapeOf(x)[shapeOf(x).length - 1];
    const row = Math.floor(position / width);
    const taken = at(indices, row) + (node.op === "take_row" ? row * shapeOf(x)[1] : 0);
    return at(x, taken * width + (position - row * width));
  };

  const concat = (node: Node, position: number): number => {
    const axis = node.attributes.axis as number;
    const index = unravel(position, stridesOf(shapeOf(node)));
    for (const x of node.inputs) {
      if (index[axis] < shapeOf(x)[axis]) return at(x, dot(index, stridesOf(shapeOf(x))));
      index[axis] -= shapeOf(x)[axis];
    }
    return Number.NaN;
  };

  const patchify = (node: Node, position: number): number => {
    const [x] = node.inputs;
    const [ph, pw] = [node.attributes.patch_height as number, node.attributes.patch_width as number];
    const [, channels, height, width] = shapeOf(x);
    const [batch, patch, element] = unravel(position, stridesOf(shapeOf(node)));
    const across = Math.floor(width / pw);
    const [channel, row, column] = unravel(element, [ph * pw, pw, 1]);
    const y = Math.floor(patch / across) * ph + row;
    const left = (patch % across) * pw + column;
    return at(x, ((batch * channels + channel) * height + y) * width + left);
  };

  const compute = (node: Node, position: number): number => {
    const kind = table.get(node.op)?.kind;
    if (kind === "elementwise") return elementwise(node, position);
    if (kind === "view" || node.op === "contiguous") return view(node, position);
    switch (node.op) {
      case "constant":
        return node.attributes.value as number;
      case "reduce_sum":
      case "reduce_mean":
      case "reduce_max":
        return evaluateNode(node, [readRow(node.inputs[0], position)], bindings, table).data[0];
      case "matmul":
        return matmul(node, position);
      case "attention":
        return attention(node, position);
      case "gather":
      case "take_row":
        return indexed(node, position);
      case "concat":
        return concat(node, position);
      case "patchify":
        return patchify(node, position);
      case "input":
      case "weight":
        return internal(`the ${node.op} "${String(node.attributes.name)}" has no values to sample`);
      default:
        return rowwise(node, position);
    }
  };

  const memo = new Map<Node, Map<number, number>>();
  const at: ElementAt = (node, position) => {
    const given = options.given(node);
    if (given !== undefined) return given(position);
    if (node.op !== "matmul") return compute(node, position);
    const own = memo.get(node) ?? new Map<number, number>();
    memo.set(node, own);
    const known = own.get(position) ?? compute(node, position);
    own.set(position, known);
    return known;
  };
  return at;
}
