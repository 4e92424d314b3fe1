/** The plugins that come with fovea, each loaded when it is first needed. They have no privilege over anyone else's. */
import type { Plugin } from "../../abi/plugin.ts";
import type { CompileLayers } from "../config/settings.ts";
import type { EncoderPlugins } from "./encoder_plugins.ts";

/** By the kind of the device that they bring. */
const DEVICES: ReadonlyMap<string, () => Promise<Plugin>> = new Map([
  ["wasm", () => import("../../../kernels/wasm/plugin.ts").then((m) => m.wasmPlugin)],
  ["webgpu", () => import("../../../kernels/webgpu/plugin.ts").then((m) => m.webgpuPlugin)],
  ["reference", () => import("../../../kernels/reference/plugin.ts").then((m) => m.referencePlugin)],
]);

/** By the models that they serve, so that a model loads one. */
const ENCODERS: readonly { readonly modelTypes: readonly string[]; readonly load: () => Promise<Plugin> }[] = [
  {
    modelTypes: [
      "clip",
      "clip_vision_model",
      "clip_text_model",
      "metaclip_2",
      "metaclip_2_vision_model",
      "metaclip_2_text_model",
      "llava",
      "llava_next",
    ],
    load: () => import("../../../plugins/clip/plugin.ts").then((m) => m.clipPlugin),
  },
  {
    modelTypes: [
      "siglip",
      "siglip2",
      "siglip_vision_model",
      "siglip2_vision_model",
      "siglip_text_model",
      "siglip2_text_model",
      "gemma3",
      "paligemma",
      "llava/siglip_vision_model",
    ],
    load: () => import("../../../plugins/siglip/plugin.ts").then((m) => m.siglipPlugin),
  },
  {
    modelTypes: ["bert", "roberta", "xlm-roberta", "camembert", "distilbert", "mpnet", "nomic_bert"],
    load: () => import("../../../plugins/bert/plugin.ts").then((m) => m.bertPlugin),
  },
  {
    modelTypes: ["modernbert"],
    load: () => import("../../../plugins/modernbert/plugin.ts").then((m) => m.modernBertPlugin),
  },
  {
    modelTypes: ["gemma3_text", "qwen3"],
    load: () => import("../../../plugins/decoder/plugin.ts").then((m) => m.decoderPlugin),
  },
  {
    modelTypes: ["dinov2", "dinov2_with_registers", "dinov3_vit"],
    load: () => import("../../../plugins/dino/plugin.ts").then((m) => m.dinoPlugin),
  },
  {
    modelTypes: ["vit", "deit", "vit_msn", "ijepa"],
    load: () => import("../../../plugins/vit/plugin.ts").then((m) => m.vitPlugin),
  },
  {
    modelTypes: ["whisper", "qwen2_audio", "qwen2_audio_encoder", "voxtral", "voxtral_encoder"],
    load: () => import("../../../plugins/whisper/plugin.ts").then((m) => m.whisperPlugin),
  },
  {
    modelTypes: ["wav2vec2", "hubert"],
    load: () => import("../../../plugins/wav2vec2/plugin.ts").then((m) => m.wav2vec2Plugin),
  },
  {
    modelTypes: ["llama4", "llama4_vision_model"],
    load: () => import("../../../plugins/llama4/plugin.ts").then((m) => m.llama4Plugin),
  },
  {
    modelTypes: ["internvl", "internvl_vision"],
    load: () => import("../../../plugins/internvl/plugin.ts").then((m) => m.internVLPlugin),
  },
  {
    modelTypes: ["idefics3", "smolvlm", "idefics3_vision", "smolvlm_vision"],
    load: () => import("../../../plugins/idefics3/plugin.ts").then((m) => m.idefics3Plugin),
  },
  {
    modelTypes: ["pixtral", "mistral3", "llava/pixtral"],
    load: () => import("../../../plugins/pixtral/plugin.ts").then((m) => m.pixtralPlugin),
  },
  {
    modelTypes: ["qwen2_vl", "qwen2_vl_vision", "qwen2_5_vl", "qwen2_5_vl_vision", "qwen3_vl", "qwen3_vl_vision"],
    load: () => import("../../../plugins/qwen_vl/plugin.ts").then((m) => m.qwenVlPlugin),
  },
];

/** All of them. */
export async function firstPartyPlugins(): Promise<readonly Plugin[]> {
  return Promise.all([...DEVICES.values(), ...ENCODERS.map(({ load }) => load)].map((load) => load()));
}

/** Those that bring these devices; all that bring one where a kind is not among them, or none is named. */
export async function devicePlugins(kinds?: Iterable<string>): Promise<readonly Plugin[]> {
  const wanted = new Set(kinds ?? DEVICES.keys());
  const known = [...wanted].every((kind) => DEVICES.has(kind));
  return Promise.all([...DEVICES].filter(([kind]) => !known || wanted.has(kind)).map(([, load]) => load()));
}

/** Kinds of devices that settings place components on. */
export function configuredDevices(layers: CompileLayers): readonly string[] {
  return layers.flatMap(({ config }) =>
    [config.base, ...Object.values(config.components ?? {})].flatMap((settings) =>
      settings?.device === undefined ? [] : [settings.device],
    ),
  );
}

export const FIRST_PARTY_ENCODERS: EncoderPlugins = {
  modelTypes: ENCODERS.flatMap(({ modelTypes }) => modelTypes),
  find: async (modelType) => ENCODERS.find(({ modelTypes }) => modelTypes.includes(modelType))?.load(),
};
