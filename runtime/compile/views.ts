/** Views: reshapes, slices and transposes as strides over a materialised base, so that consumers read in place. */

import type { View } from "../abi/kernel.ts";
import { add, type Dim, dimEquals, mul, type Shape } from "../core/dim.ts";
import { denseStrides } from "../core/strides.ts";
import type { Node, OpTable } from "../ir/node.ts";

/** True when the view's elements lie one after another. Axes of size 1 may have any stride. */
export function isDense(view: View): boolean {
  const dense = denseStrides(view.shape);
  return view.strides.every((s, i) => dimEquals(view.shape[i], 1) || dimEquals(s, dense[i]));
}

/** Strides of `to` over the elements that `strides` finds in `from`; both have equally many elements. */
function reshapeStrides(from: Shape, strides: readonly Dim[], to: Shape): readonly Dim[] | undefined {
  // Axes of size 1 move nothing, whatever their strides are.
  const old = from.flatMap((size, axis) => (dimEquals(size, 1) ? [] : [{ size, stride: strides[axis] }]));
  const out: Dim[] = to.map(() => 0);
  const kept = [...to.keys()].filter((axis) => !dimEquals(to[axis], 1));
  let [i, j] = [0, 0];
  while (i < old.length && j < kept.length) {
    const run = shortestRun(
      old.slice(i).map((o) => o.size),
      kept.slice(j).map((axis) => to[axis]),
    );
    if (run === undefined) return undefined;
    const [a, b] = [i + run[0], j + run[1]];
    for (let k = i; k < a - 1; k++)
      if (!dimEquals(old[k].stride, mul(old[k + 1].stride, old[k + 1].size))) return undefined;
    let stride: Dim = old[a - 1].stride;
    for (let k = b - 1; k >= j; k--) {
      out[kept[k]] = stride;
      stride = mul(stride, to[kept[k]]);
    }
    [i, j] = [a, b];
  }
  return i === old.length && j === kept.length ? out : undefined;
}

/** How many leading sizes of each list have one product: the fewest of `from`, then of `to`. */
function shortestRun(from: Shape, to: Shape): readonly [number, number] | undefined {
  let left: Dim = 1;
  for (let a = 1; a <= from.length; a++) {
    left = mul(left, from[a - 1]);
    let right: Dim = 1;
    for (let b = 1; b <= to.length; b++) {
      right = mul(right, to[b - 1]);
      if (dimEquals(left, right)) return [a, b];
    }
  }
  return undefined;
}

/** One view op over a view of its operand; nothing when strides cannot say it. */
function through(node: Node, v: View): View | undefined {
  const a = node.attributes;
  switch (node.op) {
    case "reshape": {
      const strides = isDense(v) ? denseStrides(node.shape) : reshapeStrides(v.shape, v.strides, node.shape);
      return strides && { ...v, shape: node.shape, strides };
    }
    case "widen":
      return v;
    case "transpose": {
      const perm = a.perm as readonly number[];
      return { ...v, shape: node.shape, strides: perm.map((p) => v.strides[p]) };
    }
    case "slice":
      return { ...v, shape: node.shape, offset: add(v.offset, mul(a.start as Dim, v.strides[a.axis as number])) };
    case "windows": {
      const axis = a.axis as number;
      const along = v.strides[axis];
      const strides = [...v.strides.slice(0, axis), mul(along, a.step as number), ...v.strides.slice(axis)];
      return { ...v, shape: node.shape, strides };
    }
    case "broadcast_to": {
      const lead = node.shape.length - v.shape.length;
      const strides = node.shape.map(
        (d, i): Dim => (i < lead || !dimEquals(v.shape[i - lead], d) ? 0 : v.strides[i - lead]),
      );
      return { ...v, shape: node.shape, strides };
    }
    default:
      return undefined;
  }
}

/** Resolves views with a memo per compile. */
export function createViewResolver(table: OpTable): (node: Node) => View {
  const memo = new Map<Node, View>();
  const resolve = (node: Node): View => {
    const old = memo.get(node);
    if (old !== undefined) return old;
    const own: View = { base: node, offset: 0, shape: node.shape, strides: denseStrides(node.shape) };
    const found = table.get(node.op)?.kind === "view" ? (through(node, resolve(node.inputs[0])) ?? own) : own;
    memo.set(node, found);
    return found;
  };
  return resolve;
}

/** True when `view` shows the whole base, densely, from its start. */
export function isWhole(view: View): boolean {
  return view.offset === 0 && isDense(view) && dimEquals(mul(...view.shape), mul(...view.base.shape));
}
