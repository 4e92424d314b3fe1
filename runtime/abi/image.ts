/** Coarse work on whole pictures that a plugin brings: decoding files of more formats, and resizing. */

/** 8-bit RGBA pixels, rows from the top. */
export interface RgbaImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
}

export interface ImageSpec {
  readonly name: string;
  /** The first picture of a file; nothing for bytes of a format that it does not know. Asked for formats that fovea does not know. */
  decode?(bytes: Uint8Array): Promise<RgbaImage | undefined>;
  /** Asked by callers alone: encoders resize as their models' processors do. */
  resize?(image: RgbaImage, width: number, height: number): Promise<RgbaImage>;
}
