/** Runs a tower's plan by the reference evaluator alone: no compiler, no kernels, no executor. */
import type { ComponentSpec, Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import type { Box } from "../../runtime/core/dim.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import { createGraphBuilder } from "../../runtime/ir/builder.ts";
import { evaluateGraph, type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import type { Graph } from "../../runtime/ir/graph.ts";
import { createInterner, type Interner, type Make, type OpTable } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";

/** A checkpoint tensor by its full name: the instance's prefix and the weight's own name. */
export type CheckpointValues = (name: string, shape: readonly number[]) => RefTensor;

const refOf = (t: Tensor): RefTensor => refTensor(t.dtype, t.shape, t.data);

function componentOf(tower: TowerSpec, tag: string): ComponentSpec {
  const found = tower.components.find((c) => c.tag === tag);
  if (found === undefined) throw new Error(`the plan calls "${tag}", which the tower does not have`);
  return found;
}

interface Built {
  readonly graph: Graph;
  readonly interner: Interner;
}

/** Graphs by what declares them and the range: a tower's calls repeat few of them many times. */
const BUILT = new WeakMap<OpTable, WeakMap<ComponentSpec["build"], Map<string, Built>>>();

function built(component: ComponentSpec, box: Box, ops: OpTable): Built {
  const byBuild = BUILT.get(ops) ?? new WeakMap<ComponentSpec["build"], Map<string, Built>>();
  BUILT.set(ops, byBuild);
  const byBox = byBuild.get(component.build) ?? new Map<string, Built>();
  byBuild.set(component.build, byBox);
  const key = JSON.stringify(box);
  const found = byBox.get(key);
  if (found !== undefined) return found;
  const interner = createInterner(ops);
  const builder = createGraphBuilder({ symbols: box, interner });
  component.build(builder);
  const made = { graph: builder.finish(), interner };
  byBox.set(key, made);
  return made;
}

/**
 * The wanted outputs for the caller's inputs. Every call's dims must lie in one of its component's ranges, its instance
 * must be listed, and its inputs must be there.
 * @param rewrite what takes the place of a component's graph before it is evaluated
 */
export function evaluateTower(
  tower: TowerSpec,
  inputs: Tensors,
  outputs: readonly string[],
  checkpoint: CheckpointValues,
  ops: OpTable = OP_TABLE,
  rewrite: (graph: Graph, make: Make, component: ComponentSpec) => Graph = (graph) => graph,
): Record<string, RefTensor> {
  const prepared = tower.prepare(inputs);
  const shapes = Object.fromEntries(Object.entries(prepared).map(([name, t]) => [name, t.shape]));
  const plan = tower.plan(shapes, outputs);
  const values = new Map<string, RefTensor>();
  for (const [name, t] of Object.entries({ ...prepared, ...plan.constants })) values.set(name, refOf(t));
  for (const call of plan.calls) {
    const component = componentOf(tower, call.tag);
    if (!component.instances.includes(call.instance)) throw new Error(`"${call.tag}" has no "${call.instance}"`);
    const boxes = splitRanges(component.symbols, component.ranges ?? {}, { tag: call.tag });
    const box = boxes.find((b) => Object.keys(b).every((n) => b[n].min <= call.dims[n] && call.dims[n] <= b[n].max));
    if (box === undefined) throw new Error(`no range of "${call.tag}" holds ${JSON.stringify(call.dims)}`);
    const given = Object.fromEntries(
      Object.entries(call.inputs).map(([port, value]) => [port, values.get(value) as RefTensor]),
    );
    const weights = (name: string, shape: readonly number[]): RefTensor => checkpoint(call.instance + name, shape);
    const { graph: declared, interner } = built(component, box, ops);
    const graph = rewrite(declared, interner.make, component);
    const results = evaluateGraph(graph, call.dims, given, weights, ops);
    for (const [port, value] of Object.entries(call.outputs)) values.set(value, results[port]);
  }
  return Object.fromEntries(
    Object.entries(plan.results).map(([name, value]) => [name, values.get(value) as RefTensor]),
  );
}
