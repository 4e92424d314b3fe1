/** WebP files (RFC 9649): the container is checked here, libwebp's decoder does the rest. */
import { type CodecLoader, type CodecPixels, type CodecSpec, runCodec } from "./codec.ts";
import { exifOrientation, withoutExifPrefix } from "./exif.ts";
import { type Image, toRgb } from "./image.ts";
import { checkSize, type DecodeLimits, damaged, type ImageHeader, noCodec, truncated } from "./image_header.ts";

const CODEC: CodecSpec = {
  wasm: "@jsquash/webp/codec/dec/webp_dec.wasm",
  glue: () => import("@jsquash/webp/codec/dec/webp_dec.js"),
  flags: [],
};

/** One chunk of the container. */
export interface WebpChunk {
  /** Four letters, such as `VP8L`. */
  readonly type: string;
  /** Byte of its header. */
  readonly at: number;
  readonly body: Uint8Array;
  /** Width and height that a bitstream or the extended header declares. */
  readonly size?: readonly [number, number];
}

/** Size that a bitstream chunk or the extended header declares, undefined for other chunks. */
function declaredSize(type: string, body: Uint8Array): readonly [number, number] | undefined {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  if (type === "VP8X" && body.length >= 10) {
    return [1 + (body[4] | (body[5] << 8) | (body[6] << 16)), 1 + (body[7] | (body[8] << 8) | (body[9] << 16))];
  }
  if (type === "VP8L" && body.length >= 5 && body[0] === 0x2f) {
    const bits = view.getUint32(1, true);
    return [1 + (bits & 0x3fff), 1 + ((bits >>> 14) & 0x3fff)];
  }
  if (type === "VP8 " && body.length >= 10 && body[3] === 0x9d && body[4] === 0x01 && body[5] === 0x2a) {
    return [view.getUint16(6, true) & 0x3fff, view.getUint16(8, true) & 0x3fff];
  }
  return undefined;
}

/** Where the container ends. @throws FoveaError `image.truncated` */
function containerEnd(bytes: Uint8Array, limits: DecodeLimits): number {
  if (bytes.length < 20) throw truncated(limits, "WebP", `it has ${bytes.length} bytes and ends inside its header`);
  const end = 8 + new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(4, true);
  if (end <= bytes.length) return end;
  throw truncated(limits, "WebP", `its header promises ${end} bytes, the file has ${bytes.length}`);
}

/**
 * The chunks of a file (`from` 12) or of a frame's body.
 * @throws FoveaError `image.truncated`, `image.too_large`
 */
export function webpChunks(bytes: Uint8Array, from: number, limits: DecodeLimits): readonly WebpChunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = from === 12 ? containerEnd(bytes, limits) : bytes.length;
  const chunks: WebpChunk[] = [];
  for (let at = from; at + 8 <= end; ) {
    const length = view.getUint32(at + 4, true);
    if (at + 8 + length > end) {
      throw truncated(limits, "WebP", `the chunk at byte ${at} needs ${at + 8 + length} bytes, the file has ${end}`);
    }
    const type = String.fromCharCode(...bytes.subarray(at, at + 4));
    const body = bytes.subarray(at + 8, at + 8 + length);
    const size = declaredSize(type, body);
    if (size !== undefined) checkSize(limits, "WebP", size[0], size[1]);
    chunks.push({ type, at, body, ...(size === undefined ? {} : { size }) });
    at += 8 + length + (length & 1);
  }
  return chunks;
}

const isBitstream = ({ type, size }: WebpChunk): boolean => (type === "VP8 " || type === "VP8L") && size !== undefined;

/**
 * Walks the container's chunks.
 * @throws FoveaError `image.truncated`, `image.damaged`, `image.too_large`
 */
export function readWebpHeader(bytes: Uint8Array, limits: DecodeLimits): ImageHeader & { readonly animated: boolean } {
  const chunks = webpChunks(bytes, 12, limits);
  const size = chunks.find((c) => c.size !== undefined)?.size;
  const exif = chunks.find((c) => c.type === "EXIF");
  const animated = chunks.some((c) => c.type === "ANMF");
  if (size === undefined || !(animated || chunks.some(isBitstream))) {
    throw damaged(limits, "WebP", "it holds no image");
  }
  const orientation = exif === undefined ? 1 : exifOrientation(withoutExifPrefix(exif.body));
  return { format: "webp", width: size[0], height: size[1], orientation, animated };
}

/** A file of one picture of `size`, with its alpha where that is a chunk of its own. */
export function webpFile(
  size: { readonly width: number; readonly height: number },
  picture: WebpChunk,
  alpha: WebpChunk | undefined,
): Uint8Array {
  const [w, h] = [size.width - 1, size.height - 1];
  const extended = Uint8Array.of(0x10, 0, 0, 0, w, w >> 8, w >> 16, h, h >> 8, h >> 16);
  const chunks =
    alpha === undefined ? [picture] : [{ type: "VP8X", body: extended }, { type: "ALPH", body: alpha.body }, picture];
  const padded = (length: number): number => length + (length & 1);
  const total = chunks.reduce((n, { body }) => n + 8 + padded(body.length), 12);
  const out = new Uint8Array(total);
  const view = new DataView(out.buffer);
  const letters = (at: number, text: string): void => {
    for (let i = 0; i < 4; i++) out[at + i] = text.charCodeAt(i);
  };
  letters(0, "RIFF");
  view.setUint32(4, total - 8, true);
  letters(8, "WEBP");
  let at = 12;
  for (const { type, body } of chunks) {
    letters(at, type);
    view.setUint32(at + 4, body.length, true);
    out.set(body, at + 8);
    at += 8 + padded(body.length);
  }
  return out;
}

/**
 * RGBA of a file of one picture.
 * @throws FoveaError `image.damaged`, `image.no_codec`
 */
export async function webpPixels(
  bytes: Uint8Array,
  limits: DecodeLimits,
  loader: CodecLoader | undefined,
): Promise<CodecPixels> {
  if (loader === undefined) throw noCodec(limits, "WebP");
  const { pixels, thrown, complaints } = await runCodec(CODEC, loader, bytes);
  if (pixels !== undefined) return pixels;
  throw damaged(limits, "WebP", complaints.at(-1) ?? "its pixels cannot be decoded or end too early", thrown);
}

/**
 * Decodes a WebP file to RGB; of an animated one the first frame.
 * @throws FoveaError `image.truncated`, `image.damaged`, `image.too_large`
 */
export async function decodeWebp(
  bytes: Uint8Array,
  limits: DecodeLimits,
  loader: CodecLoader,
): Promise<{ image: Image; header: ImageHeader }> {
  const { animated, ...header } = readWebpHeader(bytes, limits);
  if (animated) {
    const { openWebpAnimation } = await import("./webp_animation.ts");
    const [image] = await openWebpAnimation(bytes, limits, loader).decode([0]);
    return { image, header };
  }
  const { width, height, data } = await webpPixels(bytes, limits, loader);
  return { image: toRgb({ width, height, channels: 4, data }), header };
}
