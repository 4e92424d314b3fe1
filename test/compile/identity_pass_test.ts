/** Passes that change nothing, inserted everywhere, change nothing: artifacts do not follow from how a graph came about. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { compileGraph } from "../../runtime/compile/compile.ts";
import { BUILD_EFFORT } from "../../runtime/compile/expect.ts";
import { type Pass, PIPELINE } from "../../runtime/compile/passes.ts";
import { canonicalJson } from "../../runtime/core/canonical_json.ts";
import { type Graph, graphToData, nodesOf } from "../../runtime/ir/graph.ts";
import { graphFromData } from "../../runtime/ir/graph_data.ts";
import { createInterner, type Interner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { growRandomGraph, RANDOM_SYMBOLS } from "../kit/random_graph.ts";
import { buildGraph } from "../kit/run_graph.ts";
import { passesOfNothing, rebuild, SPELLINGS } from "./identity_passes.ts";
import { type Corpus, readCorpus, replay, replayProblem } from "./replay_corpus.ts";

/** The pipeline with passes that change nothing before, between and after all of its own. */
function withIdentities(seed: number): readonly Pass[] {
  const nothing = passesOfNothing(seed);
  return [...nothing, ...PIPELINE.flatMap((pass) => [pass, ...nothing])];
}

function artifactText(graph: Graph, interner: Interner, enabled: boolean, pipeline?: readonly Pass[]): string {
  const target = "wasm-simd128";
  const capabilities = wasmPlugin.devices?.[0].targetCapabilities(target) ?? {};
  const effort = { ...BUILD_EFFORT, samples: [4, 4] as const, interior: 0 };
  const options = { interner, kernels: wasmPlugin.kernels ?? [], target, capabilities, enabled, effort };
  return canonicalJson(compileGraph(graph, options, pipeline).artifact);
}

/** The graph in an interner that made its sources in another order, among other nodes. */
function reordered(graph: Graph): { readonly graph: Graph; readonly interner: Interner } {
  const interner = createInterner(OP_TABLE);
  interner.make("weight", [], { name: "of another graph", shape: [3], dtype: "f32" });
  for (const n of [...nodesOf(graph)].reverse()) if (n.inputs.length === 0) interner.make(n.op, [], n.attributes);
  return { graph: graphFromData(graphToData(graph), interner.make), interner };
}

test("every spelling is a value of its own before it is canonical", () => {
  const { make, table } = createInterner(OP_TABLE);
  const x = make("input", [], { name: "x", shape: [2, 3], dtype: "f32" });
  for (const spell of SPELLINGS) {
    const graph: Graph = { symbols: {}, inputs: [x], outputs: [{ name: "y", node: spell(x, make) }] };
    assert.notEqual(graph.outputs[0].node, x);
    const context = { make, table, rules: [], counts: new Map(), enabled: true, dtype: "f32" } as const;
    assert.equal(rebuild.run(graph, context).outputs[0].node, graph.outputs[0].node);
  }
});

for (const enabled of [true, false]) {
  test(`random graphs become the same artifacts with passes that change nothing, ${enabled ? "optimised" : "op by op"}`, () => {
    for (let seed = 0; seed < 8; seed++) {
      const graph = buildGraph(RANDOM_SYMBOLS, (b) => growRandomGraph(b, seed));
      const expected = [graph].map(reordered).map((r) => artifactText(r.graph, r.interner, enabled));
      const interner = createInterner(OP_TABLE);
      const again = graphFromData(graphToData(graph), interner.make);
      assert.equal(artifactText(again, interner, enabled), expected[0], `seed ${seed}: another order of creation`);
      assert.equal(artifactText(again, interner, enabled, withIdentities(seed)), expected[0], `seed ${seed}: passes`);
    }
  });
}

test("recorded components become the recorded artifacts with passes that change nothing", () => {
  const { entries, artifacts } = readCorpus() as Corpus;
  const tags = new Set<string>();
  const problems = entries.flatMap((entry, i) => {
    if (tags.has(entry.tag)) return [];
    tags.add(entry.tag);
    const found = replay(entry.graph, "wasm-simd128", withIdentities(i));
    return replayProblem(entry, "wasm-simd128", artifacts[entry.artifacts["wasm-simd128"]], found) ?? [];
  });
  assert.equal(problems.length, 0, problems.slice(0, 3).join("\n"));
  assert.ok(tags.size > 50);
});
