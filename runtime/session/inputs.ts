/** What callers may give an encoder, and who reads it. */
import type { AudioClip, PixelImage, PixelSize, Tensor, VideoProcessor } from "../abi/encoder.ts";
import type { Reduction } from "../core/pixel_cut.ts";

/** The Web's `ImageData`: RGBA, of which alpha is dropped. */
export interface ImageDataLike {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

/**
 * A picture: a path, a file or http(s) URL, a PNG, JPEG, WebP or GIF file as bytes or as a blob, or decoded pixels, those of a
 * canvas included.
 */
export type ImageInput = string | URL | Uint8Array | ArrayBuffer | Blob | PixelImage | ImageDataLike;

/** A recording: a path, a file or http(s) URL, a WAV, FLAC, MP3 or Ogg file as bytes or as a blob, or samples. */
export type AudioInput = string | URL | Uint8Array | ArrayBuffer | Blob | AudioClip;

/** The frames of a video one by one, in order of time and of one size, or the path or file URL of their folder. */
export interface VideoFrames {
  readonly frames: readonly ImageInput[] | string | URL;
  /** Frames per second; without it a model that samples by time takes every frame. */
  readonly fps?: number;
}

/**
 * A video: the path or file URL of a folder of frames (in the natural order of their names), a GIF or WebP file as an
 * `ImageInput` would name it, or its frames.
 */
export type VideoInput = string | URL | Uint8Array | ArrayBuffer | Blob | readonly ImageInput[] | VideoFrames;

/**
 * What to encode: pictures, videos, texts, recordings, or a tower's own tensors by their Hugging Face names (`pixel_values` f32
 * or u8 [batch, 3, height, width], `input_ids` i32 [batch, tokens], `attention_mask` i32 [batch, tokens]).
 */
export interface EncodeInputs {
  readonly images?: readonly ImageInput[];
  readonly videos?: readonly VideoInput[];
  readonly texts?: readonly string[];
  readonly audio?: readonly AudioInput[];
  readonly [tensor: string]:
    | readonly ImageInput[]
    | readonly VideoInput[]
    | readonly string[]
    | readonly AudioInput[]
    | Tensor
    | undefined;
}

export interface ReadOptions {
  /** Stands in messages for what has no name of its own. */
  readonly name?: string;
  readonly signal?: AbortSignal;
}

export interface ReadImageOptions extends ReadOptions {
  /** How a JPEG file of a size may be read at a reduced one; whole unless given. */
  readonly reduceJpeg?: (size: PixelSize) => Reduction | 1;
}

/** Reads pictures, videos and recordings, wherever they are. */
export interface MediaReader {
  readonly image: (image: ImageInput, options?: ReadImageOptions) => Promise<PixelImage>;
  readonly audio: (audio: AudioInput, options?: ReadOptions) => Promise<AudioClip>;
  /** The sampled frames of a video, all of one size. */
  readonly video: (
    video: VideoInput,
    sample: VideoProcessor["sample"],
    options?: ReadOptions,
  ) => Promise<readonly PixelImage[]>;
  /** Gives the memory of a picture that was read back at once; its pixels are gone then. Those that callers gave stay. */
  readonly release?: (image: PixelImage) => Promise<void>;
}
