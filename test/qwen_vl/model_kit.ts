/** Qwen-VL models of the repository, opened through the plugin, made-up small ones, and random grids. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Grid } from "../../plugins/qwen_vl/geometry.ts";
import { qwenVlPlugin } from "../../plugins/qwen_vl/plugin.ts";
import type { EncoderModel, ModelFiles, Tensor, TowerSpec } from "../../runtime/abi/encoder.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { encodeSafetensors } from "../../runtime/exec/weights/writer.ts";
import { type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { FIXTURES, type Json, towerOf } from "../clip/model_kit.ts";
import { type CheckpointValues, evaluateTower } from "../kit/plan_evaluator.ts";
import { readSafetensors } from "../kit/read_safetensors.ts";
import { tensorOf } from "../kit/run_graph.ts";
import { seededCheckpoint } from "../kit/seeded_checkpoint.ts";

export const FAMILIES = ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"] as const;

export function openQwen(config: Json, files?: ModelFiles): EncoderModel {
  const spec = qwenVlPlugin.encoders?.[0];
  if (spec === undefined) throw new Error("the plugin has no encoder");
  return spec.open(config, files);
}

export function qwenTowerOf(config: Json, files?: ModelFiles): TowerSpec {
  return towerOf(openQwen(config, files), "vision");
}

/** Tensors of all files of a model folder, by the tower's own names. */
export function checkpointOf(name: string): CheckpointValues {
  const folder = join(FIXTURES, name);
  const files = readdirSync(folder).filter((file) => /^model.*\.safetensors$/.test(file));
  const tensors = new Map(files.flatMap((file) => [...readSafetensors(join(folder, file))]));
  const { prefixes } = openQwen({ model_type: name });
  return (own) => {
    const found = prefixes.map((prefix) => tensors.get(prefix + own)).find((t) => t !== undefined);
    if (found === undefined) throw new Error(`the checkpoint has no "${own}"`);
    return found;
  };
}

/** A tower of narrow layers: windows of 2x2 merged patches, 5x5 learned positions. */
export function smallConfig(family: (typeof FAMILIES)[number], fields: Json = {}): Json {
  const common = { num_heads: 2, depth: 2, patch_size: 2, in_channels: 1, temporal_patch_size: 1 };
  const own = {
    qwen2_vl: { embed_dim: 16, mlp_ratio: 2, hidden_size: 12 },
    qwen2_5_vl: {
      hidden_size: 16,
      intermediate_size: 20,
      out_hidden_size: 12,
      window_size: 8,
      fullatt_block_indexes: [1],
    },
    qwen3_vl: {
      hidden_size: 16,
      intermediate_size: 20,
      out_hidden_size: 12,
      num_position_embeddings: 25,
      deepstack_visual_indexes: [1, 0],
    },
  }[family];
  return { model_type: family, vision_config: { ...common, ...own, ...fields } };
}

export const randomCheckpoint: CheckpointValues = seededCheckpoint(0.5);

export function f32(shape: readonly number[], value: (i: number) => number): Tensor {
  const count = shape.reduce((a, d) => a * d, 1);
  return { dtype: "f32", shape, data: Float32Array.from({ length: count }, (_, i) => value(i)) };
}

/** `grid_thw` of frames, rows and columns. */
export function gridTensor(grids: readonly (readonly number[])[]): Tensor {
  return { dtype: "i32", shape: [grids.length, 3], data: Int32Array.from(grids.flat()) };
}

export const asGrids = (sizes: readonly (readonly number[])[]): Grid[] =>
  sizes.map(([frames, rows, columns]) => ({ frames, rows, columns }));

/** Grids that are easily got wrong, then seeded ones. Sizes in merge blocks of `merge` patches a side. */
export function gridSamples(merge: number, count: number): number[][][] {
  const hard = [
    [[1, 1, 1]],
    [[3, 1, 1]],
    [[1, 1, 37]],
    [[1, 29, 1]],
    [[1, 4, 8]],
    [[2, 8, 4]],
    [[1, 5, 7]],
    [
      [1, 3, 5],
      [2, 4, 4],
      [1, 1, 1],
      [4, 1, 9],
    ],
    Array.from({ length: 12 }, () => [1, 2, 3]),
  ];
  const random = Array.from({ length: count }, (_, seed) =>
    Array.from({ length: 1 + (hash32(seed, 0) % 4) }, (__, i) => [
      1 + (hash32(seed, 3 * i + 1) % 3),
      1 + (hash32(seed, 3 * i + 2) % 9),
      1 + (hash32(seed, 3 * i + 3) % 9),
    ]),
  );
  return [...hard, ...random].map((grids) => grids.map(([t, h, w]) => [t, h * merge, w * merge]));
}

/** Rows `from..to` of the first axis. */
export function rowsOf(t: Tensor, from: number, to: number): Tensor {
  const row = t.shape.slice(1).reduce((a, d) => a * d, 1);
  return { dtype: t.dtype, shape: [to - from, ...t.shape.slice(1)], data: t.data.subarray(from * row, to * row) };
}

/** One below the other. */
export function stacked(parts: readonly RefTensor[]): RefTensor {
  const rows = parts.reduce((n, t) => n + t.shape[0], 0);
  return refTensor("f32", [rows, ...parts[0].shape.slice(1)], Float32Array.from(parts.flatMap((t) => [...t.data])));
}

const asJson = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** Every tensor of a model under its published prefix, and one of the language model that nobody reads. */
export function filesOf(config: Json, processor?: Json, videoProcessor?: Json): ReadonlyMap<string, Uint8Array> {
  const prefix = config.model_type === "qwen3_vl" ? "model.visual." : "visual.";
  const weights: Record<string, Tensor> = { "model.layers.0.mlp.up_proj.weight": f32([2, 2], () => Number.NaN) };
  const tower = qwenTowerOf(config);
  evaluateTower(tower, tower.example({ batch: 1, seed: 1, grid: [1, 2, 2] }), tower.outputs, (name, shape) => {
    const value = randomCheckpoint(name, shape);
    weights[prefix + name] = tensorOf(value);
    return value;
  });
  const files: [string, Uint8Array][] = [
    ["config.json", asJson(config)],
    ["model.safetensors", encodeSafetensors(weights)],
  ];
  if (processor !== undefined) files.push(["preprocessor_config.json", asJson(processor)]);
  if (videoProcessor !== undefined) files.push(["video_preprocessor_config.json", asJson(videoProcessor)]);
  return new Map(files);
}
