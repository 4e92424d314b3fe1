/**
 * A tower as one ONNX graph of fixed sizes: the calls of its plan laid out one after another, each component's graph as it
 * is before anything is compiled.
 */
import type { ComponentCall, ComponentSpec, Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { type Bindings, type Dim, evaluate } from "../../runtime/core/dim.ts";
import { bytesOf } from "../../runtime/core/dtype.ts";
import { createGraphBuilder } from "../../runtime/ir/builder.ts";
import type { Graph } from "../../runtime/ir/graph.ts";
import { createInterner, type Make, type Node } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { convolutionOf } from "./convolutions.ts";
import { createGraphWriter, type GraphWriter } from "./graph_writer.ts";
import type { OnnxInitializer, OnnxModel, OnnxType } from "./model.ts";
import { converterOf, convolution } from "./operators.ts";

/** Where a checkpoint keeps a tensor. */
export type WeightPlace = (name: string) => Exclude<OnnxInitializer["data"], Uint8Array>;

export interface ExportOptions {
  /** As the caller of `encode` gives them. */
  readonly inputs: Tensors;
  readonly outputs: readonly string[];
  /** Place of a tensor by its full name. */
  readonly weight: WeightPlace;
}

export interface ExportedTower {
  readonly model: OnnxModel;
  /** What the model takes, by name. */
  readonly feeds: Tensors;
  /** Two for each multiplication of a matrix product whose operands are no constants. */
  readonly flops: number;
}

interface ComponentGraph {
  readonly graph: Graph;
  readonly make: Make;
}

/** A value of the model, and whether nothing but constants goes into it. */
interface Value {
  readonly name: string;
  readonly constant: boolean;
}

function componentGraph(component: ComponentSpec, dims: Bindings): ComponentGraph {
  const interner = createInterner(OP_TABLE);
  const symbols = Object.fromEntries(Object.entries(dims).map(([name, value]) => [name, { min: value, max: value }]));
  const b = createGraphBuilder({ symbols, interner });
  component.build(b);
  return { graph: b.finish(), make: interner.make };
}

const count = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** Multiplications of a contraction, twice. */
function contractionFlops({ op, inputs, shape }: Node, sizes: (shape: readonly Dim[]) => readonly number[]): number {
  const [first, second] = inputs.map((n) => sizes(n.shape));
  if (op === "matmul") return 2 * count(sizes(shape)) * first[first.length - 1];
  return op === "attention" ? 4 * count(first) * second[1] : 0;
}

function onnxType({ dtype }: Tensor | Node, name: string): OnnxType {
  if (dtype === "f32" || dtype === "i32") return dtype;
  throw new Error(`The ONNX exporter takes f32 and i32; "${name}" is ${dtype}.`);
}

/** Writes the calls' graphs into one model. */
class CallWriter {
  readonly writer: GraphWriter = createGraphWriter();
  flops = 0;
  readonly #known = new Map<string, string>();
  readonly #weight: WeightPlace;

  constructor(weight: WeightPlace) {
    this.#weight = weight;
  }

  /** Results of a call by port. */
  write({ graph, make }: ComponentGraph, call: ComponentCall, given: (name: string) => Value): Record<string, Value> {
    const values = new Map<Node, Value>();
    const sizes = (shape: readonly Dim[]): readonly number[] => shape.map((d) => evaluate(d, call.dims));
    const value = (node: Node): Value => {
      const known = values.get(node);
      if (known !== undefined) return known;
      const made = compute(node);
      values.set(node, made);
      return made;
    };
    const compute = (node: Node): Value => {
      const { writer } = this;
      const name = String(node.attributes.name);
      if (node.op === "input") return given(call.inputs[name]);
      if (node.op === "weight") return { name: this.#initializer(call.instance + name, node), constant: true };
      const found = convolutionOf(node);
      if (found !== undefined) {
        const weights = [found.weight, ...(found.bias === undefined ? [] : [found.bias])].map((n) => value(n).name);
        this.flops += 2 * count(sizes(node.shape)) * count(sizes(found.weight.shape).slice(1));
        const over = found.kernel.length === 1 ? channelsFirst(found.input) : value(found.input).name;
        return { name: convolution({ writer, node, sizes }, found, over, weights), constant: false };
      }
      const convert = converterOf(node.op);
      if (convert === undefined) {
        const expand = OP_TABLE.get(node.op)?.expand;
        if (expand === undefined) throw new Error(`The ONNX exporter has no "${node.op}"; leave the model out.`);
        return value(expand(node.inputs, node.attributes, make));
      }
      const operands = node.inputs.map(value);
      const constant = operands.every((operand) => operand.constant);
      if (!constant) this.flops += contractionFlops(node, sizes);
      const names = operands.map((operand) => operand.name);
      const once = (key: string, write: () => string): string => this.#once(key, write);
      return { name: convert({ writer, node, operands: names, sizes, once }), constant };
    };
    /** [batch, steps, channels] with its axes as convolutions want them; a transpose that led away from there is left out. */
    const channelsFirst = (node: Node): string => {
      const back = node.op === "transpose" && String(node.attributes.perm) === "0,2,1";
      if (back) return value(node.inputs[0]).name;
      return this.writer.node("Transpose", [value(node).name], { perm: [0, 2, 1] });
    };
    return Object.fromEntries(graph.outputs.map((output) => [output.name, value(output.node)]));
  }

  #once(key: string, write: () => string): string {
    const known = this.#known.get(key) ?? write();
    this.#known.set(key, known);
    return known;
  }

  #initializer(name: string, node: Node): string {
    const shape = node.shape as readonly number[];
    return this.writer.initializer({ name, type: "f32", shape, data: this.#weight(name) });
  }
}

/** @throws Error for operations that no tower here has */
export function exportTower(tower: TowerSpec, { inputs, outputs, weight }: ExportOptions): ExportedTower {
  const prepared = tower.prepare(inputs);
  const plan = tower.plan(Object.fromEntries(Object.entries(prepared).map(([n, t]) => [n, t.shape])), outputs);
  const calls = new CallWriter(weight);
  const { writer } = calls;
  const graphs = new Map<string, ComponentGraph>();
  const values = new Map<string, Value>();
  const feeds: Record<string, Tensor> = {};

  /** An earlier call's result, or what a plan brings: inputs become the model's, constants are kept in it. */
  const given = (name: string): Value => {
    const known = values.get(name);
    if (known !== undefined) return known;
    const constant = Object.hasOwn(plan.constants, name);
    const tensor = constant ? plan.constants[name] : prepared[name];
    const { shape, data } = tensor;
    const described = { name, type: onnxType(tensor, name), shape };
    if (constant) writer.initializer({ ...described, data: bytesOf(data) });
    else feeds[writer.input(described)] = tensor;
    values.set(name, { name, constant });
    return { name, constant };
  };

  for (const call of plan.calls) {
    const key = `${call.tag} ${JSON.stringify(call.dims)}`;
    const component = tower.components.find((c) => c.tag === call.tag) as ComponentSpec;
    const built = graphs.get(key) ?? componentGraph(component, call.dims);
    graphs.set(key, built);
    const results = calls.write(built, call, given);
    for (const [port, name] of Object.entries(call.outputs)) values.set(name, results[port]);
  }

  const shapes = new Map(
    plan.calls.flatMap((call) => {
      const { graph } = graphs.get(`${call.tag} ${JSON.stringify(call.dims)}`) as ComponentGraph;
      return graph.outputs.map(({ name, node }) => [
        call.outputs[name],
        node.shape.map((d) => evaluate(d, call.dims)),
      ]) as [string, number[]][];
    }),
  );
  const results = Object.entries(plan.results).map(([name, value]) => ({
    name,
    type: "f32" as const,
    shape: shapes.get(value) as readonly number[],
    value: (values.get(value) as Value).name,
  }));
  return { model: writer.finish(results), feeds, flops: calls.flops };
}
