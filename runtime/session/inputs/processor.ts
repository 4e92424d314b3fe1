/** A processor alone: from a folder that holds `preprocessor_config.json` and no model. */
import type { EncoderSpec, Tensors } from "../../abi/encoder.ts";
import type { Plugin } from "../../abi/plugin.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { detectHost } from "../../host/mod.ts";
import { readJson } from "../models/model_files.ts";
import { firstPartyPlugins } from "../registry/first_party.ts";
import { createMediaReader, type ModelSource, openModelSource } from "./source.ts";

/** What a model does to pictures or recordings before they are encoded. */
export interface MediaProcessor {
  /** What `run` reads. */
  readonly kind: "images" | "audio";
  /** Divisors of the normalised channels; 1 for audio. */
  readonly std: readonly number[];
  /** The tensors of one picture or recording, by its path or address, under their Hugging Face names; pixels are f32. */
  readonly run: (file: string) => Promise<Tensors>;
}

interface ProcessorConfig {
  readonly image_processor_type?: unknown;
  readonly feature_extractor_type?: unknown;
  readonly image_std?: unknown;
}

type Table<K extends "imageProcessors" | "audioProcessors"> = NonNullable<EncoderSpec[K]>;

/** What all plugins bring, by the type that configurations name. */
function tableOf<K extends "imageProcessors" | "audioProcessors">(plugins: readonly Plugin[], key: K): Table<K> {
  const tables = plugins.flatMap((p) => p.encoders ?? []).map((e) => e[key] ?? {});
  return Object.assign({}, ...tables) as Table<K>;
}

const entry = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;

/**
 * The image processor or feature extractor that a folder's `preprocessor_config.json` names.
 * @throws FoveaError `unknown_processor` that lists the known ones
 */
export async function openMediaProcessor(source: ModelSource, plugins?: readonly Plugin[]): Promise<MediaProcessor> {
  const host = await detectHost();
  const files = await openModelSource(source, host, { hub: { settings: {} } });
  const config = ((await readJson(files, "preprocessor_config.json")) ?? {}) as ProcessorConfig;
  const all = plugins ?? (await firstPartyPlugins());
  const media = createMediaReader(host, { plugins: all });
  const images = tableOf(all, "imageProcessors");
  const makeImages = entry(images, String(config.image_processor_type).replace(/Fast$/, ""));
  if (makeImages !== undefined) {
    const prepare = makeImages(config);
    const std = Array.isArray(config.image_std) ? (config.image_std as readonly number[]) : [1];
    return { kind: "images", std, run: async (file) => prepare([await media.image(file)]) };
  }
  const audio = tableOf(all, "audioProcessors");
  const makeAudio = entry(audio, String(config.feature_extractor_type));
  if (makeAudio !== undefined) {
    const prepare = makeAudio(config);
    return { kind: "audio", std: [1], run: async (file) => prepare([await media.audio(file)]) };
  }
  const type = config.image_processor_type ?? config.feature_extractor_type;
  throw new FoveaError(
    "unknown_processor",
    `No plugin serves the processor ${JSON.stringify(type)} of ${files.description}; known are ${[...Object.keys(images), ...Object.keys(audio)].join(", ")}.`,
  );
}
