/**
 * The header of a safetensors file: 8 bytes of length (little-endian), JSON, then the tensors' bytes without gaps.
 * Format: https://github.com/huggingface/safetensors#format. As strict as the format's own reader, and on names stricter:
 * a name given twice is refused instead of overwritten.
 */
import { FoveaError } from "../../core/diagnostics.ts";
import type { DType } from "../../core/dtype.ts";
import type { ByteSource } from "./byte_source.ts";

/** A tensor as a file holds it. */
export interface StoredTensor {
  readonly name: string;
  /** As the file spells it: a key of {@link STORED_BITS}. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Bits of one element, for every type of the format. */
const STORED_BITS: Readonly<Record<string, number>> = {
  F32: 32,
  F16: 16,
  BF16: 16,
  I64: 64,
  I32: 32,
  U8: 8,
  I8: 8,
  BOOL: 8,
  F64: 64,
  C64: 64,
  U64: 64,
  U32: 32,
  I16: 16,
  U16: 16,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F4: 4,
};

const READABLE: Readonly<Record<string, DType>> = {
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
  I64: "i64",
  I32: "i32",
  U8: "u8",
  I8: "i8",
  BOOL: "bool",
};

/** How files spell an element type. */
export const STORED_NAMES: Readonly<Record<DType, string>> = Object.fromEntries(
  Object.entries(READABLE).map(([stored, dtype]) => [dtype, stored]),
) as Record<DType, string>;

/** Same limit as the format's own reader. */
const MAX_HEADER_BYTES = 100_000_000;

function refuse(file: string, problem: string, cause?: unknown): never {
  const message = `${file} is no valid safetensors file: ${problem} Download it again, or export it anew.`;
  throw new FoveaError("invalid_safetensors", message, cause === undefined ? {} : { cause });
}

/**
 * The element type of a stored tensor.
 * @throws FoveaError `unsupported_dtype` for types of the format that fovea cannot read
 */
export function readableDType(file: string, tensor: StoredTensor): DType {
  if (Object.hasOwn(READABLE, tensor.dtype)) return READABLE[tensor.dtype];
  throw new FoveaError(
    "unsupported_dtype",
    `Tensor "${tensor.name}" in ${file} has the type ${tensor.dtype}, which fovea does not read; it reads ${Object.keys(READABLE).join(", ")}. Convert the checkpoint to one of these.`,
  );
}

/** How the small files begin that a clone without Git LFS has in the place of large ones. */
const LFS_POINTER = "version ";

/** Length of the header's JSON. @param prefix the first 8 bytes of the file */
function headerLength(file: string, prefix: Uint8Array, size: number): number {
  if (prefix.length < 8) refuse(file, `it has ${size} bytes, fewer than the 8 that hold the header's length.`);
  if (new TextDecoder().decode(prefix) === LFS_POINTER) {
    throw new FoveaError(
      "invalid_safetensors",
      `${file} is a pointer of Git LFS (${size} bytes) and not the weights; fetch them with \`git lfs pull\` in the model's folder.`,
    );
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, 8);
  const length = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  if (length > MAX_HEADER_BYTES) {
    refuse(file, `its header claims ${length} bytes; the most that is allowed is ${MAX_HEADER_BYTES}.`);
  }
  if (8 + length > size) {
    refuse(file, `its header claims ${length} bytes, but only ${size - 8} follow (${size} bytes in all).`);
  }
  return length;
}

/** Reads and checks the header. @throws FoveaError `invalid_safetensors` naming file, tensor, found and expected */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const prefix = new Uint8Array(8);
  const length = headerLength(source.name, prefix.subarray(0, await source.read(prefix, 0)), source.size);
  const text = new Uint8Array(length);
  const read = await source.read(text, 8);
  if (read !== length) refuse(source.name, `it ended after ${8 + read} bytes, inside of its header.`);
  return parseHeader(source.name, text, source.size);
}

/** The header of a file that is in memory. @throws FoveaError `invalid_safetensors` */
export function parseSafetensors(file: string, bytes: Uint8Array): SafetensorsHeader {
  const length = headerLength(file, bytes.subarray(0, 8), bytes.length);
  return parseHeader(file, bytes.subarray(8, 8 + length), bytes.length);
}

function parseHeader(file: string, bytes: Uint8Array, size: number): SafetensorsHeader {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    return refuse(file, "its header is not valid UTF-8.", cause);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return refuse(file, `its header is not valid JSON (${why}).`, cause);
  }
  if (!isObject(value)) return refuse(file, "its header must be a JSON object of tensors.");
  const twice = repeatedKey(text);
  if (twice !== undefined) refuse(file, `its header has the name "${twice}" twice.`);

  const start = 8 + bytes.length;
  const tensors = new Map<string, StoredTensor>();
  let metadata: Readonly<Record<string, string>> = {};
  for (const [name, entry] of Object.entries(value)) {
    if (name === "__metadata__") metadata = checkMetadata(file, entry);
    else tensors.set(name, checkTensor(file, name, entry, start, size));
  }
  checkLayout(file, tensors.values(), start, size);
  return { tensors, metadata };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The first key that an object in valid JSON text has twice; `JSON.parse` would silently keep the last. */
function repeatedKey(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let string = "";
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "{") open.push(new Set());
    else if (c === "[") open.push(undefined);
    else if (c === "}" || c === "]") open.pop();
    else if (c === '"') {
      const from = i++;
      while (text[i] !== '"') i += text[i] === "\\" ? 2 : 1;
      string = text.slice(from, i + 1);
    } else if (c === ":") {
      const key = JSON.parse(string) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return undefined;
}

/** A JSON value for a message, cut to a length that can be read. */
function show(value: unknown): string {
  const plain = (v: unknown): boolean => typeof v !== "object" || v === null;
  if (!plain(value) && !(Array.isArray(value) && value.every(plain)))
    return Array.isArray(value) ? "a list of lists" : "an object";
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

function checkMetadata(file: string, entry: unknown): Readonly<Record<string, string>> {
  if (!isObject(entry) || Object.values(entry).some((v) => typeof v !== "string")) {
    refuse(file, "its __metadata__ must be an object of strings.");
  }
  return entry as Readonly<Record<string, string>>;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function checkTensor(file: string, name: string, entry: unknown, start: number, size: number): StoredTensor {
  if (!isObject(entry)) refuse(file, `the entry of tensor "${name}" must be an object, found ${show(entry)}.`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== "string" || !Object.hasOwn(STORED_BITS, dtype)) {
    const known = Object.keys(STORED_BITS).join(", ");
    refuse(file, `tensor "${name}" has the unknown dtype ${show(dtype)}; known are ${known}.`);
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    refuse(file, `tensor "${name}" has the shape ${show(shape)}; expected a list of whole sizes >= 0.`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    refuse(file, `tensor "${name}" has the data_offsets ${show(offsets)}; expected [begin, end] in bytes.`);
  }
  const [begin, end] = offsets as number[];
  const available = size - start;
  if (begin > end || end > available) {
    refuse(file, `tensor "${name}" lies at bytes ${begin}..${end} of the data, outside of 0..${available}.`);
  }
  const bytes = ((shape as number[]).reduce((n, d) => n * d, 1) * STORED_BITS[dtype]) / 8;
  if (bytes !== end - begin) {
    refuse(
      file,
      `tensor "${name}" has ${end - begin} bytes of data; ${dtype} with the shape [${shape.join(", ")}] needs ${bytes}.`,
    );
  }
  return { name, dtype, shape: shape as number[], offset: start + begin, bytes };
}

/** The tensors must fill the data without overlap, gap or rest, as the format's own reader demands. */
function checkLayout(file: string, tensors: Iterable<StoredTensor>, start: number, size: number): void {
  const sorted = [...tensors].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let end = start;
  let before: string | undefined;
  for (const { name, offset, bytes } of sorted) {
    if (offset < end)
      refuse(file, `the data of the tensors "${before}" and "${name}" overlap by ${end - offset} bytes.`);
    if (offset > end) refuse(file, `${offset - end} bytes before the data of tensor "${name}" belong to no tensor.`);
    end = offset + bytes;
    before = name;
  }
  if (end !== size) refuse(file, `${size - end} bytes after the last tensor belong to no tensor.`);
}
