/** Picture embeddings for a vLLM server: content parts of type `image_embeds` (vLLM's docs/features/multimodal_inputs.md). */
import type { Tensor, Tensors } from "../abi/encoder.ts";
import { encodeFromF32 } from "../core/dtype.ts";
import type { RawTensor } from "../exec/weights/writer.ts";
import { encodeBytes } from "./base64.ts";
import { HttpError } from "./http_error.ts";
import { encodeTorch } from "./torch_file.ts";

/** What a language model reads, and where the tower has it. */
interface EmbedsForm {
  readonly embeds: string;
  /** The grid of patches beside it, for models that place tokens by it. */
  readonly grid?: string;
}

const QWEN: EmbedsForm = { embeds: "pooler_output", grid: "image_grid_thw" };

/** By `model_type` of the configuration. Qwen3-VL's language model also takes features of inner layers, which no part of vLLM's has. */
const FORMS: Readonly<Record<string, EmbedsForm>> = {
  qwen2_vl: QWEN,
  qwen2_vl_vision: QWEN,
  qwen2_5_vl: QWEN,
  qwen2_5_vl_vision: QWEN,
  llama4: { embeds: "projected" },
};

/** @throws HttpError `no_embeds` */
function formOf(modelType: string): EmbedsForm {
  const form = FORMS[modelType];
  if (form !== undefined) return form;
  throw new HttpError(
    400,
    "no_embeds",
    `A ${modelType} model has no embeddings in a form that vLLM takes; known are ${Object.keys(FORMS).join(", ")}. Ask for format safetensors.`,
    { param: "format" },
  );
}

/** Results that a content part is made of. @throws HttpError `no_embeds` */
export function embedsOutputs(modelType: string): readonly string[] {
  const { embeds, grid } = formOf(modelType);
  return grid === undefined ? [embeds] : [embeds, grid];
}

/** A tensor with f32 kept or rounded to the nearest bf16. */
export function typed(tensor: Tensor, dtype: "f32" | "bf16", shape: readonly number[] = tensor.shape): RawTensor {
  if (tensor.dtype !== "f32" || dtype === "f32") return { ...tensor, shape };
  return { dtype, shape, data: encodeFromF32(dtype, tensor.data as Float32Array) };
}

const torchText = (tensor: RawTensor): string => encodeBytes(encodeTorch(tensor));

/** `image_embeds` is the picture's tokens, [tokens, width]; the grid is [3], i64, as `torch.tensor` makes it of three numbers. */
export type EmbedsPart = {
  readonly type: "image_embeds";
  readonly image_embeds: string | { readonly image_embeds: string; readonly image_grid_thw: string };
};

/** The content part of one picture. */
export function embedsPart(modelType: string, outputs: Tensors, dtype: "f32" | "bf16"): EmbedsPart {
  const { embeds, grid } = formOf(modelType);
  const { shape } = outputs[embeds];
  const width = shape[shape.length - 1];
  const tokens = shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const embedded = torchText(typed(outputs[embeds], dtype, [tokens, width]));
  if (grid === undefined) return { type: "image_embeds", image_embeds: embedded };
  const sizes = BigInt64Array.from(outputs[grid].data, BigInt);
  return {
    type: "image_embeds",
    image_embeds: {
      image_embeds: embedded,
      image_grid_thw: torchText({ dtype: "i64", shape: [sizes.length], data: sizes }),
    },
  };
}
