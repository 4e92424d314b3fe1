/** WebP files (RFC 9649): the container is checked here, libwebp's decoder does the rest. */
import { type CodecLoader, type CodecSpec, runCodec } from "./codec.ts";
import { exifOrientation, withoutExifPrefix } from "./exif.ts";
import { type Image, toRgb } from "./image.ts";
import { checkSize, type DecodeLimits, damaged, type ImageHeader, truncated, unsupported } from "./image_header.ts";

const CODEC: CodecSpec = {
  wasm: "@jsquash/webp/codec/dec/webp_dec.wasm",
  glue: () => import("@jsquash/webp/codec/dec/webp_dec.js"),
  flags: [],
};

const VP8 = 0x56503820;
const VP8L = 0x5650384c;
const VP8X = 0x56503858;
const EXIF = 0x45584946;

/** Size that a bitstream chunk or the extended header declares, undefined for other chunks. */
function declaredSize(type: number, body: Uint8Array): readonly [number, number] | undefined {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  if (type === VP8X && body.length >= 10) {
    return [1 + (body[4] | (body[5] << 8) | (body[6] << 16)), 1 + (body[7] | (body[8] << 8) | (body[9] << 16))];
  }
  if (type === VP8L && body.length >= 5 && body[0] === 0x2f) {
    const bits = view.getUint32(1, true);
    return [1 + (bits & 0x3fff), 1 + ((bits >>> 14) & 0x3fff)];
  }
  if (type === VP8 && body.length >= 10 && body[3] === 0x9d && body[4] === 0x01 && body[5] === 0x2a) {
    return [view.getUint16(6, true) & 0x3fff, view.getUint16(8, true) & 0x3fff];
  }
  return undefined;
}

/**
 * Walks the container's chunks.
 * @throws FoveaError `image.truncated`, `image.damaged`, `image.too_large`, `image.unsupported`
 */
export function readWebpHeader(bytes: Uint8Array, limits: DecodeLimits): ImageHeader {
  if (bytes.length < 20) throw truncated(limits, "WebP", `it has ${bytes.length} bytes and ends inside its header`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = 8 + view.getUint32(4, true);
  if (end > bytes.length) {
    throw truncated(limits, "WebP", `its header promises ${end} bytes, the file has ${bytes.length}`);
  }
  let size: readonly [number, number] | undefined;
  let orientation = 1;
  let pixels = false;
  for (let at = 12; at + 8 <= end; ) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4, true);
    if (at + 8 + length > end) {
      throw truncated(limits, "WebP", `the chunk at byte ${at} needs ${at + 8 + length} bytes, the file has ${end}`);
    }
    const body = bytes.subarray(at + 8, at + 8 + length);
    const declared = declaredSize(type, body);
    if (declared !== undefined) {
      checkSize(limits, "WebP", declared[0], declared[1]);
      size ??= declared;
    }
    if (type === VP8X && (body[0] & 2) !== 0) throw unsupported(limits, "an animated WebP");
    if (type === EXIF) orientation = exifOrientation(withoutExifPrefix(body));
    pixels ||= (type === VP8 || type === VP8L) && declared !== undefined;
    at += 8 + length + (length & 1);
  }
  if (size === undefined || !pixels) throw damaged(limits, "WebP", "it holds no image");
  return { format: "webp", width: size[0], height: size[1], orientation };
}

/**
 * Decodes a WebP file to RGB.
 * @throws FoveaError `image.truncated`, `image.damaged`, `image.too_large`, `image.unsupported`
 */
export async function decodeWebp(
  bytes: Uint8Array,
  limits: DecodeLimits,
  loader: CodecLoader,
): Promise<{ image: Image; header: ImageHeader }> {
  const header = readWebpHeader(bytes, limits);
  const { pixels, thrown, complaints } = await runCodec(CODEC, loader, bytes);
  if (pixels === undefined) {
    throw damaged(limits, "WebP", complaints.at(-1) ?? "its pixels cannot be decoded or end too early", thrown);
  }
  return { image: toRgb({ width: pixels.width, height: pixels.height, channels: 4, data: pixels.data }), header };
}
