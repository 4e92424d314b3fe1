/** What a caller gives `encode`, as batches of tensors: each is decoded and preprocessed when its turn comes. */
import type {
  AudioClip,
  Modality,
  PixelImage,
  Processors,
  Tensor,
  Tensors,
  VideoProcessor,
} from "../../abi/encoder.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import type { OpenContext } from "../../exec/forward_context.ts";
import { jpegReduction } from "../../media/jpeg_reduction.ts";
import { didYouMean, foundText, isObject, shapeProblem } from "../check.ts";
import type { LoadedTower } from "../towers/tower.ts";
import type { AudioInput, EncodeInputs, ImageInput, MediaReader, ReadOptions, VideoInput } from "./inputs.ts";
import { type PixelCutter, pictureSize } from "./pixels.ts";
import { nameOf, preparing, refusedAs } from "./preparing.ts";

/** The part of an encoder that takes inputs. */
export interface InputTaker {
  /** `model_type` of the configuration. */
  readonly modelType: string;
  readonly towers: ReadonlyMap<Modality, LoadedTower>;
  readonly processors: Processors;
  readonly media: MediaReader;
  readonly cutter: PixelCutter;
  /** Where JPEG files may be read at a reduced size: how many were. */
  readonly jpegs?: { reduced: number };
}

const isTensor = (value: unknown): value is Tensor => isObject(value) && Array.isArray(value.shape) && "data" in value;

/** Makes the tensors of one run of a tower. */
export type Batch = () => Promise<Tensors>;

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

function readOptions(
  kind: string,
  list: string,
  position: number,
  signal: AbortSignal,
): ReadOptions & { name: string } {
  return { name: `The ${kind} at position ${position} of \`${list}\``, signal };
}

/** The tower of a modality. @throws FoveaError `no_component` that lists the loaded ones */
export function towerOf({ modelType, towers }: InputTaker, modality: Modality): LoadedTower {
  const tower = towers.get(modality);
  if (tower !== undefined) return tower;
  throw new FoveaError(
    "no_component",
    `This ${modelType} model was loaded with ${[...towers.keys()].join(" and ")}; it has no "${modality}" component here.`,
  );
}

/**
 * The tensors of every tower that has inputs, in batches that are made when their turn comes.
 * @param called what errors call the one input, where it has a name that is not its place in the call
 */
export function inputBatches(
  takes: InputTaker,
  inputs: EncodeInputs,
  context: OpenContext,
  called?: string,
): ReadonlyMap<Modality, readonly Batch[]> {
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
  for (const [modality, tensors] of namedTensors(takes, named)) add(modality, [async () => tensors]);
  if (images !== undefined) add("vision", imageBatches(takes, images, context, called));
  if (videos !== undefined) add("vision", videoBatches(takes, videos, context.signal));
  if (texts !== undefined) add("text", [textBatch(takes, texts)]);
  if (audio !== undefined) add("audio", audioBatches(takes, audio, context.signal, called));
  if (given.size === 0) {
    throw new FoveaError(
      "invalid_input",
      "There is nothing to encode; give `images`, `videos`, `texts`, `audio` or tensors.",
    );
  }
  return given;
}

/** Reads a picture, a JPEG file at a reduced size where that is allowed and the processor's plan leaves room for it. */
export async function readPicture(takes: InputTaker, image: ImageInput, options: ReadOptions): Promise<PixelImage> {
  const { pixels } = takes.processors;
  const { jpegs, media } = takes;
  if (jpegs === undefined || pixels === undefined) return media.image(image, options);
  const decoded = await media.image(image, {
    ...options,
    reduceJpeg: (size) => jpegReduction(size, pixels([size]).cuts),
  });
  if (decoded.reducedFrom !== undefined) jpegs.reduced++;
  return decoded;
}

function imageBatches(
  takes: InputTaker,
  images: readonly ImageInput[],
  context: OpenContext,
  called: string | undefined,
): readonly Batch[] {
  const { signal } = context;
  const { processors, cutter, media } = takes;
  towerOf(takes, "vision");
  const { pixels } = processors;
  const { images: whole } = processors;
  const prepare =
    pixels === undefined
      ? whole && ((decoded: readonly PixelImage[], names: readonly string[]) => preparing(decoded, names, whole))
      : async (decoded: readonly PixelImage[], names: readonly string[]) => {
          const plan = await preparing(decoded, names, (some) => pixels(some.map(pictureSize)));
          const tensors = await cutter.cut(decoded, plan, context.of("pixels"));
          await Promise.all(decoded.map((image) => media.release?.(image)));
          return tensors;
        };
  if (prepare === undefined) throw noProcessor(takes.modelType, "images", "preprocessor_config.json", "pixel_values");
  checkList("images", "picture", images);
  return inParts(images, IMAGES_AT_ONCE, async (part, from) => {
    const decoded: PixelImage[] = [];
    const names: string[] = [];
    for (const [i, image] of part.entries()) {
      signal.throwIfAborted();
      const options = readOptions("picture", "images", from + i, signal);
      decoded.push(await readPicture(takes, image, options));
      names.push(called ?? nameOf(image, options.name));
    }
    return prepare(decoded, names);
  });
}

/** One video at a time: its frames are many pictures. */
function videoBatches(takes: InputTaker, videos: readonly VideoInput[], signal: AbortSignal): readonly Batch[] {
  const processor = takes.processors.videos;
  if (processor === undefined) {
    throw new FoveaError(
      "invalid_input",
      `This ${takes.modelType} model takes no \`videos\`: its encoder has no video processor, or the folder no configuration of one. Give the frames as \`images\`.`,
    );
  }
  checkList("videos", "video", videos);
  towerOf(takes, "vision");
  return videos.map((video, i) => async () => {
    signal.throwIfAborted();
    const options = readOptions("video", "videos", i, signal);
    const name = nameOf(video, options.name);
    const sample: VideoProcessor["sample"] = (timing) => {
      try {
        return processor.sample(timing);
      } catch (error) {
        throw refusedAs(name, error);
      }
    };
    const frames = await takes.media.video(video, sample, options);
    return preparing([frames], [name], (some) => processor.run(some));
  });
}

function audioBatches(
  takes: InputTaker,
  audio: readonly AudioInput[],
  signal: AbortSignal,
  called: string | undefined,
): readonly Batch[] {
  const { spec } = towerOf(takes, "audio");
  const prepare = takes.processors.audio;
  if (prepare === undefined) throw noProcessor(takes.modelType, "audio", "preprocessor_config.json", spec.inputs[0]);
  checkList("audio", "recording", audio);
  return inParts(audio, CLIPS_AT_ONCE, async (part, from) => {
    const decoded: AudioClip[] = [];
    const names: string[] = [];
    for (const [i, clip] of part.entries()) {
      signal.throwIfAborted();
      const options = readOptions("recording", "audio", from + i, signal);
      decoded.push(await takes.media.audio(clip, options));
      names.push(called ?? nameOf(clip, options.name));
    }
    return preparing(decoded, names, prepare);
  });
}

function textBatch(takes: InputTaker, texts: readonly string[]): Batch {
  towerOf(takes, "text");
  const prepare = takes.processors.texts;
  if (prepare === undefined) throw noProcessor(takes.modelType, "texts", "tokenizer.json", "input_ids");
  checkList("texts", "text", texts);
  return () => prepare(texts);
}

/** Tensors that were given by name, by tower. */
function namedTensors(takes: InputTaker, named: Readonly<Record<string, unknown>>): ReadonlyMap<Modality, Tensors> {
  const { towers, processors } = takes;
  const given = new Map<Modality, Tensors>();
  for (const [name, value] of Object.entries(named)) {
    if (value === undefined) continue;
    const owner = [...towers.values()].find((t) => t.spec.inputs.includes(name));
    if (owner === undefined) {
      const media = [
        ...(towers.has("vision") ? ["images", ...(processors.videos === undefined ? [] : ["videos"])] : []),
        ...(towers.has("text") ? ["texts"] : []),
        ...(towers.has("audio") ? ["audio"] : []),
      ];
      const names = [...media, ...[...towers.values()].flatMap((t) => t.spec.inputs)];
      throw new FoveaError(
        "invalid_input",
        `There is no input "${name}"; this model takes ${names.join(", ")}.${didYouMean(name, names)}`,
      );
    }
    if (!isTensor(value)) {
      throw new FoveaError(
        "invalid_input",
        `The input "${name}" must be a tensor { dtype, shape, data } whose shape is a list of sizes.`,
      );
    }
    const unfit = shapeProblem(value.shape);
    if (unfit !== undefined) throw new FoveaError("invalid_input", `The input "${name}" ${unfit}`);
    given.set(owner.spec.modality, { ...given.get(owner.spec.modality), [name]: value });
  }
  return given;
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
    `This ${modelType} model cannot take \`${input}\`: its folder has no ${file}, or it was loaded from a configuration alone. Add that file, or give \`${tensor}\` instead.`,
  );
}
