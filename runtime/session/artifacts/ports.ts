/** Inputs and outputs of components, their sizes symbolic. */
import type { ComponentSpec } from "../../abi/encoder.ts";
import type { Box, Dim } from "../../core/dim.ts";
import type { DType } from "../../core/dtype.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Interner } from "../../ir/node.ts";
import { traceComponent } from "./trace.ts";

/** An input or output of a component. */
export interface ComponentPort {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}

export interface ComponentPorts {
  readonly inputs: readonly ComponentPort[];
  readonly outputs: readonly ComponentPort[];
}

export function portsOf(graph: Graph): ComponentPorts {
  return {
    inputs: graph.inputs.map(({ attributes, dtype, shape }) => ({ name: attributes.name as string, dtype, shape })),
    outputs: graph.outputs.map(({ name, node }) => ({ name, dtype: node.dtype, shape: node.shape })),
  };
}

/** The ports of a component over one box. @throws what building throws */
export function tracePorts(spec: ComponentSpec, box: Box, interner: Interner): ComponentPorts {
  return portsOf(traceComponent(spec, box, interner));
}
