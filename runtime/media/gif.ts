/**
 * GIF files (GIF87a, GIF89a): all frames, composed by their disposal methods as Pillow composes them. Written here because
 * the packages that decode GIF fill what a damaged file lacks without a word.
 */
import type { Animation } from "./animation.ts";
import { decodeLzw } from "./gif_lzw.ts";
import { type Image, rgbImage } from "./image.ts";
import { checkSize, type DecodeLimits, damaged, type ImageHeader, truncated } from "./image_header.ts";
import type { Region } from "./resize.ts";

const EXTENSION = 0x21;
const PICTURE = 0x2c;
const TRAILER = 0x3b;
const GRAPHIC_CONTROL = 0xf9;

const CLEAR_AFTER = 2;
const RESTORE_AFTER = 3;

/** One frame as the file describes it. */
interface Frame {
  readonly region: Region;
  /** RGB triples. */
  readonly palette: Uint8Array;
  readonly interlaced: boolean;
  readonly minCodeSize: number;
  /** Sub-blocks of the data. */
  readonly blocks: readonly Uint8Array[];
  /** Index that is not drawn. */
  readonly transparent?: number;
  /** What happens to the frame's region before the next one. */
  readonly disposal: number;
  /** Milliseconds. */
  readonly delay: number;
}

interface Control {
  readonly transparent?: number;
  readonly disposal: number;
  readonly delay: number;
}

const NO_CONTROL: Control = { disposal: 0, delay: 0 };

/** Greys, for files without a palette. */
const GREYS: Uint8Array = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));

interface GifFile {
  readonly width: number;
  readonly height: number;
  readonly background: number;
  readonly frames: readonly Frame[];
}

/** Reads a file from its begin; every read past the end is a truncated file. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #limits: DecodeLimits;
  #at = 0;

  constructor(bytes: Uint8Array, limits: DecodeLimits) {
    this.#bytes = bytes;
    this.#limits = limits;
  }

  get at(): number {
    return this.#at;
  }

  get ended(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(count: number, what: string): Uint8Array {
    const from = this.#at;
    this.#at += count;
    if (this.#at <= this.#bytes.length) return this.#bytes.subarray(from, this.#at);
    throw truncated(this.#limits, "GIF", `${what} needs ${this.#at} bytes, the file has ${this.#bytes.length}`);
  }

  byte(what: string): number {
    return this.take(1, what)[0];
  }

  word(what: string): number {
    const [low, high] = this.take(2, what);
    return low | (high << 8);
  }

  blocks(what: string): readonly Uint8Array[] {
    const all: Uint8Array[] = [];
    for (let size = this.byte(what); size > 0; size = this.byte(what)) all.push(this.take(size, what));
    return all;
  }
}

const paletteBytes = (flags: number): number => ((flags & 0x80) === 0 ? 0 : 3 << ((flags & 7) + 1));

/** The delay, disposal and transparent index for the next frame. */
function readControl(blocks: readonly Uint8Array[]): Control {
  const [body] = blocks;
  if (body === undefined || body.length < 4) return NO_CONTROL;
  return {
    disposal: (body[0] >> 2) & 7,
    delay: 10 * (body[1] | (body[2] << 8)),
    ...((body[0] & 1) === 0 ? {} : { transparent: body[3] }),
  };
}

function readFile(bytes: Uint8Array, limits: DecodeLimits): GifFile {
  const reader = new Reader(bytes, limits);
  reader.take(6, "the header");
  const [width, height] = [reader.word("the header"), reader.word("the header")];
  checkSize(limits, "GIF", width, height);
  const flags = reader.byte("the header");
  const background = reader.byte("the header");
  reader.byte("the header");
  const shared = reader.take(paletteBytes(flags), "the palette");
  const frames: Frame[] = [];
  let control = NO_CONTROL;
  for (;;) {
    // Some writers leave the trailer out, or put an empty block between others.
    if (reader.ended && frames.length > 0 && control === NO_CONTROL) break;
    const at = reader.at;
    const what = `frame ${frames.length}`;
    const kind = reader.byte(`the block behind frame ${frames.length - 1}`);
    if (kind === TRAILER) break;
    if (kind === 0) continue;
    if (kind === EXTENSION) {
      const label = reader.byte("an extension");
      const blocks = reader.blocks("an extension");
      if (label === GRAPHIC_CONTROL) control = readControl(blocks);
      continue;
    }
    if (kind !== PICTURE) throw damaged(limits, "GIF", `byte ${at} should begin a block and is ${kind}`);
    const [x, y, w, h] = [reader.word(what), reader.word(what), reader.word(what), reader.word(what)];
    if (w < 1 || h < 1 || x + w > width || y + h > height) {
      throw damaged(limits, "GIF", `${what} is ${w}x${h} at (${x}, ${y}) on a canvas of ${width}x${height}`);
    }
    const own = reader.byte(what);
    const local = reader.take(paletteBytes(own), what);
    const palette = local.length > 0 ? local : shared.length > 0 ? shared : GREYS;
    const minCodeSize = reader.byte(what);
    if (minCodeSize < 1 || minCodeSize > 8) {
      throw damaged(limits, "GIF", `${what} has colours of ${minCodeSize} bits, expected 1 to 8`);
    }
    const region = { x, y, width: w, height: h };
    const interlaced = (own & 0x40) !== 0;
    // A frame that does not say how it ends does so as the one before.
    const disposal = control.disposal === 0 ? (frames.at(-1)?.disposal ?? 0) : control.disposal;
    frames.push({ region, palette, interlaced, minCodeSize, blocks: reader.blocks(what), ...control, disposal });
    control = NO_CONTROL;
  }
  if (frames.length === 0) throw damaged(limits, "GIF", "it holds no image");
  return { width, height, background, frames };
}

function joined(blocks: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(blocks.reduce((n, b) => n + b.length, 0));
  let at = 0;
  for (const block of blocks) {
    out.set(block, at);
    at += block.length;
  }
  return out;
}

/** Interlaced rows in the order in which they are stored: every eighth, those between, and so on. */
function storedRows(height: number): readonly number[] {
  const rows: number[] = [];
  for (const [first, step] of [
    [0, 8],
    [4, 8],
    [2, 4],
    [1, 2],
  ]) {
    for (let row = first; row < height; row += step) rows.push(row);
  }
  return rows;
}

/** Colour indices row by row. @throws FoveaError `image.damaged` */
function indicesOf(frame: Frame, index: number, limits: DecodeLimits): Uint8Array {
  const { width, height } = frame.region;
  const stored = new Uint8Array(width * height);
  const found = decodeLzw(joined(frame.blocks), frame.minCodeSize, stored);
  if (found < stored.length) {
    throw damaged(limits, "GIF", `frame ${index} holds ${found} of its ${width}x${height} = ${stored.length} pixels`);
  }
  if (!frame.interlaced) return stored;
  const out = new Uint8Array(stored.length);
  storedRows(height).forEach((row, i) => {
    out.set(stored.subarray(i * width, (i + 1) * width), row * width);
  });
  return out;
}

/** An RGB canvas that frames are drawn on, one after another. */
class Canvas {
  readonly #file: GifFile;
  readonly #pixels: Uint8Array;
  #dispose: () => void = () => undefined;

  constructor(file: GifFile) {
    this.#file = file;
    this.#pixels = new Uint8Array(file.width * file.height * 3);
  }

  draw(index: number, indices: Uint8Array): void {
    const { frames, width, height } = this.#file;
    const frame = frames[index];
    const { transparent } = frame;
    const first = index === 0;
    this.#dispose();
    if (first) this.#fill({ x: 0, y: 0, width, height }, frame, transparent ?? 0, true);
    this.#dispose = this.#disposalOf(frame, first);
    // The first frame has nothing behind it: transparent pixels keep their colour, as those of other formats do.
    this.#paint(frame, indices, first ? undefined : transparent);
  }

  #disposalOf(frame: Frame, first: boolean): () => void {
    const { region, transparent, disposal } = frame;
    if (disposal === CLEAR_AFTER) return () => this.#fill(region, frame, transparent ?? this.#file.background, first);
    if (disposal !== RESTORE_AFTER) return () => undefined;
    if (!first) {
      const kept = this.#copy(region);
      return () => this.#put(region, kept);
    }
    return transparent === undefined ? () => undefined : () => this.#fill(region, frame, transparent, first);
  }

  image(): Image {
    return rgbImage(this.#file.width, this.#file.height, this.#pixels.slice());
  }

  #rows({ x, y, width, height }: Region, visit: (from: number, row: number, bytes: number) => void): void {
    for (let row = 0; row < height; row++) visit(((y + row) * this.#file.width + x) * 3, row, width * 3);
  }

  #fill(region: Region, { palette }: Frame, index: number, first = false): void {
    // An index past the palette's end: black in the first frame, which is not RGB yet, then the palette's first colour.
    const from = first || index * 3 + 3 <= palette.length ? index * 3 : 0;
    const color = palette.subarray(from, from + 3);
    this.#rows(region, (to, _, bytes) => {
      for (let i = 0; i < bytes; i++) this.#pixels[to + i] = color[i % 3] ?? 0;
    });
  }

  #copy(region: Region): Uint8Array {
    const out = new Uint8Array(region.width * region.height * 3);
    this.#rows(region, (from, row, bytes) => out.set(this.#pixels.subarray(from, from + bytes), row * bytes));
    return out;
  }

  #put(region: Region, pixels: Uint8Array): void {
    this.#rows(region, (from, row, bytes) => this.#pixels.set(pixels.subarray(row * bytes, (row + 1) * bytes), from));
  }

  #paint({ region, palette }: Frame, indices: Uint8Array, transparent: number | undefined): void {
    const pixels = this.#pixels;
    this.#rows(region, (from, row) => {
      for (let i = row * region.width, to = from; i < (row + 1) * region.width; i++, to += 3) {
        const index = indices[i];
        if (index === transparent) continue;
        // An index past the palette's end is black.
        pixels[to] = palette[index * 3] ?? 0;
        pixels[to + 1] = palette[index * 3 + 1] ?? 0;
        pixels[to + 2] = palette[index * 3 + 2] ?? 0;
      }
    });
  }
}

/**
 * Checks the structure of a GIF file.
 * @throws FoveaError `image.truncated`, `image.damaged`, `image.too_large`; `decode` `image.damaged`
 */
export function openGif(bytes: Uint8Array, limits: DecodeLimits): Animation {
  const file = readFile(bytes, limits);
  const { width, height, frames } = file;
  return {
    width,
    height,
    delays: frames.map((f) => f.delay),
    pixels: frames.reduce((n, { region }) => n + region.width * region.height, 0),
    decode: async (wanted) => {
      const canvas = new Canvas(file);
      const out: Image[] = [];
      for (const [i, frame] of frames.entries()) {
        if (out.length === wanted.length) break;
        canvas.draw(i, indicesOf(frame, i, limits));
        while (wanted[out.length] === i)
          out.push(out.length > 0 && wanted[out.length - 1] === i ? out[out.length - 1] : canvas.image());
      }
      return out;
    },
  };
}

/** The first frame of a GIF file. @throws FoveaError as {@link openGif} */
export async function decodeGif(
  bytes: Uint8Array,
  limits: DecodeLimits,
): Promise<{ image: Image; header: ImageHeader }> {
  const { width, height, decode } = openGif(bytes, limits);
  const [image] = await decode([0]);
  return { image, header: { format: "gif", width, height, orientation: 1 } };
}
