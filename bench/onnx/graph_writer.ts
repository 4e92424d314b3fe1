/** A model that grows node by node; constants that are equal are kept once. */
import type { OnnxAttribute, OnnxInitializer, OnnxModel, OnnxNode, OnnxValue } from "./model.ts";

export interface GraphWriter {
  /** Adds a node with one result and returns the result's name. */
  node(op: string, inputs: readonly string[], attributes?: Readonly<Record<string, OnnxAttribute>>): string;
  /** A list of i64: shapes, axes and positions. */
  ints(values: readonly number[]): string;
  /** A scalar f32. */
  float(value: number): string;
  /** The initializer of this name, which is added when it is first asked for. */
  initializer(make: OnnxInitializer): string;
  input(value: OnnxValue): string;
  /** The model whose results are these values, under new names. */
  finish(results: readonly (OnnxValue & { readonly value: string })[]): OnnxModel;
}

export function createGraphWriter(): GraphWriter {
  const inputs = new Map<string, OnnxValue>();
  const initializers = new Map<string, OnnxInitializer>();
  const nodes: OnnxNode[] = [];
  const initializer = (made: OnnxInitializer): string => {
    if (!initializers.has(made.name)) initializers.set(made.name, made);
    return made.name;
  };
  return {
    node: (op, operands, attributes = {}) => {
      const name = `${op.toLowerCase()}_${nodes.length}`;
      nodes.push({ op, inputs: operands, outputs: [name], attributes });
      return name;
    },
    ints: (values) => {
      const data = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
      return initializer({ name: `ints_${values.join("_")}`, type: "i64", shape: [values.length], data });
    },
    float: (value) => {
      const data = new Uint8Array(Float32Array.of(value).buffer);
      return initializer({ name: `float_${value}`, type: "f32", shape: [], data });
    },
    initializer,
    input: (value) => {
      inputs.set(value.name, value);
      return value.name;
    },
    finish: (results) => {
      const names = new Map(results.map(({ value, name }) => [value, name]));
      const renamed = (all: readonly string[]): string[] => all.map((name) => names.get(name) ?? name);
      return {
        inputs: [...inputs.values()],
        outputs: results.map(({ name, type, shape }) => ({ name, type, shape })),
        initializers: [...initializers.values()],
        nodes: nodes.map((node) => ({ ...node, inputs: renamed(node.inputs), outputs: renamed(node.outputs) })),
      };
    },
  };
}
