/** SigLIP models of the repository, opened through the plugin, and made-up small ones. */
import { siglipPlugin } from "../../plugins/siglip/plugin.ts";
import type { EncoderModel, Tensor } from "../../runtime/abi/encoder.ts";
import type { RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import type { Json } from "../clip/model_kit.ts";
import type { CheckpointValues } from "../kit/plan_evaluator.ts";
import { seededCheckpoint } from "../kit/seeded_checkpoint.ts";

export function openSiglip(config: Json): EncoderModel {
  const spec = siglipPlugin.encoders?.[0];
  if (spec === undefined) throw new Error("the plugin has no encoder");
  return spec.open(config);
}

/** A tower of one or two narrow layers. */
export function smallConfig(type: "siglip" | "siglip2", vision: Json = {}, text: Json = {}): Json {
  const widths = { hidden_size: 32, intermediate_size: 40, num_hidden_layers: 1, num_attention_heads: 2 };
  return {
    model_type: type,
    vision_config: { ...widths, image_size: 24, patch_size: 8, num_patches: 9, ...vision },
    text_config: { ...widths, vocab_size: 50, max_position_embeddings: 8, ...text },
  };
}

/** Seeded weights by name. */
export const randomCheckpoint: CheckpointValues = seededCheckpoint(0.3);

export function f32(shape: readonly number[], value: (i: number) => number): Tensor {
  const count = shape.reduce((a, d) => a * d, 1);
  return { dtype: "f32", shape, data: Float32Array.from({ length: count }, (_, i) => value(i)) };
}

export function i32(shape: readonly number[], values: readonly number[]): Tensor {
  return { dtype: "i32", shape, data: Int32Array.from(values) };
}

/** Rows `from..to` of the first axis. */
export function rowsOf(t: RefTensor, from: number, to: number): RefTensor {
  const row = t.shape.slice(1).reduce((a, d) => a * d, 1);
  return { dtype: t.dtype, shape: [to - from, ...t.shape.slice(1)], data: t.data.subarray(from * row, to * row) };
}

/** [1, rows, width] -> its first `count` rows. */
export function firstTokens(t: RefTensor, count: number): RefTensor {
  const [, , width] = t.shape;
  return { dtype: t.dtype, shape: [1, count, width], data: t.data.subarray(0, count * width) };
}
