/** What goes through a queue: references to files and models, never bytes. */
import type { Host } from "../host/mod.ts";
import type { VectorHead } from "./vectors.ts";

/** A job: one file of one model. */
export interface EncodeJob {
  /** Name of the model's head among the queue's. */
  readonly model: string;
  /** Path, as the workers see it, or address. */
  readonly path: string;
  /** SHA-256 of the bytes that are meant. */
  readonly digest: string;
}

export const JOB_NAME = "encode";

/** Characters of digests that names are made of: 160 bits. */
const NAME_LENGTH = 40;

function nameOf(host: Host, parts: readonly string[]): string {
  const digest = host.createDigest();
  digest.update(new TextEncoder().encode(parts.join("\n")));
  return digest.hex().slice(0, NAME_LENGTH);
}

/** Equal for all heads whose vectors are the same. */
export function modelName(host: Host, { modelDigest, modality, output, dtype }: VectorHead): string {
  return nameOf(host, [modelDigest, modality, output, dtype]);
}

/** Equal for the same content at the same path for the same model: a queue takes a job of one name once. */
export function jobName(host: Host, { model, path, digest }: EncodeJob): string {
  // A name of digits alone would be a number to the queue.
  return `f${nameOf(host, [model, digest, path])}`;
}

/** Key of the hash that holds the heads of a queue's jobs. */
export const headsKey = (queue: string): string => `fovea:${queue}:models`;

/** Folder of a model's vectors in a folder of results. */
export function resultFolder(out: string, { modelType, modelDigest, output, dtype }: VectorHead): string {
  const type = dtype === "f32" ? "" : `-${dtype}`;
  return `${out}/${modelType}-${modelDigest.slice(0, 12)}-${output}${type}`;
}
