/**
 * PNG files (W3C PNG, third edition). Chunks are checked and the pixel stream is inflated here, to a size known beforehand;
 * fast-png then undoes filters and interlacing. Left alone it would inflate whatever a file asks for.
 */
import { exifOrientation } from "./exif.ts";
import { type Image, paletteToRgb, rgbImage, toRgb } from "./image.ts";
import { checkSize, type DecodeLimits, damaged, type ImageHeader, truncated, unsupported } from "./image_header.ts";

interface PngChunks extends ImageHeader {
  readonly depth: number;
  readonly colorType: number;
  readonly interlaced: boolean;
  readonly ihdr: Uint8Array;
  readonly palette: Uint8Array | undefined;
  readonly data: readonly Uint8Array[];
}

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
const STORED_BLOCK = 65535;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/**
 * Reads the chunks and checks sizes without inflating anything.
 * @throws FoveaError `image.truncated`, `image.damaged`, `image.too_large`, `image.unsupported`
 */
export function readPngChunks(bytes: Uint8Array, limits: DecodeLimits): PngChunks {
  if (bytes.length < 33) throw truncated(limits, "PNG", `it has ${bytes.length} bytes and ends inside its header`);
  const view = viewOf(bytes);
  if (SIGNATURE.some((b, i) => bytes[i] !== b)) throw damaged(limits, "PNG", "its signature is wrong");
  if (view.getUint32(8) !== 13 || view.getUint32(12) !== 0x49484452) {
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
    if (type === 0x504c5445) palette = body;
    else if (type === 0x49444154) data.push(body);
    else if (type === 0x65584966) orientation = exifOrientation(body);
    else if (type === 0x49454e44) ended = true;
    // Bit 5 of the first letter tells chunks that may be skipped.
    else if ((type & 0x20000000) === 0)
      throw damaged(limits, "PNG", `the chunk at byte ${at} is of an unknown critical type`);
    at = end;
  }
  if (data.length === 0) throw damaged(limits, "PNG", "it holds no pixel data (IDAT)");
  if (colorType === INDEXED && (palette === undefined || palette.length === 0 || palette.length % 3 !== 0)) {
    throw damaged(limits, "PNG", "it has palette colours but no usable palette (PLTE)");
  }
  const interlaced = interlace === 1;
  // fast-png takes interlaced rows as whole bytes a pixel.
  if (interlaced && depth < 8) throw unsupported(limits, `an interlaced PNG with ${depth} bits a pixel`);
  const ihdr = bytes.subarray(0, 33);
  return { format: "png", width, height, orientation, depth, colorType, interlaced, ihdr, palette, data };
}

/** Bytes of the inflated stream: a filter byte and the packed samples for each row of each pass. */
function streamLength(png: PngChunks): number {
  const bits = png.depth * CHANNELS[png.colorType];
  const pass = (width: number, height: number): number =>
    width > 0 && height > 0 ? height * (1 + Math.ceil((width * bits) / 8)) : 0;
  if (!png.interlaced) return pass(png.width, png.height);
  return ADAM7.reduce(
    (sum, [x, y, dx, dy]) => sum + pass(Math.ceil((png.width - x) / dx), Math.ceil((png.height - y) / dy)),
    0,
  );
}

/** A one-IDAT PNG whose stream is `total` bytes in stored blocks, filled by `append`. */
class StoredPng {
  readonly bytes: Uint8Array;
  readonly total: number;
  readonly #view: DataView;
  #at = 41;
  #inBlock = 0;
  written = 0;

  constructor(ihdr: Uint8Array, total: number) {
    this.total = total;
    const body = 2 + total + 5 * Math.ceil(total / STORED_BLOCK) + 4;
    this.bytes = new Uint8Array(33 + 12 + body + 12);
    this.#view = viewOf(this.bytes);
    this.bytes.set(ihdr);
    this.#view.setUint32(33, body);
    this.#view.setUint32(37, 0x49444154);
    this.#view.setUint16(this.#at, 0x7801);
    this.#at += 2;
    this.#view.setUint32(this.bytes.length - 8, 0x49454e44);
  }

  append(chunk: Uint8Array): void {
    const length = Math.min(chunk.length, this.total - this.written);
    for (let from = 0; from < length; ) {
      if (this.#inBlock === 0) this.#openBlock();
      const part = Math.min(this.#inBlock, length - from);
      this.bytes.set(chunk.subarray(from, from + part), this.#at);
      this.#at += part;
      this.#inBlock -= part;
      this.written += part;
      from += part;
    }
  }

  #openBlock(): void {
    this.#inBlock = Math.min(STORED_BLOCK, this.total - this.written);
    this.bytes[this.#at] = this.written + this.#inBlock === this.total ? 1 : 0;
    this.#view.setUint16(this.#at + 1, this.#inBlock, true);
    this.#view.setUint16(this.#at + 3, ~this.#inBlock & 0xffff, true);
    this.#at += 5;
  }
}

/** Inflates the pixel stream with the platform's zlib and never keeps more than the header promised. */
async function inflate(png: PngChunks, limits: DecodeLimits): Promise<Uint8Array> {
  const stored = new StoredPng(png.ihdr, streamLength(png));
  const stream = new DecompressionStream("deflate");
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  const feed = async (): Promise<void> => {
    for (const chunk of png.data) await writer.write(chunk as Uint8Array<ArrayBuffer>);
    await writer.close();
  };
  // A failing stream reports through the reader; the writer's copy of the error has no other listener.
  const fed = feed().catch(() => undefined);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (stored.written === stored.total && value.length > 0) {
        await reader.cancel();
        break;
      }
      stored.append(value);
    }
  } catch (error) {
    const short = stored.written < stored.total;
    const detail = `its pixel data cannot be inflated (${short ? `${stored.written} of ${stored.total} bytes came out` : "checksum"})`;
    throw damaged(limits, "PNG", detail, error);
  }
  await fed;
  if (stored.written < stored.total) {
    throw truncated(
      limits,
      "PNG",
      `its pixel data inflates to ${stored.written} bytes, its header needs ${stored.total}`,
    );
  }
  return stored.bytes;
}

/** One sample a byte from rows of `depth`-bit samples that begin on byte boundaries. */
function unpack(png: PngChunks, packed: Uint8Array): Uint8Array {
  const { width, height, depth } = png;
  if (depth === 8) return packed;
  const out = new Uint8Array(width * height);
  const rowBytes = Math.ceil((width * depth) / 8);
  const mask = (1 << depth) - 1;
  // Grey levels spread over 0..255; palette indices stay as they are.
  const factor = png.colorType === GREY ? 255 / mask : 1;
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to++) {
      const bit = x * depth;
      out[to] = ((packed[y * rowBytes + (bit >> 3)] >> (8 - depth - (bit & 7))) & mask) * factor;
    }
  }
  return out;
}

/**
 * Decodes a PNG file to RGB.
 * @throws FoveaError `image.truncated`, `image.damaged`, `image.too_large`, `image.unsupported`
 */
export async function decodePng(
  bytes: Uint8Array,
  limits: DecodeLimits,
): Promise<{ image: Image; header: ImageHeader }> {
  const png = readPngChunks(bytes, limits);
  const { decode } = await import("fast-png");
  const plain = await inflate(png, limits);
  let data: ReturnType<typeof decode>["data"];
  try {
    data = decode(plain).data;
  } catch (error) {
    throw damaged(limits, "PNG", error instanceof Error ? error.message : String(error), error);
  }
  const { width, height } = png;
  if (png.colorType === INDEXED) {
    const indices = unpack(png, data as Uint8Array);
    return { image: paletteToRgb(width, height, indices, png.palette as Uint8Array), header: png };
  }
  const samples = png.depth < 8 ? unpack(png, data as Uint8Array) : data;
  if (png.colorType === 2 && png.depth === 8)
    return { image: rgbImage(width, height, data as Uint8Array), header: png };
  return { image: toRgb({ width, height, channels: CHANNELS[png.colorType], data: samples }), header: png };
}
