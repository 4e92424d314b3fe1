/** Writes PNG files of every colour type, depth and interlacing, with all five filters, for the decoder to read. */
import { deflateSync } from "node:zlib";

export interface PngShape {
  readonly width: number;
  readonly height: number;
  readonly colorType: number;
  readonly depth: number;
  readonly interlaced?: boolean;
  /** RGB triples, for colour type 3. */
  readonly palette?: Uint8Array;
}

/** Sample of a channel at a pixel, in 0..2^depth-1. */
export type Sampler = (x: number, y: number, channel: number) => number;

const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

export const SIGNATURE: readonly number[] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function crc(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) {
    c ^= byte;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  }
  return (c ^ 0xffffffff) >>> 0;
}

export function chunk(type: string, body: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + body.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, body.length);
  for (let i = 0; i < 4; i++) out[4 + i] = type.charCodeAt(i);
  out.set(body, 8);
  view.setUint32(8 + body.length, crc(out.subarray(4, 8 + body.length)));
  return out;
}

export function header(shape: PngShape): Uint8Array {
  const body = new Uint8Array(13);
  const view = new DataView(body.buffer);
  view.setUint32(0, shape.width);
  view.setUint32(4, shape.height);
  body.set([shape.depth, shape.colorType, 0, 0, shape.interlaced === true ? 1 : 0], 8);
  return chunk("IHDR", body);
}

function paeth(a: number, b: number, c: number): number {
  const p = a + b - c;
  const pa = Math.abs(p - a);
  const pb = Math.abs(p - b);
  const pc = Math.abs(p - c);
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

/** Rows of a pass, packed and filtered; the filter changes with every row. */
function passStream(width: number, height: number, shape: PngShape, sample: Sampler): Uint8Array {
  const channels = CHANNELS[shape.colorType];
  const bits = shape.depth * channels;
  const line = Math.ceil((width * bits) / 8);
  const unit = Math.max(1, bits >> 3);
  const out = new Uint8Array(height * (line + 1));
  let above = new Uint8Array(line);
  for (let y = 0; y < height; y++) {
    const row = new Uint8Array(line);
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        const value = sample(x, y, c);
        const bit = (x * channels + c) * shape.depth;
        if (shape.depth === 16) row.set([value >> 8, value & 255], bit >> 3);
        else row[bit >> 3] |= value << (8 - shape.depth - (bit & 7));
      }
    }
    const filter = y % 5;
    const at = y * (line + 1);
    out[at] = filter;
    for (let i = 0; i < line; i++) {
      const left = i >= unit ? row[i - unit] : 0;
      const corner = i >= unit ? above[i - unit] : 0;
      const guess = [0, left, above[i], (left + above[i]) >> 1, paeth(left, above[i], corner)][filter];
      out[at + 1 + i] = row[i] - guess;
    }
    above = row;
  }
  return out;
}

/** The pixel stream before compression. */
export function pixelStream(shape: PngShape, sample: Sampler): Uint8Array {
  if (shape.interlaced !== true) return passStream(shape.width, shape.height, shape, sample);
  return concat(
    PASSES.map(([x0, y0, dx, dy]) => {
      const width = Math.ceil((shape.width - x0) / dx);
      const height = Math.ceil((shape.height - y0) / dy);
      if (width <= 0 || height <= 0) return new Uint8Array(0);
      return passStream(width, height, shape, (x, y, c) => sample(x0 + x * dx, y0 + y * dy, c));
    }),
  );
}

/** A PNG around a compressed pixel stream. */
export function wrapPng(shape: PngShape, compressed: Uint8Array): Uint8Array {
  // Two chunks, since a stream may be cut anywhere.
  const half = compressed.length >> 1;
  return concat([
    Uint8Array.from(SIGNATURE),
    header(shape),
    ...(shape.palette === undefined ? [] : [chunk("PLTE", shape.palette)]),
    chunk("IDAT", compressed.subarray(0, half)),
    chunk("IDAT", compressed.subarray(half)),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

export function writePng(shape: PngShape, sample: Sampler): Uint8Array {
  return wrapPng(shape, deflateSync(pixelStream(shape, sample)));
}
