/** The encoders that are measured: five of published sizes, and others from a seed. */
import { readFile } from "node:fs/promises";
import type { Modality, Tensor, Tensors, TowerSpec } from "../runtime/abi/encoder.ts";
import { fillNormal, hash32 } from "../runtime/core/random.ts";
import { firstPartyPlugins } from "../runtime/session/registry/first_party.ts";

export interface BenchModel {
  readonly name: string;
  /** `config.json` as it is published. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly tower: TowerSpec;
  readonly inputs: Tensors;
}

interface ModelSpec {
  /** A folder of `test/fixtures/configs`. */
  readonly folder: string;
  readonly modality: Modality;
  /** Inputs by name, without the batch. */
  readonly inputs: Readonly<Record<string, readonly number[]>>;
}

const SQUARE = [3, 224, 224];

const MODELS: Readonly<Record<string, ModelSpec>> = {
  "siglip-base": {
    folder: "siglip-base-patch16-224",
    modality: "vision",
    inputs: { pixel_values: SQUARE },
  },
  "clip-b32": { folder: "clip-vit-base-patch32", modality: "vision", inputs: { pixel_values: SQUARE } },
  "dinov2-small": { folder: "dinov2-small", modality: "vision", inputs: { pixel_values: SQUARE } },
  "whisper-base": { folder: "whisper-base", modality: "audio", inputs: { input_features: [80, 3000] } },
  "minilm-l6": { folder: "all-minilm-l6-v2", modality: "text", inputs: { input_ids: [128] } },
};

/** Names of the five. */
export const MODEL_NAMES: readonly string[] = Object.keys(MODELS);

/** Models that are also run op by op: the two that are small enough for their fusing to show. */
export const OP_BY_OP: readonly string[] = ["dinov2-small", "minilm-l6"];

/** Ids of words lie in the vocabulary; all other inputs are normal. */
function input(name: string, shape: readonly number[], config: Readonly<Record<string, unknown>>): Tensor {
  const elements = shape.reduce((a, b) => a * b, 1);
  if (name === "input_ids") {
    const words = config.vocab_size as number;
    return { dtype: "i32", shape, data: Int32Array.from({ length: elements }, (_, i) => hash32(7, i) % words) };
  }
  const data = new Float32Array(elements);
  fillNormal(data, 7, 0, 1);
  return { dtype: "f32", shape, data };
}

async function towerOf(config: Readonly<Record<string, unknown>>, modality: Modality): Promise<TowerSpec> {
  const encoders = (await firstPartyPlugins()).flatMap((plugin) => plugin.encoders ?? []);
  const encoder = encoders.find((one) => one.modelTypes.includes(String(config.model_type)));
  const tower = encoder?.open(config).towers.find((one) => one.modality === modality);
  if (tower === undefined) throw new Error(`No encoder has a ${modality} tower for "${String(config.model_type)}".`);
  return tower;
}

/** A number from `low` to `high` in steps; the same for equal seed and place. */
function pick(seed: number, place: number, low: number, high: number, step: number): number {
  return low + step * (hash32(seed, place) % (Math.floor((high - low) / step) + 1));
}

/** A vision transformer like SigLIP's with a size that nothing was tuned for. */
async function randomModel(seed: number): Promise<BenchModel> {
  const headDim = pick(seed, 0, 32, 96, 8);
  const heads = pick(seed, 1, 3, 14, 1);
  const hidden = headDim * heads;
  const layers = pick(seed, 2, 4, 16, 1);
  const side = pick(seed, 3, 6, 20, 1);
  const batch = pick(seed, 4, 1, 4, 1);
  const config = {
    model_type: "siglip",
    text_config: { model_type: "siglip_text_model" },
    vision_config: {
      model_type: "siglip_vision_model",
      hidden_size: hidden,
      intermediate_size: 4 * hidden,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      image_size: 16 * side,
      patch_size: 16,
    },
  };
  const name = `random-${seed} (hidden ${hidden}, heads ${heads}, depth ${layers}, tokens ${side * side}, batch ${batch})`;
  const pixels = input("pixel_values", [batch, 3, 16 * side, 16 * side], config);
  return { name, config, tower: await towerOf(config, "vision"), inputs: { pixel_values: pixels } };
}

/** One of the five by name, or `random-<seed>`. @throws Error that lists what there is */
export async function openModel(name: string, batch: number): Promise<BenchModel> {
  const seed = /^random-(\d{1,9})$/.exec(name)?.[1];
  if (seed !== undefined) return randomModel(Number(seed));
  if (!Object.hasOwn(MODELS, name)) {
    throw new Error(`There is no model "${name}"; there are ${MODEL_NAMES.join(", ")} and random-<seed>.`);
  }
  const { folder, modality, inputs } = MODELS[name];
  const file = new URL(`../test/fixtures/configs/${folder}/config.json`, import.meta.url);
  const config = JSON.parse(await readFile(file, "utf8")) as Readonly<Record<string, unknown>>;
  return {
    name,
    config,
    tower: await towerOf(config, modality),
    inputs: Object.fromEntries(
      Object.entries(inputs).map(([port, shape]) => [port, input(port, [batch, ...shape], config)]),
    ),
  };
}
