/** `model.safetensors.index.json`: which file holds which tensor. */
import { FoveaError } from "../../core/diagnostics.ts";
import type { ByteSource } from "./byte_source.ts";

export const SINGLE_FILE = "model.safetensors";
export const INDEX_FILE = "model.safetensors.index.json";

/** An index of 100,000 tensors has about 10 MB. */
const MAX_INDEX_BYTES = 100_000_000;

function refuse(file: string, problem: string, cause?: unknown): never {
  const message = `${file} is no valid weight index: ${problem} Download it again.`;
  throw new FoveaError("invalid_index", message, cause === undefined ? {} : { cause });
}

/** Tensor name -> file name. @throws FoveaError `invalid_index` */
export async function readIndex(source: ByteSource): Promise<ReadonlyMap<string, string>> {
  const { name, size } = source;
  if (size > MAX_INDEX_BYTES) refuse(name, `it has ${size} bytes; the most that is allowed is ${MAX_INDEX_BYTES}.`);
  const bytes = new Uint8Array(size);
  const read = await source.read(bytes, 0);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, read)));
  } catch (cause) {
    return refuse(name, `it is not valid JSON (${cause instanceof Error ? cause.message : String(cause)}).`, cause);
  }
  const map = (value as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    return refuse(name, 'it needs an object "weight_map" of tensor names and file names.');
  }
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== "string" || !/^[^/\\]+\.safetensors$/.test(file)) {
      refuse(name, `it places tensor "${tensor}" in ${JSON.stringify(file)}, which is no name of a safetensors file.`);
    }
  }
  return new Map(Object.entries(map as Record<string, string>));
}
