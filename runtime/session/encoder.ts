/** A loaded encoder: what users call. */
import type { DeviceStats } from "../abi/device.ts";
import type {
  AudioClip,
  EncoderModel,
  Modality,
  PixelImage,
  Processors,
  Scoring,
  Tensor,
  Tensors,
} from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import type { WeightDType } from "../core/dtype.ts";
import type { TraceSink } from "../core/trace.ts";
import { type CallOptions, type OpenContext, openContext } from "../exec/forward_context.ts";
import { concatRows } from "./batching.ts";
import { noteCaller } from "./callers.ts";
import {
  CALL_OPTIONS,
  checkOptions,
  didYouMean,
  type Expected,
  FUNCTION,
  foundText,
  isObject,
  TEXTS,
} from "./check.ts";
import { explainEncoder } from "./explain.ts";
import type { AudioInput, EncodeInputs, ImageInput, MediaReader, ReadOptions, VideoInput } from "./inputs.ts";
import type { PixelCutter } from "./pixels.ts";
import type { LoadedTower, RunStats } from "./tower.ts";
import type { PlaceFinder } from "./trace.ts";

export interface EncodeOptions extends CallOptions {
  /** Names of the results that are wanted; all unless given. */
  readonly outputs?: readonly string[];
  /** Told after each batch of pictures, and after texts. */
  readonly onProgress?: (done: number, total: number) => void;
}

const ENCODE_OPTIONS: Readonly<Record<keyof EncodeOptions, Expected>> = {
  ...CALL_OPTIONS,
  outputs: TEXTS,
  onProgress: FUNCTION,
};

/**
 * Results of one tower under the names that Hugging Face uses, f32; unless `outputs` leaves them out, also what tells how
 * their rows belong to the inputs, i32: `num_patches`, `image_grid_thw`, `video_grid_thw` and their like.
 */
export interface TowerOutput {
  /** [batch, tokens, width] */
  readonly last_hidden_state?: Tensor;
  /** [batch, width] */
  readonly pooler_output?: Tensor;
  /** [batch, projection], not normalised. */
  readonly image_embeds?: Tensor;
  /** [batch, projection], not normalised. */
  readonly text_embeds?: Tensor;
  /** [batch, width], as the model folder's sentence-transformers files say. */
  readonly sentence_embedding?: Tensor;
  readonly [name: string]: Tensor | undefined;
}

/** With one kind of input its tower's results; with both, the embeddings and each tower's results under its name. */
export interface EncodeResult extends TowerResults {
  readonly vision_model_output?: TowerOutput;
  readonly text_model_output?: TowerOutput;
}

type TowerResults = Pick<
  TowerOutput,
  "last_hidden_state" | "pooler_output" | "image_embeds" | "text_embeds" | "sentence_embedding"
>;

export interface EncoderStats {
  readonly towers: Readonly<Partial<Record<Modality, Readonly<RunStats>>>>;
  readonly weightBytes: number;
  /** Type that each component's large weights are kept in, by tag. */
  readonly dtypes: Readonly<Record<string, WeightDType>>;
  readonly loadMs: number;
  readonly preprocessMs: number;
  readonly encodes: number;
  readonly device: DeviceStats;
}

/** What an encoder needs of the runtime that loaded it. */
export interface EncoderContext {
  readonly model: EncoderModel;
  readonly modelType: string;
  readonly towers: ReadonlyMap<Modality, LoadedTower>;
  readonly processors: Processors;
  readonly logitScale: number | undefined;
  readonly logitBias: number;
  readonly loadMs: number;
  readonly media: MediaReader;
  readonly cutter: PixelCutter;
  readonly deviceStats: () => DeviceStats;
  readonly now: () => number;
  readonly trace: TraceSink | undefined;
  readonly findPlace: PlaceFinder;
  readonly onClose: () => void;
}

const isTensor = (value: unknown): value is Tensor =>
  typeof value === "object" && value !== null && "shape" in value && "data" in value;

/** Makes the tensors of one run of a tower. */
type Batch = () => Promise<Tensors>;

const pick = (tensors: Tensors, isWanted: (name: string) => boolean): Tensors =>
  Object.fromEntries(Object.entries(tensors).filter(([name]) => isWanted(name)));

const KIND_OF_INPUT: Readonly<Record<Modality, string>> = { vision: "images", text: "texts", audio: "audio" };

/** Pictures that are decoded before the first of them is encoded: more would hold their pixels for nothing. */
const IMAGES_AT_ONCE = 32;

const CLIPS_AT_ONCE = 4;

/** Batches of at most `size` items. */
function inParts<T>(
  items: readonly T[],
  size: number,
  make: (part: readonly T[], from: number) => Promise<Tensors>,
): readonly Batch[] {
  return Array.from(
    { length: Math.ceil(items.length / size) },
    (_, i) => () => make(items.slice(i * size, (i + 1) * size), i * size),
  );
}

function readOptions(kind: string, list: string, position: number, signal: AbortSignal): ReadOptions {
  return { name: `The ${kind} at position ${position} of \`${list}\``, signal };
}

/** Made by `runtime.load`. Calls may overlap; each has memory of its own. */
export class Encoder {
  /** `model_type` of the configuration. */
  readonly modelType: string;
  /** Towers that were loaded. */
  readonly modalities: readonly Modality[];
  /** Factor of image-text similarities (`exp(logit_scale)`), for models that have one. */
  readonly logitScale: number | undefined;
  /** Added to scaled image-text similarities; 0 for models without one. */
  readonly logitBias: number;
  /** Whether probabilities of labels are made of all of them together, or of each alone. */
  readonly scoring: Scoring;
  readonly #context: EncoderContext;
  #encodes = 0;
  #preprocessMs = 0;
  #closed = false;

  constructor(context: EncoderContext) {
    this.#context = context;
    this.modelType = context.modelType;
    this.modalities = [...context.towers.keys()];
    this.logitScale = context.logitScale;
    this.logitBias = context.logitBias;
    this.scoring = context.model.scoring ?? "softmax";
  }

  /**
   * Encodes pictures, texts or tensors.
   * @throws FoveaError `invalid_input` for what the towers cannot take, `out_of_memory`, `deadline_exceeded`, `closed`; the
   * signal's reason on abort. What broke inside the call names its request, component and sizes.
   */
  async encode(inputs: EncodeInputs, options: EncodeOptions = {}): Promise<EncodeResult> {
    this.#checkOpen();
    checkOptions("encode", options, ENCODE_OPTIONS);
    const { now, trace } = this.#context;
    const context = openContext("encode", options, { requestId: String(++this.#encodes), now, trace });
    const begin = now();
    try {
      context.check();
      return await this.#encode(inputs, options, context);
    } finally {
      context.span({ kind: "request", name: "encode", begin });
      context.close();
    }
  }

  async #encode(inputs: EncodeInputs, options: EncodeOptions, context: OpenContext): Promise<EncodeResult> {
    const isComplete = [...this.#context.towers.values()].every((t) => t.complete);
    const caller = isComplete ? {} : { caller: noteCaller(this.#context.findPlace) };
    const given = this.#batches(inputs, context);
    const wanted = this.#outputs([...given.keys()], options.outputs);
    const total = [...given.values()].reduce((n, batches) => n + batches.length, 0);
    const results = new Map<Modality, Tensors>();
    let done = 0;
    for (const [modality, batches] of given) {
      const parts: Tensors[] = [];
      for (const batch of batches) {
        const begin = context.now();
        context.doing(() => `preparing the ${modality} tower's inputs`);
        const tensors = await batch();
        this.#preprocessMs = context.now() - begin;
        context.span({ kind: "prepare", name: modality, begin });
        context.check();
        this.#checkOpen();
        const tower = this.tower(modality);
        const { layout = [], inputs: names } = tower.spec;
        const outputs = wanted.get(modality) ?? [];
        const computed = outputs.filter((name) => !layout.includes(name));
        const own = pick(tensors, (name) => names.includes(name) || !layout.includes(name));
        const request = { inputs: own, outputs: computed, context: context.of(modality), ...caller };
        parts.push({
          ...(computed.length === 0 ? {} : await tower.run(request)),
          ...pick(tensors, (name) => layout.includes(name) && outputs.includes(name)),
        });
        options.onProgress?.(++done, total);
      }
      results.set(modality, parts.length === 1 ? parts[0] : concatRows(parts, this.tower(modality).spec.joinAxes));
    }
    if (results.size === 1) return [...results.values()][0];
    const [vision, text] = [results.get("vision"), results.get("text")];
    return {
      ...(vision?.image_embeds === undefined ? {} : { image_embeds: vision.image_embeds }),
      ...(text?.text_embeds === undefined ? {} : { text_embeds: text.text_embeds }),
      ...(vision === undefined ? {} : { vision_model_output: vision }),
      ...(text === undefined ? {} : { text_model_output: text }),
    };
  }

  /** Text: components, ranges, artifacts with their origin, and the steps of each. */
  explain(): string {
    return explainEncoder(this.modelType, this.#context.towers);
  }

  stats(): EncoderStats {
    const towers = [...this.#context.towers.entries()];
    return {
      towers: Object.fromEntries(towers.map(([modality, t]) => [modality, { ...t.stats }])),
      weightBytes: towers.reduce((n, [, t]) => n + t.weightBytes, 0),
      dtypes: Object.fromEntries(
        towers.flatMap(([, t]) => [...t.components].map(([tag, c]) => [tag, c.settings.dtype.value])),
      ),
      loadMs: this.#context.loadMs,
      preprocessMs: this.#preprocessMs,
      encodes: this.#encodes,
      device: this.#context.deviceStats(),
    };
  }

  /** A tower, for benchmarks and `explain`. @throws FoveaError `no_component` that lists the loaded ones. */
  tower(modality: Modality): LoadedTower {
    const tower = this.#context.towers.get(modality);
    if (tower !== undefined) return tower;
    throw new FoveaError(
      "no_component",
      `This ${this.modelType} model was loaded with ${this.modalities.join(" and ")}; it has no "${modality}" component here.`,
    );
  }

  /** Gives weights and buffers back. Later calls of `encode` fail. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const tower of this.#context.towers.values()) tower.release();
    this.#context.onClose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new FoveaError("closed", "This encoder was closed; load the model again to encode.");
  }

  /** The tensors of every tower that has inputs, in batches that are made when their turn comes. */
  #batches(inputs: EncodeInputs, context: OpenContext): ReadonlyMap<Modality, readonly Batch[]> {
    if (!isObject(inputs)) {
      throw new FoveaError(
        "invalid_input",
        `encode takes an object such as { images: ["cat.jpg"] }; found ${foundText(inputs)}.`,
      );
    }
    const { images, videos, texts, audio, ...named } = inputs;
    if (images !== undefined && videos !== undefined) {
      throw new FoveaError(
        "invalid_input",
        "`images` and `videos` are given at once, and both are for the vision tower; encode them in calls of their own, so that each has its own results.",
      );
    }
    const given = new Map<Modality, readonly Batch[]>();
    const add = (modality: Modality, batches: readonly Batch[]): void => {
      if (given.has(modality)) {
        const name = videos === undefined ? KIND_OF_INPUT[modality] : "videos";
        throw new FoveaError("invalid_input", `Give \`${name}\` or the ${modality} tower's own tensors, not both.`);
      }
      given.set(modality, batches);
    };
    for (const [modality, tensors] of this.#namedTensors(named)) add(modality, [async () => tensors]);
    if (images !== undefined) add("vision", this.#imageBatches(images, context));
    if (videos !== undefined) add("vision", this.#videoBatches(videos, context.signal));
    if (texts !== undefined) add("text", [this.#textBatch(texts)]);
    if (audio !== undefined) add("audio", this.#audioBatches(audio, context.signal));
    if (given.size === 0) {
      throw new FoveaError(
        "invalid_input",
        "There is nothing to encode; give `images`, `videos`, `texts`, `audio` or tensors.",
      );
    }
    return given;
  }

  #imageBatches(images: readonly ImageInput[], context: OpenContext): readonly Batch[] {
    const { signal } = context;
    const { processors, cutter } = this.#context;
    const { pixels } = processors;
    const prepare =
      pixels === undefined
        ? processors.images
        : (decoded: readonly PixelImage[]) => cutter.cut(decoded, pixels(decoded), context.of("pixels"));
    if (prepare === undefined) throw noProcessor(this.modelType, "images", "preprocessor_config.json", "pixel_values");
    checkList("images", "picture", images);
    this.tower("vision");
    return inParts(images, IMAGES_AT_ONCE, async (part, from) => {
      const decoded: PixelImage[] = [];
      for (const [i, image] of part.entries()) {
        signal.throwIfAborted();
        decoded.push(await this.#context.media.image(image, readOptions("picture", "images", from + i, signal)));
      }
      return prepare(decoded);
    });
  }

  /** One video at a time: its frames are many pictures. */
  #videoBatches(videos: readonly VideoInput[], signal: AbortSignal): readonly Batch[] {
    const processor = this.#context.processors.videos;
    if (processor === undefined) {
      throw new FoveaError(
        "invalid_input",
        `This ${this.modelType} model takes no \`videos\`: its encoder has no video processor, or the folder no configuration of one. Give the frames as \`images\`.`,
      );
    }
    checkList("videos", "video", videos);
    this.tower("vision");
    return videos.map((video, i) => async () => {
      signal.throwIfAborted();
      const frames = await this.#context.media.video(
        video,
        processor.sample,
        readOptions("video", "videos", i, signal),
      );
      return processor.run([frames]);
    });
  }

  #audioBatches(audio: readonly AudioInput[], signal: AbortSignal): readonly Batch[] {
    const prepare = this.#context.processors.audio;
    if (prepare === undefined) throw noProcessor(this.modelType, "audio", "preprocessor_config.json", "input_features");
    checkList("audio", "recording", audio);
    this.tower("audio");
    return inParts(audio, CLIPS_AT_ONCE, async (part, from) => {
      const decoded: AudioClip[] = [];
      for (const [i, clip] of part.entries()) {
        signal.throwIfAborted();
        decoded.push(await this.#context.media.audio(clip, readOptions("recording", "audio", from + i, signal)));
      }
      return prepare(decoded);
    });
  }

  #textBatch(texts: readonly string[]): Batch {
    const prepare = this.#context.processors.texts;
    if (prepare === undefined) throw noProcessor(this.modelType, "texts", "tokenizer.json", "input_ids");
    checkList("texts", "text", texts);
    this.tower("text");
    return () => prepare(texts);
  }

  /** Tensors that were given by name, by tower. */
  #namedTensors(named: Readonly<Record<string, unknown>>): ReadonlyMap<Modality, Tensors> {
    const { towers } = this.#context;
    const given = new Map<Modality, Tensors>();
    for (const [name, value] of Object.entries(named)) {
      if (value === undefined) continue;
      const owner = [...towers.values()].find((t) => t.spec.inputs.includes(name));
      if (owner === undefined) {
        const names = ["images", "videos", "texts", "audio", ...[...towers.values()].flatMap((t) => t.spec.inputs)];
        throw new FoveaError(
          "invalid_input",
          `There is no input "${name}"; this model takes ${names.join(", ")}.${didYouMean(name, names)}`,
        );
      }
      if (!isTensor(value)) {
        throw new FoveaError("invalid_input", `The input "${name}" must be a tensor { dtype, shape, data }.`);
      }
      given.set(owner.spec.modality, { ...given.get(owner.spec.modality), [name]: value });
    }
    return given;
  }

  /** Wanted outputs by tower. */
  #outputs(
    modalities: readonly Modality[],
    wanted: readonly string[] | undefined,
  ): ReadonlyMap<Modality, readonly string[]> {
    const available = modalities.map((m) => {
      const { outputs, layout = [] } = this.tower(m).spec;
      return [m, [...outputs, ...layout]] as const;
    });
    if (wanted === undefined) return new Map(available);
    const all = available.flatMap(([, names]) => names);
    for (const name of wanted) {
      if (all.includes(name)) continue;
      throw new FoveaError(
        "invalid_input",
        `There is no output "${name}"; these inputs give ${[...new Set(all)].join(", ")}.${didYouMean(name, all)}`,
      );
    }
    return new Map(available.map(([m, names]) => [m, names.filter((n) => wanted.includes(n))]));
  }
}

/** @throws FoveaError `invalid_input` */
function checkList(name: string, item: string, list: unknown): void {
  if (Array.isArray(list) && list.length > 0) return;
  throw new FoveaError(
    "invalid_input",
    `\`${name}\` must be a list of at least one ${item}; found ${foundText(list)}.`,
  );
}

function noProcessor(modelType: string, input: string, file: string, tensor: string): FoveaError {
  return new FoveaError(
    "invalid_input",
    `This ${modelType} model cannot take \`${input}\`: its folder has no ${file}, or it was loaded from a configuration alone. Give \`${tensor}\` instead.`,
  );
}
