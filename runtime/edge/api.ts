/** Types of a frozen folder's encoder. Imports nothing: this file is copied beside the folder's code. */

/** Dense host data. */
export interface FrozenTensor {
  readonly dtype: "f32" | "f16" | "bf16" | "i64" | "i32" | "u8" | "i8" | "bool";
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | Uint8Array;
}

/** Decoded pixels: RGB, row-major. */
export interface FrozenPixels {
  readonly width: number;
  readonly height: number;
  readonly channels: 3;
  readonly data: Uint8Array;
}

/** RGBA as canvases give it (`ImageData`); alpha is dropped. */
export interface FrozenImageData {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

/** A picture: a file's bytes, in a format that the folder was frozen with, or pixels. */
export type FrozenImage = Uint8Array | ArrayBuffer | Blob | FrozenPixels | FrozenImageData;

/** Samples of a recording: one array for each channel, full scale at -1 and 1. */
export interface FrozenSamples {
  readonly sampleRate: number;
  readonly channels: readonly Float32Array[];
}

/** A recording: a WAV file's bytes, where the folder was frozen with them, or samples. */
export type FrozenAudio = Uint8Array | ArrayBuffer | Blob | FrozenSamples;

/** What to encode, each kind by its own tower; or a tower's own tensors by their Hugging Face names. */
export interface FrozenInputs {
  readonly images?: readonly FrozenImage[];
  readonly texts?: readonly string[];
  readonly audio?: readonly FrozenAudio[];
  readonly [tensor: string]:
    | readonly FrozenImage[]
    | readonly string[]
    | readonly FrozenAudio[]
    | FrozenTensor
    | undefined;
}

export interface FrozenEncodeOptions {
  /** Names of the results that are wanted; all unless given. */
  readonly outputs?: readonly string[];
  readonly signal?: AbortSignal;
  /** Milliseconds from now, or a time. */
  readonly deadline?: number | Date;
}

/** Results of one tower under the names that Hugging Face uses. */
export interface FrozenTowerResult {
  /** [batch, projection], not normalised. */
  readonly image_embeds?: FrozenTensor;
  /** [batch, projection], not normalised. */
  readonly text_embeds?: FrozenTensor;
  /** [batch, tokens, width], or [tokens, width] where pictures of several sizes follow each other. */
  readonly last_hidden_state?: FrozenTensor;
  /** [batch, width], or [tokens, width] of what a language model reads. */
  readonly pooler_output?: FrozenTensor;
  /** [batch, width] */
  readonly sentence_embedding?: FrozenTensor;
  /** [batch or tiles, tokens, width] or [tokens, width] of what a language model reads. */
  readonly projected?: FrozenTensor;
  /** [tokens, width] of the first of Qwen3-VL's three inner layers that its language model reads. */
  readonly "deepstack_features.0"?: FrozenTensor;
  readonly "deepstack_features.1"?: FrozenTensor;
  readonly "deepstack_features.2"?: FrozenTensor;
  /** i32 [images, 3]: steps of time, rows and columns of patches. */
  readonly image_grid_thw?: FrozenTensor;
  /** i32 [videos, 3], where tensors of videos are given. */
  readonly video_grid_thw?: FrozenTensor;
  /** i32 [images, 2]: height and width. */
  readonly image_sizes?: FrozenTensor;
  /** i32 [images, 2]: rows and columns of patches. */
  readonly spatial_shapes?: FrozenTensor;
  /** i32 [images, 2]: rows and columns of tiles. */
  readonly aspect_ratios?: FrozenTensor;
  /** i32 [images]: tiles of each. */
  readonly num_patches?: FrozenTensor;
  /** i32 [images]: rows of `projected` of each, where that follows from its shape. */
  readonly feature_lens?: FrozenTensor;
  /** i32 [pictures], rows of tiles of each (Idefics3, SmolVLM), 0 where its one tile is the whole picture. */
  readonly rows?: FrozenTensor;
  /** i32 [pictures], columns of tiles of each; it has `rows * cols + 1` tiles, the last of which is the whole picture. */
  readonly cols?: FrozenTensor;
  /** i32 [videos], where tensors of videos are given: frames of each, a tile each (SmolVLM). */
  readonly num_frames?: FrozenTensor;
  /** i32 [recordings]: chunks of each. */
  readonly num_chunks?: FrozenTensor;
}

/**
 * Results under the names that Hugging Face uses; encoders that do not come with fovea may have others beside these. Of pictures
 * and texts at once the embeddings of both, and each tower's results under its own name.
 */
export interface FrozenResult extends FrozenTowerResult {
  /** All results of the pictures, where texts were given as well. */
  readonly vision_model_output?: FrozenTowerResult;
  /** All results of the texts, where pictures were given as well. */
  readonly text_model_output?: FrozenTowerResult;
}

/** What loading did. */
export interface FrozenReport {
  readonly modelType: string;
  /** Version of fovea that froze the model. */
  readonly fovea: string;
  readonly target: string;
  /** Bytes of weights on the device. */
  readonly weightBytes: number;
  /** Most bytes of device memory. */
  readonly memoryBytes: number;
  /** Most pixels of a picture. */
  readonly maxPixels: number;
  /** Artifacts whose results were compared with their expectations, the values compared of those there are, and how long it took. */
  readonly proofs: { readonly artifacts: number; readonly compared: number; readonly of: number; readonly ms: number };
  readonly loadMs: number;
}

/** A frozen encoder. Calls may overlap; they run one after another. */
export interface FrozenEncoder {
  /** `model_type` of the configuration. */
  readonly modelType: string;
  /** Factor of image-text similarities, for models that have one. */
  readonly logitScale: number | undefined;
  /** Added to scaled image-text similarities. */
  readonly logitBias: number;
  /** Whether probabilities of labels are made of all of them together, or of each alone. */
  readonly scoring: "softmax" | "sigmoid";
  readonly report: FrozenReport;
  encode(inputs: FrozenInputs, options?: FrozenEncodeOptions): Promise<FrozenResult>;
  /** Gives weights and memory back. */
  close(): void;
}

export type FrozenAsset = ReadableStream<Uint8Array> | ArrayBuffer | Uint8Array | { readonly format: number };

/** What a folder's host file gives: its modules and its files. */
export interface FrozenHost {
  /** Name of the runtime, for proofs and messages. */
  readonly name: string;
  /** Compiled code by its digest, and picture codecs by their file's name. */
  readonly modules: Readonly<Record<string, WebAssembly.Module>>;
  /** Milliseconds of work between two turns of the event loop. */
  readonly sliceMs: number;
  /** A file of the folder `assets`; a plan that came with the code is there as an object. */
  open(name: string, env: unknown): Promise<FrozenAsset>;
}
