/** A model's weights: one safetensors file, shards with an index, or shards without. */
import type { TensorSpelling } from "../../abi/encoder.ts";
import { FoveaError, nearest } from "../../core/diagnostics.ts";
import type { ByteSource } from "./byte_source.ts";
import type { CheckpointFiles } from "./checkpoint_files.ts";
import { DEFAULT_SLICE_BYTES, readTensor, SliceBuffer } from "./read_tensor.ts";
import { readSafetensorsHeader, type SafetensorsHeader, type StoredTensor } from "./safetensors.ts";
import type { ReadOptions, TensorSource } from "./tensor_source.ts";
import { INDEX_FILE, readIndex, SINGLE_FILE } from "./weight_index.ts";

export type { ByteSource } from "./byte_source.ts";
export { type CheckpointFiles, directoryFiles, type FolderFiles, memoryFiles } from "./checkpoint_files.ts";
export { type Fetch, httpFiles } from "./http_files.ts";

export interface CheckpointOptions {
  /** Bytes that are read at a time; 8 MiB. */
  readonly sliceBytes?: number;
  /** Further files -> what the names of their tensors begin with here. */
  readonly weightFiles?: Readonly<Record<string, string>> | undefined;
}

export interface Checkpoint {
  readonly description: string;
  /** Tensor names, sorted. */
  readonly names: readonly string[];
  has(name: string): boolean;
  shapeOf(name: string): readonly number[] | undefined;
  /** What tells the version of the file that holds a tensor; nothing where that is not known. */
  identityOf(name: string): string | undefined;
  /** @throws FoveaError `missing_tensor`, `wrong_shape`, `non_finite_weights`, `unsupported_dtype`, `closed` */
  readTensor(name: string, shape: readonly number[], options?: ReadOptions): Promise<Float32Array>;
  /** Closes the files; reads that are under way fail. */
  close(): Promise<void>;
}

interface Shard {
  readonly source: ByteSource;
  readonly header: SafetensorsHeader;
}

interface Place {
  readonly source: ByteSource;
  readonly tensor: StoredTensor;
}

const SHARD = /^model.*\.safetensors$/;

const quoted = (names: readonly string[]): string => {
  const shown = names.slice(0, 5).map((n) => `"${n}"`);
  return names.length > 5 ? `${shown.join(", ")} and ${names.length - 5} more` : shown.join(", ");
};

const shapeText = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

function missingShards(files: CheckpointFiles, missing: readonly string[], who: string): FoveaError {
  return new FoveaError(
    "missing_shard",
    `The weights in ${files.description} are incomplete: ${who} ${quoted(missing)}, which ${missing.length === 1 ? "is" : "are"} not there. Download the missing file${missing.length === 1 ? "" : "s"}.`,
  );
}

async function openShard(files: CheckpointFiles, name: string): Promise<Shard> {
  const source = await files.open(name);
  try {
    return { source, header: await readSafetensorsHeader(source) };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** Shards that an index names, and their tensors. */
async function openIndexed(
  files: CheckpointFiles,
  present: readonly string[],
  opened: Shard[],
): Promise<Map<string, Place>> {
  const source = await files.open(INDEX_FILE);
  const index = await readIndex(source).finally(() => source.close());
  const wanted = [...new Set(index.values())].sort();
  const missing = wanted.filter((name) => !present.includes(name));
  if (missing.length > 0) throw missingShards(files, missing, `${INDEX_FILE} names`);
  const shards = new Map<string, Shard>();
  for (const name of wanted) {
    try {
      const shard = await openShard(files, name);
      opened.push(shard);
      shards.set(name, shard);
    } catch (error) {
      const absent = error instanceof FoveaError && error.code === "file.not_found";
      throw absent ? missingShards(files, [name], `${INDEX_FILE} names`) : error;
    }
  }
  const places = new Map<string, Place>();
  const absent: string[] = [];
  for (const [name, file] of index) {
    const shard = shards.get(file);
    const tensor = shard?.header.tensors.get(name);
    if (shard === undefined || tensor === undefined) absent.push(name);
    else places.set(name, { source: shard.source, tensor });
  }
  if (absent.length > 0) {
    throw new FoveaError(
      "missing_tensor",
      `${INDEX_FILE} in ${files.description} names tensors that its files do not hold: ${quoted(absent)} (expected in ${quoted([...new Set(absent.map((n) => index.get(n) as string))])}). Index and files belong to different versions; download all of them again.`,
    );
  }
  return places;
}

/** Numbers that are absent among `model-00001-of-00003.safetensors` and the like. */
function absentNumbers(names: readonly string[]): readonly string[] {
  const absent: string[] = [];
  for (const name of names) {
    const found = /^(.*-)(\d+)(-of-)(\d+)(\.safetensors)$/.exec(name);
    if (found === null) continue;
    const [, head, digits, of, total, tail] = found;
    for (let i = 1; i <= Math.min(Number(total), 10_000); i++) {
      const sibling = `${head}${String(i).padStart(digits.length, "0")}${of}${total}${tail}`;
      if (!names.includes(sibling) && !absent.includes(sibling)) absent.push(sibling);
    }
  }
  return absent;
}

async function openPlain(
  files: CheckpointFiles,
  names: readonly string[],
  opened: Shard[],
): Promise<Map<string, Place>> {
  const places = new Map<string, Place>();
  for (const name of names) {
    const shard = await openShard(files, name);
    opened.push(shard);
    for (const tensor of shard.header.tensors.values()) {
      const other = places.get(tensor.name);
      if (other !== undefined) {
        throw new FoveaError(
          "ambiguous_checkpoint",
          `Tensor "${tensor.name}" is in ${other.source.name} and in ${shard.source.name}, and ${files.description} has no ${INDEX_FILE} that decides. Keep the files of one version only.`,
        );
      }
      places.set(tensor.name, { source: shard.source, tensor });
    }
  }
  return places;
}

async function findTensors(files: CheckpointFiles, opened: Shard[]): Promise<Map<string, Place>> {
  const present = await files.list();
  if (present.includes(SINGLE_FILE)) return openPlain(files, [SINGLE_FILE], opened);
  if (present.includes(INDEX_FILE)) return openIndexed(files, present, opened);
  const shards = present.filter((name) => SHARD.test(name));
  const absent = absentNumbers(shards);
  if (absent.length > 0) throw missingShards(files, absent, "the other files' names call for");
  if (shards.length > 0) return openPlain(files, shards, opened);
  throw new FoveaError(
    "no_checkpoint",
    `${files.description} holds no weights: expected ${SINGLE_FILE}, or ${INDEX_FILE} with its files; found ${quoted(present) || "no files"}. Weights in other formats must be converted to safetensors.`,
  );
}

/** What is said where a further file of weights is missing. */
export const missingWeightFile = (where: string, file: string): FoveaError =>
  new FoveaError(
    "missing_shard",
    `The weights in ${where} are incomplete: the model's configuration calls for "${file}", which is not there. Download it; weights in other formats must be converted to safetensors.`,
  );

/** Adds the tensors of further files. @throws FoveaError `missing_shard`, `invalid_safetensors` */
async function addFurther(
  files: CheckpointFiles,
  places: Map<string, Place>,
  opened: Shard[],
  weightFiles: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [file, beginning] of Object.entries(weightFiles)) {
    const shard = await openShard(files, file).catch((error: unknown) => {
      const isAbsent = error instanceof FoveaError && error.code === "file.not_found";
      throw isAbsent ? missingWeightFile(files.description, file) : error;
    });
    opened.push(shard);
    for (const [name, tensor] of shard.header.tensors) places.set(beginning + name, { source: shard.source, tensor });
  }
}

/**
 * Opens a model's weights and reads the headers; tensors are read when they are asked for. `model.safetensors` comes
 * before an index, and an index before loose `model*.safetensors`.
 * @throws FoveaError `no_checkpoint`, `missing_shard`, `missing_tensor`, `ambiguous_checkpoint`, `invalid_index`,
 * `invalid_safetensors`
 */
export async function openCheckpoint(files: CheckpointFiles, options: CheckpointOptions = {}): Promise<Checkpoint> {
  const opened: Shard[] = [];
  const closeAll = async (): Promise<void> => {
    await Promise.all(opened.splice(0).map((shard) => shard.source.close()));
  };
  let places: Map<string, Place>;
  try {
    places = await findTensors(files, opened);
    await addFurther(files, places, opened, options.weightFiles ?? {});
  } catch (error) {
    await closeAll();
    throw error;
  }
  const slices = new SliceBuffer(options.sliceBytes ?? DEFAULT_SLICE_BYTES);
  const names = [...places.keys()].sort();
  let closed = false;

  const placeOf = (name: string, shape: readonly number[]): Place => {
    if (closed)
      throw new FoveaError("closed", `The weights in ${files.description} were closed; load the model again.`);
    const place = places.get(name);
    if (place === undefined) throw missingTensor(files.description, names, name, [""]);
    const found = place.tensor.shape;
    if (found.length !== shape.length || found.some((size, i) => size !== shape[i])) {
      throw new FoveaError(
        "wrong_shape",
        `Tensor "${name}" in ${place.source.name} has the shape ${shapeText(found)}; expected ${shapeText(shape)}. The configuration and the weights belong to different models.`,
      );
    }
    return place;
  };

  return {
    description: files.description,
    names,
    has: (name) => places.has(name),
    shapeOf: (name) => places.get(name)?.tensor.shape,
    identityOf: (name) => places.get(name)?.source.identity,
    readTensor: async (name, shape, read) => {
      const { source, tensor } = placeOf(name, shape);
      return readTensor(source, tensor, slices, read);
    },
    close: async () => {
      closed = true;
      await closeAll();
    },
  };
}

function missingTensor(where: string, names: readonly string[], name: string, prefixes: readonly string[]): FoveaError {
  const tried = prefixes.map((p) => `"${p}${name}"`);
  const asked = tried.length < 2 ? "" : ` (tried ${tried.join(", ")})`;
  const near = prefixes.map((p) => nearest(p + name, names)).find((n) => n !== undefined);
  const held =
    names.length === 0
      ? "it holds no tensors"
      : `it holds ${names.length} tensors, such as ${quoted(names.slice(0, 3))}`;
  const hint = near === undefined ? `; ${held}` : `; the nearest name is "${near}"`;
  return new FoveaError(
    "missing_tensor",
    `Tensor "${name}" is not in ${where}${asked}${hint}. The configuration and the weights belong to different models, or the file is incomplete.`,
  );
}

/**
 * Finds an encoder's own name among a checkpoint's, whatever outer model it was saved in. Prefixes are tried in their order
 * before every spelling; the first that fits is used, name by name.
 */
export function createNameResolver(
  has: (name: string) => boolean,
  { prefixes, oldEndings = {}, optionalBeginnings = [] }: TensorSpelling,
): (name: string) => string | undefined {
  const spellings = (name: string): readonly string[] => [
    name,
    ...Object.entries(oldEndings)
      .filter(([own]) => name.endsWith(own))
      .map(([own, old]) => name.slice(0, name.length - own.length) + old),
    ...optionalBeginnings.filter((own) => name.startsWith(own)).map((own) => name.slice(own.length)),
  ];
  return (name) =>
    spellings(name)
      .flatMap((spelling) => prefixes.map((prefix) => prefix + spelling))
      .find(has);
}

/** Tensors by an encoder's own names; see {@link createNameResolver}. */
export function createTensorSource(checkpoint: Checkpoint, spelling: TensorSpelling): TensorSource {
  const resolve = createNameResolver((name) => checkpoint.has(name), spelling);
  return {
    has: (name) => resolve(name) !== undefined,
    shapeOf: (name) => checkpoint.shapeOf(resolve(name) ?? name),
    identityOf: (name) => {
      const full = resolve(name);
      const file = full === undefined ? undefined : checkpoint.identityOf(full);
      return file === undefined ? undefined : `${full} of ${file}`;
    },
    read: async (name, shape, options) => {
      const full = resolve(name);
      if (full === undefined) throw missingTensor(checkpoint.description, checkpoint.names, name, spelling.prefixes);
      return checkpoint.readTensor(full, shape, options);
    },
    close: () => checkpoint.close(),
  };
}
