/** Canonical rules. Each is true for every shape and value; tests prove them on random graphs. */
import { type Dim, dimEquals, type Shape, shapeEquals } from "../core/dim.ts";
import type { Node } from "../ir/node.ts";
import type { Rule } from "./rewrite.ts";

const isIdentity = (perm: readonly number[]): boolean => perm.every((p, i) => p === i);

function constantOf(node: Node): number | undefined {
  return node.op === "constant" ? (node.attributes.value as number) : undefined;
}

export const CANONICAL_RULES: readonly Rule[] = [
  {
    name: "reshape to its own shape",
    apply: (n) => (n.op === "reshape" && shapeEquals(n.shape, n.inputs[0].shape) ? n.inputs[0] : undefined),
  },
  {
    name: "reshape of reshape",
    apply: (n, make) =>
      n.op === "reshape" && n.inputs[0].op === "reshape"
        ? make("reshape", [n.inputs[0].inputs[0]], n.attributes)
        : undefined,
  },
  {
    name: "transpose that keeps the order",
    apply: (n) =>
      n.op === "transpose" && isIdentity(n.attributes.perm as readonly number[]) ? n.inputs[0] : undefined,
  },
  {
    name: "transpose of transpose",
    apply: (n, make) => {
      if (n.op !== "transpose" || n.inputs[0].op !== "transpose") return undefined;
      const inner = n.inputs[0].attributes.perm as readonly number[];
      return make("transpose", [n.inputs[0].inputs[0]], {
        perm: (n.attributes.perm as readonly number[]).map((p) => inner[p]),
      });
    },
  },
  {
    name: "slice of everything",
    apply: (n) => {
      if (n.op !== "slice") return undefined;
      const size = n.inputs[0].shape[n.attributes.axis as number];
      return n.attributes.start === 0 && dimEquals(n.attributes.end as Dim, size) ? n.inputs[0] : undefined;
    },
  },
  {
    name: "broadcast to its own shape",
    apply: (n) =>
      n.op === "broadcast_to" && shapeEquals(n.attributes.shape as Shape, n.inputs[0].shape) ? n.inputs[0] : undefined,
  },
  {
    name: "broadcast of broadcast",
    apply: (n, make) =>
      n.op === "broadcast_to" && n.inputs[0].op === "broadcast_to"
        ? make("broadcast_to", [n.inputs[0].inputs[0]], n.attributes)
        : undefined,
  },
  {
    name: "multiply by one",
    apply: (n) => {
      if (n.op !== "mul") return undefined;
      const [a, b] = n.inputs;
      if (constantOf(b) === 1 && shapeEquals(a.shape, n.shape)) return a;
      return constantOf(a) === 1 && shapeEquals(b.shape, n.shape) ? b : undefined;
    },
  },
  {
    name: "weights of a product read as [out, in]",
    // transpose(W) on the right of a product is a layout, not work.
    apply: (n, make) => {
      if (n.op !== "matmul" || n.inputs[1].op !== "transpose") return undefined;
      const perm = n.inputs[1].attributes.perm as readonly number[];
      const r = perm.length;
      const swapsLast =
        r >= 2 && perm[r - 1] === r - 2 && perm[r - 2] === r - 1 && perm.slice(0, r - 2).every((p, i) => p === i);
      if (!swapsLast) return undefined;
      return make("matmul", [n.inputs[0], n.inputs[1].inputs[0]], { transpose_b: n.attributes.transpose_b !== true });
    },
  },
];
