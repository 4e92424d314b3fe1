/**
 * The video processors of Qwen2-VL, Qwen2.5-VL and Qwen3-VL: frames are sampled, brought to whole merge blocks, and cut
 * into patches that span `temporal_patch_size` frames; the last frame is repeated where they do not come out even.
 */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import type { PixelImage, Tensor, Tensors, VideoProcessor, VideoTiming } from "../../runtime/abi/encoder.ts";
import type { PixelForms } from "../../runtime/abi/pixels.ts";
import { checkVideos } from "../../runtime/abi/videos.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { cutBytes } from "../../runtime/core/pixel_cut.ts";
import { sameSteps } from "../../runtime/core/value_steps.ts";
import { CLIP_MEAN, CLIP_STD, HALF, parseImageProcessor } from "../../runtime/media/image_processor.ts";
import { cutPixels, pixelCut } from "../../runtime/media/pixel_cut.ts";
import { type Size, valueTable, writeValues } from "../../runtime/media/pixels.ts";
import type { ResizeArithmetic } from "../../runtime/media/resize.ts";
import { type Grid, gridPatches } from "./geometry.ts";
import {
  checkRatio,
  joinFrames,
  mostImagePixels,
  mostPixels,
  type PixelBounds,
  type QwenProcessorConfig,
  readPixels,
  roundHalfEven,
  smartSize,
} from "./preprocess.ts";

type Kind = "Qwen2VLVideoProcessor" | "Qwen3VLVideoProcessor";

/**
 * Of Qwen2VLVideoProcessor `minPixels` and `maxPixels` bound each frame, of Qwen3VLVideoProcessor all frames of a video
 * together.
 */
export interface QwenVideoConfig extends QwenProcessorConfig {
  readonly kind: Kind;
  readonly samples: boolean;
  /** Frames to take of each second. */
  readonly fps?: number;
  /** Frames to take of each video. */
  readonly numFrames?: number;
  readonly minFrames: number;
  readonly maxFrames: number;
  /** True where frames are bounded by `maxVideoTokens` too. */
  readonly capsFrames: boolean;
  /** Merged patches: of a whole video (Qwen2VLVideoProcessor), of a frame (Qwen3VLVideoProcessor). */
  readonly maxVideoTokens: number;
}

interface Defaults {
  readonly bounds: PixelBounds;
  /** True where `min_pixels` and `max_pixels` count. */
  readonly olderBounds: boolean;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly patchSize: number;
  readonly samples: boolean;
  readonly fps?: number;
  readonly maxVideoTokens: number;
}

const KINDS: Readonly<Record<Kind, Defaults>> = {
  Qwen2VLVideoProcessor: {
    bounds: { minPixels: 128 * 28 * 28, maxPixels: 28 * 28 * 768 },
    olderBounds: true,
    mean: CLIP_MEAN,
    std: CLIP_STD,
    patchSize: 14,
    samples: false,
    maxVideoTokens: 128_000,
  },
  Qwen3VLVideoProcessor: {
    bounds: { minPixels: 128 * 32 * 32, maxPixels: 32 * 32 * 768 },
    olderBounds: false,
    mean: HALF,
    std: HALF,
    patchSize: 16,
    samples: true,
    fps: 2,
    maxVideoTokens: 768,
  },
};

/** As the reference's model classes choose it, where the configuration does not. */
const kindOf = (family: string): Kind => (family === "qwen3_vl" ? "Qwen3VLVideoProcessor" : "Qwen2VLVideoProcessor");

const FRAMES = { min: 1, max: 1 << 20 };
const RATE = { min: 1e-3, max: 1000 };

/**
 * Frames a second and frames a video exclude each other where frames are sampled; a class's own rate yields to a number of
 * frames.
 */
function readSampling(c: ConfigReader, defaults: Defaults): Pick<QwenVideoConfig, "samples" | "fps" | "numFrames"> {
  const samples = c.boolean("do_sample_frames", defaults.samples);
  const numFrames = c.has("num_frames") ? c.integer("num_frames", undefined, FRAMES) : undefined;
  const fps = c.has("fps") ? c.number("fps", undefined, RATE) : undefined;
  if (numFrames === undefined) {
    const rate = fps ?? defaults.fps;
    return { samples, ...(rate === undefined ? {} : { fps: rate }) };
  }
  if (samples && fps !== undefined) throw c.error("num_frames", "nothing where `fps` is given");
  return { samples, numFrames };
}

/**
 * Reads a parsed `video_preprocessor_config.json`; where a folder has none, its `preprocessor_config.json` as the reference
 * does.
 * @param family decides the class where the configuration has no `video_processor_type`
 * @throws FoveaError `invalid_config` naming the field, what it holds and what was expected
 */
export function parseQwenVideoProcessor(
  json: unknown,
  family: string,
  file = "video_preprocessor_config.json",
): QwenVideoConfig {
  const c = createConfigReader(json, "", file);
  const kind = c.oneOf("video_processor_type", Object.keys(KINDS), kindOf(family)) as Kind;
  const { bounds, mean, std, ...own } = KINDS[kind];
  const { size, filter, arithmetic, values } = parseImageProcessor(
    // Sizes follow from the frames' own and the numbers of pixels; videos are resized by torchvision alone.
    { ...(json as object), size: undefined, image_processor_type: undefined },
    { size: { height: 1, width: 1 }, plainSize: "square", filter: "bicubic", mean, std },
    file,
  );
  return {
    kind,
    resizes: size !== undefined,
    ...readPixels(c, bounds, own.olderBounds),
    filter,
    arithmetic: arithmetic as ResizeArithmetic,
    values,
    patchSize: c.integer("patch_size", own.patchSize, { min: 1, max: 1024 }),
    temporalPatchSize: c.integer("temporal_patch_size", 2, { min: 1, max: 16 }),
    mergeSize: c.integer("merge_size", 2, { min: 1, max: 16 }),
    ...readSampling(c, KINDS[kind]),
    minFrames: c.integer("min_frames", 4, FRAMES),
    maxFrames: c.integer("max_frames", 768, FRAMES),
    capsFrames: c.boolean("cap_pixels_per_frame", false),
    maxVideoTokens: c.integer("max_video_tokens", own.maxVideoTokens, { min: 1, max: 1 << 30 }),
  };
}

const countText = (frames: number): string => (frames === 1 ? "1 frame" : `${frames} frames`);

function tooShort(frames: number, why: string): FoveaError {
  return new FoveaError("video.too_short", `A video of ${countText(frames)} is too short: ${why}. Give more frames.`);
}

const every = (frames: number): readonly number[] => Array.from({ length: frames }, (_, i) => i);

/** Evenly from the first frame on, in whole temporal patches. */
function sampleQwen2(total: number, rate: number | undefined, config: QwenVideoConfig): readonly number[] {
  const { numFrames, fps, temporalPatchSize: unit, minFrames, maxFrames } = config;
  let count: number;
  if (numFrames !== undefined) {
    count = roundHalfEven(numFrames / unit) * unit;
  } else if (fps !== undefined && rate !== undefined) {
    const most = Math.floor(Math.min(maxFrames, total) / unit) * unit;
    count = Math.floor(Math.min(Math.max((total / rate) * fps, minFrames), most, total) / unit) * unit;
  } else {
    return every(total);
  }
  if (count < 1 || count > total) {
    throw tooShort(total, `this processor samples ${Math.max(count, unit)}, in whole patches of ${unit} frames`);
  }
  const step = total / count;
  // PyTorch's arange: as many as fit in doubles, each rounded to float32 and then down. Where rounding makes it one too
  // many, the reference fails behind the last frame.
  return Array.from({ length: Math.ceil(total / step) }, (_, i) => Math.trunc(Math.fround(i * step))).filter(
    (at) => at < total,
  );
}

/** Evenly from the first frame to the last. */
function sampleQwen3(total: number, rate: number | undefined, config: QwenVideoConfig): readonly number[] {
  const { numFrames, fps, minFrames, maxFrames } = config;
  if (numFrames === undefined && (fps === undefined || rate === undefined)) return every(total);
  const count =
    numFrames ?? Math.min(Math.max(Math.trunc((total / Number(rate)) * Number(fps)), minFrames), maxFrames, total);
  const step = (total - 1) / (count - 1);
  // numpy's linspace and rint.
  return Array.from({ length: count }, (_, i) =>
    i > 0 && i === count - 1 ? total - 1 : roundHalfEven(i === 0 ? 0 : i * step),
  );
}

/**
 * Indices of the frames to take. Without `fps` in the timing a model that samples by time takes every frame: such videos
 * are lists and folders of pictures, which someone sampled already.
 * @throws FoveaError `video.too_short`
 */
export function sampleFrames({ frames, fps }: VideoTiming, config: QwenVideoConfig): readonly number[] {
  if (!config.samples) return every(frames);
  const sample = config.kind === "Qwen2VLVideoProcessor" ? sampleQwen2 : sampleQwen3;
  return sample(frames, fps, config);
}

/**
 * Size of a video's frames so that all of them together have as many pixels as the bounds say.
 * @throws FoveaError `video.too_short` for fewer frames than a patch spans, `image.shape`
 */
function volumeSize(frames: number, image: Size, unit: number, factor: number, bounds: PixelBounds): Size {
  if (frames < unit) throw tooShort(frames, `this processor takes at least ${unit}, which one patch spans`);
  let { height, width } = image;
  if (height < factor || width < factor) {
    const scale = Math.max(factor / height, factor / width);
    [height, width] = [Math.trunc(height * scale), Math.trunc(width * scale)];
  }
  checkRatio({ height, width });
  const nearest = (side: number): number => roundHalfEven(side / factor) * factor;
  const fit = (scaled: (side: number) => number): Size => ({
    height: scaled(height) * factor,
    width: scaled(width) * factor,
  });
  const volume = roundHalfEven(frames / unit) * unit * nearest(height) * nearest(width);
  if (volume > bounds.maxPixels) {
    const beta = Math.sqrt((frames * height * width) / bounds.maxPixels);
    return fit((side) => Math.max(1, Math.floor(side / beta / factor)));
  }
  if (volume < bounds.minPixels) {
    const beta = Math.sqrt(bounds.minPixels / (frames * height * width));
    return fit((side) => Math.ceil((side * beta) / factor));
  }
  return { height: nearest(height), width: nearest(width) };
}

/** Pixels of the smallest frame to which a bound by `maxVideoTokens` comes down. */
const leastShare = (minPixels: number): number => Math.trunc(minPixels * 1.05);

/** Size of a video's frames after their resize. @throws FoveaError `video.too_short`, `image.shape` */
export function videoSize(frames: number, image: Size, config: QwenVideoConfig): Size {
  const { kind, patchSize, mergeSize, temporalPatchSize: unit, minPixels, capsFrames, maxVideoTokens } = config;
  const factor = patchSize * mergeSize;
  const floor = leastShare(minPixels);
  let { maxPixels } = config;
  if (kind === "Qwen2VLVideoProcessor") {
    if (capsFrames) {
      const all = Math.trunc(maxVideoTokens * factor * factor * 0.9);
      maxPixels = Math.max(Math.min(maxPixels, Math.floor((all * unit) / frames)), floor);
    }
    return smartSize(image, factor, { minPixels, maxPixels });
  }
  if (capsFrames) {
    const share = Math.min(maxVideoTokens * factor * factor, Math.floor(maxPixels / frames));
    maxPixels = Math.max(share, floor) * frames;
  }
  return volumeSize(frames, image, unit, factor, { minPixels, maxPixels });
}

/** Most pixels of one frame that the processor takes, or makes. */
export function mostFramePixels(config: QwenVideoConfig): number {
  if (!config.resizes) return mostImagePixels(config);
  const { kind, minPixels, maxPixels, patchSize, mergeSize, temporalPatchSize, capsFrames } = config;
  const frames = kind === "Qwen2VLVideoProcessor" ? 1 : temporalPatchSize;
  const most = Math.max(maxPixels / frames, capsFrames ? leastShare(minPixels) : 0);
  return mostPixels({ minPixels: minPixels / frames, maxPixels: most }, patchSize * mergeSize);
}

/** @throws FoveaError `image.shape` */
function sizeAsGiven({ width, height }: Size, factor: number): Size {
  if (width % factor === 0 && height % factor === 0) return { width, height };
  throw new FoveaError(
    "image.shape",
    `The frames of a video have ${width}x${height} pixels; without do_resize their sides must be multiples of ${factor}. Resize them, or set do_resize in video_preprocessor_config.json.`,
  );
}

/** What the processor makes, before it is normalised. */
interface VideoTensors {
  readonly pixel_values_videos: { readonly dtype: "u8"; readonly shape: readonly number[]; readonly data: Uint8Array };
  readonly video_grid_thw: Tensor;
}

/**
 * Sampled frames to the tower's inputs before they are normalised.
 * @returns `pixel_values_videos` u8 [patches of all videos, 3 * temporal_patch_size * patch_size ^ 2], `video_grid_thw`
 * i32 [videos, 3]
 * @throws FoveaError `video.empty`, `video.too_short`, `image.shape`
 */
export function qwenVideoBytes(videos: readonly (readonly PixelImage[])[], config: QwenVideoConfig): VideoTensors {
  checkVideos(videos);
  const { patchSize, temporalPatchSize: unit, mergeSize, filter, arithmetic } = config;
  const sizes = videos.map((frames) =>
    config.resizes ? videoSize(frames.length, frames[0], config) : sizeAsGiven(frames[0], patchSize * mergeSize),
  );
  const grids = sizes.map(
    ({ height, width }, i): Grid => ({
      frames: Math.ceil(videos[i].length / unit),
      rows: height / patchSize,
      columns: width / patchSize,
    }),
  );
  const width = 3 * unit * patchSize * patchSize;
  const patches = grids.reduce((n, grid) => n + gridPatches(grid), 0);
  const data = new Uint8Array(patches * width);
  const layout = { patch: patchSize, merge: mergeSize };
  let at = 0;
  for (const [i, frames] of videos.entries()) {
    const cut = pixelCut(frames[0], { size: sizes[i], filter, arithmetic, layout });
    const bytes = cutBytes(cut);
    for (let from = 0; from < frames.length; from += unit) {
      const cuts = frames.slice(from, from + unit).map((frame) => {
        const samples = new Uint8Array(bytes);
        cutPixels(frame, cut, samples);
        return samples;
      });
      joinFrames(cuts, patchSize * patchSize, unit, data.subarray(at));
      at += unit * bytes;
    }
  }
  return {
    pixel_values_videos: { dtype: "u8", shape: [patches, width], data },
    video_grid_thw: {
      dtype: "i32",
      shape: [videos.length, 3],
      data: Int32Array.from(grids.flatMap((g) => [g.frames, g.rows, g.columns])),
    },
  };
}

/**
 * The same normalised, as the reference's video processors compute them: `pixel_values_videos` f32, `video_grid_thw`.
 * @throws FoveaError as {@link qwenVideoBytes}
 */
export function qwenVideoValues(videos: readonly (readonly PixelImage[])[], config: QwenVideoConfig): Tensors {
  const { pixel_values_videos: bytes, video_grid_thw } = qwenVideoBytes(videos, config);
  const data = new Float32Array(bytes.data.length);
  writeValues(
    bytes.data,
    config.temporalPatchSize * config.patchSize * config.patchSize,
    valueTable(config.values),
    data,
  );
  return { pixel_values_videos: { dtype: "f32", shape: bytes.shape, data }, video_grid_thw };
}

/** Gives bytes where the tower normalises them as this processor does, and else the normalised values. */
export function qwenVideoProcessor(config: QwenVideoConfig, { steps }: PixelForms): VideoProcessor {
  const folded = steps !== undefined && sameSteps(steps, config.values);
  return {
    sample: (timing) => sampleFrames(timing, config),
    run: (videos) => (folded ? { ...qwenVideoBytes(videos, config) } : qwenVideoValues(videos, config)),
  };
}
