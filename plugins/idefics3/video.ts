/** SmolVLM2's video processor: every sampled frame becomes one tile, as a picture does that is not split. */
import { createConfigReader } from "../../runtime/abi/config.ts";
import type { PixelImage, Tensors, VideoProcessor, VideoTiming } from "../../runtime/abi/encoder.ts";
import type { PixelForms } from "../../runtime/abi/pixels.ts";
import { checkVideos } from "../../runtime/abi/videos.ts";
import { sameSteps } from "../../runtime/core/value_steps.ts";
import { cutTensors } from "../../runtime/media/pixel_cut.ts";
import {
  type Idefics3ProcessorConfig,
  idefics3Plan,
  idefics3Values,
  LONGEST_EDGE,
  parseIdefics3Processor,
} from "./preprocess.ts";

/** How frames are chosen. */
export interface SmolVLMSampling {
  /** Frames to take of each second. */
  readonly fps: number;
  /** Frames of a video at most. */
  readonly numFrames: number;
}

export interface SmolVLMVideoConfig {
  /** What is done to each frame. */
  readonly frames: Idefics3ProcessorConfig;
  /** Absent where every frame is taken. */
  readonly sampling?: SmolVLMSampling;
}

const FRAMES = { min: 1, max: 1 << 20 };
const RATE = { min: 1e-3, max: 1000 };

/** Seconds at both ends of a long video of which no frame is taken. */
const SKIPPED = 1;

/**
 * Reads a parsed `video_preprocessor_config.json`, or the `preprocessor_config.json` that stands for it. Old files say under
 * `video_sampling` how frames are sampled and, where there is no `size` beside it, resized.
 * @throws FoveaError `invalid_config` naming the field, what it holds and what was expected
 */
export function parseSmolVLMVideoProcessor(json: unknown, file = "video_preprocessor_config.json"): SmolVLMVideoConfig {
  const c = createConfigReader(json, "", file);
  const old = c.has("video_sampling") ? c.object("video_sampling") : undefined;
  const { size, video_sampling: own } = json as {
    readonly size?: unknown;
    readonly video_sampling?: { readonly video_size?: unknown };
  };
  const frames = parseIdefics3Processor(
    // Videos are resized by torchvision alone.
    { ...(json as object), image_processor_type: undefined, size: size ?? own?.video_size, do_image_splitting: false },
    file,
  );
  if (frames.size === undefined) throw c.error("do_resize", "true; frames become tiles of one size");
  const edge = typeof frames.size === "number" ? Math.min(frames.size, LONGEST_EDGE) : frames.size;
  const sampled = (): SmolVLMSampling => ({
    fps: (old ?? c).number("fps", undefined, RATE),
    numFrames: (old ?? c).integer(old === undefined ? "num_frames" : "max_frames", undefined, FRAMES),
  });
  return {
    frames: { ...frames, size: edge },
    ...(c.boolean("do_sample_frames", false) ? { sampling: sampled() } : {}),
  };
}

/** The nearest whole number, of two equally near ones the even one. */
function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

/**
 * Indices of the frames to take, at equal steps from the first to the last; of long videos without a second at both ends.
 * Without `fps` in the timing every frame is taken: such videos are lists and folders of pictures, which someone sampled
 * already.
 */
export function sampleSmolVLMFrames(
  { frames: total, fps: rate }: VideoTiming,
  { sampling }: Pick<SmolVLMVideoConfig, "sampling">,
): readonly number[] {
  if (sampling === undefined || rate === undefined) return Array.from({ length: total }, (_, i) => i);
  const { fps, numFrames } = sampling;
  const seconds = total / rate;
  const count = Math.max(1, Math.min(roundHalfEven(fps * seconds), numFrames));
  const isLong = seconds - 2 * SKIPPED > numFrames * fps;
  let first = isLong ? Math.trunc(SKIPPED * rate) : 0;
  let last = Math.min(isLong ? Math.trunc(total - SKIPPED * rate) : total, total - 1);
  if (first >= last) [first, last] = [0, total - 1];
  // NumPy's linspace.
  const step = count === 1 ? 0 : (last - first) / (count - 1);
  const at = (i: number): number => (i > 0 && i === count - 1 ? last : Math.floor(i * step + first));
  return [...new Set(Array.from({ length: count }, (_, i) => at(i)))];
}

/**
 * Sampled frames to the tower's inputs: bytes where the tower normalises them as this processor does, and else the values.
 * @returns `pixel_values` [frames of all videos, 3, tile, tile], `num_frames` i32 [videos]
 * @throws FoveaError `video.empty`
 */
export function smolVLMVideoTiles(
  videos: readonly (readonly PixelImage[])[],
  { frames: config }: Pick<SmolVLMVideoConfig, "frames">,
  { steps }: PixelForms,
): Tensors {
  checkVideos(videos);
  const frames = videos.flat();
  const folded = steps !== undefined && sameSteps(steps, config.values);
  const { pixel_values } = folded ? cutTensors(frames, idefics3Plan(frames, config)) : idefics3Values(frames, config);
  const counts = Int32Array.from(videos, (video) => video.length);
  return { pixel_values, num_frames: { dtype: "i32", shape: [videos.length], data: counts } };
}

/** SmolVLMVideoProcessor of transformers. */
export function smolVLMVideoProcessor(config: SmolVLMVideoConfig, forms: PixelForms): VideoProcessor {
  return {
    sample: (timing) => sampleSmolVLMFrames(timing, config),
    run: (videos) => smolVLMVideoTiles(videos, config, forms),
  };
}
