/** Whole models on the WebAssembly device: the fixtures, and what their shapes do not reach. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Encoder, Tensor } from "../../mod.ts";
import { dinoPlugin } from "../../plugins/dino/plugin.ts";
import type { PixelImage, Tensors } from "../../runtime/abi/encoder.ts";
import { normal } from "../../runtime/core/random.ts";
import { encodeSafetensors } from "../../runtime/exec/weights/writer.ts";
import { type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { type CheckpointValues, evaluateTower } from "../kit/plan_evaluator.ts";
import { maxDifference, tensorOf } from "../kit/run_graph.ts";
import { seededCheckpoint } from "../kit/seeded_checkpoint.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { deviation, FIXTURES, type Json, openModelOf, readCase, towerOf } from "../kit/tower_fixtures.ts";
import { noise } from "../media/media_kit.ts";

const asRef = (t: Tensor): RefTensor => refTensor(t.dtype, t.shape, t.data);

const asJson = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

async function withModel(
  files: ReadonlyMap<string, Uint8Array>,
  work: (encoder: Encoder) => Promise<void>,
): Promise<void> {
  const runtime = await openRuntime({ threads: 0 });
  try {
    await work(await runtime.load(files));
  } finally {
    await runtime.close();
  }
}

const FOLDERS = [
  ...["vit", "vit-nobias", "vit-classifier", "dinov2", "dinov2-registers", "dinov2-outliers"],
  ...["dinov2-ragged", "dinov2-registers-ragged", "dinov3", "dinov3-gated"],
];

for (const name of FOLDERS) {
  test(`${name} on wasm gives the outputs of its cases`, async () => {
    const folder = join(FIXTURES, name);
    const read = (file: string): [string, Uint8Array] => [file, new Uint8Array(readFileSync(join(folder, file)))];
    await withModel(new Map(["config.json", "model.safetensors"].map(read)), async (encoder) => {
      for (const file of readdirSync(folder).filter((f) => f.startsWith("case-"))) {
        const { inputs, outputs } = readCase(join(folder, file));
        const found = (await encoder.encode(inputs)) as Readonly<Record<string, Tensor>>;
        for (const [key, want] of outputs) {
          const apart = maxDifference(asRef(found[key]), want) / deviation(want);
          assert.ok(apart <= 2e-5, `${file}, ${key}: ${apart} standard deviations`);
        }
      }
    });
  });
}

const SMALL = {
  hidden_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  image_size: 24,
  patch_size: 6,
  mlp_ratio: 2,
};

/** Seeded weights by name. */
const weights: CheckpointValues = seededCheckpoint(0.3);

/** A made-up model's files, its tensors under `prefix`. */
function filesOf(config: Json, prefix: string, more: Json = {}): ReadonlyMap<string, Uint8Array> {
  const tensors: Record<string, Tensor> = {};
  const tower = towerOf(openModelOf(dinoPlugin, config), "vision");
  evaluateTower(tower, tower.example({ batch: 1, seed: 1 }), tower.outputs, (name, shape) => {
    const value = weights(name, shape);
    tensors[prefix + name] = tensorOf(value);
    return value;
  });
  return new Map([
    ["config.json", asJson(config)],
    ["model.safetensors", encodeSafetensors(tensors)],
    ...Object.entries(more).map(([name, value]) => [name, asJson(value)] as const),
  ]);
}

function image(batch: number, height: number, width: number): Tensors {
  const data = Float32Array.from({ length: batch * 3 * height * width }, (_, i) => normal(height, i));
  return { pixel_values: { dtype: "f32", shape: [batch, 3, height, width], data } };
}

test("dino on wasm: very wide and high images in all ranges of tokens, under the prefix of a larger model", async () => {
  const families: readonly Json[] = [
    { model_type: "dinov2_with_registers", ...SMALL, use_swiglu_ffn: true },
    { model_type: "dinov3_vit", ...SMALL, intermediate_size: 24, num_register_tokens: 3 },
  ];
  for (const config of families) {
    const tower = towerOf(openModelOf(dinoPlugin, config), "vision");
    await withModel(filesOf(config, "backbone."), async (encoder) => {
      for (const [batch, height, width] of [
        [1, 6, 6],
        [2, 6, 330],
        [1, 250, 13],
        [1, 180, 120],
      ]) {
        const inputs = image(batch, height, width);
        const wanted = evaluateTower(tower, inputs, tower.outputs, weights);
        const found = (await encoder.encode(inputs)) as Readonly<Record<string, Tensor>>;
        for (const [name, want] of Object.entries(wanted)) {
          const apart = maxDifference(asRef(found[name]), want) / deviation(want);
          assert.ok(apart < 2e-5, `${config.model_type} ${height}x${width} ${name}: ${apart} standard deviations`);
        }
      }
    });
  }
});

test("dino on wasm: more images than one run takes give what each gives alone", async () => {
  const config = { model_type: "dinov2", ...SMALL };
  await withModel(filesOf(config, ""), async (encoder) => {
    const { pixel_values } = image(67, 12, 18);
    const { pooler_output: all } = await encoder.encode({ pixel_values }, { outputs: ["pooler_output"] });
    assert.deepEqual(all?.shape, [67, 16]);
    const size = 3 * 12 * 18;
    for (const i of [0, 63, 64, 66]) {
      const data = (pixel_values.data as Float32Array).subarray(i * size, (i + 1) * size);
      const one = { pixel_values: { ...pixel_values, shape: [1, 3, 12, 18], data } };
      const { pooler_output: alone } = await encoder.encode(one, { outputs: ["pooler_output"] });
      const own = {
        ...asRef(all as Tensor),
        shape: [1, 16],
        data: asRef(all as Tensor).data.slice(i * 16, (i + 1) * 16),
      };
      assert.ok(maxDifference(own, asRef(alone as Tensor)) < 1e-6);
    }
  });
});

test("dino on wasm: pictures pass through the family's own processor", async () => {
  const config = { model_type: "dinov3_vit", ...SMALL, intermediate_size: 24 };
  const size = { height: 18, width: 30 };
  await withModel(filesOf(config, "", { "preprocessor_config.json": { size } }), async (encoder) => {
    const images: readonly PixelImage[] = [noise(1, 40, 30), noise(2, 18, 30)];
    const { last_hidden_state } = await encoder.encode({ images }, { outputs: ["last_hidden_state"] });
    assert.deepEqual(last_hidden_state?.shape, [2, 16, 16]);
  });
});
