/** Which graphs can judge a device: those whose results noise on every value on the way leaves within the tolerance. */
import { type Bindings, evaluate } from "../../runtime/core/dim.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { evaluateNode, type RefTensor, refTensor, type WeightValues } from "../../runtime/ir/evaluate/mod.ts";
import { type Graph, nodesOf } from "../../runtime/ir/graph.ts";
import type { Node } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { maxDifference, maxMagnitude } from "./run_graph.ts";

/** One noise may happen to leave alone what a device does not. */
const NOISES = [1, 2, 3, 4];

/** Noise of a value, as a share of it and of the tolerance. */
const SHARE = 0.2;

/** How far a result may be from an expected one, for a tolerance as a share of 1 + the largest magnitude. */
export function limitFor(expected: RefTensor, tolerance: number): number {
  return tolerance * (1 + maxMagnitude(expected));
}

/** One run of a graph: sizes, inputs, weights and the results of the evaluator. */
export interface JudgedRun {
  readonly graph: Graph;
  readonly at: Bindings;
  readonly inputs: Readonly<Record<string, RefTensor>>;
  readonly weights: WeightValues;
  readonly expected: Readonly<Record<string, RefTensor>>;
}

/** Values of all outputs with uniform noise of up to the share `noise` on every value on the way. */
function evaluateNoisily(
  { graph, at, inputs, weights }: JudgedRun,
  noise: number,
  seed: number,
): Record<string, RefTensor> {
  const values = new Map<Node, RefTensor>();
  for (const n of nodesOf(graph)) {
    const shape = n.shape.map((d) => evaluate(d, at));
    const name = n.attributes.name as string;
    const operands = n.inputs.map((i) => values.get(i) as RefTensor);
    const given = n.op === "input" ? inputs[name] : n.op === "weight" ? weights(name, shape) : undefined;
    const value = given ?? evaluateNode(n, operands, at, OP_TABLE);
    const noisy = value.data.map((v, i) => v * (1 + (hash32(seed * 1009 + n.id, i) / 2 ** 31 - 1) * noise));
    values.set(n, value.dtype === "f32" ? refTensor("f32", shape, noisy) : value);
  }
  return Object.fromEntries(graph.outputs.map((o) => [o.name, values.get(o.node) as RefTensor]));
}

/**
 * Whether noise of a fifth of `tolerance` on every value leaves all results within `tolerance`. Where it does not (a softmax of
 * scores in the hundreds, a small rest of large values), a result says more of the last bits than of a kernel.
 */
export function judges(run: JudgedRun, tolerance: number): boolean {
  return NOISES.every((seed) => {
    const noisy = evaluateNoisily(run, SHARE * tolerance, seed);
    return Object.entries(run.expected).every(
      ([name, value]) => maxDifference(noisy[name], value) <= limitFor(value, tolerance),
    );
  });
}
