import assert from "node:assert/strict";
import { test } from "node:test";
import { referencePlugin } from "../../kernels/reference/plugin.ts";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import type { Artifact } from "../../runtime/abi/artifact.ts";
import type { Device } from "../../runtime/abi/device.ts";
import type { KernelSpec } from "../../runtime/abi/kernel.ts";
import type { Plugin } from "../../runtime/abi/plugin.ts";
import { type CompileResult, compileGraph, peakBytes } from "../../runtime/compile/compile.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
import type { Box } from "../../runtime/core/dim.ts";
import { codeDigests, decodeArtifact, encodeArtifact } from "../../runtime/exec/codec.ts";
import { proveArtifact } from "../../runtime/exec/prove.ts";
import { createGraphBuilder, type GraphBuilder } from "../../runtime/ir/builder.ts";
import { evaluateGraph } from "../../runtime/ir/evaluate/mod.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { transformerBlock } from "../../runtime/nn/mod.ts";
import { hasCode } from "../kit/assertions.ts";
import { growRandomGraph, RANDOM_SYMBOLS, randomTensor, randomWeights } from "../kit/random_graph.ts";
import { BARE_HOST, buildGraph, maxDifference, runGraph } from "../kit/run_graph.ts";

const SYMBOLS: Box = { batch: { min: 1, max: 4 } };
const TARGET = "wasm-simd128";

interface CompileChoice {
  readonly symbols?: Box;
  readonly enabled?: boolean;
  readonly kernels?: readonly KernelSpec[];
  /** Nodes created before the graph's own, so that ids differ. */
  readonly before?: number;
}

function compile(build: (b: GraphBuilder) => void, choice: CompileChoice = {}): CompileResult {
  const interner = createInterner(OP_TABLE);
  for (let i = 0; i < (choice.before ?? 0); i++) interner.make("constant", [], { value: i + 0.5 });
  const b = createGraphBuilder({ symbols: choice.symbols ?? SYMBOLS, interner });
  build(b);
  return compileGraph(b.finish(), {
    interner,
    kernels: choice.kernels ?? wasmPlugin.kernels ?? [],
    target: TARGET,
    capabilities: wasmPlugin.devices?.[0].targetCapabilities(TARGET) ?? {},
    enabled: choice.enabled ?? true,
  });
}

function block(b: GraphBuilder): void {
  const x = b.input("x", [b.dims.batch, 5, 16]);
  b.output("y", transformerBlock(b, x, "", { heads: 2, intermediateSize: 32, activation: "quick_gelu", eps: 1e-5 }));
}

const bytesOf = (r: CompileResult): string => new TextDecoder().decode(encodeArtifact(r.artifact));

test("compile: the same graph gives the same bytes, whatever was created before it", () => {
  const builds = [block, ...Array.from({ length: 12 }, (_, seed) => (b: GraphBuilder) => growRandomGraph(b, seed))];
  for (const [at, build] of builds.entries()) {
    const symbols = at === 0 ? SYMBOLS : RANDOM_SYMBOLS;
    const [one, two] = [0, 7].map((before) => compile(build, { symbols, before }));
    assert.equal(bytesOf(two), bytesOf(one));
    assert.deepEqual([...two.code.keys()].sort(), [...one.code.keys()].sort());
    for (const [digest, blob] of one.code) {
      assert.equal(digestBytes(blob), digest);
      assert.deepEqual(two.code.get(digest), blob);
    }
    assert.deepEqual(two.report, one.report);
  }
});

test("compile: artifacts name their weights, and neither component nor machine", () => {
  const text = bytesOf(compile(block));
  assert.ok(text.includes("self_attn.q_proj.weight"));
  for (const word of ["clip", "vision", "encoder.layers", process.cwd(), process.version])
    assert.ok(!text.includes(word), word);
});

test("compile: artifacts come back from their bytes, with the code that they name and no more", () => {
  for (let seed = 0; seed < 12; seed++) {
    const { artifact, code } = compile((b) => growRandomGraph(b, seed), { symbols: RANDOM_SYMBOLS });
    const bytes = encodeArtifact(artifact);
    const read = decodeArtifact(bytes);
    assert.deepEqual(encodeArtifact(read), bytes);
    assert.deepEqual(read, JSON.parse(JSON.stringify(artifact)));
    assert.deepEqual(codeDigests(read), [...code.keys()].sort());
  }
  const damaged = (text: string, says: RegExp): void => {
    assert.throws(() => decodeArtifact(new TextEncoder().encode(text)), hasCode("invalid_artifact", says));
  };
  damaged("{", /is not readable as JSON; it will be compiled again/);
  damaged("null", /has another format than 1/);
  damaged('{"format":2,"steps":[]}', /has another format than 1/);
  damaged('{"format":1}', /has another format than 1/);
});

test("compile: op by op, every step covers one op", () => {
  const { artifact } = compile(block, { enabled: false });
  for (const s of artifact.steps) assert.ok(!s.covers.includes("+"), s.covers);
  const fused = compile(block).artifact;
  assert.ok(fused.steps.length < artifact.steps.length);
  assert.ok(fused.steps.some((s) => s.covers === "matmul + add + quick_gelu"));
});

test("compile: what no kernel takes is an error with the refusals", () => {
  const tanh: KernelSpec = {
    name: "stubborn",
    device: "wasm",
    reads: [],
    claim: (_, node) => (node.op === "tanh" ? [{ kernel: "stubborn", node, reason: "it has no wish to." }] : []),
  };
  const build = (b: GraphBuilder): void => b.output("y", b.unary("tanh", b.input("x", [b.dims.batch, 4])));
  assert.throws(
    () => compile(build, { kernels: [tanh] }),
    hasCode("no_kernel", /^No kernel takes "tanh" -> f32\[batch, 4\]\. Refusals: stubborn: it has no wish to\.$/),
  );
});

test("compile: peak bytes are those of ports and scratch at the upper corner", () => {
  const { artifact } = compile(block);
  assert.equal(artifact.peakBytes, peakBytes(artifact, SYMBOLS));
  const bare = { ...artifact, slots: [[100, [[8, "batch"]]], [[[10, "batch"], [4]]]] } as unknown as Artifact;
  assert.equal(peakBytes({ ...bare, inputs: [], outputs: [] }, SYMBOLS), 100 + 44);
  assert.equal(peakBytes({ ...bare, slots: [] }, SYMBOLS), 2 * 4 * 4 * 5 * 16);
});

test("compile: ranges share packed weights, other recipes do not", () => {
  const keysOf = (r: CompileResult): readonly string[] => r.artifact.weights.map((w) => w.key);
  const small = compile(block, { symbols: { batch: { min: 1, max: 1 } } });
  const large = compile(block, { symbols: { batch: { min: 2, max: 64 } } });
  assert.deepEqual(keysOf(large), keysOf(small));
  assert.equal(new Set(keysOf(small)).size, small.artifact.weights.length);
  // The same tensors by another recipe: row by row instead of in panels.
  const scaled = compile((b) => b.output("y", b.mul(b.input("x", [16]), b.weight("layer_norm1.weight", [16]))));
  const turned = compile((b) =>
    b.output("y", b.mul(b.input("x", [16]), b.unary("neg", b.weight("layer_norm1.weight", [16])))),
  );
  assert.ok(keysOf(small).includes(keysOf(scaled)[0]));
  assert.ok(!keysOf(small).includes(keysOf(turned)[0]));
  // A view of a whole tensor is the tensor.
  const viewed = compile((b) =>
    b.output("y", b.mul(b.input("x", [2, 8]), b.reshape(b.weight("layer_norm1.weight", [16]), [2, 8]))),
  );
  assert.equal(keysOf(viewed)[0], keysOf(scaled)[0]);
});

/** What is made of weights and constants alone, in all its spellings. */
const CONSTANTS: Readonly<Record<string, (b: GraphBuilder) => void>> = {
  "a repeated constant beside a weight": (b) => {
    const scale = b.mul(b.weight("w", [8]), b.unary("exp", b.broadcastTo(b.constant(0.5), [8])));
    b.output("y", b.mul(b.input("x", [b.dims.batch, 8]), scale));
  },
  "constants joined": (b) => {
    const parts = [1, 2].map((v) => b.broadcastTo(b.constant(v), [4]));
    b.output("y", b.mul(b.input("x", [b.dims.batch, 8]), b.mul(b.weight("w", [8]), b.concat(parts, 0))));
  },
  "a product with constants": (b) => {
    const ones = b.concat(
      [1, 2, 3, 4].map((v) => b.broadcastTo(b.constant(v), [2, 8])),
      0,
    );
    b.output("y", b.matmul(b.input("x", [b.dims.batch, 8]), b.softmax(b.add(ones, b.weight("w", [8])))));
    b.output("z", b.matmul(b.weight("v", [2, 8]), b.unary("tanh", ones)));
  },
  "a norm with constant parameters": (b) => {
    const [one, zero] = [1, 0].map((v) => b.broadcastTo(b.constant(v), [8]));
    b.output("y", b.layerNorm(b.input("x", [b.dims.batch, 8]), one, zero, 1e-5));
    b.output("z", b.layerNorm(b.weight("v", [2, 8]), one, zero, 1e-5));
  },
  "nothing but constants": (b) => {
    const joined = b.concat([b.broadcastTo(b.constant(2), [1, 3]), b.reshape(b.constant(3), [1, 1])], 1);
    b.output("y", b.unary("exp", b.transpose(joined, [1, 0])));
    b.output("joined", joined);
    b.output("two", b.constant(2));
  },
  "a view of a computed weight": (b) => {
    const turned = b.reshape(b.unary("exp", b.weight("w", [2, 4])), [1, 8]);
    b.output("y", b.add(b.input("x", [b.dims.batch, 8]), turned));
  },
};

async function openDevice(plugin: Plugin): Promise<Device> {
  return (await plugin.devices?.[0].open(BARE_HOST, { threads: 0 })) as Device;
}

for (const [label, build] of Object.entries(CONSTANTS)) {
  test(`compile: constants in prologues: ${label}`, async () => {
    const inputs = { x: randomTensor(1, [3, 8]) };
    const weights = randomWeights(1);
    const expected = evaluateGraph(buildGraph(SYMBOLS, build), { batch: 3 }, inputs, weights);
    for (const plugin of [referencePlugin, wasmPlugin]) {
      const device = await openDevice(plugin);
      for (const enabled of [true, false]) {
        const options = { device, plugins: [plugin], symbols: SYMBOLS, build, bindings: { batch: 3 }, inputs, weights };
        const { outputs, compiled } = await runGraph({ ...options, enabled });
        for (const name of Object.keys(expected)) {
          const difference = maxDifference(outputs[name], expected[name]);
          assert.ok(difference < 2e-5, `${plugin.name} ${name}: ${difference}`);
        }
        assert.deepEqual(codeDigests(compiled.artifact), [...compiled.code.keys()].sort());
        await device.load(compiled.code);
        for (const proof of (await proveArtifact(device, compiled.artifact)).results.values())
          assert.ok(proof.pass, JSON.stringify(proof));
      }
      assert.equal(device.stats().bytesInUse, 0);
      await device.close();
    }
  });
}

test("compile: two kernels that call their layouts alike keep two copies", () => {
  const weight = (b: GraphBuilder): void => {
    const x = b.input("x", [b.dims.batch, 8]);
    const w = b.weight("w", [8]);
    b.output("neg", b.op("mul", [x, w]));
    b.output("abs", b.op("add", [x, w]));
  };
  const packing = (op: string, code: number): KernelSpec => ({
    name: op,
    device: "wasm",
    reads: [],
    claim: (_, node) =>
      node.op !== op
        ? []
        : [
            {
              kernel: "third party",
              covers: [node],
              output: node,
              operands: [{ node: node.inputs[0], access: "dense" }],
              weights: [node.inputs[1]],
              cost: { flops: 1, bytes: 1, launches: 1 },
              emit: (e) => {
                const step = (name: string, bytes: number[], places: readonly [{ id: number }, { id: number }]) => ({
                  name,
                  code: Uint8Array.from(bytes),
                  args: places.map((place, i) => ({
                    place,
                    offset: 0,
                    mode: i === 0 ? ("read" as const) : ("write" as const),
                  })),
                  grid: 1,
                  flops: 1,
                });
                const packed = e.weight(node.inputs[1], {
                  name: "packed",
                  bytes: 32,
                  pack: (from, to) => step("pack", [code], [from, to]),
                });
                e.step(step("run", [9], [packed, e.output]));
              },
            },
          ],
  });
  const count = (codes: readonly number[]): number =>
    compile(weight, { kernels: [packing("mul", codes[0]), packing("add", codes[1])] }).artifact.weights.length;
  assert.equal(count([1, 2]), 2);
  assert.equal(count([1, 1]), 1);
});
