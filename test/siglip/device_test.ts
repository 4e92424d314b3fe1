/** Whole models, made up and in memory, on the WebAssembly device: what the fixtures' shapes do not reach. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { classifyImages, type Encoder, type Tensor } from "../../mod.ts";
import type { Modality, PixelImage, Tensors } from "../../runtime/abi/encoder.ts";
import { hash32, normal } from "../../runtime/core/random.ts";
import { encodeSafetensors } from "../../runtime/exec/weights/writer.ts";
import { type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { deviation, FIXTURES, type Json, towerOf } from "../clip/model_kit.ts";
import { evaluateTower } from "../kit/plan_evaluator.ts";
import { maxDifference, tensorOf } from "../kit/run_graph.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { noise } from "../media/media_kit.ts";
import { f32, i32, openSiglip, randomCheckpoint, smallConfig } from "./model_kit.ts";

const asJson = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

const asRef = (t: Tensor): RefTensor => refTensor(t.dtype, t.shape, t.data);

/** Every tensor of a model, with seeded values, as the reference evaluator asks for them. */
function weightsOf(config: Json, prefix = ""): Record<string, Tensor> {
  const tensors: Record<string, Tensor> = {};
  for (const tower of openSiglip(config).towers) {
    evaluateTower(tower, tower.example({ batch: 1, seed: 1 }), tower.outputs, (name, shape) => {
      const value = randomCheckpoint(name, shape);
      tensors[prefix + name] = tensorOf(value);
      return value;
    });
  }
  return tensors;
}

function filesOf(config: Json, weights: Record<string, Tensor>, more: Json = {}): ReadonlyMap<string, Uint8Array> {
  return new Map([
    ["config.json", asJson(config)],
    ["model.safetensors", encodeSafetensors(weights)],
    ...Object.entries(more).map(([name, value]) => [name, asJson(value)] as const),
  ]);
}

async function withModel(files: ReadonlyMap<string, Uint8Array>, work: (e: Encoder) => Promise<void>): Promise<void> {
  const runtime = await openRuntime({ threads: 0 });
  try {
    await work(await runtime.load(files));
  } finally {
    await runtime.close();
  }
}

async function equalsEvaluator(config: Json, modality: Modality, inputs: Tensors, prefix = ""): Promise<void> {
  const tower = towerOf(openSiglip(config), modality);
  const wanted = evaluateTower(tower, inputs, tower.outputs, randomCheckpoint);
  await withModel(filesOf(config, weightsOf(config, prefix)), async (encoder) => {
    const found = (await encoder.encode(inputs)) as Readonly<Record<string, Tensor>>;
    assert.deepEqual(Object.keys(found).sort(), [...tower.outputs, ...(tower.layout ?? [])].sort());
    for (const [name, want] of Object.entries(wanted)) {
      const apart = maxDifference(asRef(found[name]), want) / deviation(want);
      assert.ok(apart < 2e-5, `${name}: ${apart} standard deviations`);
    }
  });
}

test("siglip on wasm: heads of 72 and an image that is no multiple of its patch, as so400m has them", async () => {
  const config = smallConfig("siglip", { hidden_size: 144, intermediate_size: 76, image_size: 30 });
  await equalsEvaluator(config, "vision", { pixel_values: f32([2, 3, 30, 30], (i) => normal(1, i)) });
});

test("siglip on wasm: a text tower alone, under the prefix of a larger model, with and without a mask", async () => {
  const config: Json = { ...(smallConfig("siglip2").text_config as Json), model_type: "siglip2_text_model" };
  const input_ids = i32([2, 8], [4, 9, 33, 2, 1, 0, 0, 0, 7, 7, 1, 0, 0, 0, 0, 0]);
  await equalsEvaluator(config, "text", { input_ids }, "model.");
  const attention_mask = i32([2, 8], [1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0]);
  await equalsEvaluator(config, "text", { input_ids, attention_mask }, "model.");
});

/** Patches of `grids`, zeros as padding. */
function naflexInputs(grids: readonly (readonly [number, number])[], patches: number): Tensors {
  const row = patches * 192;
  return {
    pixel_values: f32([grids.length, patches, 192], (i) => {
      const [rows, columns] = grids[Math.floor(i / row)];
      return i % row < rows * columns * 192 ? normal(5, i) : 0;
    }),
    spatial_shapes: i32([grids.length, 2], grids.flat()),
  };
}

test("siglip2 on wasm: very wide, high and padded grids", async () => {
  const grids = [
    [1, 270],
    [90, 3],
    [1, 1],
    [16, 16],
  ] as const;
  await equalsEvaluator(smallConfig("siglip2"), "vision", naflexInputs(grids, 270));
});

test("siglip2 on wasm: more images than one run takes give what each gives alone", async () => {
  const config = smallConfig("siglip2");
  const grids = Array.from({ length: 67 }, (_, i) => [1 + (hash32(i, 1) % 3), 1 + (hash32(i, 2) % 2)] as const);
  await withModel(filesOf(config, weightsOf(config)), async (encoder) => {
    const inputs = naflexInputs(grids, 6);
    const { image_embeds: all } = await encoder.encode(inputs, { outputs: ["image_embeds"] });
    assert.deepEqual(all?.shape, [67, 32]);
    for (const i of [0, 63, 64, 66]) {
      const pixels = inputs.pixel_values.data as Float32Array;
      const one = {
        pixel_values: { ...inputs.pixel_values, shape: [1, 6, 192], data: pixels.subarray(i * 1152, (i + 1) * 1152) },
        spatial_shapes: i32([1, 2], grids[i]),
      };
      const { image_embeds: alone } = await encoder.encode(one, { outputs: ["image_embeds"] });
      const own = asRef({
        ...(all as Tensor),
        shape: [1, 32],
        data: all?.data.subarray(i * 32, (i + 1) * 32) as Float32Array,
      });
      assert.ok(maxDifference(own, asRef(alone as Tensor)) < 1e-5);
    }
  });
});

const TOKENIZER = join(FIXTURES, "tokenizers/siglip_unigram");
const tokenizerFile = (name: string): unknown => JSON.parse(readFileSync(join(TOKENIZER, name), "utf8"));

test("siglip on wasm: pictures against labels, each label judged by itself", async () => {
  const config = smallConfig("siglip", {}, { vocab_size: 160, max_position_embeddings: 16 });
  const scalar = (value: number): Tensor => f32([1], () => value);
  const classify = async (bias: number) => {
    const weights = { ...weightsOf(config), logit_scale: scalar(0.5), logit_bias: scalar(bias) };
    const files = filesOf(config, weights, {
      "preprocessor_config.json": { size: { height: 24, width: 24 } },
      "tokenizer.json": tokenizerFile("tokenizer.json"),
      "tokenizer_config.json": tokenizerFile("tokenizer_config.json"),
    });
    const images: readonly PixelImage[] = [noise(1, 40, 30), noise(2, 24, 24)];
    const labels = ["a cat", "A dog!", "the city at night"];
    let result: { found: Awaited<ReturnType<typeof classifyImages>>; logits: number[][] } | undefined;
    await withModel(files, async (encoder) => {
      assert.equal(encoder.scoring, "sigmoid");
      assert.ok(Math.abs((encoder.logitScale as number) - Math.exp(0.5)) < 1e-6);
      assert.equal(encoder.logitBias, bias);
      const found = await classifyImages(encoder, images, labels);
      const texts = labels.map((label) => `a photo of ${label}`);
      const both = await encoder.encode({ images, texts });
      const rows = (t: Tensor): number[][] =>
        Array.from({ length: t.shape[0] }, (_, i) => [...t.data.subarray(i * 32, (i + 1) * 32)]);
      const dot = (a: number[], b: number[]): number => a.reduce((sum, v, i) => sum + v * b[i], 0);
      const logits = rows(both.image_embeds as Tensor).map((a) =>
        rows(both.text_embeds as Tensor).map(
          (b) => (Math.exp(0.5) * dot(a, b)) / Math.sqrt(dot(a, a) * dot(b, b)) + bias,
        ),
      );
      result = { found, logits };
    });
    if (result === undefined) throw new Error("nothing ran");
    return result;
  };
  const { found, logits } = await classify(-1);
  for (const [i, { label, probability, probabilities }] of found.entries()) {
    const wanted = logits[i].map((l) => 1 / (1 + Math.exp(-l)));
    probabilities.forEach((p, k) => {
      assert.ok(Math.abs(p - wanted[k]) < 1e-6, `${p}, not ${wanted[k]}`);
    });
    const best = logits[i].indexOf(Math.max(...logits[i]));
    assert.equal(label, ["a cat", "A dog!", "the city at night"][best]);
    assert.equal(probability, probabilities[best]);
    assert.ok(Math.abs(probabilities.reduce((a, b) => a + b, 0) - 1) > 0.01);
  }
  // Where every probability is 0 in 64 bits, logits still tell the labels apart.
  const far = await classify(-2000);
  assert.deepEqual(
    far.found.map((f) => [f.label, f.probability]),
    found.map((f) => [f.label, 0]),
  );
});
