/** A loaded encoder: what users call. */
import type { DeviceStats } from "../abi/device.ts";
import type { EncoderModel, Modality, Scoring, Tensor, Tensors } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import type { KeptDType } from "../core/dtype.ts";
import type { TraceSink } from "../core/trace.ts";
import { type CallOptions, type OpenContext, openContext } from "../exec/forward_context.ts";
import { movedInto, type ResultMemory } from "../exec/result_memory.ts";
import type { PlaceFinder } from "./artifacts/trace.ts";
import { type Caller, noteCaller } from "./callers.ts";
import { BOOLEAN, CALL_OPTIONS, checkOptions, type Expected, FUNCTION, isObject, TEXTS } from "./check.ts";
import { explainEncoder } from "./explain/explain.ts";
import { joinBatches } from "./inputs/batching.ts";
import { type InputTaker, inputBatches, towerOf } from "./inputs/input_batches.ts";
import type { EncodeInputs } from "./inputs/inputs.ts";
import { checkItems, type EncodeItem, inputsOf, readItems, sharesOf } from "./inputs/items.ts";
import { answeredBy } from "./towers/answered_by.ts";
import { type Handover, type HandoverStats, handoverStats, handoverText } from "./towers/handover_state.ts";
import type { Residence, Resident } from "./towers/residence.ts";
import type { EncoderTower, RunStats } from "./towers/tower_facts.ts";
import { checkMemory, checkNames, resultsOf } from "./wanted_results.ts";

/** What `encode` takes beside inputs. */
export interface EncodeOptions extends CallOptions {
  /**
   * Names of the results that are wanted; all unless given. Others are not read back. Of pictures and texts at once, each tower
   * gives those of them that it has.
   */
  readonly outputs?: readonly string[];
  /** Adds to `outputs` what tells how their rows belong to these inputs, where that is told: `num_patches` and its like. */
  readonly layout?: boolean;
  /**
   * Memory for results, by name: typed arrays of each result's type and number of numbers, such as the `data` of an earlier
   * call's, which then are the results' `data`. For callers that encode often and are done with one call's results before the
   * next. Not for pictures and texts at once. After an error they may hold anything.
   */
  readonly into?: ResultMemory;
  /**
   * Told after each batch that was encoded, with the number of batches: up to 32 pictures, up to 4 recordings, one video, all
   * texts, or the tensors of a tower.
   */
  readonly onProgress?: (done: number, total: number) => void;
}

const RESULT_MEMORY: Expected = {
  text: "typed arrays (Float32Array, Int32Array) by the names of results",
  holds: (v) => isObject(v) && !Array.isArray(v) && Object.values(v).every(isNumbers),
};

const isNumbers = (value: unknown): boolean => value instanceof Float32Array || value instanceof Int32Array;

const ENCODE_OPTIONS: Readonly<Record<keyof EncodeOptions, Expected>> = {
  ...CALL_OPTIONS,
  outputs: TEXTS,
  layout: BOOLEAN,
  into: RESULT_MEMORY,
  onProgress: FUNCTION,
};

/**
 * Results of one tower under the names that Hugging Face uses, f32; unless `outputs` leaves them out, also what tells how
 * their rows belong to the inputs, i32: `num_patches`, `image_grid_thw`, `video_grid_thw` and their like.
 */
export interface TowerOutput {
  /** [batch, tokens, width] */
  readonly last_hidden_state?: Tensor;
  /** [batch, width] */
  readonly pooler_output?: Tensor;
  /** [batch, projection], not normalised. */
  readonly image_embeds?: Tensor;
  /** [batch, projection], not normalised. */
  readonly text_embeds?: Tensor;
  /** [batch, width], as the model folder's sentence-transformers files say. */
  readonly sentence_embedding?: Tensor;
  /** What else a tower gives, as `encoder.tower(modality).spec` lists it in `outputs` and `layout`. */
  readonly [name: string]: Tensor | undefined;
}

/**
 * Of inputs for one tower its results by name, those of the tower that are not listed here included. Of pictures and texts at once
 * the embeddings of both, and each tower's results under its own name. `deviceOf` tells which device it is from.
 */
export interface EncodeResult
  extends Pick<
    TowerOutput,
    "last_hidden_state" | "pooler_output" | "image_embeds" | "text_embeds" | "sentence_embedding"
  > {
  /** All results of the pictures, where texts were given as well. */
  readonly vision_model_output?: TowerOutput;
  /** All results of the texts, where pictures were given as well. */
  readonly text_model_output?: TowerOutput;
}

/** Figures of an encoder, as of when they were asked for. */
export interface EncoderStats {
  /** About the last run of each tower that was loaded. */
  readonly towers: Readonly<Partial<Record<Modality, Readonly<RunStats>>>>;
  /** Bytes of weights that answer calls; those of a device that was left count until its last call ended. */
  readonly weightBytes: number;
  /** Type that each component's large weights are kept in, by tag. */
  readonly dtypes: Readonly<Record<string, KeptDType>>;
  /** Milliseconds that loading took, with compiling or reading the cache. */
  readonly loadMs: number;
  /** Milliseconds of preparing the last batch: reading, decoding, cutting or tokenising it. */
  readonly preprocessMs: number;
  /** Calls of `encode` and `readItems` so far, those that failed included. */
  readonly encodes: number;
  /** JPEG files that were read at a reduced size: none unless the encoder was loaded with `jpegShrinkOnLoad`. */
  readonly reducedJpegs: number;
  /** Of the device that answers. */
  readonly device: DeviceStats;
  /** Where the encoder was loaded to be handed over. */
  readonly handover?: HandoverStats;
}

/** What an encoder needs of the runtime that loaded it. */
export interface EncoderContext extends Omit<InputTaker, "towers" | "cutter"> {
  readonly residence: Residence;
  readonly handover?: Handover | undefined;
  readonly model: EncoderModel;
  readonly logitScale: number | undefined;
  readonly logitBias: number;
  readonly loadMs: number;
  readonly now: () => number;
  readonly trace: TraceSink | undefined;
  readonly findPlace: PlaceFinder;
  /** Resolves when nothing of the encoder is at work or open any more. */
  readonly onClose: () => Promise<void>;
}

const pick = (tensors: Tensors, isWanted: (name: string) => boolean): Tensors =>
  Object.fromEntries(Object.entries(tensors).filter(([name]) => isWanted(name)));

/** A loaded model, made by `runtime.load`. Calls may overlap; each has memory of its own. */
export class Encoder {
  /** `model_type` of the configuration. */
  readonly modelType: string;
  /** Towers that were loaded. */
  readonly modalities: readonly Modality[];
  /** Factor of image-text similarities (`exp(logit_scale)`), for models that have one. */
  readonly logitScale: number | undefined;
  /** Added to scaled image-text similarities; 0 for models without one. */
  readonly logitBias: number;
  /** Whether probabilities of labels are made of all of them together, or of each alone. */
  readonly scoring: Scoring;
  /** True where JPEG files may be read at a reduced size: see {@link EncoderStats.reducedJpegs} for whether any was. */
  readonly jpegShrinkOnLoad: boolean;
  readonly #context: EncoderContext;
  #encodes = 0;
  #preprocessMs = 0;
  #closed = false;
  #ended: Promise<void> | undefined;

  /**
   * Encoders are made by `runtime.load`.
   * @internal
   */
  constructor(context: EncoderContext) {
    this.#context = context;
    this.modelType = context.modelType;
    this.modalities = [...context.residence.current.towers.keys()];
    this.logitScale = context.logitScale;
    this.logitBias = context.logitBias;
    this.scoring = context.model.scoring ?? "softmax";
    this.jpegShrinkOnLoad = context.jpegs !== undefined;
  }

  /**
   * Encodes pictures, videos, texts, recordings or tensors. What is more than one run takes goes in several, whose results are
   * put together in the order of the inputs.
   * @throws FoveaError `invalid_input` for what the towers cannot take, `no_component` for inputs of a tower that was not loaded,
   * `invalid_options`, `out_of_memory`, `deadline_exceeded`, `closed`, `device_lost`, and what reading pictures and recordings
   * throws (`image.*`, `audio.*`, `file.*`, `fetch_failed`); the signal's reason on abort. What broke inside the call names its
   * request, component and sizes.
   */
  async encode(inputs: EncodeInputs, options: EncodeOptions = {}): Promise<EncodeResult> {
    this.#checkOpen();
    checkOptions("encode", options, ENCODE_OPTIONS);
    const { now, trace } = this.#context;
    const context = openContext("encode", options, { requestId: String(++this.#encodes), now, trace });
    const begin = now();
    const { residence } = this.#context;
    const isComplete = [...residence.current.towers.values()].every((t) => t.complete);
    const caller = isComplete ? {} : { caller: noteCaller(this.#context.findPlace) };
    try {
      context.check();
      return await residence.during(context, async (resident) => {
        const result = await this.#encode(this.#taker(resident), inputs, options, { context, ...caller });
        return answeredBy(resident.device.kind, result);
      });
    } finally {
      context.close();
      context.span({ kind: "request", name: "encode", begin });
      // The memory of its weights may hold anything by now.
      if (!context.signal.aborted) this.#checkOpen();
    }
  }

  /** What takes inputs where a call was let in. */
  #taker({ towers, cutter }: Resident): InputTaker {
    return { ...this.#context, towers, cutter };
  }

  async #encode(
    takes: InputTaker,
    inputs: EncodeInputs,
    options: EncodeOptions,
    { context, ...caller }: { readonly context: OpenContext; readonly caller?: Caller },
  ): Promise<EncodeResult> {
    const given = inputBatches(takes, inputs, context);
    const wanted = this.#outputs([...given.keys()], options.outputs);
    const total = [...given.values()].reduce((n, batches) => n + batches.length, 0);
    const { into } = options;
    checkMemory(into, wanted);
    const results = new Map<Modality, Tensors>();
    let done = 0;
    for (const [modality, batches] of given) {
      const parts: Tensors[] = [];
      for (const batch of batches) {
        const begin = context.now();
        context.doing(() => `preparing the ${modality} tower's inputs`);
        const tensors = await batch();
        this.#preprocessMs = context.now() - begin;
        context.span({ kind: "prepare", name: modality, begin });
        context.check();
        this.#checkOpen();
        const tower = towerOf(takes, modality);
        const { layout = [], inputs: names } = tower.spec;
        const outputs = wanted.get(modality) ?? [];
        if (options.outputs !== undefined) checkNames(outputs, resultsOf(tower.spec, tensors));
        const computed = outputs.filter((name) => !layout.includes(name));
        const own = pick(tensors, (name) => names.includes(name) || !layout.includes(name));
        const memory = total === 1 ? { into } : {};
        const request = { inputs: own, outputs: computed, context: context.of(modality), ...memory, ...caller };
        parts.push({
          ...(computed.length === 0 ? {} : await tower.run(request)),
          ...pick(tensors, (name) => layout.includes(name) && (options.layout === true || outputs.includes(name))),
        });
        await takes.cutter.release(tensors);
        options.onProgress?.(++done, total);
      }
      results.set(modality, parts.length === 1 ? parts[0] : joinBatches(parts, towerOf(takes, modality).spec.joinAxes));
    }
    if (results.size === 1) {
      const [only] = results.values();
      return into === undefined ? only : movedInto(only, into);
    }
    const [vision, text] = [results.get("vision"), results.get("text")];
    return {
      ...(vision?.image_embeds === undefined ? {} : { image_embeds: vision.image_embeds }),
      ...(text?.text_embeds === undefined ? {} : { text_embeds: text.text_embeds }),
      ...(vision === undefined ? {} : { vision_model_output: vision }),
      ...(text === undefined ? {} : { text_model_output: text }),
    };
  }

  /**
   * Reads inputs as items of one picture, text or recording each, decoded or tokenised, in this order; what is wrong with one is
   * said here. Items of many callers that have one `form` are encoded together by {@link encodeItems}.
   * @param name what errors call a picture or recording; its position in its list unless given
   * @throws FoveaError `invalid_input`, `no_component`, and what reading pictures and recordings throws
   */
  async readItems(inputs: EncodeInputs, options: CallOptions = {}, name?: string): Promise<readonly EncodeItem[]> {
    this.#checkOpen();
    checkOptions("readItems", options, CALL_OPTIONS);
    const { now, trace } = this.#context;
    const context = openContext("encode", options, { requestId: String(++this.#encodes), now, trace });
    const begin = now();
    try {
      context.check();
      return await this.#context.residence.during(context, (resident) =>
        readItems(this.#taker(resident), inputs, context, name),
      );
    } finally {
      context.close();
      context.span({ kind: "prepare", name: "items", begin });
    }
  }

  /**
   * Encodes items of one form in one call.
   * @returns results of each item
   * @throws FoveaError as {@link encode} does; `invalid_input` for items of several forms
   */
  async encodeItems(items: readonly EncodeItem[], options: EncodeOptions = {}): Promise<readonly Tensors[]> {
    checkItems(items);
    checkOptions("encodeItems", options, ENCODE_OPTIONS);
    if (items.length === 0) return [];
    const { spec } = this.tower(items[0].modality);
    const { inputs, told } = inputsOf(items, spec);
    const { outputs } = options;
    const computed = outputs?.filter((name) => !told.includes(name));
    const own = computed === undefined ? options : { ...options, outputs: computed, layout: false };
    const results = computed?.length === 0 && told.length > 0 ? {} : await this.encode(inputs, own);
    const wanted = told.filter((name) => options.layout === true || (outputs?.includes(name) ?? true));
    return sharesOf(items, results as Tensors, spec, wanted);
  }

  /** Kind of the device that answers calls that begin now. */
  get device(): string {
    return this.#context.residence.current.device.kind;
  }

  /** The move from one device to another, on runtimes with `handover`. */
  get handover(): Handover | undefined {
    return this.#context.handover;
  }

  /** Text: components, ranges, artifacts with their origin, and the steps of each. */
  explain(): string {
    const { handover, residence } = this.#context;
    const head = handover === undefined ? "" : `${handoverText(handover)}\n`;
    return `${head}${explainEncoder(this.modelType, residence.current.towers)}`;
  }

  /** Figures as of now; taking them costs no time of the device. */
  stats(): EncoderStats {
    const { residence, handover } = this.#context;
    const towers = [...residence.current.towers.entries()];
    const held = residence.held.flatMap((resident) => [...resident.towers.values()]);
    return {
      towers: Object.fromEntries(towers.map(([modality, t]) => [modality, { ...t.stats }])),
      weightBytes: held.reduce((n, t) => n + t.weightBytes, 0),
      dtypes: Object.fromEntries(
        towers.flatMap(([, t]) => [...t.components].map(([tag, c]) => [tag, c.settings.dtype.value])),
      ),
      loadMs: this.#context.loadMs,
      preprocessMs: this.#preprocessMs,
      encodes: this.#encodes,
      reducedJpegs: this.#context.jpegs?.reduced ?? 0,
      device: residence.current.device.stats(),
      ...(handover === undefined ? {} : { handover: handoverStats(handover) }),
    };
  }

  /**
   * A tower where it answers now: what it takes and gives, and figures of its runs.
   * @throws FoveaError `no_component` that lists the loaded ones
   */
  tower(modality: Modality): EncoderTower {
    return towerOf(this.#taker(this.#context.residence.current), modality);
  }

  /** Gives weights and buffers back. Calls of `encode` that are under way, and later ones, reject with `closed`. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#context.residence.close();
    this.#ended = this.#context.onClose();
    // Who waits is told.
    this.#ended.catch(() => {});
  }

  /** As {@link close}, for `await using`; resolves when files of weights are closed. @throws what kept one from being closed */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#ended;
  }

  #checkOpen(): void {
    if (this.#closed) throw new FoveaError("closed", "This encoder was closed; load the model again to encode.");
  }

  /** Wanted outputs by tower. */
  #outputs(
    modalities: readonly Modality[],
    wanted: readonly string[] | undefined,
  ): ReadonlyMap<Modality, readonly string[]> {
    const available = modalities.map((m) => [m, resultsOf(this.tower(m).spec)] as const);
    if (wanted === undefined) return new Map(available);
    const all = available.flatMap(([, names]) => names);
    checkNames(wanted, all);
    return new Map(available.map(([m, names]) => [m, names.filter((n) => wanted.includes(n))]));
  }
}
