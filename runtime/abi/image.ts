/** Coarse work on whole pictures that a plugin brings: decoding files of more formats, and resizing. */

/** 8-bit RGBA pixels, rows from the top. */
export interface RgbaImage {
  /** Pixels of a row. */
  readonly width: number;
  /** Number of rows. */
  readonly height: number;
  /** `height * width * 4` samples, the channels of a pixel side by side. */
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** Work on pictures that a plugin offers; each function may be left out. */
export interface ImageSpec {
  /** Name for messages, such as that of the module that does it. */
  readonly name: string;
  /** The first picture of a file; nothing for bytes of a format that it does not know. Asked for formats that fovea does not know. */
  decode?(bytes: Uint8Array): Promise<RgbaImage | undefined>;
  /** Asked by callers alone: encoders resize as their models' processors do. */
  resize?(image: RgbaImage, width: number, height: number): Promise<RgbaImage>;
}
