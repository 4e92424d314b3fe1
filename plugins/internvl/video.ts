/** InternVL's video processor: every sampled frame becomes one tile. */
import { type ConfigReader, createConfigReader } from "../../runtime/abi/config.ts";
import type { PixelImage, Tensors, VideoProcessor, VideoTiming } from "../../runtime/abi/encoder.ts";
import type { PixelForms } from "../../runtime/abi/pixels.ts";
import { checkVideos } from "../../runtime/abi/videos.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { sameSteps } from "../../runtime/core/value_steps.ts";
import {
  CLIP_MEAN,
  CLIP_STD,
  createImageProcessor,
  type ImageProcessor,
  parseImageProcessor,
} from "../../runtime/media/image_processor.ts";

export interface InternVLVideoConfig {
  /** What is done to each frame. */
  readonly frames: ImageProcessor;
  /** False where every frame is taken. */
  readonly samples: boolean;
  /** Frames to take of each second; a number of frames wins. */
  readonly fps?: number;
  /** Frames to take of each video. */
  readonly numFrames?: number;
  /** The frame to begin with; `middle` is half a step, so that each frame stands in the middle of its share. */
  readonly shift: number | "middle";
}

const FRAMES = { min: 1, max: 1 << 20 };
const RATE = { min: 1e-3, max: 1000 };

function readShift(c: ConfigReader, json: unknown): number | "middle" {
  const value = (json as { readonly initial_shift?: unknown }).initial_shift;
  if (value === undefined || value === null || value === true) return "middle";
  if (value === false) return 0;
  if (typeof value !== "number" || !(value >= 0)) {
    throw c.error("initial_shift", "true, false or the number of the first frame");
  }
  return value;
}

/**
 * Reads a parsed `video_preprocessor_config.json`, or the `preprocessor_config.json` that stands for it.
 * @throws FoveaError `invalid_config` naming the field, what it holds and what was expected
 */
export function parseInternVLVideoProcessor(
  json: unknown,
  file = "video_preprocessor_config.json",
): InternVLVideoConfig {
  const c = createConfigReader(json, "", file);
  c.oneOf("video_processor_type", ["InternVLVideoProcessor"], "InternVLVideoProcessor");
  const image = parseImageProcessor(
    // Videos are resized by torchvision alone.
    { ...(json as object), image_processor_type: undefined },
    {
      size: { height: 384, width: 384 },
      plainSize: "square",
      filter: "bicubic",
      mean: CLIP_MEAN,
      std: CLIP_STD,
    },
    file,
  );
  return {
    frames: createImageProcessor(image),
    samples: c.boolean("do_sample_frames", false),
    ...(c.has("num_frames") ? { numFrames: c.integer("num_frames", undefined, FRAMES) } : {}),
    ...(c.has("fps") ? { fps: c.number("fps", undefined, RATE) } : {}),
    shift: readShift(c, json),
  };
}

/**
 * Indices of the frames to take, at equal steps. Without `fps` in the timing a model that samples by time takes every
 * frame: such videos are lists and folders of pictures, which someone sampled already.
 * @throws FoveaError `video.too_short`
 */
export function sampleInternVLFrames(
  { frames: total, fps: rate }: VideoTiming,
  { samples, fps, numFrames, shift }: Omit<InternVLVideoConfig, "frames">,
): readonly number[] {
  const timed = fps === undefined || rate === undefined ? undefined : Math.trunc((total / rate) * fps);
  const count = numFrames ?? timed;
  if (!samples || count === undefined) return Array.from({ length: total }, (_, i) => i);
  const step = total / count;
  const start = shift === "middle" ? step / 2 : shift;
  if (count < 1 || count > total || start >= total) {
    const wanted = `${count} ${count === 1 ? "frame" : "frames"}${start >= total ? ` from frame ${start} on` : ""}`;
    throw new FoveaError(
      "video.too_short",
      `A video of ${total === 1 ? "1 frame" : `${total} frames`} is too short: this processor samples ${wanted}. Give more frames.`,
    );
  }
  // PyTorch's arange: as many as fit in doubles, each rounded to float32 and then down. Where rounding makes it one too
  // many, the reference fails behind the last frame.
  return Array.from({ length: Math.ceil((total - start) / step) }, (_, i) =>
    Math.trunc(Math.fround(start + i * step)),
  ).filter((at) => at < total);
}

/**
 * Sampled frames to the tower's inputs: bytes where the tower normalises them as this processor does, and else the values.
 * @returns `pixel_values` [frames of all videos, 3, height, width], `num_patches` i32 [videos], the tiles of each
 * @throws FoveaError `video.empty`, `image.shape`
 */
export function internVLVideoTiles(
  videos: readonly (readonly PixelImage[])[],
  { frames }: Pick<InternVLVideoConfig, "frames">,
  { steps }: PixelForms,
): Tensors {
  checkVideos(videos);
  const folded = steps !== undefined && sameSteps(steps, frames.steps);
  return {
    ...(folded ? frames.bytes : frames.values)(videos.flat()),
    num_patches: { dtype: "i32", shape: [videos.length], data: Int32Array.from(videos, (video) => video.length) },
  };
}

/** InternVLVideoProcessor of transformers. */
export function internVLVideoProcessor(config: InternVLVideoConfig, forms: PixelForms): VideoProcessor {
  return {
    sample: (timing) => sampleInternVLFrames(timing, config),
    run: (videos) => internVLVideoTiles(videos, config, forms),
  };
}
