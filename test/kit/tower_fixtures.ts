/** Model folders of test/fixtures: opened through a plugin, evaluated without compiler and kernels. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { EncoderModel, Modality, TensorSpelling, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import type { Plugin } from "../../runtime/abi/plugin.ts";
import { encoderFor } from "../../runtime/core/served_type.ts";
import { createNameResolver } from "../../runtime/exec/weights/checkpoint.ts";
import type { RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import { type CheckpointValues, evaluateTower } from "./plan_evaluator.ts";
import { readSafetensors } from "./read_safetensors.ts";
import { maxDifference, tensorOf } from "./run_graph.ts";

export const FIXTURES: string = join(process.cwd(), "test/fixtures");

export type Json = Readonly<Record<string, unknown>>;

export function readJson(path: string): Json {
  return JSON.parse(readFileSync(path, "utf8")) as Json;
}

/** The model of a configuration, by the plugin's encoder for its `model_type`. */
export function openModelOf(plugin: Plugin, config: Json): EncoderModel {
  const spec = encoderFor(config, plugin.encoders ?? []);
  if (spec === undefined) throw new Error(`the plugin has no encoder for ${String(config.model_type)}`);
  return spec.open(config);
}

export function towerOf(model: EncoderModel, modality: Modality): TowerSpec {
  const tower = model.towers.find((t) => t.modality === modality);
  if (tower === undefined) throw new Error(`the model has no ${modality} tower`);
  return tower;
}

const checkpoints = new Map<string, ReadonlyMap<string, RefTensor>>();

/** Tensors of `model.safetensors` in a folder of the repository, read once, as a model spells their names. */
export function checkpointOf(folder: string, spelling: TensorSpelling = { prefixes: [""] }): CheckpointValues {
  const tensors = checkpoints.get(folder) ?? readSafetensors(join(folder, "model.safetensors"));
  checkpoints.set(folder, tensors);
  const resolve = createNameResolver((name) => tensors.has(name), spelling);
  return (name) => {
    const tensor = tensors.get(resolve(name) ?? name);
    if (tensor === undefined) throw new Error(`the checkpoint has no "${name}"`);
    return tensor;
  };
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

/** `input.*` and `output.*` of a case file. */
export function readCase(path: string): { readonly inputs: Tensors; readonly outputs: ReadonlyMap<string, RefTensor> } {
  const tensors = [...readSafetensors(path)];
  const named = (prefix: string): [string, RefTensor][] =>
    tensors.flatMap(([key, t]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), t]] : []));
  return {
    inputs: Object.fromEntries(named("input.").map(([key, t]) => [key, tensorOf(t)])),
    outputs: new Map(named("output.")),
  };
}

/** One test per case of a folder: every output within 2e-5 standard deviations, and the same when asked for alone. */
export function testTowerFixture(plugin: Plugin, name: string, modality: Modality): void {
  const folder = join(FIXTURES, name);
  for (const file of readdirSync(folder).filter((f) => f.startsWith("case-"))) {
    test(`the graphs of ${name} give the outputs of ${file}`, () => {
      const model = openModelOf(plugin, readJson(join(folder, "config.json")));
      const tower = towerOf(model, modality);
      const checkpoint = checkpointOf(folder, model);
      const { inputs, outputs } = readCase(join(folder, file));
      assert.deepEqual([...outputs.keys()].sort(), [...tower.outputs].sort());
      const found = evaluateTower(tower, inputs, tower.outputs, checkpoint);
      for (const [key, want] of outputs) {
        assert.deepEqual(found[key].shape, want.shape);
        const difference = maxDifference(found[key], want);
        const limit = 2e-5 * deviation(want);
        assert.ok(difference <= limit, `${key}: ${difference} over ${limit}`);
        assert.equal(maxDifference(evaluateTower(tower, inputs, [key], checkpoint)[key], found[key]), 0);
      }
    });
  }
}
