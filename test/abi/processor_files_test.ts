import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { ModelFiles, Processors } from "../../runtime/abi/encoder.ts";
import { processorFile } from "../../runtime/abi/processor_files.ts";
import { encoderFor } from "../../runtime/core/served_type.ts";
import { firstPartyPlugins } from "../../runtime/session/registry/first_party.ts";
import { FIXTURES, type Json, readJson } from "../kit/tower_fixtures.ts";

/** Folders of all families with a processor. */
const FOLDERS = [
  ...[
    "clip",
    "siglip",
    "siglip2",
    "vit",
    "vit-deit",
    "dinov2",
    "dinov3",
    "llama4",
    "pixtral",
    "internvl",
    "llava_next",
  ],
  ...["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "whisper", "qwen2_audio", "voxtral", "wav2vec2"],
];

async function processorsOf(folder: string, files: ModelFiles): Promise<Processors> {
  const config = readJson(join(FIXTURES, folder, "config.json"));
  const encoders = (await firstPartyPlugins()).flatMap((plugin) => plugin.encoders ?? []);
  const spec = encoderFor(config, encoders);
  assert.ok(spec !== undefined);
  return spec.open(config, files).processors(files);
}

test("a processor's configuration is looked for inside the whole processor's first, then in its own file", () => {
  const own = { "preprocessor_config.json": { size: 1 } };
  const whole = (value: Json): ModelFiles => ({ ...own, "processor_config.json": value });
  assert.deepEqual(processorFile(own, "image_processor"), { size: 1 });
  assert.deepEqual(processorFile(whole({ image_processor: { size: 2 } }), "image_processor"), { size: 2 });
  assert.deepEqual(processorFile(whole({ processor_class: "CLIPProcessor" }), "image_processor"), { size: 1 });
  assert.deepEqual(processorFile(whole({ image_processor: null }), "image_processor"), { size: 1 });
  assert.deepEqual(processorFile(whole({ image_processor: { size: 2 } }), "feature_extractor"), { size: 1 });
  assert.equal(processorFile({ "processor_config.json": { processor_class: "x" } }, "image_processor"), undefined);
  assert.equal(processorFile({ "processor_config.json": null }, "image_processor"), undefined);
});

for (const name of FOLDERS) {
  test(`${name}: a processor_config.json without the processor's configuration stands for none`, async () => {
    const files = { "processor_config.json": { processor_class: "Processor", patch_size: 14 } };
    assert.deepEqual(await processorsOf(name, files), {});
  });
}

for (const name of FOLDERS) {
  test(`${name}: what is wrong with a processor is told with the name of the file that holds it`, async () => {
    const isAudio = ["whisper", "qwen2_audio", "voxtral", "wav2vec2"].includes(name);
    const [field, wrong] = isAudio
      ? (["feature_extractor", { sampling_rate: "x" }] as const)
      : (["image_processor", { image_mean: "x" }] as const);
    const says = (file: string): RegExp => new RegExp(`^${file}: the field \`${Object.keys(wrong)[0]}\` holds "x"`);
    const refused = (files: ModelFiles, file: string): Promise<void> =>
      assert.rejects(processorsOf(name, files), { code: "invalid_config", message: says(file) });
    await refused({ "processor_config.json": { [field]: wrong } }, "processor_config.json");
    await refused({ "preprocessor_config.json": wrong, "processor_config.json": {} }, "preprocessor_config.json");
    await assert.rejects(processorsOf(name, { "processor_config.json": { [field]: 3 } }), {
      code: "invalid_config",
      message: /^processor_config\.json (is not|must be) a JSON object/,
    });
  });
}

test("clip: of two configurations of the image processor the one inside the whole processor's counts", async () => {
  const sized = (size: number): Json => ({ size, crop_size: size });
  const files = {
    "preprocessor_config.json": sized(224),
    "processor_config.json": { image_processor: sized(32) },
  };
  const { pixels } = await processorsOf("clip", files);
  assert.deepEqual(pixels?.([{ width: 40, height: 50 }]).shape.slice(2), [32, 32]);
});
