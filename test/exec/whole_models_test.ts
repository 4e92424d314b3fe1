/** Encoders inside whole models, laid out as they are published: bf16, in shards, under the outer model's names. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { ComponentSpec, Modality } from "../../runtime/abi/encoder.ts";
import { numberToBf16 } from "../../runtime/core/half.ts";
import {
  type CheckpointFiles,
  createTensorSource,
  memoryFiles,
  openCheckpoint,
} from "../../runtime/exec/weights/checkpoint.ts";
import { encodeSafetensors, type RawTensor } from "../../runtime/exec/weights/writer.ts";
import { createGraphBuilder } from "../../runtime/ir/builder.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { openModelOfConfig } from "../geometry/kit.ts";
import { readSafetensors } from "../kit/read_safetensors.ts";
import { FIXTURES, type Json, readJson, towerOf } from "../kit/tower_fixtures.ts";

interface Layout {
  readonly fixture: string;
  readonly modality: Modality;
  /** What the outer model's names begin with, in place of the fixture's. */
  readonly prefix: string;
  /** How the outer model spells the fixture's names behind that. */
  readonly spelled?: (name: string) => string;
  /** Beginnings of the fixture's names that belong to the tower. */
  readonly own: readonly string[];
  /** Tensors of the tower that no result needs. */
  readonly unused?: RegExp;
  /** Where the rest of the model lies. */
  readonly beside: readonly string[];
  readonly config?: (config: Json) => Json;
}

const part =
  (name: string, modelType: string) =>
  (config: Json): Json => ({ ...(config[name] as Json), model_type: modelType });

const LANGUAGE = "language_model.model.embed_tokens.weight";
const CLIP_VISION = ["vision_model.", "visual_projection."];
const CONNECTED = ["model.vision_model.", "model.connector."];
const HEARD = ["audio_tower.", "multi_modal_projector."];
const PROJECTED = ["vision_tower.", "multi_modal_projector."];

const LAYOUTS: readonly Layout[] = [
  { fixture: "clip", modality: "vision", prefix: "", own: [...CLIP_VISION], beside: ["text_model.x"] },
  {
    fixture: "clip",
    modality: "text",
    prefix: "",
    own: ["text_model.", "text_projection."],
    beside: ["vision_model.x"],
  },
  {
    fixture: "clip",
    modality: "vision",
    prefix: "vision_tower.",
    own: ["vision_model."],
    beside: [LANGUAGE],
    config: part("vision_config", "clip_vision_model"),
  },
  {
    fixture: "clip-eos2",
    modality: "text",
    prefix: "",
    own: ["text_model.", "text_projection."],
    beside: ["vision_model.x"],
  },
  {
    fixture: "metaclip_2",
    modality: "text",
    prefix: "",
    own: ["text_model.", "text_projection."],
    beside: ["logit_scale"],
  },
  {
    fixture: "siglip",
    modality: "text",
    prefix: "",
    own: ["text_model."],
    beside: ["vision_model.x"],
  },
  {
    fixture: "siglip",
    modality: "vision",
    prefix: "model.vision_tower.",
    own: ["vision_model."],
    beside: ["model.language_model.x"],
    config: part("vision_config", "siglip_vision_model"),
  },
  { fixture: "gemma3", modality: "vision", prefix: "", own: PROJECTED, beside: [LANGUAGE] },
  { fixture: "gemma3", modality: "vision", prefix: "model.", own: PROJECTED, beside: ["model.language_model.x"] },
  { fixture: "paligemma", modality: "vision", prefix: "model.", own: PROJECTED, beside: ["lm_head.weight"] },
  {
    fixture: "llava",
    modality: "vision",
    prefix: "",
    spelled: (name) => name.replace("vision_tower.", "vision_tower.vision_model."),
    own: PROJECTED,
    unused: /post_layernorm/,
    beside: [LANGUAGE],
  },
  {
    fixture: "llava",
    modality: "vision",
    prefix: "model.",
    own: PROJECTED,
    unused: /post_layernorm/,
    beside: ["model.language_model.x"],
  },
  {
    fixture: "llava_next",
    modality: "vision",
    prefix: "model.",
    own: [...PROJECTED, "image_newline"],
    unused: /post_layernorm/,
    beside: ["model.language_model.x"],
  },
  { fixture: "llava-siglip", modality: "vision", prefix: "model.", own: PROJECTED, beside: ["lm_head.weight"] },
  {
    ...{ fixture: "smolvlm", modality: "vision", prefix: "", own: CONNECTED },
    beside: ["model.text_model.x", "lm_head.weight"],
  },
  {
    ...{ fixture: "idefics3-tower", modality: "vision", prefix: "model.vision_model.", own: [""] },
    beside: ["model.text_model.x", "model.connector.x"],
  },
  { fixture: "vit", modality: "vision", prefix: "vit.", own: [""], beside: ["classifier.weight"] },
  { fixture: "vit-deit", modality: "vision", prefix: "deit.", own: [""], beside: ["cls_classifier.weight"] },
  { fixture: "vit-msn", modality: "vision", prefix: "", own: ["vit.", "encoder."], beside: ["classifier.weight"] },
  { fixture: "vit-ijepa", modality: "vision", prefix: "", own: ["ijepa."], beside: ["classifier.weight"] },
  {
    fixture: "dinov2",
    modality: "vision",
    prefix: "dinov2.",
    own: [""],
    unused: /mask_token$/,
    beside: ["classifier.weight"],
  },
  {
    fixture: "dinov2-registers",
    modality: "vision",
    prefix: "dinov2_with_registers.",
    own: [""],
    unused: /mask_token$/,
    beside: ["classifier.weight"],
  },
  {
    fixture: "dinov3",
    modality: "vision",
    prefix: "backbone.",
    own: [""],
    unused: /mask_token$/,
    beside: ["head.weight"],
  },
  { fixture: "qwen2_vl", modality: "vision", prefix: "", own: ["visual."], beside: ["model.x", "lm_head.weight"] },
  { fixture: "qwen2_5_vl", modality: "vision", prefix: "", own: ["visual."], beside: ["model.x", "lm_head.weight"] },
  { fixture: "qwen2_5_vl", modality: "vision", prefix: "model.", own: ["visual."], beside: ["model.language_model.x"] },
  { fixture: "qwen3_vl", modality: "vision", prefix: "", own: ["model.visual."], beside: ["model.language_model.x"] },
  {
    fixture: "llama4",
    modality: "vision",
    prefix: "",
    own: ["vision_model.", "multi_modal_projector."],
    beside: [LANGUAGE],
  },
  {
    fixture: "llama4",
    modality: "vision",
    prefix: "model.",
    own: ["vision_model.", "multi_modal_projector."],
    beside: ["model.language_model.x"],
  },
  { fixture: "pixtral-llava", modality: "vision", prefix: "", own: PROJECTED, beside: [LANGUAGE] },
  {
    fixture: "pixtral-llava",
    modality: "vision",
    prefix: "model.",
    own: PROJECTED,
    beside: ["model.language_model.x"],
  },
  { fixture: "pixtral-merge", modality: "vision", prefix: "", own: PROJECTED, beside: [LANGUAGE] },
  { fixture: "pixtral-merge", modality: "vision", prefix: "model.", own: PROJECTED, beside: ["lm_head.weight"] },
  { fixture: "internvl-projector", modality: "vision", prefix: "", own: PROJECTED, beside: [LANGUAGE] },
  { fixture: "internvl-projector", modality: "vision", prefix: "model.", own: PROJECTED, beside: ["lm_head.weight"] },
  { fixture: "whisper", modality: "audio", prefix: "", own: ["encoder."], beside: ["decoder.x"] },
  {
    fixture: "whisper",
    modality: "audio",
    prefix: "model.",
    own: ["encoder."],
    beside: ["model.decoder.x", "proj_out.weight"],
  },
  {
    fixture: "qwen2_audio",
    modality: "audio",
    prefix: "audio_tower.",
    own: [""],
    beside: [LANGUAGE, "multi_modal_projector.linear.weight"],
    config: (config) => ({ model_type: "qwen2_audio", audio_config: config }),
  },
  { fixture: "voxtral", modality: "audio", prefix: "", own: HEARD, beside: ["language_model.lm_head.weight"] },
  { fixture: "voxtral", modality: "audio", prefix: "model.", own: HEARD, beside: ["lm_head.weight"] },
  {
    fixture: "wav2vec2",
    modality: "audio",
    prefix: "",
    own: ["wav2vec2."],
    unused: /masked_spec_embed$/,
    beside: ["lm_head.weight", "quantizer.codevectors"],
  },
  {
    fixture: "hubert",
    modality: "audio",
    prefix: "hubert.",
    own: [""],
    unused: /masked_spec_embed$/,
    beside: ["lm_head.weight"],
  },
  { fixture: "bert", modality: "text", prefix: "bert.", own: [""], beside: ["cls.predictions.decoder.weight"] },
  { fixture: "roberta", modality: "text", prefix: "", own: ["roberta."], beside: ["lm_head.dense.weight"] },
  { fixture: "nomic_bert", modality: "text", prefix: "bert.", own: [""], beside: ["cls.predictions.bias"] },
  { fixture: "mpnet", modality: "text", prefix: "", own: ["mpnet."], beside: ["lm_head.dense.weight"] },
  { fixture: "distilbert", modality: "text", prefix: "", own: ["distilbert."], beside: ["vocab_transform.weight"] },
  {
    fixture: "sentence-xlm-roberta",
    modality: "text",
    prefix: "roberta.",
    own: [""],
    beside: ["lm_head.dense.weight"],
  },
  { fixture: "sentence-gemma", modality: "text", prefix: "model.", own: [""], beside: ["lm_head.weight"] },
  { fixture: "sentence-qwen3", modality: "text", prefix: "model.", own: [""], beside: ["lm_head.weight"] },
  {
    fixture: "sentence-modernbert",
    modality: "text",
    prefix: "model.",
    own: [""],
    beside: ["decoder.weight", "head.x"],
  },
];

const bf16 = (shape: readonly number[], data: ArrayLike<number>): RawTensor => ({
  dtype: "bf16",
  shape,
  data: Uint16Array.from(data, numberToBf16),
});

const stored = new Map<string, readonly (readonly [string, RawTensor])[]>();

/** All tensors of a fixture as bf16, converted once. */
function tensorsOfFixture(fixture: string): readonly (readonly [string, RawTensor])[] {
  const old = stored.get(fixture);
  if (old !== undefined) return old;
  const folder = join(FIXTURES, fixture);
  const files = readdirSync(folder).filter((file) => /^model.*\.safetensors$/.test(file));
  const all = files.flatMap((file) => [...readSafetensors(join(folder, file))]);
  const made = all.map(([name, { shape, data }]) => [name, bf16(shape, data)] as const);
  stored.set(fixture, made);
  return made;
}

const NAN: RawTensor = bf16([300, 300], new Float32Array(300 * 300).fill(Number.NaN));

/** The tensors of a layout: the tower's, and large ones beside it that hold NaN. */
function tensorsOf({ fixture, prefix, spelled, own, beside }: Layout): {
  tower: Map<string, RawTensor>;
  others: string[];
} {
  const tower = tensorsOfFixture(fixture).filter(([name]) => own.some((beginning) => name.startsWith(beginning)));
  return {
    tower: new Map(tower.map(([name, tensor]) => [prefix + (spelled?.(name) ?? name), tensor])),
    others: beside.map((name) => name.replace(/x$/, "layers.0.self_attn.q_proj.weight")),
  };
}

/** Two shards with their index, and the names of tensors by shard and byte. */
function shardsOf(layout: Layout): { files: Map<string, Uint8Array>; places: Map<string, [string, number, number][]> } {
  const { tower, others } = tensorsOf(layout);
  const entries = [...tower, ...others.map((name): [string, RawTensor] => [name, NAN])];
  const files = new Map<string, Uint8Array>();
  const places = new Map<string, [string, number, number][]>();
  const weight_map: Record<string, string> = {};
  for (const shard of [0, 1]) {
    const file = `model-0000${shard + 1}-of-00002.safetensors`;
    const own = Object.fromEntries(entries.filter((_, i) => i % 2 === shard));
    for (const name of Object.keys(own)) weight_map[name] = file;
    const bytes = encodeSafetensors(own);
    const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start))) as Record<
      string,
      { data_offsets: [number, number] }
    >;
    files.set(file, bytes);
    places.set(file, [
      ["header", 0, start],
      ...Object.entries(header).map(
        ([
          name,
          {
            data_offsets: [from, to],
          },
        ]): [string, number, number] => [name, start + from, start + to],
      ),
    ]);
  }
  files.set("model.safetensors.index.json", new TextEncoder().encode(JSON.stringify({ weight_map })));
  return { files, places };
}

/** Files that report each range of each shard that is read. */
function watched(files: CheckpointFiles, told: (file: string, from: number, to: number) => void): CheckpointFiles {
  return {
    ...files,
    list: () => files.list(),
    open: async (name) => {
      const source = await files.open(name);
      const read: typeof source.read = (into, position) => {
        told(name, position, position + into.length);
        return source.read(into, position);
      };
      return { name: source.name, size: source.size, read, close: () => source.close() };
    },
  };
}

/** Names and shapes of the weights that a component declares. */
function weightsOf({ symbols, build }: ComponentSpec): ReadonlyMap<string, readonly number[]> {
  const declared = new Map<string, readonly number[]>();
  const builder = createGraphBuilder({ symbols, interner: createInterner(OP_TABLE) });
  build({
    ...builder,
    weight: (name, shape) => {
      declared.set(name, shape as readonly number[]);
      return builder.weight(name, shape);
    },
  });
  return declared;
}

for (const layout of LAYOUTS) {
  const { fixture, modality, prefix, beside, unused } = layout;
  test(`${fixture} ${modality} under "${prefix}" beside ${beside[0]}: its own tensors are read, and no other byte`, async () => {
    const { files, places } = shardsOf(layout);
    const config = readJson(join(FIXTURES, fixture, "config.json"));
    const touched = new Map<string, number>();
    const source = watched(memoryFiles(files), (file, from, to) => {
      for (const [name, begin, end] of places.get(file) ?? []) {
        const bytes = Math.min(to, end) - Math.max(from, begin);
        if (bytes > 0) touched.set(name, (touched.get(name) ?? 0) + bytes);
      }
    });
    const model = openModelOfConfig(layout.config?.(config) ?? config);
    const weights = createTensorSource(await openCheckpoint(source), model);
    for (const component of towerOf(model, modality).components) {
      for (const [name, shape] of weightsOf(component)) {
        for (const instance of component.instances) await weights.read(instance + name, shape);
      }
    }
    await weights.close?.();
    touched.delete("header");
    const wanted = [...tensorsOf(layout).tower].filter(([name]) => unused === undefined || !unused.test(name));
    const bytes = wanted.map(([name, { data }]): [string, number] => [name, data.byteLength]);
    assert.ok(bytes.length > 10);
    assert.deepEqual([...touched.keys()].sort(), bytes.map(([name]) => name).sort());
    for (const [name, size] of bytes) {
      // A norm or a table of two components is read for each.
      const times = (touched.get(name) ?? 0) / size;
      assert.ok(times === 1 || times === 2, `${name} was read ${times} times`);
    }
  });
}

test("every model_type of the fixtures has a layout", () => {
  const typeOf = (folder: string): unknown => readJson(join(FIXTURES, folder, "config.json")).model_type;
  const folders = readdirSync(FIXTURES).filter((f) => existsSync(join(FIXTURES, f, "config.json")));
  const own = new Set(LAYOUTS.map(({ fixture }) => typeOf(fixture)));
  const missing = new Set(folders.map(typeOf).filter((type) => !own.has(type)));
  // SigLIP 2 has SigLIP's layout; the others are towers that were saved alone, and are above inside of whole models.
  assert.deepEqual([...missing].sort(), ["internvl_vision", "pixtral", "siglip2"]);
});
