/** Passes that change nothing: values made anew, and spelled otherwise until they are canonical again. */
import { type Pass, PIPELINE } from "../../runtime/compile/passes.ts";
import { mapGraph } from "../../runtime/compile/rewrite.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { nodesOf } from "../../runtime/ir/graph.ts";
import type { Make, Node } from "../../runtime/ir/node.ts";

const [canonicalize] = PIPELINE;

/** Makes every node anew; with interned nodes that is the same graph. */
export const rebuild: Pass = {
  name: "rebuild",
  run: (graph, { make }) => {
    const made = new Map<Node, Node>();
    for (const n of nodesOf(graph)) {
      const operands = n.inputs.map((i) => made.get(i) as Node);
      made.set(n, make(n.op, operands, { ...n.attributes }));
    }
    return { ...graph, outputs: graph.outputs.map((o) => ({ ...o, node: made.get(o.node) as Node })) };
  },
};

/** Spellings of a value that are the value. */
export const SPELLINGS: readonly ((n: Node, make: Make) => Node)[] = [
  (n, make) => make("reshape", [n], { shape: n.shape }),
  (n, make) => make("transpose", [n], { perm: n.shape.map((_, i) => i) }),
  (n, make) => make("broadcast_to", [n], { shape: n.shape }),
  (n, make) =>
    n.shape.length === 0
      ? make("reshape", [n], { shape: [] })
      : make("slice", [n], { axis: 0, start: 0, end: n.shape[0] }),
  (n, make) => {
    const turned = n.shape.map((_, i) => n.shape.length - 1 - i);
    return make("transpose", [make("transpose", [n], { perm: turned })], { perm: turned });
  },
];

/** Spells every value otherwise. */
const spellOtherwise = (seed: number): Pass => ({
  name: "spell otherwise",
  run: (graph, { make }) => mapGraph(graph, make, (n) => SPELLINGS[hash32(seed, n.id) % SPELLINGS.length](n, make)),
});

/** One behind the other they give the graph that they were given, where that is canonical. */
export const passesOfNothing = (seed: number): readonly Pass[] => [
  rebuild,
  spellOtherwise(seed),
  canonicalize,
  rebuild,
];
