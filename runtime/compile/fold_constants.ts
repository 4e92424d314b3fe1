/**
 * Rules that bring constants to one spelling: a number, or a number repeated by one `broadcast_to`. Arithmetic is that of
 * the reference evaluator, f64 and never rounded; a kernel rounds the result to f32 once.
 */
import { shapeEquals } from "../core/dim.ts";
import { evaluateNode, refTensor } from "../ir/evaluate/mod.ts";
import type { Make, Node, OpTable } from "../ir/node.ts";
import type { Rule } from "./rewrite.ts";

const isConstant = (node: Node): boolean => node.op === "constant";

/** The constant that every element of `node` has, where the spelling is canonical. */
function repeatedConstant(node: Node): Node | undefined {
  if (isConstant(node)) return node;
  return node.op === "broadcast_to" && isConstant(node.inputs[0]) ? node.inputs[0] : undefined;
}

function repeat(value: Node, like: Node, make: Make): Node {
  return like.shape.length === 0 ? value : make("broadcast_to", [value], { shape: like.shape });
}

export function constantRules(table: OpTable): readonly Rule[] {
  const isElementwise = (node: Node): boolean => table.get(node.op)?.kind === "elementwise" && node.inputs.length > 0;
  return [
    {
      name: "elementwise op of constants alone",
      apply: (n, make) => {
        if (!isElementwise(n) || !n.inputs.every(isConstant)) return undefined;
        const operands = n.inputs.map((x) => refTensor("f32", [], [x.attributes.value as number]));
        const [value] = evaluateNode(n, operands, {}, table).data;
        // What f32 cannot hold stays an operation, for the kernel to say what it makes of it.
        return Number.isFinite(Math.fround(value)) ? make("constant", [], { value }) : undefined;
      },
    },
    {
      name: "elementwise op of a repeated constant",
      // The result is repeated instead, if nothing else has its shape.
      apply: (n, make) => {
        if (!isElementwise(n)) return undefined;
        const inputs = n.inputs.map((x) => repeatedConstant(x) ?? x);
        if (inputs.every((x, i) => x === n.inputs[i])) return undefined;
        const made = make(n.op, inputs, n.attributes, n.source);
        return shapeEquals(made.shape, n.shape) ? made : make("broadcast_to", [made], { shape: n.shape });
      },
    },
    {
      name: "view of a repeated constant",
      apply: (n, make) => {
        const moves = n.op === "contiguous" || (table.get(n.op)?.kind === "view" && n.op !== "broadcast_to");
        const value = moves ? repeatedConstant(n.inputs[0]) : undefined;
        return value && repeat(value, n, make);
      },
    },
  ];
}
