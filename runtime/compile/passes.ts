/** What turns a traced graph into the one that is covered: passes in order, each with the meaning of what it was given, but for rounded weights. */
import type { KeptDType } from "../core/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Interner } from "../ir/node.ts";
import { constantRules } from "./fold_constants.ts";
import { mergeSiblingProducts } from "./merge_products.ts";
import { type NarrowOptions, narrowValues } from "./narrow_values.ts";
import { quantizeProducts } from "./quantize_products.ts";
import { applyRules, type Rule } from "./rewrite.ts";
import { CANONICAL_RULES } from "./rules.ts";
import { storeTables, storeWeights } from "./store_weights.ts";

export interface PassContext extends Interner {
  /** Canonical rules, in the order in which they are tried. */
  readonly rules: readonly Rule[];
  /** Applications by rule, counted up. */
  readonly counts: Map<string, number>;
  /** What large weights are kept in. */
  readonly dtype: KeptDType;
  /** False where every op is to be covered alone. */
  readonly enabled: boolean;
  /** How values become f16, where the device keeps them so. */
  readonly halves?: Pick<NarrowOptions, "facts" | "onValue">;
}

export interface Pass {
  readonly name: string;
  readonly run: (graph: Graph, context: PassContext) => Graph;
}

/** Every rule that a pass may apply. */
export function allRules(table: Interner["table"]): readonly Rule[] {
  return [...CANONICAL_RULES, ...constantRules(table)];
}

const canonical: Pass["run"] = (graph, { rules, make, counts }) => applyRules(graph, rules, make, counts);

export const PIPELINE: readonly Pass[] = [
  // One spelling for what can be said in several ways.
  { name: "canonicalize", run: canonical },
  // One product with stacked weights for several of one value; what that leaves is spelled anew.
  {
    name: "merge products",
    run: (graph, { make, table, enabled }) => (enabled ? mergeSiblingProducts(graph, make, table) : graph),
  },
  { name: "canonicalize merged", run: canonical },
  // Large weights rounded to the type that they are kept in, or products of integers and tables of two bytes.
  {
    name: "store weights",
    run: (graph, context) => {
      const { make, dtype } = context;
      if (dtype === "f32") return graph;
      if (dtype === "f16" || dtype === "bf16") return storeWeights(graph, dtype, context);
      return storeTables(quantizeProducts(graph, make, dtype === "int8-calibrated"), context);
    },
  },
  // Values that products and attention read, as f16 where nothing in them can be too large for it.
  {
    name: "narrow values",
    run: (graph, { make, table, dtype, enabled, halves }) =>
      enabled && dtype === "f16" && halves !== undefined ? narrowValues(graph, { make, table, ...halves }) : graph,
  },
];
