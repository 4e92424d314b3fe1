/** The encoder contract: components with tags and ranges, a pure plan, preprocessing. */
import type { Bindings, Box } from "../core/dim.ts";
import type { DType } from "../core/dtype.ts";
import type { PictureSize, PixelInput } from "../core/pixel_cut.ts";
import type { RangeSpec } from "../core/range.ts";
import type { Relation } from "../core/relation.ts";
import type { GraphBuilder } from "../ir/builder.ts";
import type { Capabilities } from "./device.ts";

export type { PictureResize, PixelCut, PixelInput, PixelLayout, ResampleTable } from "../core/pixel_cut.ts";
export type { GraphBuilder, Node } from "../ir/builder.ts";

/** Dense host data. */
export interface Tensor {
  /** Type of the elements, in the array that holds it: `f32`, `i32` or `u8`. */
  readonly dtype: DType;
  /** Sizes of the axes, outermost first. */
  readonly shape: readonly number[];
  /** The elements, row-major: as many as the product of `shape`. */
  readonly data: Float32Array | Int32Array | Uint8Array;
}

/** Tensors by name. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** How a component would be compiled: the settings that were resolved for it. */
export interface ComponentConfig {
  /** Kind of the device that runs it. */
  readonly device: string;
  /** Target that its code is generated for. */
  readonly target: string;
  /** Type that large weights are kept in. */
  readonly dtype: string;
  /** The component's own, unless a configuration has others. */
  readonly ranges: RangeSpec;
  /** Its ranges are compiled when they are first used. */
  readonly lazy: boolean;
  /** Most compile ranges. */
  readonly maxArtifacts: number;
}

/** A compiled unit: a graph that is a pure function of its dims, for all instances that differ in weights alone. */
export interface ComponentSpec {
  /** `family/tower.part`, such as `clip/vision.block`. */
  readonly tag: string;
  /** Its named sizes with the interval that each call keeps to; `b.dims` holds them in `build`. */
  readonly symbols: Box;
  /** How the intervals are divided into compile ranges; one range unless given. */
  readonly ranges?: RangeSpec;
  /** What holds between symbols for every call; checked when dims are bound. */
  readonly relations?: readonly Relation[];
  /** Most compile ranges, with those that comparisons split; 8 unless given. */
  readonly maxArtifacts?: number;
  /** Compiled and given its weights when a plan first calls it: for what few callers need. */
  readonly lazy?: boolean;
  /** Keeps products of f32 under dtype `int8`: for the ends of a tower, an embedding or a head, whose errors no layer evens out. */
  readonly precise?: boolean;
  /**
   * Declares inputs, weights and outputs. Pure: called for each range, with that range's intervals, more than once, since what is
   * compiled is built a second time and compared.
   */
  readonly build: (b: GraphBuilder) => void;
  /** Prefixes, dot included, of the checkpoint names of each instance's weights. */
  readonly instances: readonly string[];
  /**
   * Gates compiling: true, or the reason why this component is to run op by op on this target. Results are the same either
   * way. Pure, asked once when the component is prepared, and only where the configuration has it enabled.
   * @param capabilities what code for the target may use
   */
  readonly enableIf?: (config: ComponentConfig, capabilities: Capabilities) => true | string;
}

/** One call of a component. Its values are the tower's prepared inputs, the plan's constants and outputs of earlier calls. */
export interface ComponentCall {
  /** Tag of one of the tower's components. */
  readonly tag: string;
  /** Whose weights are used: one of the component's `instances`. */
  readonly instance: string;
  /** The value of each of the component's symbols. */
  readonly dims: Bindings;
  /** Component input name -> value name. */
  readonly inputs: Readonly<Record<string, string>>;
  /** Component output name -> value name. */
  readonly outputs: Readonly<Record<string, string>>;
}

/** What a geometry needs: calls in order, index tensors, results. */
export interface Plan {
  /** Cache key: a text that tells apart all that the plan depends on, such as `planKey` makes. */
  readonly key: string;
  /** In the order in which they run. */
  readonly calls: readonly ComponentCall[];
  /** Tensors computed from the geometry alone. */
  readonly constants: Tensors;
  /** Result name, as Hugging Face has it -> value name. */
  readonly results: Readonly<Record<string, string>>;
}

/** What a tower encodes. */
export type Modality = "vision" | "text" | "audio";

/** What the memory of a run grows with. */
export interface RunGrowth {
  /** A component symbol: the one that `split` counts, where there is a `split`. */
  readonly symbol: string;
  /** Where its interval's end comes from, in words. */
  readonly bound?: string;
  /** Sizes of the symbols of all components in a run of one item that has `size`. */
  readonly dims: (size: number) => Bindings;
}

/** Takes a check that may wait until the device is at work; it is made before the caller sees a result. */
export type CheckLater = (check: () => void) => void;

/** A tower as it is loaded: its components and the function from inputs to a plan. */
export interface TowerSpec {
  /** What it encodes; a model has at most one tower of each. */
  readonly modality: Modality;
  /** All that its plans may call. */
  readonly components: readonly ComponentSpec[];
  /** Tensor names that `prepare` accepts. */
  readonly inputs: readonly string[];
  /** Names of result tensors, in order of interest. */
  readonly outputs: readonly string[];
  /**
   * Tensors of processors, whether inputs of the tower or not, that tell how rows of results belong to pictures or videos,
   * such as `num_patches`; one row for each of them. They are handed to the caller with the results.
   */
  readonly layout?: readonly string[];
  /**
   * For packed layouts, which have no `batch`: parts of the caller's inputs with at most `limit` rows of the packed axis each,
   * as far as its segments allow, whose results one below the other are those of the whole. A part that cannot be cut is
   * returned larger than the limit.
   */
  readonly split?: (inputs: Tensors, limit: number) => readonly Tensors[];
  /** How runs grow, for towers with other symbols than `batch` and one more: says what fits into memory before anything runs. */
  readonly growth?: RunGrowth;
  /** Outputs whose parts are joined along another axis than the first, and that axis: 1 for [1, patches, width]. */
  readonly joinAxes?: Readonly<Record<string, number>>;
  /**
   * Outputs of which an input has another share of the rows than of the tensors' own, and how many rows its tensors, with the
   * pixels or without, have of each.
   */
  readonly resultRows?: (inputs: Tensors) => Readonly<Record<string, number>>;
  /**
   * Derives what the components take (index tensors that depend on values) from the caller's inputs, which it checks.
   * @param later takes checks whose outcome changes nothing of what is returned, such as for finite values: where it is given,
   * they are made while the device computes
   * @throws FoveaError `invalid_input`
   */
  readonly prepare: (inputs: Tensors, later?: CheckLater) => Tensors;
  /** Pure function of the prepared inputs' shapes and the wanted outputs. */
  readonly plan: (shapes: Readonly<Record<string, readonly number[]>>, outputs: readonly string[]) => Plan;
  /** Options of `example` beside batch and seed that this tower understands. */
  readonly exampleSizes: readonly ExampleSize[];
  /** Made-up inputs for a benchmark. */
  readonly example: (options: ExampleOptions) => Tensors;
}

/** A size of an example. */
export type ExampleSize = "size" | "grid" | "tokens" | "seconds";

/** What an example is asked to be. */
export interface ExampleOptions {
  /** Number of pictures, texts or recordings. */
  readonly batch: number;
  /** Pixels: height, width. */
  readonly size?: readonly [number, number];
  /** Patches: frames, rows, columns. */
  readonly grid?: readonly [number, number, number];
  /** Tokens of each text. */
  readonly tokens?: number;
  /** Seconds of sound in each recording. */
  readonly seconds?: number;
  /** Equal seeds make equal tensors. */
  readonly seed: number;
}

/** A decoded picture: 8-bit RGB. */
export interface PixelImage {
  /** Pixels of a row. */
  readonly width: number;
  /** Number of rows. */
  readonly height: number;
  /** Red, green, blue. */
  readonly channels: 3;
  /** `height * width * 3` samples: rows from the top, the channels of a pixel side by side. */
  readonly data: Uint8Array;
  /** The picture that was read at a reduced size, of which these are the pixels; only where that was asked for. */
  readonly reducedFrom?: PixelSize;
}

/** What a plan sees of a picture. Its `reduction` is for `pixelCut` alone; sizes of results follow from the sides. */
export type PixelSize = PictureSize;

/** Decoded audio, full scale at -1 and 1. */
export interface AudioClip {
  /** Samples per second and channel. */
  readonly sampleRate: number;
  /** Samples of each channel, all of one length. */
  readonly channels: readonly Float32Array[];
}

/** What is known of a video before its frames are decoded. */
export interface VideoTiming {
  /** Number of its frames. */
  readonly frames: number;
  /** Frames per second; absent where nobody says, as with a folder of pictures. */
  readonly fps?: number;
}

/** What turns videos into the inputs of the vision tower. */
export interface VideoProcessor {
  /** Indices of the frames that the model looks at, ascending; the others are not kept. */
  readonly sample: (timing: VideoTiming) => readonly number[];
  /** These frames of each video, those of one video of one size, to the vision tower's inputs. */
  readonly run: (videos: readonly (readonly PixelImage[])[]) => Tensors;
}

/** A request's pictures as a geometry: how they fill a u8 input, and the inputs that follow from their sizes. */
export interface PixelPlan extends PixelInput {
  /** The tower's other inputs. */
  readonly tensors: Tensors;
}

/** What turns pictures, recordings, videos and texts into tensors. */
export interface Processors {
  /** Pixels to the vision tower's inputs, computed on the caller's thread. */
  readonly images?: (images: readonly PixelImage[]) => Tensors;
  /** The same inputs as a pure function of the pictures' sizes; where it is there, the device carries it out instead. */
  readonly pixels?: (sizes: readonly PixelSize[]) => PixelPlan;
  /** Frames to the vision tower's inputs. */
  readonly videos?: VideoProcessor;
  /** Texts to the text tower's inputs. */
  readonly texts?: (texts: readonly string[]) => Promise<Tensors>;
  /** Recordings at any rate to the audio tower's inputs. */
  readonly audio?: (clips: readonly AudioClip[]) => Tensors;
}

/** Small files of a model folder: name -> parsed JSON. */
export type ModelFiles = Readonly<Record<string, unknown>>;

/** A number that a checkpoint keeps as a tensor of one element, and what it is where there is none. */
export interface CheckpointScalar {
  /** Tensor's name, without the outer model's prefix. */
  readonly name: string;
  /** Its value for checkpoints that lack the tensor and models without weights. */
  readonly fallback: number;
}

/** How image-text logits become probabilities: over all labels together, or for each label by itself. */
export type Scoring = "softmax" | "sigmoid";

/** How checkpoints spell the names of an encoder's tensors. */
export interface TensorSpelling {
  /** Prefixes under which published checkpoints keep the encoder's tensors; "" first. */
  readonly prefixes: readonly string[];
  /** Endings of tensor names that older checkpoints spell otherwise: own ending -> theirs. */
  readonly oldEndings?: Readonly<Record<string, string>>;
  /** Beginnings of tensor names that a tower which was saved alone may lack, such as `vision_model.`. */
  readonly optionalBeginnings?: readonly string[];
}

/** What an encoder makes of a configuration: the towers that are loaded, and how their results are compared. */
export interface EncoderModel extends TensorSpelling {
  /** At most one for each modality. */
  readonly towers: readonly TowerSpec[];
  /**
   * Makes the processors that the files configure; one whose file is absent is left out.
   * @param files those of `EncoderSpec.files` that are there
   * @throws FoveaError `invalid_config` that names the field
   */
  readonly processors: (files: ModelFiles) => Processors;
  /**
   * Files of weights beside the checkpoint's own, such as `2_Dense/model.safetensors`: name -> what the names of its tensors
   * begin with here, such as `2_Dense.`.
   */
  readonly weightFiles?: Readonly<Record<string, string>>;
  /** Scale of image-text logits, as its natural logarithm. */
  readonly logitScale?: CheckpointScalar;
  /** Added to scaled similarities; 0 unless given. */
  readonly logitBias?: CheckpointScalar;
  /** Softmax unless given. */
  readonly scoring?: Scoring;
}

/** An encoder: which models it is for, and what they are made of. */
export interface EncoderSpec {
  /** Short name, such as `clip`; its components' tags begin with it and a slash unless `families` is given. */
  readonly name: string;
  /** `model_type` values served; one that only some vision towers make its own has that of its `vision_config` behind a slash, as in `llava/pixtral`. */
  readonly modelTypes: readonly string[];
  /**
   * What stands before the slash in its components' tags; its name unless given. A family belongs to one plugin: a runtime
   * refuses two that list the same.
   */
  readonly families?: readonly string[];
  /** Families of another plugin whose components it brings as they are, compared with that plugin's when a model opens. */
  readonly reuses?: readonly string[];
  /**
   * Small JSON files beside `config.json` that `open` and `processors` read when present; folders are written as in
   * `1_Pooling/config.json`.
   */
  readonly files: readonly string[];
  /** Image processors by their configuration's `image_processor_type`, for folders that hold a processor alone. */
  readonly imageProcessors?: Readonly<Record<string, (config: unknown) => NonNullable<Processors["images"]>>>;
  /** Audio processors by their configuration's `feature_extractor_type`, for folders that hold a processor alone. */
  readonly audioProcessors?: Readonly<Record<string, (config: unknown) => NonNullable<Processors["audio"]>>>;
  /**
   * The towers of a model; reads no weights.
   * @param config the parsed `config.json`, which one of `modelTypes` stands for
   * @param files those of `files` that are there
   * @throws FoveaError `invalid_config` that names the field
   */
  readonly open: (config: Readonly<Record<string, unknown>>, files?: ModelFiles) => EncoderModel;
  /**
   * The configuration as a checkpoint's tensors show it to be, where the same `config.json` is published with and without some
   * of them; `open` is called again with another that is returned.
   * @param has whether the checkpoint has a tensor, by the encoder's own name for it
   */
  readonly adapt?: (
    config: Readonly<Record<string, unknown>>,
    has: (tensor: string) => boolean,
  ) => Readonly<Record<string, unknown>>;
}
