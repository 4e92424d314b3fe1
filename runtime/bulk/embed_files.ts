/** Vectors of many files on one machine: `fovea embed … --out photos.parquet`. */
import type { Modality } from "../abi/encoder.ts";
import { bytesText, FoveaError } from "../core/diagnostics.ts";
import { detectHost, type Host } from "../host/mod.ts";
import type { LoadOptions, Runtime } from "../session.ts";
import { checkEmbedOptions, checkPlaces } from "./check_options.ts";
import { readContent } from "./content.ts";
import { isThere } from "./durable.ts";
import { describeVectors, type FileEncoder, openFileEncoder } from "./file_encoder.ts";
import { findFiles, isRecording } from "./find_files.ts";
import { checkOut, readVectors } from "./formats/format.ts";
import { journalOf, refuseJournal } from "./journal.ts";
import { findShards, shardPath } from "./shards.ts";
import { headAt } from "./vector_files.ts";
import { VectorSink, type VectorSinkOptions } from "./vector_sink.ts";
import { checkSameVectors, entriesOf, keyOf, type VectorHead } from "./vectors.ts";

/** How far a run is. */
export interface BulkProgress {
  /** Files, or jobs of a queue. */
  readonly total: number;
  /** Files that are done with, for whatever reason. */
  readonly done: number;
  /** Files that got a vector. */
  readonly encoded: number;
  /** Files whose content had a vector already. */
  readonly skipped: number;
  /** Files that could not be read or encoded. */
  readonly failed: number;
}

/** How the model is loaded, and where vectors go. */
export interface EmbedFilesOptions extends Pick<LoadOptions, "dtype" | "calibration" | "signal"> {
  /** `x.parquet`, `x.safetensors` or `x.npy`. */
  readonly out: string;
  /** Goes on with what is there: files whose path and content have a vector are not encoded again. False unless given. */
  readonly resume?: boolean;
  /** Rows of a file; there are then `x-00000.parquet`, `x-00001.parquet`, …; one file, of 1 GiB of vectors at most, unless given. */
  readonly shardRows?: number;
  /** Result that the vectors are; the model's embedding unless given. */
  readonly output?: string;
  /** Told at the begin and after each file. */
  readonly onProgress?: (progress: BulkProgress) => void;
}

/** A file that has no vector, and why. */
export interface FailedFile {
  /** As it was found, or given. */
  readonly path: string;
  /** What was wrong, as a sentence. */
  readonly message: string;
}

/** What a run did. */
export interface EmbedFilesReport extends BulkProgress {
  /** What made the vectors. */
  readonly head: VectorHead;
  /** Files without a vector, in the order in which they failed. */
  readonly failures: readonly FailedFile[];
  /** Files of vectors that were written. */
  readonly written: readonly string[];
  /** Milliseconds of the whole, loading included. */
  readonly ms: number;
}

/** Files that are read or wait for the device at once. */
const AT_ONCE = 64;

/** Vectors that one file of them may hold, in bytes: they are in memory when it is written. */
const MAX_FILE_BYTES = 2 ** 30;

/** The tower that files need. @throws FoveaError `bad_usage` for pictures and recordings together */
export function modalityOfFiles(files: readonly string[]): Modality {
  const recording = files.find(isRecording);
  const picture = files.find((file) => !isRecording(file));
  if (recording !== undefined && picture !== undefined) {
    throw new FoveaError(
      "bad_usage",
      `Vectors of pictures and recordings do not go into one file, and there are both, such as ${picture} and ${recording}; name them in runs of their own.`,
    );
  }
  return recording === undefined ? "vision" : "audio";
}

interface Begun {
  readonly sink: VectorSink;
  /** Paths with contents that have a vector. */
  readonly known: Set<string>;
  /** Vectors by their content, as far as they are in memory. */
  readonly vectors: Map<string, Float32Array>;
}

/** What made the vectors that are there already, in the file or in the first of several. */
async function earlierHead(host: Host, { out, shardRows }: EmbedFilesOptions): Promise<VectorHead | undefined> {
  if (shardRows === undefined) return headAt(host, out);
  const { shards, journals } = await findShards(host, out);
  const [first] = [...shards, ...journals];
  return first === undefined ? undefined : headAt(host, shardPath(out, first.number));
}

/** Takes up what is there, or makes sure that nothing is. */
async function begin(
  host: Host,
  head: VectorHead,
  { out, resume = false, shardRows }: EmbedFilesOptions,
  rank: VectorSinkOptions["rank"],
): Promise<Begun> {
  const common = { host, head, ...(rank === undefined ? {} : { rank }) };
  if (shardRows === undefined) {
    if (!resume) await refuseJournal(host, journalOf(out));
    const base = resume && (await isThere(host, out)) ? await readVectors(host, out) : undefined;
    if (base !== undefined) checkSameVectors(base.head, head, out);
    const sink = await VectorSink.open({
      ...common,
      pathOf: () => out,
      first: 0,
      ...(base === undefined ? {} : { base }),
    });
    const entries = [...(base === undefined ? [] : entriesOf(base)), ...sink.entries];
    return {
      sink,
      known: new Set(entries.map(({ row }) => keyOf(row))),
      vectors: new Map(entries.map(({ row, vector }) => [row.digest, vector])),
    };
  }
  const { shards, journals } = await findShards(host, out);
  if (!resume && shards.length + journals.length > 0) {
    throw new FoveaError(
      "unfinished_run",
      `${[...shards, ...journals][0].path} is there already; add --resume to go on with that run, or delete its files.`,
    );
  }
  const known = new Set<string>();
  for (const { path } of shards) {
    const { head: found, rows } = await readVectors(host, path, { vectors: false });
    checkSameVectors(found, head, path);
    for (const row of rows) known.add(keyOf(row));
  }
  const first = Math.max(-1, ...shards.map(({ number }) => number)) + 1;
  // A kill between a shard's last step and this one left its journal.
  for (const { number, path } of journals) if (number < first) await host.remove(path);
  const sink = await VectorSink.open({ ...common, pathOf: (number) => shardPath(out, number), first, shardRows });
  for (const { row } of sink.entries) known.add(keyOf(row));
  return { sink, known, vectors: new Map(sink.entries.map(({ row, vector }) => [row.digest, vector])) };
}

/**
 * Encodes pictures or recordings and writes a row for each: path, SHA-256 of its bytes, size and vector. Equal contents are
 * encoded once. A kill at any moment loses nothing that was encoded: the next run with `resume` finds it in the journal beside
 * the output.
 * @param model folder, `hf:organisation/name` or address
 * @param files paths, addresses, folders and patterns such as `photos/**`
 * @returns also what could not be read; the rest is written all the same
 * @throws FoveaError `no_files`, `bad_usage`, `unfinished_run`, `other_model`, `taken_over` by a run of
 * the same output that began later, and those of loading and of files
 */
export async function embedFiles(
  runtime: Runtime,
  model: string,
  files: readonly string[],
  options: EmbedFilesOptions,
): Promise<EmbedFilesReport> {
  checkPlaces("embedFiles", files);
  checkEmbedOptions("embedFiles", options);
  const host = await detectHost();
  const { out, output, calibration, onProgress } = options;
  const signal = options.signal ?? new AbortController().signal;
  const started = host.now();
  await checkOut(host, out);
  const unread: FailedFile[] = [];
  const paths = await findFiles(host, files, (path, error) => unread.push({ path, message: messageOf(error) }));
  // A run that goes on keeps to the type that it began with.
  const dtype = options.dtype ?? (options.resume === true ? (await earlierHead(host, options))?.dtype : undefined);
  const head = await describeVectors(runtime, model, {
    modality: modalityOfFiles(paths),
    ...(output === undefined ? {} : { output }),
    ...(dtype === undefined ? {} : { dtype }),
  });
  const encoder = await openFileEncoder(runtime, head, {
    signal,
    ...(calibration === undefined ? {} : { calibration }),
  });
  const order = new Map(paths.map((path, i) => [path, i]));
  let sink: VectorSink | undefined;
  try {
    const begun = await begin(host, head, options, ({ path }) => order.get(path) ?? -1);
    sink = begun.sink;
    const run = new Run(host, encoder, begun, { total: paths.length + unread.length, unread, signal, options });
    onProgress?.(run.progress);
    await run.all(paths);
    await sink.finish();
    return {
      ...run.progress,
      head,
      failures: run.failures,
      written: sink.written,
      ms: host.now() - started,
    };
  } catch (error) {
    await sink?.close().catch(() => undefined);
    throw error;
  } finally {
    encoder.close();
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

interface RunOptions {
  readonly total: number;
  /** Folders that could not be listed. */
  readonly unread: readonly FailedFile[];
  readonly signal: AbortSignal;
  readonly options: EmbedFilesOptions;
}

/** One run over the files, several of them at a time. */
class Run {
  readonly #host: Host;
  readonly #encoder: FileEncoder;
  readonly #begun: Begun;
  readonly #options: RunOptions;
  /** Contents that are being encoded. */
  readonly #underWay = new Map<string, Promise<Float32Array>>();
  readonly #failed = new Map<string, FailedFile>();
  #encoded = 0;
  #skipped = 0;

  constructor(host: Host, encoder: FileEncoder, begun: Begun, options: RunOptions) {
    this.#host = host;
    this.#encoder = encoder;
    this.#begun = begun;
    this.#options = options;
    for (const one of options.unread) this.#failed.set(one.path, one);
  }

  get progress(): BulkProgress {
    const [encoded, skipped, failed] = [this.#encoded, this.#skipped, this.#failed.size];
    return { total: this.#options.total, done: encoded + skipped + failed, encoded, skipped, failed };
  }

  get failures(): readonly FailedFile[] {
    return [...this.#failed.values()];
  }

  async all(paths: readonly string[]): Promise<void> {
    const { signal, options } = this.#options;
    let next = 0;
    let ended = false;
    const worker = async (): Promise<void> => {
      while (next < paths.length && !ended) {
        signal.throwIfAborted();
        await this.#one(paths[next++]);
        options.onProgress?.(this.progress);
      }
    };
    try {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, paths.length) }, worker));
    } finally {
      ended = true;
    }
  }

  async #one(path: string): Promise<void> {
    const { signal } = this.#options;
    const { known, sink } = this.#begun;
    let row: { readonly path: string; readonly digest: string; readonly size: number };
    let vector: Float32Array;
    try {
      const { bytes, digest } = await readContent(this.#host, path, signal);
      row = { path, digest, size: bytes.length };
      if (known.has(keyOf(row))) {
        this.#skipped++;
        return;
      }
      vector = await this.#vectorOf(bytes, row);
    } catch (error) {
      signal.throwIfAborted();
      this.#failed.set(path, { path, message: messageOf(error) });
      return;
    }
    this.#checkSize(vector.byteLength);
    await sink.append(row, vector);
    known.add(keyOf(row));
    this.#encoded++;
  }

  async #vectorOf(
    bytes: Uint8Array,
    { path, digest }: { readonly path: string; readonly digest: string },
  ): Promise<Float32Array> {
    const known = this.#begun.vectors.get(digest) ?? this.#underWay.get(digest);
    if (known !== undefined) return known;
    const vector = this.#encoder.encode(bytes, path, this.#options.signal);
    this.#underWay.set(digest, vector);
    try {
      return await vector;
    } finally {
      this.#underWay.delete(digest);
    }
  }

  /** @throws FoveaError `bad_usage` */
  #checkSize(rowBytes: number): void {
    const { total, options } = this.#options;
    if (options.shardRows !== undefined || total * rowBytes <= MAX_FILE_BYTES) return;
    throw new FoveaError(
      "bad_usage",
      `${total} vectors of ${bytesText(rowBytes)} would make ${options.out} too large for this process's memory; write shards, such as --shard-rows ${Math.floor(MAX_FILE_BYTES / 4 / rowBytes)}.`,
    );
  }
}
