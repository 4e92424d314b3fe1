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

function reshapeStrides(from: Shape, strides: readonly Dim[], to: Shape): readonly Dim[] | undefined {
  const out: Dim[] = [];
  let i = 0;
  let j = 0;
  while (i < from.length || j < to.length) {
    if (i < from.length && dimEquals(from[i], 1)) {
      i++;
      continue;
    }
    if (j < to.length && dimEquals(to[j], 1)) {
      out.push(0);
      j++;
      continue;
    }
    if (i >= from.length || j >= to.length) return undefined;
    // The shortest run of old axes and run of new axes with one product.
    let best: [number, number] | undefined;
    for (let a = i + 1; a <= from.length && best === undefined; a++) {
      for (let b = j + 1; b <= to.length; b++) {
        if (dimEquals(mul(...from.slice(i, a)), mul(...to.slice(j, b)))) {
          best = [a, b];
          break;
        }
      }
    }
    if (best === undefined) return undefined;
    const [a, b] = best;
    for (let k = i; k < a - 1; k++) if (!dimEquals(strides[k], mul(strides[k + 1], from[k + 1]))) return undefined;
    let s: Dim = strides[a - 1];
    const part: Dim[] = [];
    for (let k = b - 1; k >= j; k--) {
      part.unshift(s);
      s = mul(s, to[k]);
    }
    out.push(...part);
    i = a;
    j = b;
  }
  return out;
}

/** One view op over a view of its operand; nothing when strides cannot say it. */
function through(node: Node, v: View): View | undefined {
  const a = node.attributes;
  switch (node.op) {
    case "reshape": {
      const strides = isDense(v) ? denseStrides(node.shape) : reshapeStrides(v.shape, v.strides, node.shape);
      return strides && { ...v, shape: node.shape, strides };
    }
    case "transpose": {
      const perm = a.perm as readonly number[];
      return { ...v, shape: node.shape, strides: perm.map((p) => v.strides[p]) };
    }
    case "slice":
      return { ...v, shape: node.shape, offset: add(v.offset, mul(a.start as Dim, v.strides[a.axis as number])) };
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
