/**
 * Animated WebP (RFC 9649, section 2.7.1.1): the container's frames are handed to the still decoder one by one, as files
 * of their own, and composed here as libwebp's animation decoder composes them.
 */
import type { Animation } from "./animation.ts";
import type { CodecLoader } from "./codec.ts";
import { type Image, rgbImage } from "./image.ts";
import { checkSize, type DecodeLimits, damaged, truncated } from "./image_header.ts";
import type { Region } from "./resize.ts";
import { type WebpChunk, webpChunks, webpFile, webpPixels } from "./webp.ts";

interface Frame {
  readonly region: Region;
  /** The frame as a WebP file of its own. */
  readonly file: Uint8Array;
  readonly hasAlpha: boolean;
  /** True where pixels are mixed with what is behind them by their alpha. */
  readonly blends: boolean;
  /** True where the region is cleared before the next frame. */
  readonly clears: boolean;
  /** Milliseconds. */
  readonly delay: number;
}

const u24 = (body: Uint8Array, at: number): number => body[at] | (body[at + 1] << 8) | (body[at + 2] << 16);

const FRAME_HEADER = 16;

function readFrame(
  { at, body }: WebpChunk,
  index: number,
  canvas: { readonly width: number; readonly height: number },
  limits: DecodeLimits,
): Frame {
  if (body.length < FRAME_HEADER) {
    throw truncated(limits, "WebP", `frame ${index} at byte ${at} has ${body.length} bytes and ends inside its header`);
  }
  const region = { x: 2 * u24(body, 0), y: 2 * u24(body, 3), width: 1 + u24(body, 6), height: 1 + u24(body, 9) };
  const { x, y, width, height } = region;
  if (x + width > canvas.width || y + height > canvas.height) {
    throw damaged(
      limits,
      "WebP",
      `frame ${index} is ${width}x${height} at (${x}, ${y}) on a canvas of ${canvas.width}x${canvas.height}`,
    );
  }
  const chunks = webpChunks(body, FRAME_HEADER, limits);
  const alpha = chunks.find((c) => c.type === "ALPH");
  const picture = chunks.find((c) => c.type === "VP8 " || c.type === "VP8L");
  if (picture === undefined) throw damaged(limits, "WebP", `frame ${index} holds no image`);
  const size = picture.size;
  if (size === undefined || size[0] !== width || size[1] !== height) {
    const found = size === undefined ? "no size" : `${size[0]}x${size[1]} pixels`;
    throw damaged(limits, "WebP", `frame ${index} declares ${width}x${height} pixels and holds ${found}`);
  }
  return {
    region,
    file: webpFile(region, picture, picture.type === "VP8 " ? alpha : undefined),
    hasAlpha: picture.type === "VP8 " ? alpha !== undefined : (picture.body[4] & 0x10) !== 0,
    blends: (body[15] & 2) === 0,
    clears: (body[15] & 1) !== 0,
    delay: u24(body, 12),
  };
}

/** RGBA that is not multiplied by its alpha, in libwebp's integers. */
function blendPixel(canvas: Uint8Array, to: number, pixels: ArrayLike<number>, from: number): void {
  const alpha = pixels[from + 3];
  if (alpha === 0) return;
  const behind = (canvas[to + 3] * (256 - alpha)) >> 8;
  const sum = alpha + behind;
  const scale = Math.floor(2 ** 24 / sum);
  for (let c = 0; c < 3; c++) {
    canvas[to + c] = Math.floor(((pixels[from + c] * alpha + canvas[to + c] * behind) * scale) / 2 ** 24);
  }
  canvas[to + 3] = sum;
}

/** @param cleared the previous frame's region where it was cleared: nothing is behind pixels there */
function drawFrame(
  canvas: Uint8Array,
  canvasWidth: number,
  { region, blends }: Frame,
  pixels: ArrayLike<number>,
  cleared: Region | undefined,
): void {
  const { x: left, y: top, width, height } = region;
  for (let y = top, from = 0; y < top + height; y++) {
    const inRows = cleared !== undefined && y >= cleared.y && y < cleared.y + cleared.height;
    let to = (y * canvasWidth + left) * 4;
    for (let x = left; x < left + width; x++, from += 4, to += 4) {
      const isFree = inRows && x >= cleared.x && x < cleared.x + cleared.width;
      if (blends && !isFree && pixels[from + 3] < 255) blendPixel(canvas, to, pixels, from);
      else for (let c = 0; c < 4; c++) canvas[to + c] = pixels[from + c];
    }
  }
}

function clearRegion(canvas: Uint8Array, canvasWidth: number, { x, y, width, height }: Region): void {
  for (let row = y; row < y + height; row++) {
    const from = (row * canvasWidth + x) * 4;
    canvas.fill(0, from, from + width * 4);
  }
}

/** Alpha is dropped, as with stills. */
function rgbOf(width: number, height: number, canvas: Uint8Array): Image {
  const out = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < out.length; from += 4, to += 3) {
    out[to] = canvas[from];
    out[to + 1] = canvas[from + 1];
    out[to + 2] = canvas[from + 2];
  }
  return rgbImage(width, height, out);
}

async function decodeFrames(
  { width, height }: { readonly width: number; readonly height: number },
  frames: readonly Frame[],
  wanted: readonly number[],
  pixelsOf: (frame: Frame, index: number) => Promise<ArrayLike<number>>,
): Promise<readonly Image[]> {
  const canvas = new Uint8Array(width * height * 4);
  const isFull = ({ region }: Frame): boolean => region.width === width && region.height === height;
  const out: Image[] = [];
  let wasFresh = false;
  for (const [i, frame] of frames.entries()) {
    if (out.length === wanted.length) break;
    const before = frames[i - 1];
    const gone = before?.clears === true;
    // Frames that nothing shows through begin on an empty canvas and are not blended.
    const isFresh: boolean =
      before === undefined ||
      (isFull(frame) && !(frame.hasAlpha && frame.blends)) ||
      (gone && (isFull(before) || wasFresh));
    if (isFresh) canvas.fill(0);
    else if (gone) clearRegion(canvas, width, before.region);
    const drawn = isFresh ? { ...frame, blends: false } : frame;
    drawFrame(canvas, width, drawn, await pixelsOf(frame, i), gone ? before.region : undefined);
    wasFresh = isFresh;
    if (wanted[out.length] !== i) continue;
    const image = rgbOf(width, height, canvas);
    while (wanted[out.length] === i) out.push(image);
  }
  return out;
}

/**
 * Checks the structure of a WebP file; a still one is an animation of one frame.
 * @throws FoveaError `image.truncated`, `image.damaged`, `image.too_large`, `image.no_codec`; `decode` `image.damaged`
 */
export function openWebpAnimation(bytes: Uint8Array, limits: DecodeLimits, loader: CodecLoader | undefined): Animation {
  const chunks = webpChunks(bytes, 12, limits);
  const declared = chunks.find((c) => c.size !== undefined)?.size;
  if (declared === undefined) throw damaged(limits, "WebP", "it holds no image");
  const canvas = { width: declared[0], height: declared[1] };
  checkSize(limits, "WebP", canvas.width, canvas.height);
  const pieces = chunks.filter((c) => c.type === "ANMF");
  const frames: readonly Frame[] =
    pieces.length === 0
      ? [{ region: { x: 0, y: 0, ...canvas }, file: bytes, hasAlpha: false, blends: false, clears: false, delay: 0 }]
      : pieces.map((chunk, i) => readFrame(chunk, i, canvas, limits));
  const pixelsOf = async (frame: Frame, index: number): Promise<ArrayLike<number>> => {
    const found = await webpPixels(frame.file, limits, loader);
    if (found.width === frame.region.width && found.height === frame.region.height) return found.data;
    throw damaged(limits, "WebP", `frame ${index} holds ${found.width}x${found.height} pixels`);
  };
  return {
    ...canvas,
    delays: frames.map((f) => f.delay),
    pixels: frames.reduce((n, { region }) => n + region.width * region.height, 0),
    decode: (wanted) => decodeFrames(canvas, frames, wanted, pixelsOf),
  };
}
