/** Reads what a compile may know of weights: how large their numbers and rows are, over all instances of a component. */
import type { ComponentSpec } from "../../abi/encoder.ts";
import { magnitudesName } from "../../core/calibration.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { factOf, largerFact, type WeightFact, type WeightFacts } from "../../core/weight_facts.ts";
import type { TensorReader } from "../../exec/instance_weights.ts";
import { type Graph, nodesOf, usersOf } from "../../ir/graph.ts";

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

/** Magnitudes that a calibration may have, by their names: those of the columns that products with weights multiply. */
function calibratedTensors(graphs: readonly Graph[]): ReadonlyMap<string, readonly number[]> {
  const weights = graphs.flatMap((graph) =>
    nodesOf(graph).flatMap(({ op, attributes, inputs: [, w] }) =>
      op === "matmul" && attributes.transpose_b === true && w.op === "weight" ? [w] : [],
    ),
  );
  return new Map(weights.map((w) => [magnitudesName(String(w.attributes.name)), [w.shape[1] as number]]));
}

/** A calibration leaves out what runs in f32 there. */
async function readCalibrated(
  read: TensorReader,
  name: string,
  shape: readonly number[],
): Promise<Float32Array | undefined> {
  try {
    return await read(name, shape);
  } catch (error) {
    if (error instanceof FoveaError && error.code === "bad_calibration") return undefined;
    throw error;
  }
}

/**
 * Every tensor that the graphs read is read once for each instance, and what a calibration tells of it.
 * @throws what reading throws
 */
export async function readWeightFacts(
  spec: ComponentSpec,
  graphs: readonly Graph[],
  reader: (instance: string) => TensorReader,
  calibrated: boolean,
  signal?: AbortSignal,
): Promise<WeightFacts> {
  const facts = new Map<string, WeightFact>();
  const unknown = new Set<string>();
  const wanted = wantedTensors(graphs);
  const magnitudes = calibrated ? calibratedTensors(graphs) : new Map<string, readonly number[]>();
  for (const instance of spec.instances) {
    const read = reader(instance);
    for (const [name, shape] of [...wanted, ...magnitudes]) {
      if (unknown.has(name)) continue;
      signal?.throwIfAborted();
      const values = magnitudes.has(name) ? await readCalibrated(read, name, shape) : await read(name, shape, signal);
      const fact = values && factOf(values, shape);
      const known = facts.get(name);
      if (fact === undefined) unknown.add(name);
      else facts.set(name, known === undefined ? fact : largerFact(known, fact));
    }
  }
  for (const name of unknown) facts.delete(name);
  return Object.fromEntries([...facts].sort(([a], [b]) => (a < b ? -1 : 1)));
}
