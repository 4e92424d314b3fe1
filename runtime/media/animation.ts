/** Animated pictures as sequences of frames: GIF and WebP. */
import { FoveaError } from "../core/diagnostics.ts";
import type { CodecLoader } from "./codec.ts";
import type { DecodeOptions } from "./decode.ts";
import type { Image } from "./image.ts";
import { type DecodeLimits, sniffImage, subject } from "./image_header.ts";

/**
 * Most pixels of all frames of a video together: 268 million, 800 MB as RGB. Each frame alone obeys the limit of pictures.
 */
export const MAX_VIDEO_PIXELS: number = 1 << 28;

/** Below this many milliseconds a frame's time is nobody's intent; players then take {@link USUAL_DELAY}. */
const LEAST_DELAY = 20;
const USUAL_DELAY = 100;

/** An animated file whose structure was checked and whose pixels were not decoded yet. */
export interface Animation {
  readonly width: number;
  readonly height: number;
  /** Milliseconds that each frame is shown, as the file says; one for each frame. */
  readonly delays: readonly number[];
  /** Pixels that are decoded to have all frames. */
  readonly pixels: number;
  /** Composed frames in the order of `wanted`, whose indices ascend and may repeat. */
  readonly decode: (wanted: readonly number[]) => Promise<readonly Image[]>;
}

/** Frames per second on average. */
export function frameRate({ delays }: Animation): number {
  const total = delays.reduce((sum, delay) => sum + (delay < LEAST_DELAY ? USUAL_DELAY : delay), 0);
  return (1000 * delays.length) / total;
}

/** @throws FoveaError `video.too_large` */
export function checkVideoPixels(name: string, frames: number, width: number, height: number, pixels: number): void {
  if (pixels <= MAX_VIDEO_PIXELS) return;
  throw new FoveaError(
    "video.too_large",
    `${name} has ${frames} frames of ${width}x${height}, ${pixels} pixels in all, above the limit of ${MAX_VIDEO_PIXELS}; ` +
      "take fewer frames, or scale them down.",
  );
}

async function openFormat(bytes: Uint8Array, limits: DecodeLimits, loadCodec?: CodecLoader): Promise<Animation> {
  const format = sniffImage(bytes, limits);
  if (format === "gif") return (await import("./gif.ts")).openGif(bytes, limits);
  if (format === "webp") return (await import("./webp_animation.ts")).openWebpAnimation(bytes, limits, loadCodec);
  throw new FoveaError(
    "video.still",
    `${subject(limits)} is a ${format === "png" ? "PNG" : "JPEG"} picture and no video; expected a folder of frames, a GIF or a WebP file.`,
  );
}

/**
 * Opens a GIF or WebP file as a video; a still one has one frame. Nothing is allocated for pixels before `decode`.
 * @throws FoveaError `video.still` for other pictures, `video.too_large`, `image.*` as `decodeImage`
 */
export async function openAnimation(bytes: Uint8Array, options: DecodeOptions & DecodeLimits): Promise<Animation> {
  const animation = await openFormat(bytes, options, options.loadCodec);
  const { width, height, delays, pixels } = animation;
  checkVideoPixels(subject(options), delays.length, width, height, Math.max(pixels, width * height));
  return animation;
}
