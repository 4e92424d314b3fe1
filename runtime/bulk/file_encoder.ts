/** A model that makes one vector of each file: read, packed with others of its form, encoded. */
import type { Modality } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { didYouMean } from "../session/check.ts";
import { Batcher } from "../session/inputs/batcher.ts";
import { createRoom, type Room } from "../session/inputs/room.ts";
import type { Encoder, LoadOptions, Runtime } from "../session.ts";
import type { VectorHead } from "./vectors.ts";

/** Results that stand for a picture or a recording, the best first. */
const VECTORS = ["image_embeds", "sentence_embedding", "pooler_output"];

/** Milliseconds of a call that no further file is added to: long enough that what a call costs by itself does not count. */
const BATCH_MS = 200;
const MAX_WAIT_MS = 10;

/** Decoded pictures that wait for the device, in bytes. */
const MAX_WAITING_BYTES = 256 * 2 ** 20;

export interface VectorChoice extends Pick<LoadOptions, "dtype"> {
  readonly modality: Modality;
  /** Result that the vectors are; the model's embedding unless given. */
  readonly output?: string;
}

/** Made by {@link openFileEncoder}. */
export class FileEncoder {
  readonly head: VectorHead;
  readonly #encoder: Encoder;
  readonly #batcher: Batcher;
  readonly #room: Room;

  constructor(head: VectorHead, encoder: Encoder) {
    this.head = head;
    this.#encoder = encoder;
    this.#batcher = new Batcher({ maxWait: MAX_WAIT_MS, batchMs: BATCH_MS, now: () => performance.now() });
    this.#room = createRoom({ waiting: () => this.#batcher.waitingBytes, most: MAX_WAITING_BYTES });
  }

  /**
   * The vector of a file's bytes, [width]. Calls may overlap, and are to: files of one form share a call of the encoder.
   * @param name what errors call the file
   * @throws FoveaError as `encode` does; `no_vector` where the model gives several rows for it
   */
  async encode(bytes: Uint8Array, name: string, signal: AbortSignal): Promise<Float32Array> {
    const { modality, output } = this.head;
    const inputs = modality === "audio" ? { audio: [bytes] } : { images: [bytes] };
    const [item] = await this.#room(() => this.#encoder.readItems(inputs, { signal }, name));
    const { [output]: tensor } = await this.#batcher.submit({
      item,
      lane: output,
      signal,
      run: (items, stop) => this.#encoder.encodeItems(items, { outputs: [output], signal: stop }),
    });
    const rows = tensor.shape.slice(0, -1).reduce((a, b) => a * b, 1);
    if (rows === 1 && tensor.data instanceof Float32Array) return tensor.data.slice();
    throw new FoveaError(
      "no_vector",
      `"${output}" of ${name} is [${tensor.shape.join(", ")}], and files of vectors hold one row for each file; name another as the result (\`output\`; --outputs of \`fovea embed\`, --output of \`fovea enqueue\`).`,
    );
  }

  close(): void {
    this.#encoder.close();
  }
}

/**
 * What vectors of a model's would say of themselves; nothing is loaded.
 * @throws FoveaError as opening a model does; `no_component`; `bad_usage` for a result that the tower does not have
 */
export async function describeVectors(
  runtime: Runtime,
  model: string,
  { modality, output: asked, dtype = "f32" }: VectorChoice,
): Promise<VectorHead> {
  const { towers } = await runtime.prepare(model, { components: [modality], compile: false });
  const outputs = towers.get(modality)?.spec.outputs ?? [];
  const { modelType, digest, revision } = await runtime.identify(model);
  const output = asked ?? VECTORS.find((name) => outputs.includes(name));
  if (output === undefined || !outputs.includes(output)) {
    const what = output === undefined ? "has no result that is one vector for each input" : `has no result "${output}"`;
    throw new FoveaError(
      "bad_usage",
      `The ${modality} tower of this ${modelType} model ${what}; it gives ${outputs.join(", ")}.${didYouMean(output ?? "", outputs)}`,
    );
  }
  return {
    ...{ model, modelType, modelDigest: digest },
    ...(revision === undefined ? {} : { revision }),
    ...{ modality, output, dtype },
  };
}

/** Loads the tower that makes these vectors. @throws FoveaError as loading does */
export async function openFileEncoder(
  runtime: Runtime,
  head: VectorHead,
  options: Pick<LoadOptions, "calibration" | "signal"> = {},
): Promise<FileEncoder> {
  const { model, modality, dtype } = head;
  return new FileEncoder(head, await runtime.load(model, { components: [modality], dtype, ...options }));
}
