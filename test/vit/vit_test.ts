import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { readVitConfig } from "../../plugins/vit/config.ts";
import { vitPlugin } from "../../plugins/vit/plugin.ts";
import type { Tensor, TowerSpec } from "../../runtime/abi/encoder.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import { evaluateTower } from "../kit/plan_evaluator.ts";
import { maxDifference } from "../kit/run_graph.ts";
import {
  checkpointOf,
  FIXTURES,
  type Json,
  openModelOf,
  readCase,
  readJson,
  testTowerFixture,
  towerOf,
} from "../kit/tower_fixtures.ts";

for (const name of ["vit", "vit-nobias", "vit-classifier", "vit-deit", "vit-msn", "vit-ijepa"])
  testTowerFixture(vitPlugin, name, "vision");

const FOLDER = join(FIXTURES, "vit");
const CONFIG = readJson(join(FOLDER, "config.json"));
const tower = towerOf(openModelOf(vitPlugin, CONFIG), "vision");

const DEFAULTS = {
  hiddenSize: 768,
  intermediateSize: 3072,
  layers: 12,
  heads: 12,
  activation: "gelu",
  eps: 1e-12,
  qkvBias: true,
  imageSize: 224,
  patchSize: 16,
  channels: 3,
  tokens: ["cls_token"],
  pooler: { size: 768, activation: "tanh" },
};

function refusesConfig(fields: Json, pattern: RegExp): void {
  assert.throws(
    () => readVitConfig({ model_type: "vit", ...fields }),
    (e: FoveaError) => e.code === "invalid_config" && pattern.test(e.message),
  );
}

test("vit config: absent fields take the defaults of transformers", () => {
  assert.deepEqual(readVitConfig({ model_type: "vit" }), DEFAULTS);
  assert.deepEqual(readVitConfig({ model_type: "vit", pooler_output_size: null, architectures: null }), DEFAULTS);
});

test("deit config: a second learned token, and a pooler by its own architecture", () => {
  const deit = { ...DEFAULTS, tokens: ["cls_token", "distillation_token"] };
  assert.deepEqual(readVitConfig({ model_type: "deit" }), deit);
  assert.deepEqual(readVitConfig({ model_type: "deit", architectures: ["DeiTModel"] }), deit);
  for (const architecture of ["DeiTForImageClassificationWithTeacher", "ViTModel"]) {
    const { pooler } = readVitConfig({ model_type: "deit", architectures: [architecture] });
    assert.equal(pooler, undefined);
  }
});

test("vit_msn and ijepa config: no pooler, whatever the architecture; their own epsilon and tokens", () => {
  const { pooler, ...rest } = DEFAULTS;
  assert.ok(pooler !== undefined);
  assert.deepEqual(readVitConfig({ model_type: "vit_msn" }), { ...rest, eps: 1e-6 });
  assert.deepEqual(readVitConfig({ model_type: "ijepa" }), { ...rest, tokens: [] });
  for (const model_type of ["vit_msn", "ijepa"]) {
    const config = { model_type, architectures: ["ViTModel"], pooler_act: "tanh" };
    assert.deepEqual(towerOf(openModelOf(vitPlugin, config), "vision").outputs, ["last_hidden_state"]);
  }
});

test("vit and deit: a folder's processor is of the class that it names, or of its model's", () => {
  const size = (modelType: string, json: Json): readonly number[] | undefined => {
    const files = { "preprocessor_config.json": json };
    const spec = vitPlugin.encoders?.[0];
    return spec
      ?.open({ model_type: modelType }, files)
      .processors(files)
      .pixels?.([{ width: 9, height: 9 }]).shape;
  };
  const [whole, cropped] = [
    [1, 3, 40, 40],
    [1, 3, 24, 24],
  ];
  const json = { size: 40, crop_size: 24 };
  assert.deepEqual(size("vit", json), whole);
  assert.deepEqual(size("deit", json), cropped);
  assert.deepEqual(size("vit", { ...json, feature_extractor_type: "DeiTFeatureExtractor" }), cropped);
  assert.deepEqual(size("vit", { ...json, image_processor_type: "DeiTImageProcessorFast" }), cropped);
  assert.deepEqual(size("deit", { ...json, image_processor_type: "ViTImageProcessor" }), whole);
  assert.deepEqual(size("deit", {}), [1, 3, 224, 224]);
});

test("vit config: the pooler follows from the architecture", () => {
  const outputs = (architectures: unknown): readonly string[] =>
    towerOf(openModelOf(vitPlugin, { ...CONFIG, architectures }), "vision").outputs;
  assert.deepEqual(outputs(["ViTModel"]), ["pooler_output", "last_hidden_state"]);
  assert.deepEqual(outputs(undefined), ["pooler_output", "last_hidden_state"]);
  assert.deepEqual(outputs(["ViTForImageClassification"]), ["last_hidden_state"]);
});

test("vit config: errors name the field, what it holds and what was expected", () => {
  refusesConfig({ model_type: "vitt" }, /`model_type` holds "vitt"; expected one of vit, deit, vit_msn, ijepa/);
  refusesConfig({ hidden_size: "768" }, /`hidden_size` holds "768"; expected a whole number/);
  refusesConfig({ num_attention_heads: 7 }, /`num_attention_heads` holds 7; expected a divisor of hidden_size 768/);
  refusesConfig({ image_size: [224, 224] }, /`image_size` holds \[224,224\]; expected a whole number/);
  refusesConfig({ image_size: 8 }, /`image_size` holds 8; expected at least patch_size 16/);
  refusesConfig({ patch_size: 0 }, /`patch_size` holds 0/);
  refusesConfig({ hidden_act: "swoosh" }, /`hidden_act` holds "swoosh"; expected one of gelu, /);
  refusesConfig({ pooler_act: "softmax" }, /`pooler_act` holds "softmax"; expected one of tanh, gelu/);
  refusesConfig({ qkv_bias: 1 }, /`qkv_bias` holds 1; expected true or false/);
  refusesConfig({ num_hidden_layers: 0 }, /`num_hidden_layers` holds 0/);
  refusesConfig({ layer_norm_eps: -1 }, /`layer_norm_eps` holds -1/);
});

const pixels = (shape: readonly number[]): Tensor => ({
  dtype: "f32",
  shape,
  data: new Float32Array(shape.reduce((a, d) => a * d, 1)),
});

function refuses(from: TowerSpec, inputs: Readonly<Record<string, Tensor>>, pattern: RegExp): void {
  assert.throws(
    () => from.prepare(inputs),
    (e: FoveaError) => e.code === "invalid_input" && pattern.test(e.message),
  );
}

test("vit prepare: other sizes, types and values are refused", () => {
  const good = pixels([2, 3, 32, 32]);
  assert.equal(tower.prepare({ pixel_values: good }).pixel_values, good);
  refuses(tower, {}, /"pixel_values" is missing/);
  refuses(tower, { pixel_values: good, mask: good }, /no input "mask"/);
  refuses(
    tower,
    { pixel_values: pixels([1, 3, 48, 32]) },
    /shape \[1, 3, 48, 32\], expected \[batch, 3, 32, 32\]; this model takes images of 32x32 pixels/,
  );
  refuses(tower, { pixel_values: pixels([1, 1, 32, 32]) }, /shape \[1, 1, 32, 32\]/);
  refuses(tower, { pixel_values: pixels([0, 3, 32, 32]) }, /shape \[0, 3, 32, 32\]/);
  refuses(tower, { pixel_values: { ...good, shape: [1, 3, 32, 32] } }, /holds 6144 values, .* needs 3072/);
  refuses(tower, { pixel_values: { ...good, dtype: "u8", data: new Uint8Array(6144) } }, /type u8, expected f32/);
  const odd = pixels([1, 3, 32, 32]);
  odd.data[5] = Number.NaN;
  refuses(tower, { pixel_values: odd }, /holds NaN at element 5/);
});

test("vit plan: calls, keys and unknown outputs", () => {
  const plan = tower.plan({ pixel_values: [3, 3, 32, 32] }, ["pooler_output"]);
  assert.deepEqual(
    plan.calls.map((c) => [c.tag, c.instance, c.dims.batch]),
    [
      ["vit/vision.embed", "", 3],
      ["vit/vision.block", "encoder.layer.0.", 3],
      ["vit/vision.block", "encoder.layer.1.", 3],
      ["vit/vision.pool", "", 3],
    ],
  );
  assert.deepEqual(plan.results, { pooler_output: "pooler_output" });
  const keys = [
    plan.key,
    tower.plan({ pixel_values: [2, 3, 32, 32] }, ["pooler_output"]).key,
    tower.plan({ pixel_values: [3, 3, 32, 32] }, ["last_hidden_state"]).key,
  ];
  assert.equal(new Set(keys).size, 3);
  assert.throws(() => tower.plan({ pixel_values: [1, 3, 32, 32] }, ["image_embeds"]), {
    message: /no output "image_embeds"; this tower gives pooler_output, last_hidden_state/,
  });
  for (const c of tower.components) assert.equal(splitRanges(c.symbols, c.ranges ?? {}, { tag: c.tag }).length, 3);
});

test("vit: a batch holds what its images give alone", () => {
  const { inputs } = readCase(join(FOLDER, "case-b2.safetensors"));
  const checkpoint = checkpointOf(FOLDER);
  const { data, shape } = inputs.pixel_values;
  const half = data.length / 2;
  const both = evaluateTower(tower, inputs, tower.outputs, checkpoint);
  for (const i of [0, 1]) {
    const one: Tensor = { dtype: "f32", shape: [1, ...shape.slice(1)], data: data.slice(i * half, (i + 1) * half) };
    const alone = evaluateTower(tower, { pixel_values: one }, tower.outputs, checkpoint);
    for (const name of tower.outputs) {
      const size = alone[name].data.length;
      const part = { ...alone[name], data: both[name].data.slice(i * size, (i + 1) * size) };
      assert.equal(maxDifference(part, alone[name]), 0);
    }
  }
});

test("vit example: seeded inputs that prepare takes", () => {
  const a = tower.example({ batch: 2, seed: 1 });
  assert.deepEqual(tower.prepare(a).pixel_values.shape, [2, 3, 32, 32]);
  assert.deepEqual(tower.example({ batch: 2, seed: 1 }), a);
  assert.notDeepEqual(tower.example({ batch: 2, seed: 2 }), a);
  assert.throws(() => tower.example({ batch: 1, seed: 1, size: [64, 32] }), /images of 32x32 pixels, found 64x32/);
});
