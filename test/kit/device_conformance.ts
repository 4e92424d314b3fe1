/** The conformance suite of devices: whatever a kernel plugin claims must equal the reference evaluator. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CompiledArtifact } from "../../runtime/abi/artifact.ts";
import type { Device } from "../../runtime/abi/device.ts";
import type { ComponentSpec } from "../../runtime/abi/encoder.ts";
import type { Plugin } from "../../runtime/abi/plugin.ts";
import { BUILD_EFFORT, type ExpectationEffort } from "../../runtime/compile/expect.ts";
import { storeWeights } from "../../runtime/compile/store_weights.ts";
import { type Bindings, evaluate } from "../../runtime/core/dim.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import { proveArtifact } from "../../runtime/exec/prove.ts";
import { createGraphBuilder, type GraphBuilder } from "../../runtime/ir/builder.ts";
import { evaluateGraph, type RefTensor, refTensor, type WeightValues } from "../../runtime/ir/evaluate/mod.ts";
import { type Graph, nodesOf } from "../../runtime/ir/graph.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { judges, limitFor } from "./noise.ts";
import {
  growRandomGraph,
  RANDOM_SYMBOLS,
  randomBindings,
  randomInputs,
  randomTensor,
  randomWeights,
} from "./random_graph.ts";
import { buildGraph, maxDifference, runGraph } from "./run_graph.ts";

/** Share of the random graphs that must be able to judge a device. */
const JUDGES = 0.8;

/** Of graphs with values kept as f16: a fifth of it, the noise by which graphs are judged, is more than they round. */
const HALF_TOLERANCE = 2 ** -8;

/** What {@link testDevice} makes tests of. */
export interface DeviceSuite {
  /** What the tests' names begin with. */
  readonly label: string;
  /** Brings the kernels. */
  readonly plugin: Plugin;
  /** Opens the device; called for each test that needs one, which closes it. */
  readonly open: () => Promise<Device>;
  /** Largest difference, as a share of 1 + the largest magnitude of a result. */
  readonly tolerance: number;
  /** Components that are compiled in every range of theirs. */
  readonly components: readonly ComponentSpec[];
  /** Random graphs for each way of compiling. */
  readonly graphs: number;
  /** Seeds of the random graphs with weights in two bytes; the first quarter of `graphs` unless given. */
  readonly halfSeeds?: readonly number[];
  /** Ops that the device refuses, by name, each with what its reason says; graphs that hold one must be refused so. */
  readonly refuses?: ReadonlyMap<string, RegExp>;
  /** Why the device cannot run here; the tests are then listed as skipped. */
  readonly skip?: string;
}

type Values = Readonly<Record<string, RefTensor>>;

/** Normal values; small indices for integers, 0 and 1 for masks. */
function componentInputs(graph: Graph, bindings: Bindings): Record<string, RefTensor> {
  return Object.fromEntries(
    graph.inputs.map((n, i): [string, RefTensor] => {
      const shape = n.shape.map((d) => evaluate(d, bindings));
      const name = n.attributes.name as string;
      const count = shape.reduce((a, d) => a * d, 1);
      const counted = (f: (j: number) => number): number[] => Array.from({ length: count }, (_, j) => f(j));
      if (n.dtype === "i32")
        return [
          name,
          refTensor(
            "i32",
            shape,
            counted((j) => j % 2),
          ),
        ];
      if (name === "key_mask")
        return [
          name,
          refTensor(
            "f32",
            shape,
            counted((j) => (j % 3 < 2 ? 1 : 0)),
          ),
        ];
      return [name, randomTensor(i, shape)];
    }),
  );
}

/** Weights that keep activations near 1, where f32 loses least. */
function smallWeights(seed: number): WeightValues {
  const normal = randomWeights(seed);
  return (name, shape) => {
    const whole = normal(name, shape);
    return refTensor(
      "f32",
      shape,
      Float32Array.from(whole.data, (v) => v * 0.1),
    );
  };
}

function assertNear(what: string, actual: Values, expected: Values, tolerance: number): void {
  for (const [name, value] of Object.entries(expected)) {
    const difference = maxDifference(actual[name], value);
    const limit = limitFor(value, tolerance);
    assert.ok(difference <= limit, `${what}, ${name}: ${difference} over ${limit}`);
  }
}

/** A random graph at its sizes, what the evaluator makes of it, and whether that can judge a device. */
interface Drawn {
  readonly graph: Graph;
  readonly at: Bindings;
  readonly inputs: Values;
  readonly weights: WeightValues;
  readonly expected: Values;
  readonly compared: boolean;
}

const drawn = new Map<string, Drawn>();

/** The graph of a seed, drawn once for all ways of compiling and all devices of a tolerance. */
function drawnOf(seed: number, tolerance: number): Drawn {
  const key = `${seed} ${tolerance}`;
  const old = drawn.get(key);
  if (old !== undefined) return old;
  const at = randomBindings(seed);
  const inputs = randomInputs(seed, at);
  const weights = randomWeights(seed);
  const graph = buildGraph(RANDOM_SYMBOLS, (b) => growRandomGraph(b, seed));
  const expected = evaluateGraph(graph, at, inputs, weights);
  const compared = judges({ graph, at, inputs, weights, expected }, tolerance);
  const made = { graph, at, inputs, weights, expected, compared };
  drawn.set(key, made);
  return made;
}

/** Samples at the corners and at one point between: a run compares its result at other sizes. */
const EFFORT: ExpectationEffort = { ...BUILD_EFFORT, interior: 1 };

/** What a device says that takes no such graph, where it refuses one of its ops. */
function refusalOf({ refuses }: DeviceSuite, graph: Graph): RegExp | undefined {
  const node = nodesOf(graph).find((n) => refuses?.has(n.op));
  return node === undefined ? undefined : refuses?.get(node.op);
}

/** Loads what was compiled and lets it prove itself. */
async function proveAll(what: string, device: Device, { code, artifact }: CompiledArtifact): Promise<void> {
  await device.load(code);
  for (const proof of (await proveArtifact(device, artifact)).results.values())
    assert.ok(proof.pass, `${what}: ${JSON.stringify(proof)}`);
}

/** Declares the tests of a device. */
export function testDevice(suite: DeviceSuite): void {
  const { label, tolerance } = suite;
  const options = suite.skip === undefined ? {} : { skip: suite.skip };
  for (const enabled of [true, false]) {
    test(
      `${label}: compiled random graphs equal the evaluator, ${enabled ? "optimised" : "op by op"}`,
      options,
      async () => {
        const device = await suite.open();
        let taken = 0;
        let judged = 0;
        for (let seed = 0; seed < suite.graphs; seed++) {
          const { graph, at, inputs, weights, expected, compared } = drawnOf(seed, tolerance);
          const build = (b: GraphBuilder): void => growRandomGraph(b, seed);
          const run = { device, plugins: [suite.plugin], symbols: RANDOM_SYMBOLS, bindings: at, inputs, weights };
          const refusal = refusalOf(suite, graph);
          if (refusal !== undefined) {
            await assert.rejects(runGraph({ ...run, build, enabled }), refusal);
            continue;
          }
          taken++;
          const { outputs, compiled } = await runGraph({ ...run, build, enabled, effort: EFFORT });
          if (compared) {
            judged++;
            assertNear(`seed ${seed}`, outputs, expected, tolerance);
          }
          await proveAll(`seed ${seed}`, device, compiled);
        }
        assert.ok(taken >= JUDGES * suite.graphs, `${suite.graphs - taken} of ${suite.graphs} graphs were refused`);
        assert.ok(judged >= JUDGES * taken, `only ${judged} of ${taken} graphs could be compared`);
        assert.equal(device.stats().bytesInUse, 0);
        await device.close();
      },
    );
  }

  for (const dtype of ["f16", "bf16"] as const) {
    test(
      `${label}: random graphs with weights kept as ${dtype} equal the evaluator on rounded weights`,
      options,
      async () => {
        const device = await suite.open();
        let taken = 0;
        let judged = 0;
        for (const seed of suite.halfSeeds ?? Array(suite.graphs / 4).keys()) {
          const at = randomBindings(seed);
          const interner = createInterner(OP_TABLE);
          const b = createGraphBuilder({ symbols: RANDOM_SYMBOLS, interner });
          growRandomGraph(b, seed);
          const graph = b.finish();
          if (refusalOf(suite, graph) !== undefined) continue;
          taken++;
          const rounded = storeWeights(graph, dtype, interner);
          const inputs = randomInputs(seed, at);
          const weights = randomWeights(seed);
          const expected = evaluateGraph(rounded, at, inputs, weights);
          const judgedWithin = (within: number): boolean =>
            judges({ graph: rounded, at, inputs, weights, expected }, within);
          const isJudge = judgedWithin(tolerance);
          if (isJudge) judged++;
          const build = (own: GraphBuilder): void => growRandomGraph(own, seed);
          const run = {
            device,
            plugins: [suite.plugin],
            symbols: RANDOM_SYMBOLS,
            build,
            bindings: at,
            inputs,
            weights,
          };
          for (const enabled of [true, false]) {
            const { outputs, compiled, halves } = await runGraph({ ...run, enabled, dtype, effort: EFFORT });
            if (halves ? judgedWithin(HALF_TOLERANCE) : isJudge)
              assertNear(`seed ${seed}`, outputs, expected, halves ? HALF_TOLERANCE : tolerance);
            await proveAll(`seed ${seed}`, device, compiled);
          }
        }
        assert.ok(judged >= JUDGES * taken, `only ${judged} of ${taken} graphs could be compared`);
        assert.equal(device.stats().bytesInUse, 0);
        await device.close();
      },
    );
  }

  test(`${label}: outputs may be inputs, weights, constants, views and each other`, options, async () => {
    const device = await suite.open();
    const symbols = { batch: { min: 1, max: 4 } };
    const build = (b: GraphBuilder): void => {
      const x = b.input("x", [b.dims.batch, 8]);
      const w = b.weight("w", [3, 4]);
      b.output("input", x);
      b.output("input again", x);
      b.output("weight", w);
      b.output("weight view", b.transpose(w, [1, 0]));
      b.output("weight view again", b.transpose(w, [1, 0]));
      b.output("repeated weight", b.broadcastTo(b.weight("v", [8]), [b.dims.batch, 8]));
      b.output("constant", b.constant(2));
      b.output("constant expression", b.unary("exp", b.constant(1)));
      b.output("slice", b.slice(x, 1, 2, 5));
      b.output("scaled weight", b.mul(w, b.unary("exp", b.constant(1))));
    };
    const inputs = { x: randomTensor(1, [3, 8]) };
    const weights = randomWeights(1);
    const run = { device, plugins: [suite.plugin], symbols, build, bindings: { batch: 3 }, inputs, weights };
    const { outputs } = await runGraph(run);
    const expected = evaluateGraph(buildGraph(symbols, build), { batch: 3 }, inputs, weights);
    assert.deepEqual(Object.keys(outputs).sort(), Object.keys(expected).sort());
    for (const name of Object.keys(expected)) {
      const difference = maxDifference(outputs[name], expected[name]);
      assert.ok(difference <= tolerance * 4, `${name}: ${difference}`);
    }
  });

  test(`${label}: given components equal the evaluator in every range, optimised and op by op`, options, async () => {
    const device = await suite.open();
    for (const { tag, symbols, ranges, build } of suite.components) {
      for (const box of splitRanges(symbols, ranges ?? {}, { tag })) {
        const graph = buildGraph(box, build);
        const bindings = Object.fromEntries(
          Object.entries(box).map(([name, { min, max }]) => [name, Math.min(min + 1, max)]),
        );
        const inputs = componentInputs(graph, bindings);
        const weights = smallWeights(3);
        const expected = evaluateGraph(graph, bindings, inputs, weights);
        for (const enabled of [true, false]) {
          const run = { device, plugins: [suite.plugin], symbols: box, build, bindings, inputs, weights, enabled };
          const { outputs } = await runGraph(run);
          assertNear(tag, outputs, expected, tolerance);
        }
      }
    }
    await device.close();
  });
}
