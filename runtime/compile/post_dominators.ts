/** Post-dominators: the node through which every way from a value to the graph's results goes. */
import type { Node } from "../ir/node.ts";

/**
 * Values by the nearest node that all their ways to the results go through; those with no such node, results among
 * them, by `undefined`. `nodes` are in topological order.
 */
export function postDominated(
  nodes: readonly Node[],
  users: (node: Node) => readonly Node[],
  isOutput: (node: Node) => boolean,
): ReadonlyMap<Node | undefined, readonly Node[]> {
  const parent = new Map<Node, Node | undefined>();
  const depth = new Map<Node | undefined, number>([[undefined, 0]]);
  const depthOf = (n: Node | undefined): number => depth.get(n) as number;
  const meet = (a: Node | undefined, b: Node | undefined): Node | undefined => {
    let [x, y] = [a, b];
    while (x !== y) {
      if (depthOf(x) >= depthOf(y)) x = parent.get(x as Node);
      else y = parent.get(y as Node);
    }
    return x;
  };
  const children = new Map<Node | undefined, Node[]>();
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i];
    const above = isOutput(node) ? undefined : users(node).reduce<Node | undefined>(meet, users(node)[0]);
    parent.set(node, above);
    depth.set(node, depthOf(above) + 1);
    const list = children.get(above) ?? [];
    list.push(node);
    children.set(above, list);
  }
  return children;
}
