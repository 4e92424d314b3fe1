/**
 * PNG files (W3C PNG, third edition). Chunks are checked, and the pixel stream is inflated to a size known beforehand, which
 * is all that is allocated for it: filters are undone in its place.
 */
import { lazy } from "../core/lazy.ts";
import { exifOrientation } from "./exif.ts";
import { type Image, paletteToRgb, type Samples, toRgb } from "./image.ts";
import { checkSize, type DecodeLimits, damaged, type ImageHeader, truncated } from "./image_header.ts";
import { unfilterRows } from "./png_rows.ts";

/** A non-empty pass: where its pixels go, and how many there are. */
interface Pass {
  readonly x: number;
  readonly y: number;
  readonly stepX: number;
  readonly stepY: number;
  readonly width: number;
  readonly height: number;
}

interface PngChunks extends ImageHeader {
  readonly depth: number;
  readonly colorType: number;
  readonly passes: readonly Pass[];
  readonly palette: Uint8Array | undefined;
  readonly data: readonly Uint8Array[];
}

const IHDR = 0x49484452;
const PLTE = 0x504c5445;
const IDAT = 0x49444154;
const IEND = 0x49454e44;
const EXIF = 0x65584966;
const GREY = 0;
const INDEXED = 3;
const CHANNELS: Readonly<Record<number, 1 | 2 | 3 | 4>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};
const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Start column, start row, column step, row step of Adam7's passes. */
const ADAM7: readonly (readonly [number, number, number, number])[] = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];
/** The one pass of an image without interlacing. */
const WHOLE: typeof ADAM7 = [[0, 0, 1, 1]];
/** Bytes inflated at a time, so that no runtime hands out much more than a thousandfold of it at once. */
const INFLATE_SLICE = 1 << 16;
/** Most bytes that one byte of a deflate stream can stand for. */
const DEFLATE_RATIO = 1032;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** CRC-32 (ISO 3309) of a chunk's type and body. */
function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function passesOf(width: number, height: number, interlaced: boolean): readonly Pass[] {
  return (interlaced ? ADAM7 : WHOLE)
    .map(([x, y, stepX, stepY]) => ({
      x,
      y,
      stepX,
      stepY,
      width: Math.ceil((width - x) / stepX),
      height: Math.ceil((height - y) / stepY),
    }))
    .filter((pass) => pass.width > 0 && pass.height > 0);
}

/**
 * Reads the chunks and checks sizes without inflating anything.
 * @throws FoveaError `image.truncated`, `image.damaged`, `image.too_large`
 */
export function readPngChunks(bytes: Uint8Array, limits: DecodeLimits): PngChunks {
  if (bytes.length < 33) throw truncated(limits, "PNG", `it has ${bytes.length} bytes and ends inside its header`);
  const view = viewOf(bytes);
  if (SIGNATURE.some((b, i) => bytes[i] !== b)) throw damaged(limits, "PNG", "its signature is wrong");
  if (view.getUint32(8) !== 13 || view.getUint32(12) !== IHDR) {
    throw damaged(limits, "PNG", "it does not begin with an IHDR chunk");
  }
  const width = view.getUint32(16);
  const height = view.getUint32(20);
  checkSize(limits, "PNG", width, height);
  const [depth, colorType, compression, filter, interlace] = bytes.subarray(24, 29);
  if (!DEPTHS[colorType]?.includes(depth)) {
    throw damaged(limits, "PNG", `colour type ${colorType} with ${depth} bits does not exist`);
  }
  if (compression !== 0 || filter !== 0 || interlace > 1) {
    throw damaged(limits, "PNG", `compression ${compression}, filter ${filter}, interlace ${interlace} do not exist`);
  }
  // The zlib checksum guards the pixels; header and palette have only this one.
  const checkCrc = (at: number, length: number, name: string): void => {
    if (crc32(bytes.subarray(at + 4, at + 8 + length)) !== view.getUint32(at + 8 + length)) {
      throw damaged(limits, "PNG", `the checksum of its ${name} chunk is wrong`);
    }
  };
  checkCrc(8, 13, "IHDR");
  let palette: Uint8Array | undefined;
  let orientation = 1;
  const data: Uint8Array[] = [];
  let ended = false;
  for (let at = 33; !ended; ) {
    if (at + 12 > bytes.length)
      throw truncated(limits, "PNG", `it ends after ${bytes.length} bytes without its IEND chunk`);
    const length = view.getUint32(at);
    const type = view.getUint32(at + 4);
    const end = at + 12 + length;
    if (end > bytes.length) {
      throw truncated(limits, "PNG", `the chunk at byte ${at} needs ${end} bytes, the file has ${bytes.length}`);
    }
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (type === PLTE) {
      if (length > 768) throw damaged(limits, "PNG", `its palette has ${length} bytes, more than 256 colours`);
      checkCrc(at, length, "PLTE");
      palette = body;
    } else if (type === IDAT) data.push(body);
    else if (type === EXIF) orientation = exifOrientation(body);
    else if (type === IEND) ended = true;
    // Bit 5 of the first letter tells chunks that may be skipped.
    else if ((type & 0x20000000) === 0)
      throw damaged(limits, "PNG", `the chunk at byte ${at} is of an unknown critical type`);
    at = end;
  }
  if (data.length === 0) throw damaged(limits, "PNG", "it holds no pixel data (IDAT)");
  if (colorType === INDEXED && (palette === undefined || palette.length === 0 || palette.length % 3 !== 0)) {
    throw damaged(limits, "PNG", "it has palette colours but no usable palette (PLTE)");
  }
  const passes = passesOf(width, height, interlace === 1);
  return { format: "png", width, height, orientation, depth, colorType, passes, palette, data };
}

/** Bytes of a row of packed samples, without the filter byte before it. */
const rowBytes = (png: PngChunks, width: number): number =>
  Math.ceil((width * png.depth * CHANNELS[png.colorType]) / 8);

/** Bytes of a pass's pixel stream. */
const streamBytes = (png: PngChunks, pass: Pass): number => pass.height * (1 + rowBytes(png, pass.width));

/** Bytes whose sums stay below 2^31. */
const ADLER_BYTES = 3800;

/** Adler's checksum, by which a zlib stream ends. */
function adler32(bytes: Uint8Array): number {
  let [a, b] = [1, 0];
  for (let at = 0; at < bytes.length; ) {
    for (const end = Math.min(at + ADLER_BYTES, bytes.length); at < end; at++) {
      a += bytes[at];
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return ((b << 16) | a) >>> 0;
}

const codec = lazy(() => import("./png_codec.ts"));

/** Bytes, packed and unpacked, of streams that are inflated at once: a platform's stream takes longer to begin. */
const SMALL = 2 ** 16;

/** The chunks of the stream in one. */
function joined({ data }: PngChunks): Uint8Array {
  if (data.length === 1) return data[0];
  const packed = new Uint8Array(data.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of data) {
    packed.set(chunk, at);
    at += chunk.length;
  }
  return packed;
}

/** Whether the checksum of what was inflated is somewhere in the stream: behind its end there may be more, which nobody reads. */
function hasChecksum(packed: Uint8Array, inflated: Uint8Array): boolean {
  const sum = adler32(inflated);
  const view = viewOf(packed);
  for (let at = packed.length - 4; at >= 0; at--) if (view.getUint32(at) === sum) return true;
  return false;
}

/** Inflates the pixel stream in one; false where it is not what the header promised, whatever is wrong with it. */
async function inflateAtOnce(png: PngChunks, into: Uint8Array): Promise<boolean> {
  const { unzlibSync } = await codec();
  const packed = joined(png);
  try {
    // No byte is written behind its end.
    const { length } = unzlibSync(packed, { out: into });
    return length === into.length && hasChecksum(packed, into);
  } catch {
    return false;
  }
}

/** Inflates with the platform's zlib, and no further than `into` holds; false where that is more than there is. */
async function inflateStream({ data }: PngChunks, into: Uint8Array): Promise<boolean> {
  const stream = new DecompressionStream("deflate");
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  const feed = async (): Promise<void> => {
    for (const chunk of data) {
      for (let at = 0; at < chunk.length; at += INFLATE_SLICE) {
        await writer.write(chunk.subarray(at, at + INFLATE_SLICE) as Uint8Array<ArrayBuffer>);
      }
    }
    await writer.close();
  };
  // A failing stream reports through the reader; the writer's copy of the error has no other listener.
  feed().catch(() => undefined);
  for (let filled = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return filled === into.length;
    const part = value.subarray(0, into.length - filled);
    into.set(part, filled);
    filled += part.length;
    if (part.length < value.length) {
      // More than the header promised: the rest is not wanted, nor whatever it may inflate to.
      reader.cancel().catch(() => undefined);
      return true;
    }
  }
}

/** The pixel stream of all passes. @throws FoveaError `image.truncated`, `image.damaged` */
async function inflate(png: PngChunks, limits: DecodeLimits): Promise<Uint8Array> {
  const total = png.passes.reduce((sum, pass) => sum + streamBytes(png, pass), 0);
  const compressed = png.data.reduce((sum, chunk) => sum + chunk.length, 0);
  if (total > compressed * DEFLATE_RATIO) {
    const detail = `${png.width}x${png.height} pixels cannot come out of ${compressed} bytes of pixel data`;
    throw truncated(limits, "PNG", detail);
  }
  const stream = new Uint8Array(total);
  const isSmall = Math.max(total, compressed) <= SMALL;
  if (isSmall && (await inflateAtOnce(png, stream))) return stream;
  const found = await inflateStream(png, stream).catch((cause: unknown) => ({ cause }));
  if (found === true) return stream;
  // Platforms refuse streams for what lies behind their end.
  if (!isSmall && found !== false && (await inflateAtOnce(png, stream))) return stream;
  const detail = `its pixel data cannot be inflated to the ${total} bytes that its header needs`;
  throw damaged(limits, "PNG", detail, found === false ? undefined : found.cause);
}

function highByteFirst(bytes: Uint8Array): Uint16Array {
  const out = new Uint16Array(bytes.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = (bytes[2 * i] << 8) | bytes[2 * i + 1];
  return out;
}

/** One sample an element, from rows of samples of `depth` bits that begin on byte boundaries. */
function unpack(png: PngChunks, { width, height }: Pass, packed: Uint8Array): Samples["data"] {
  const { depth } = png;
  if (depth === 8) return packed;
  if (depth === 16) return highByteFirst(packed);
  const out = new Uint8Array(width * height);
  const line = rowBytes(png, width);
  const mask = (1 << depth) - 1;
  // Grey levels spread over 0..255; palette indices stay as they are.
  const factor = png.colorType === GREY ? 255 / mask : 1;
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to++) {
      const bit = x * depth;
      out[to] = ((packed[y * line + (bit >> 3)] >> (8 - depth - (bit & 7))) & mask) * factor;
    }
  }
  return out;
}

/** Puts a pass's pixels where they belong. */
function scatter(from: Samples["data"], to: Samples["data"], pass: Pass, width: number, channels: number): void {
  for (let y = 0, at = 0; y < pass.height; y++) {
    for (let x = 0; x < pass.width; x++) {
      const pixel = ((pass.y + y * pass.stepY) * width + pass.x + x * pass.stepX) * channels;
      for (let c = 0; c < channels; c++, at++) to[pixel + c] = from[at];
    }
  }
}

/**
 * Decodes a PNG file to RGB.
 * @throws FoveaError `image.truncated`, `image.damaged`, `image.too_large`
 */
export async function decodePng(
  bytes: Uint8Array,
  limits: DecodeLimits,
): Promise<{ image: Image; header: ImageHeader }> {
  const png = readPngChunks(bytes, limits);
  const { width, height, passes } = png;
  const channels = CHANNELS[png.colorType];
  const stream = await inflate(png, limits);
  let at = 0;
  const samplesOf = (pass: Pass): Samples["data"] => {
    const rows = { at, height: pass.height, rowBytes: rowBytes(png, pass.width) };
    at += streamBytes(png, pass);
    try {
      return unpack(png, pass, unfilterRows(stream, { ...rows, pixelBytes: Math.max(1, (png.depth * channels) >> 3) }));
    } catch (error) {
      throw damaged(limits, "PNG", error instanceof Error ? error.message : String(error), error);
    }
  };
  let data: Samples["data"];
  if (passes[0].stepX === 1) data = samplesOf(passes[0]);
  else {
    const size = width * height * channels;
    data = png.depth === 16 ? new Uint16Array(size) : new Uint8Array(size);
    for (const pass of passes) scatter(samplesOf(pass), data, pass, width, channels);
  }
  const image =
    png.colorType === INDEXED
      ? paletteToRgb(width, height, data as Uint8Array, png.palette as Uint8Array)
      : toRgb({ width, height, channels, data });
  return { image, header: png };
}
