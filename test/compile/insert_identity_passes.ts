/**
 * Imported before all else by `npm test -- --identity-pass`: whatever is compiled in this process passes through passes that
 * change nothing around each of the pipeline's own, under the names that these have.
 */
import { type Pass, type PassContext, PIPELINE } from "../../runtime/compile/passes.ts";
import type { Graph } from "../../runtime/ir/graph.ts";
import { passesOfNothing } from "./identity_passes.ts";

/** @param seed picks the spellings */
function nothing(graph: Graph, context: PassContext, seed: number): Graph {
  // What they rewrite is not counted: tests read the counts.
  const uncounted = { ...context, counts: new Map() };
  return passesOfNothing(seed).reduce((g, pass) => pass.run(g, uncounted), graph);
}

const pipeline = PIPELINE as Pass[];
for (const [at, { name, run }] of pipeline.entries()) {
  pipeline[at] = {
    name,
    run: (graph, context) => nothing(run(nothing(graph, context, 2 * at), context), context, 2 * at + 1),
  };
}
