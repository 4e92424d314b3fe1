import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import type { KernelSpec } from "../../runtime/abi/kernel.ts";
import { definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { copyOutputs, type LegalizeOptions, legalize } from "../../runtime/compile/legalize.ts";
import { createViewResolver } from "../../runtime/compile/views.ts";
import type { Box } from "../../runtime/core/dim.ts";
import { createGraphBuilder, type GraphBuilder } from "../../runtime/ir/builder.ts";
import { evaluateGraph } from "../../runtime/ir/evaluate/mod.ts";
import { nodesOf } from "../../runtime/ir/graph.ts";
import { createInterner, type Interner, type OpRow, type OpTable } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import {
  growRandomGraph,
  RANDOM_SYMBOLS,
  randomBindings,
  randomInputs,
  randomTensor,
  randomWeights,
} from "../kit/random_graph.ts";
import { BARE_HOST, buildGraph, maxDifference, runGraph } from "../kit/run_graph.ts";
import { fakeClaim, optionsOf } from "./cover_kit.ts";

const SYMBOLS: Box = { batch: { min: 1, max: 4 } };

/** Offers a claim for every op but some. */
function allBut(...ops: readonly string[]): KernelSpec {
  return {
    name: "all but some",
    device: "fake",
    reads: [],
    claim: (context, n) =>
      ops.includes(n.op) ? [] : [fakeClaim("k", [n], 1, (x) => x.op === "input" || context.isWeight(x))],
  };
}

function optionsFor(interner: Interner, kernels: readonly KernelSpec[], opByOp = false): LegalizeOptions {
  return {
    ...optionsOf(interner, kernels, opByOp),
    table: interner.table,
    view: createViewResolver(interner.table),
    make: interner.make,
  };
}

function opsAfter(
  build: (b: GraphBuilder) => void,
  kernels: readonly KernelSpec[],
  table: OpTable = OP_TABLE,
  opByOp = false,
): readonly string[] {
  const interner = createInterner(table);
  const b = createGraphBuilder({ symbols: SYMBOLS, interner });
  build(b);
  const { graph } = legalize(b.finish(), optionsFor(interner, kernels, opByOp));
  return nodesOf(graph).map((n) => n.op);
}

test("legalize: what a kernel takes stays, what none takes expands", () => {
  const build = (b: GraphBuilder): void => {
    const x = b.input("x", [b.dims.batch, 8]);
    b.output("y", b.unary("silu", b.softmax(x)));
  };
  assert.deepEqual(opsAfter(build, [allBut()]), ["input", "softmax", "silu"]);
  assert.deepEqual(opsAfter(build, [allBut("silu")]), ["input", "softmax", "sigmoid", "mul"]);
  assert.deepEqual(opsAfter(build, [allBut("softmax")]), [
    "input",
    "reduce_max",
    "sub",
    "exp",
    "reduce_sum",
    "div",
    "silu",
  ]);
  // Nothing to say it in: the cover will name it.
  assert.deepEqual(opsAfter(build, [allBut("sigmoid", "silu")]), ["input", "softmax", "sigmoid", "mul"]);
});

test("legalize: expansions expand in turn", () => {
  const expand: OpRow["expand"] = ([x], _, make) => make("silu", [make("softmax", [x])]);
  const swish: OpRow = { kind: "elementwise", arity: [1, 1], infer: ([x]) => x, expand };
  const table = new Map([...OP_TABLE, ["swish", swish]]);
  const build = (b: GraphBuilder): void => b.output("y", b.op("swish", [b.input("x", [8])]));
  assert.deepEqual(opsAfter(build, [allBut("swish", "silu")], table), ["input", "softmax", "sigmoid", "mul"]);
});

test("legalize: an op is taken when a claim covers it together with others, and can be chosen", () => {
  const pair: KernelSpec = {
    name: "pair",
    device: "fake",
    reads: [],
    claim: (_, n) =>
      n.op === "neg" && n.inputs[0].op === "silu"
        ? [fakeClaim("pair", [n, n.inputs[0]], 1, (x) => x.op === "input")]
        : [],
  };
  const build = (b: GraphBuilder): void => b.output("y", b.unary("neg", b.unary("silu", b.input("x", [8]))));
  const kernels = [allBut("silu"), pair];
  assert.deepEqual(opsAfter(build, kernels), ["input", "silu", "neg"]);
  assert.deepEqual(opsAfter(build, kernels, OP_TABLE, true), ["input", "sigmoid", "mul", "neg"]);
  // The pair's inner value is a result as well: its claim is none.
  const shown = (b: GraphBuilder): void => {
    const silu = b.unary("silu", b.input("x", [8]));
    b.output("silu", silu);
    b.output("y", b.unary("neg", silu));
  };
  assert.deepEqual(opsAfter(shown, kernels), ["input", "sigmoid", "mul", "neg"]);
});

test("legalize: outputs are values of their own", () => {
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: SYMBOLS, interner });
  const x = b.input("x", [b.dims.batch, 8]);
  const neg = b.unary("neg", x);
  const outputs = [x, x, neg, neg, b.reshape(neg, [8, b.dims.batch]), b.op("contiguous", [x]), b.weight("w", [2])];
  for (const [i, node] of outputs.entries()) b.output(`y${i}`, node);
  const copied = copyOutputs(b.finish(), interner.make, OP_TABLE).outputs.map((o) => o.node);
  assert.equal(new Set(copied).size, copied.length);
  assert.ok(copied.every((n) => n.op !== "input" && OP_TABLE.get(n.op)?.kind !== "view"));
  assert.equal(copied[2], neg);
  assert.equal(copied[6].op, "weight");
});

test("legalize: a second time there is nothing to do", () => {
  for (let seed = 0; seed < 60; seed++) {
    const interner = createInterner(OP_TABLE);
    const b = createGraphBuilder({ symbols: RANDOM_SYMBOLS, interner });
    growRandomGraph(b, seed);
    const traced = b.finish();
    const options = optionsFor(interner, [allBut("gelu", "layer_norm", "softmax", "relu", "rotary")]);
    const { graph } = legalize(traced, options);
    assert.deepEqual(legalize(graph, options).graph.outputs, graph.outputs);
    const at = randomBindings(seed);
    const [one, two] = [traced, graph].map((g) => evaluateGraph(g, at, randomInputs(seed, at), randomWeights(seed)));
    for (const name of Object.keys(one)) assert.ok(maxDifference(one[name], two[name]) < 1e-9, `seed ${seed}, ${name}`);
  }
});

/** The wasm plugin as a third party might have written it: fewer ops by themselves. */
function without(...ops: readonly string[]): Plugin {
  const kernels = (wasmPlugin.kernels ?? []).map(
    (k): KernelSpec => ({
      ...k,
      claim: (context, n) =>
        k.claim(context, n).filter((o) => "reason" in o || !o.covers.some((c) => ops.includes(c.op))),
    }),
  );
  return definePlugin({ ...wasmPlugin, kernels });
}

test("legalize: prologues expand what no kernel takes", async () => {
  const device = (await wasmPlugin.devices?.[0].open(BARE_HOST, { threads: 0, target: "wasm-simd128" })) as Device;
  const build = (b: GraphBuilder): void => {
    const x = b.input("x", [b.dims.batch, 8]);
    const table = b.softmax(b.weight("w", [4, 8]));
    const turned = b.reshape(b.transpose(b.unary("gelu", table), [1, 0]), [4, 8]);
    b.output("y", b.add(b.matmul(x, turned, { transposeB: true }), b.slice(b.weight("v", [6]), 0, 1, 5)));
  };
  const inputs = { x: randomTensor(1, [3, 8]) };
  const weights = randomWeights(1);
  const expected = evaluateGraph(buildGraph(SYMBOLS, build), { batch: 3 }, inputs, weights);
  for (const plugin of [wasmPlugin, without("softmax", "gelu")]) {
    const options = { device, plugins: [plugin], symbols: SYMBOLS, build, bindings: { batch: 3 }, inputs, weights };
    const { outputs, compiled } = await runGraph(options);
    assert.ok(maxDifference(outputs.y, expected.y) < 1e-5);
    const covers = compiled.artifact.weights.flatMap((w) => w.prologue?.steps.map((s) => s.covers) ?? []);
    assert.equal(
      covers.some((c) => c.includes("softmax")),
      plugin === wasmPlugin,
    );
  }
  assert.equal(device.stats().bytesInUse, 0);
  await device.close();
});
