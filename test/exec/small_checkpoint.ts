/** A checkpoint of four small tensors in one file and in two, for tests of readers. */
import assert from "node:assert/strict";
import { fillNormal } from "../../runtime/core/random.ts";
import { type CheckpointFiles, memoryFiles, openCheckpoint } from "../../runtime/exec/weights/checkpoint.ts";
import { encodeSafetensors, type RawTensor } from "../../runtime/exec/weights/writer.ts";

export function normalTensor(seed: number, shape: readonly number[]): RawTensor & { readonly data: Float32Array } {
  const data = new Float32Array(shape.reduce((n, d) => n * d, 1));
  fillNormal(data, seed, 0, 1);
  return { dtype: "f32", shape, data };
}

export const WEIGHTS: Readonly<Record<string, ReturnType<typeof normalTensor>>> = {
  "vision_model.embed.weight": normalTensor(1, [7, 5]),
  "vision_model.norm.bias": normalTensor(2, [5]),
  "text_model.norm.bias": normalTensor(3, [3]),
  logit_scale: normalTensor(4, []),
};

export const pick = (...names: string[]): Uint8Array =>
  encodeSafetensors(Object.fromEntries(names.map((n) => [n, WEIGHTS[n]])));

export const SINGLE: Uint8Array = pick(...Object.keys(WEIGHTS));
export const PART_1: Uint8Array = pick("vision_model.embed.weight", "logit_scale");
export const PART_2: Uint8Array = pick("vision_model.norm.bias", "text_model.norm.bias");
export const ONE = "model-00001-of-00002.safetensors";
export const TWO = "model-00002-of-00002.safetensors";

export const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

export const INDEX: Uint8Array = json({
  metadata: { total_size: 1 },
  weight_map: {
    "vision_model.embed.weight": ONE,
    "vision_model.norm.bias": TWO,
    "text_model.norm.bias": TWO,
    logit_scale: ONE,
  },
});

export const inMemory = (files: Record<string, Uint8Array>): CheckpointFiles =>
  memoryFiles(new Map(Object.entries(files)), "the model");

export async function checkAll(files: CheckpointFiles): Promise<void> {
  const checkpoint = await openCheckpoint(files);
  assert.deepEqual(checkpoint.names, Object.keys(WEIGHTS).sort());
  for (const [name, { shape, data }] of Object.entries(WEIGHTS)) {
    assert.deepEqual(checkpoint.shapeOf(name), shape);
    assert.deepEqual(await checkpoint.readTensor(name, shape), data);
  }
  await checkpoint.close();
}
