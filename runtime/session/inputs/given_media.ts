/** Pictures and recordings that callers give as samples. */
import type { AudioClip, PixelImage } from "../../abi/encoder.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { decodedSide, LONGEST_SIDE } from "../../core/pixel_cut.ts";
import { foundText, isObject } from "../check.ts";
import type { ImageDataLike } from "./inputs.ts";

/** What is read where files and addresses can be. */
const FILES = "a path, a URL, bytes, a blob";

/** What a clip's parts are; other values as any is named. */
function clipText(clip: unknown): string {
  if (!isObject(clip) || !("channels" in clip || "sampleRate" in clip)) return foundText(clip);
  const { sampleRate, channels } = clip;
  const odd = Array.isArray(channels) ? channels.find((c) => !(c instanceof Float32Array)) : undefined;
  const held = odd === undefined ? foundText(channels) : `a list with ${foundText(odd)}`;
  return `\`sampleRate\` ${foundText(sampleRate)} and \`channels\` ${held}`;
}

/**
 * @param files what is read beside samples
 * @throws FoveaError `invalid_input`
 */
export function checkedClip(clip: unknown, name: string, files: string = FILES): AudioClip {
  const { sampleRate, channels } = (isObject(clip) ? clip : {}) as Partial<AudioClip>;
  const isClip =
    typeof sampleRate === "number" &&
    Array.isArray(channels) &&
    channels.length > 0 &&
    channels.every((c) => c instanceof Float32Array);
  if (isClip) return clip as AudioClip;
  throw new FoveaError(
    "invalid_input",
    `${name} must be ${files}, or samples { sampleRate, channels: Float32Array[] }; found ${clipText(clip)}.`,
  );
}

/**
 * @param files what is read beside pixels
 * @throws FoveaError `invalid_input`
 */
export function checkedPixels(image: unknown, name: string, files: string = FILES): PixelImage {
  if (!isObject(image) || !("data" in image)) {
    throw new FoveaError(
      "invalid_input",
      `${name} must be ${files}, or pixels { width, height, channels: 3, data }; found ${foundText(image)}.`,
    );
  }
  const { width, height, channels, data, reducedFrom } = withoutAlpha(image) as unknown as PixelImage;
  const isBytes = data instanceof Uint8Array || (data as unknown) instanceof Uint8ClampedArray;
  const areSides = [width, height].every((side) => Number.isSafeInteger(side) && side >= 1);
  if (channels !== 3 || !areSides || !isBytes || data.length !== width * height * 3) {
    throw new FoveaError(
      "invalid_input",
      `${name} has pixels that are not RGB in 3 x width x height bytes: found ${data?.length} values in ${foundText(data)} for ${width}x${height} with ${channels} channels.`,
    );
  }
  if (Math.max(width, height) > LONGEST_SIDE) {
    throw new FoveaError(
      "invalid_input",
      `${name} is ${width}x${height} pixels; a side has ${LONGEST_SIDE} at most. Give it in parts, or smaller.`,
    );
  }
  if (reducedFrom === undefined) return { width, height, channels, data };
  const { reduction, ...whole } = reducedFrom;
  const known = reduction === 2 || reduction === 4 || reduction === 8;
  if (known && [width, height].every((side, i) => side === decodedSide([whole.width, whole.height][i], reduction))) {
    return { width, height, channels, data, reducedFrom: { ...whole, reduction } };
  }
  throw new FoveaError(
    "invalid_input",
    `${name} has ${width}x${height} pixels and says that they are a reduction of ${whole.width}x${whole.height} by ${reduction}; expected a reduction by 2, 4 or 8, sides rounded down.`,
  );
}

/** RGB of an `ImageData`, whose alpha is dropped like that of files; other objects as they are. */
function withoutAlpha(image: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { width, height, channels, data } = image as unknown as ImageDataLike & { readonly channels?: unknown };
  const isRgba = data instanceof Uint8ClampedArray && channels === undefined && data.length === width * height * 4;
  if (!isRgba) return image;
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    for (let c = 0; c < 3; c++) rgb[to++] = data[from + c];
  }
  return { width, height, channels: 3, data: rgb };
}
