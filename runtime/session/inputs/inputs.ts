/** What callers may give an encoder, and who reads it. */
import type { AudioClip, PixelImage, PixelSize, Tensor, VideoProcessor } from "../../abi/encoder.ts";
import type { Reduction } from "../../core/pixel_cut.ts";

/** The Web's `ImageData`: RGBA, of which alpha is dropped. */
export interface ImageDataLike {
  /** Pixels of a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** [height, width, 4] */
  readonly data: Uint8ClampedArray;
}

/**
 * A picture: a path, a file, http(s) or data URL, a PNG, JPEG, WebP or GIF file as bytes or as a blob, or decoded pixels, those of a
 * canvas included.
 */
export type ImageInput = string | URL | Uint8Array | ArrayBuffer | Blob | PixelImage | ImageDataLike;

/** A recording: a path, a file, http(s) or data URL, a WAV, FLAC, MP3 or Ogg file as bytes or as a blob, or samples. */
export type AudioInput = string | URL | Uint8Array | ArrayBuffer | Blob | AudioClip;

/** A video as its frames, with their rate where it is known. */
export interface VideoFrames {
  /** In order of time and of one size, or the path or file URL of their folder, read in the natural order of names. */
  readonly frames: readonly ImageInput[] | string | URL;
  /** Frames per second; without it a model that samples by time takes every frame. */
  readonly fps?: number;
}

/**
 * A video: the path or file URL of a folder of frames (in the natural order of their names), a GIF or WebP file as an
 * `ImageInput` would name it, or its frames.
 */
export type VideoInput = string | URL | Uint8Array | ArrayBuffer | Blob | readonly ImageInput[] | VideoFrames;

/** What to encode: pictures, videos, texts or recordings, or a tower's own tensors in their place. */
export interface EncodeInputs {
  /** For the vision tower, of any sizes; its processor prepares them. */
  readonly images?: readonly ImageInput[];
  /** For vision towers whose model has a processor of videos. */
  readonly videos?: readonly VideoInput[];
  /** For the text tower, whose tokenizer cuts and pads them as the model is used to. */
  readonly texts?: readonly string[];
  /** For the audio tower. */
  readonly audio?: readonly AudioInput[];
  /**
   * Tensors by their Hugging Face names: `pixel_values` f32 or u8 [batch, 3, height, width], `input_ids` i32 [batch, tokens],
   * `attention_mask` i32 [batch, tokens], and what else the tower takes (`encoder.tower(modality).spec.inputs`).
   */
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
