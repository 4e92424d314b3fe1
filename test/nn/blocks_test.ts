import assert from "node:assert/strict";
import { test } from "node:test";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import type { GraphBuilder, Node } from "../../runtime/ir/builder.ts";
import * as ref from "../../runtime/ir/evaluate/mod.ts";
import {
  ACTIVATION_NAMES,
  activation,
  layerNorm,
  linear,
  mlp,
  patchEmbedding,
  selfAttention,
  transformerBlock,
} from "../../runtime/nn/mod.ts";
import { randomTensor } from "../kit/random_graph.ts";
import { buildGraph, maxDifference } from "../kit/run_graph.ts";

type RefTensor = ref.RefTensor;

const SYMBOLS = { batch: { min: 1, max: 4 } };

/** Seeded weights by name, with a record of what was asked for. */
function weightStore(): { read: (name: string, shape: readonly number[]) => RefTensor; asked: Record<string, string> } {
  const asked: Record<string, string> = {};
  const read = (name: string, shape: readonly number[]): RefTensor => {
    asked[name] = `[${shape.join(", ")}]`;
    const seed = [...name].reduce((n, c) => (Math.imul(n, 31) + c.charCodeAt(0)) >>> 0, 7);
    return randomTensor(seed, shape);
  };
  return { read, asked };
}

function run(
  shape: readonly [number, ...number[]],
  build: (b: GraphBuilder, x: Node) => Node,
): {
  x: RefTensor;
  y: RefTensor;
  w: (name: string, shape: readonly number[]) => RefTensor;
  asked: Record<string, string>;
} {
  const store = weightStore();
  const graph = buildGraph(SYMBOLS, (b) => b.output("y", build(b, b.input("x", [b.dims.batch, ...shape.slice(1)]))));
  const x = randomTensor(5, shape);
  const { y } = ref.evaluateGraph(graph, { batch: shape[0] }, { x }, store.read);
  return { x, y, w: store.read, asked: { ...store.asked } };
}

const near = (a: RefTensor, b: RefTensor): void => assert.ok(maxDifference(a, b) <= 1e-12, `${maxDifference(a, b)}`);

test("nn: linear is x W^T + b, with and without bias", () => {
  const { x, y, w, asked } = run([2, 3, 4], (b, v) => linear(b, v, "fc.", { outFeatures: 5 }));
  assert.deepEqual(asked, { "fc.weight": "[5, 4]", "fc.bias": "[5]" });
  near(y, ref.linear(x, w("fc.weight", [5, 4]), w("fc.bias", [5])));
  const plain = run([2, 3, 4], (b, v) => linear(b, v, "fc.", { outFeatures: 5, bias: false }));
  assert.deepEqual(Object.keys(plain.asked), ["fc.weight"]);
  near(plain.y, ref.linear(plain.x, plain.w("fc.weight", [5, 4])));
});

test("nn: layerNorm reads weight and bias of the last axis", () => {
  const { x, y, w } = run([2, 4], (b, v) => layerNorm(b, v, "norm.", 0.5));
  near(y, ref.layerNorm(x, w("norm.weight", [4]), w("norm.bias", [4]), 0.5));
});

test("nn: activations go by their Hugging Face names; unknown ones list the known", () => {
  const functions: Record<string, (x: RefTensor) => RefTensor> = {
    gelu: ref.gelu,
    gelu_new: ref.geluTanh,
    gelu_pytorch_tanh: ref.geluTanh,
    quick_gelu: ref.quickGelu,
    relu: ref.relu,
    silu: ref.silu,
  };
  assert.deepEqual([...ACTIVATION_NAMES].sort(), Object.keys(functions).sort());
  for (const [name, f] of Object.entries(functions)) {
    const { x, y } = run([2, 4], (b, v) => activation(b, v, name));
    near(y, f(x));
  }
  for (const name of ["swish9", "toString"]) {
    assert.throws(
      () => run([2, 4], (b, v) => activation(b, v, name)),
      (e: FoveaError) => e.code === "invalid_config" && e.message.includes("gelu, gelu_new"),
    );
  }
});

test("nn: mlp is fc2(activation(fc1(x)))", () => {
  const { x, y, w, asked } = run([2, 4], (b, v) => mlp(b, v, "mlp.", { intermediateSize: 6, activation: "relu" }));
  assert.deepEqual(Object.keys(asked).sort(), ["mlp.fc1.bias", "mlp.fc1.weight", "mlp.fc2.bias", "mlp.fc2.weight"]);
  const inner = ref.relu(ref.linear(x, w("mlp.fc1.weight", [6, 4]), w("mlp.fc1.bias", [6])));
  near(y, ref.linear(inner, w("mlp.fc2.weight", [4, 6]), w("mlp.fc2.bias", [4])));
});

/** Attention over [batch, tokens, width] from the evaluator's functions. */
function attended(
  x: RefTensor,
  prefix: string,
  heads: number,
  w: (name: string, shape: readonly number[]) => RefTensor,
  causal: boolean,
): RefTensor {
  const [batch, tokens, width] = x.shape;
  const project = (v: RefTensor, name: string): RefTensor =>
    ref.linear(v, w(`${prefix}${name}.weight`, [width, width]), w(`${prefix}${name}.bias`, [width]));
  const split = (name: string): RefTensor => ref.reshape(project(x, name), [batch, tokens, heads, width / heads]);
  const scale = 1 / Math.sqrt(width / heads);
  const mixed = ref.attention(split("q_proj"), split("k_proj"), split("v_proj"), { scale, causal });
  return project(ref.reshape(mixed, [batch, tokens, width]), "out_proj");
}

test("nn: self-attention projects, splits heads, attends and merges", () => {
  for (const causal of [false, true]) {
    const { x, y, w } = run([2, 3, 8], (b, v) => selfAttention(b, v, "attn.", { heads: 2, causal }));
    near(y, attended(x, "attn.", 2, w, causal));
  }
  assert.throws(
    () => run([2, 3, 8], (b, v) => selfAttention(b, v, "attn.", { heads: 3 })),
    (e: FoveaError) => e.code === "invalid_config" && /3 attention heads cannot share a width of 8/.test(e.message),
  );
});

test("nn: self-attention passes key masks and segments on", () => {
  const shape = [1, 3, 4] as const;
  const store = weightStore();
  const graph = buildGraph({}, (b) => {
    const x = b.input("x", shape);
    b.output("masked", selfAttention(b, x, "", { heads: 1, keyMask: b.input("mask", [1, 3]) }));
    b.output("split", selfAttention(b, x, "", { heads: 1, cuSeqlens: b.input("cu", [3], "i32") }));
    b.output("first", selfAttention(b, b.slice(x, 1, 0, 2), "", { heads: 1 }));
  });
  const x = randomTensor(1, shape);
  const inputs = { x, mask: ref.refTensor("f32", [1, 3], [1, 1, 0]), cu: ref.refTensor("i32", [3], [0, 2, 3]) };
  const { masked, split, first } = ref.evaluateGraph(graph, {}, inputs, store.read);
  near(ref.slice(masked, [0, 0, 0], [1, 2, 4]), first);
  near(ref.slice(split, [0, 0, 0], [1, 2, 4]), first);
});

test("nn: the transformer block adds attention and mlp of normed values", () => {
  const options = { heads: 2, intermediateSize: 6, activation: "quick_gelu", eps: 1e-5, causal: true };
  const { x, y, w } = run([2, 3, 8], (b, v) => transformerBlock(b, v, "l.", options));
  const norm = (v: RefTensor, name: string): RefTensor =>
    ref.layerNorm(v, w(`l.${name}.weight`, [8]), w(`l.${name}.bias`, [8]), 1e-5);
  const middle = ref.add(x, attended(norm(x, "layer_norm1"), "l.self_attn.", 2, w, true));
  const inner = ref.linear(norm(middle, "layer_norm2"), w("l.mlp.fc1.weight", [6, 8]), w("l.mlp.fc1.bias", [6]));
  const outer = ref.linear(ref.quickGelu(inner), w("l.mlp.fc2.weight", [8, 6]), w("l.mlp.fc2.bias", [8]));
  near(y, ref.add(middle, outer));
});

test("nn: patch embedding is the convolution with stride equal to its kernel, which skips what fills no patch", () => {
  const options = { outFeatures: 5, patchHeight: 2, patchWidth: 3, bias: true };
  const { x, y, w } = run([2, 3, 5, 8], (b, v) => patchEmbedding(b, v, "conv.", options));
  const kernel = w("conv.weight", [5, 3, 2, 3]);
  const bias = w("conv.bias", [5]);
  assert.deepEqual(y.shape, [2, 4, 5]);
  const at = (n: number, c: number, i: number, j: number): number => x.data[((n * 3 + c) * 5 + i) * 8 + j];
  for (let n = 0; n < 2; n++) {
    for (let p = 0; p < 4; p++) {
      for (let o = 0; o < 5; o++) {
        let sum = bias.data[o];
        for (let c = 0; c < 3; c++) {
          for (let i = 0; i < 2; i++) {
            for (let j = 0; j < 3; j++) {
              sum += kernel.data[((o * 3 + c) * 2 + i) * 3 + j] * at(n, c, Math.floor(p / 2) * 2 + i, (p % 2) * 3 + j);
            }
          }
        }
        assert.ok(Math.abs(y.data[(n * 4 + p) * 5 + o] - sum) < 1e-12);
      }
    }
  }
});

test("nn: blocks refuse a symbolic last axis", () => {
  const build = (b: GraphBuilder): void => {
    b.output("y", linear(b, b.input("x", [2, b.dims.batch]), "fc.", { outFeatures: 3 }));
  };
  assert.throws(
    () => buildGraph(SYMBOLS, build),
    (e: FoveaError) => e.code === "shape_error" && /constant size, found the symbolic size batch/.test(e.message),
  );
});
