/** Reads what a compile may know of weights: how large their numbers and rows are, over all instances of a component. */
import type { ComponentSpec } from "../abi/encoder.ts";
import { factOf, largerFact, type WeightFact, type WeightFacts } from "../core/weight_facts.ts";
import type { TensorReader } from "../exec/instance_weights.ts";
import { type Graph, nodesOf, usersOf } from "../ir/graph.ts";

/** Tensors of graphs by name, but for tables that rows are looked up in: what they lead to is a sum that stays f32. */
function wantedTensors(graphs: readonly Graph[]): ReadonlyMap<string, readonly number[]> {
  const wanted = new Map<string, readonly number[]>();
  for (const graph of graphs) {
    const nodes = nodesOf(graph);
    const users = usersOf(nodes);
    for (const node of nodes) {
      if (node.op !== "weight" || users.get(node)?.every(({ op }) => op === "gather") === true) continue;
      wanted.set(node.attributes.name as string, node.shape as readonly number[]);
    }
  }
  return wanted;
}

/** Every tensor that the graphs read is read once for each instance. @throws what reading throws */
export async function readWeightFacts(
  spec: ComponentSpec,
  graphs: readonly Graph[],
  reader: (instance: string) => TensorReader,
  signal?: AbortSignal,
): Promise<WeightFacts> {
  const facts = new Map<string, WeightFact>();
  const unknown = new Set<string>();
  const wanted = wantedTensors(graphs);
  for (const instance of spec.instances) {
    const read = reader(instance);
    for (const [name, shape] of wanted) {
      if (unknown.has(name)) continue;
      signal?.throwIfAborted();
      const fact = factOf(await read(name, shape, signal), shape);
      const known = facts.get(name);
      if (fact === undefined) unknown.add(name);
      else facts.set(name, known === undefined ? fact : largerFact(known, fact));
    }
  }
  for (const name of unknown) facts.delete(name);
  return Object.fromEntries([...facts].sort(([a], [b]) => (a < b ? -1 : 1)));
}
