/** Videos: folders of frames, animated pictures, lists of frames. Only the frames that a model samples are decoded and kept. */
import type { PixelImage, VideoProcessor } from "../../abi/encoder.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import type { Host } from "../../host/mod.ts";
import { checkVideoPixels, frameRate, openAnimation } from "../../media/animation.ts";
import { type CodecLoader, DEFAULT_MAX_PIXELS } from "../../media/decode.ts";
import { foundText, isObject } from "../check.ts";
import type { ImageInput, MediaReader, ReadOptions, VideoFrames } from "./inputs.ts";

/** What a reader of videos needs of that of other media. */
export interface VideoSources {
  readonly host: Host;
  readonly image: MediaReader["image"];
  readonly bytesOf: (place: unknown, name: string, signal?: AbortSignal) => Promise<Uint8Array | undefined>;
  readonly loadCodec: CodecLoader;
  /** What messages call a place. */
  readonly nameOf: (place: unknown, name: string) => string;
  /** The path of a place on this machine. */
  readonly pathOf: (place: unknown) => string | undefined;
}

const FRAME = /\.(png|jpe?g|webp|gif)$/i;

/** Most frames per second that anyone records; more is a mistaken unit. */
const MAX_FPS = 10_000;

/** Names as people count: `frame2` before `frame10`. Equal in all engines and languages. */
export function naturalOrder(a: string, b: string): number {
  const [left, right] = [a, b].map((name) => name.match(/\d+|\D+/g) ?? []);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [x, y] = [left[i], right[i]];
    const numbers = /^\d/.test(x) && /^\d/.test(y);
    // Without leading zeros the longer number is the larger one.
    const [p, q] = numbers ? [x.replace(/^0+/, ""), y.replace(/^0+/, "")] : [x, y];
    if (numbers && p.length !== q.length) return p.length - q.length;
    if (p !== q) return p < q ? -1 : 1;
  }
  return left.length - right.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** @throws FoveaError `invalid_input` */
function checkFrames(video: unknown, name: string): VideoFrames {
  const given: unknown = Array.isArray(video) ? { frames: video } : video;
  const { frames, fps } = (isObject(given) ? given : {}) as { readonly frames?: unknown; readonly fps?: unknown };
  const isList = Array.isArray(frames);
  if ((isList && frames.length === 0) || !(isList || typeof frames === "string" || frames instanceof URL)) {
    throw new FoveaError(
      "invalid_input",
      `${name} must be a folder of frames, a GIF or WebP file (path, URL, bytes, blob), a list of pictures, or { frames, fps }; found ${foundText(isList ? frames : video)}.`,
    );
  }
  if (fps !== undefined && !(typeof fps === "number" && fps > 0 && fps <= MAX_FPS)) {
    throw new FoveaError(
      "invalid_input",
      `${name} has \`fps\` ${foundText(fps)}; expected frames per second, above 0 and at most ${MAX_FPS}.`,
    );
  }
  return { frames: frames as VideoFrames["frames"], ...(fps === undefined ? {} : { fps: fps as number }) };
}

/** Paths of a folder's pictures in natural order. @throws FoveaError `video.empty` */
async function framesOf(host: Host, folder: string): Promise<readonly string[]> {
  const entries = await host.listDir(folder);
  const names = entries.filter((e) => e.kind !== "directory" && FRAME.test(e.name)).map((e) => e.name);
  if (names.length === 0) {
    throw new FoveaError(
      "video.empty",
      `The folder ${folder} holds no frames among its ${entries.length} entries; expected PNG, JPEG, WebP or GIF pictures, named in their order.`,
    );
  }
  return names.sort(naturalOrder).map((name) => `${folder.replace(/[/\\]+$/, "")}/${name}`);
}

/** Reads videos. Its errors are those of pictures, and `video.*`. */
export function createVideoReader(sources: VideoSources): MediaReader["video"] {
  const { host, image, bytesOf, loadCodec, nameOf, pathOf } = sources;

  const readFrames = async (
    frames: readonly ImageInput[],
    fps: number | undefined,
    sample: VideoProcessor["sample"],
    name: string,
    signal: AbortSignal | undefined,
  ): Promise<readonly PixelImage[]> => {
    const wanted = sample({ frames: frames.length, ...(fps === undefined ? {} : { fps }) });
    const out: PixelImage[] = [];
    for (const [i, at] of wanted.entries()) {
      signal?.throwIfAborted();
      if (i > 0 && wanted[i - 1] === at) {
        out.push(out[i - 1]);
        continue;
      }
      const own = await image(frames[at], {
        name: `Frame ${at} of ${name}`,
        ...(signal === undefined ? {} : { signal }),
      });
      const [{ width, height } = own] = out;
      if (own.width !== width || own.height !== height) {
        throw new FoveaError(
          "video.shape",
          `Frame ${at} of ${name} has ${own.width}x${own.height} pixels and frame ${wanted[0]} has ${width}x${height}; expected frames of one size: scale or crop them first.`,
        );
      }
      if (i === 0) checkVideoPixels(name, wanted.length, width, height, wanted.length * width * height);
      out.push(own);
    }
    return out;
  };

  const folderOf = async (place: unknown): Promise<string | undefined> => {
    const path = pathOf(place);
    if (path === undefined || path === "") return undefined;
    return (await host.stat(path)).kind === "directory" ? path : undefined;
  };

  /** @throws FoveaError `video.empty` for what is no folder of frames */
  const framesIn = async (place: string | URL): Promise<readonly string[]> => {
    const folder = await folderOf(place);
    if (folder !== undefined) return framesOf(host, folder);
    throw new FoveaError(
      "video.empty",
      `${String(place)} is no folder, so it holds no frames; give a folder or a list.`,
    );
  };

  return async (video, sample, { name = "The video", signal }: ReadOptions = {}) => {
    const folder = await folderOf(video);
    const called = nameOf(video, name);
    if (folder !== undefined) return readFrames(await framesOf(host, folder), undefined, sample, called, signal);
    const bytes = await bytesOf(video, name, signal);
    if (bytes === undefined) {
      const { frames, fps } = checkFrames(video, name);
      const all = typeof frames === "string" || frames instanceof URL ? await framesIn(frames) : frames;
      return readFrames(all, fps, sample, name.replace(/^The /, "the "), signal);
    }
    const animation = await openAnimation(bytes, { loadCodec, name: called, maxPixels: DEFAULT_MAX_PIXELS });
    const { width, height, delays } = animation;
    const wanted = sample({ frames: delays.length, fps: frameRate(animation) });
    checkVideoPixels(called, wanted.length, width, height, wanted.length * width * height);
    return animation.decode(wanted);
  };
}
