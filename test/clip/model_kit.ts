/** CLIP models of the repository, opened through the plugin. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { clipPlugin } from "../../plugins/clip/plugin.ts";
import type { EncoderModel, Modality, TowerSpec } from "../../runtime/abi/encoder.ts";
import type { RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import type { CheckpointValues } from "../kit/plan_evaluator.ts";
import { readSafetensors } from "../kit/read_safetensors.ts";

export const FIXTURES: string = join(process.cwd(), "test/fixtures");
export const DIGITS: string = join(process.cwd(), "examples/models/digits-clip");

export type Json = Readonly<Record<string, unknown>>;

export function readJson(path: string): Json {
  return JSON.parse(readFileSync(path, "utf8")) as Json;
}

export function openClip(config: Json): EncoderModel {
  const spec = clipPlugin.encoders?.[0];
  if (spec === undefined) throw new Error("the plugin has no encoder");
  return spec.open(config);
}

export function towerOf(model: EncoderModel, modality: Modality): TowerSpec {
  const tower = model.towers.find((t) => t.modality === modality);
  if (tower === undefined) throw new Error(`the model has no ${modality} tower`);
  return tower;
}

/** Tensors of `model.safetensors` in a folder. */
export function checkpointOf(folder: string): CheckpointValues {
  const tensors = readSafetensors(join(folder, "model.safetensors"));
  return (name) => tensors.get(name) ?? missing(name);
}

function missing(name: string): never {
  throw new Error(`the checkpoint has no "${name}"`);
}

/** Standard deviation of all values. */
export function deviation(t: RefTensor): number {
  const n = t.data.length;
  let mean = 0;
  for (const v of t.data) mean += v / n;
  let sum = 0;
  for (const v of t.data) sum += (v - mean) * (v - mean);
  return Math.sqrt(sum / n);
}
