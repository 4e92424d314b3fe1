/** Tracing: a component's `build` becomes a graph over one box. */
import type { ComponentSpec } from "../abi/encoder.ts";
import type { Box } from "../core/dim.ts";
import { createGraphBuilder } from "../ir/builder.ts";
import type { Graph } from "../ir/graph.ts";
import type { Interner } from "../ir/node.ts";

/** Builds a component's graph over one box. @throws FoveaError `shape_error`, `duplicate_name`, `no_outputs` */
export function traceComponent(spec: ComponentSpec, box: Box, interner: Interner): Graph {
  const builder = createGraphBuilder({ symbols: box, interner });
  spec.build(builder);
  return builder.finish();
}
