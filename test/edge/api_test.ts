/** The types of a frozen folder name what first-party encoders give, and take what the code takes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRuntime } from "../../mod.ts";
import type { FrozenImage, FrozenTowerResult } from "../../runtime/edge/api.ts";
import { checkedPixels } from "../../runtime/session/inputs/given_media.ts";
import { FIXTURES } from "../kit/tower_fixtures.ts";

/** Complete by its type. */
const NAMED: Readonly<Record<keyof FrozenTowerResult, true>> = {
  image_embeds: true,
  text_embeds: true,
  last_hidden_state: true,
  pooler_output: true,
  sentence_embedding: true,
  projected: true,
  "deepstack_features.0": true,
  "deepstack_features.1": true,
  "deepstack_features.2": true,
  image_grid_thw: true,
  video_grid_thw: true,
  image_sizes: true,
  spatial_shapes: true,
  aspect_ratios: true,
  num_patches: true,
  feature_lens: true,
  rows: true,
  cols: true,
  num_frames: true,
  num_chunks: true,
};

const MODELS = [
  "clip",
  "siglip",
  "siglip2",
  "bert",
  "sentence-minilm",
  "sentence-modernbert",
  "vit",
  "dinov2",
  "dinov3",
];
const OTHERS = [
  "qwen2_5_vl",
  "qwen3_vl",
  "pixtral",
  "pixtral-llava",
  "internvl",
  "internvl-projector",
  "paligemma",
  "smolvlm",
  "llama4",
  "llava_next",
  "whisper",
  "voxtral",
];

test("every result of a first-party encoder has its place in the types of frozen folders", async () => {
  const runtime = await createRuntime({ threads: 0 });
  const found = new Set<string>();
  for (const name of [...MODELS, ...OTHERS]) {
    const { towers } = await runtime.prepare(`${FIXTURES}/${name}`, { compile: false });
    for (const { spec } of towers.values()) for (const one of [...spec.outputs, ...(spec.layout ?? [])]) found.add(one);
  }
  await runtime.close();
  const lacking = [...found].filter((name) => !Object.hasOwn(NAMED, name));
  assert.deepEqual(lacking, []);
  const spare = Object.keys(NAMED).filter((name) => !found.has(name) && !name.startsWith("deepstack_features."));
  assert.deepEqual(spare, []);
});

test("pictures may be what canvases give", () => {
  const drawn: FrozenImage = { width: 2, height: 1, data: new Uint8ClampedArray([1, 2, 3, 255, 4, 5, 6, 0]) };
  assert.deepEqual([...checkedPixels(drawn, "The picture").data], [1, 2, 3, 4, 5, 6]);
});
