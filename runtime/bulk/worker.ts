/** A worker of a queue: takes jobs, encodes what they refer to, and says done once the vector is on the disk. */

import { FoveaError } from "../core/diagnostics.ts";
import { detectHost, type Host, type QueueJob } from "../host/mod.ts";
import type { LoadOptions, Runtime } from "../session.ts";
import { checkWorkerOptions } from "./check_options.ts";
import { readContent } from "./content.ts";
import { describeVectors, type FileEncoder, openFileEncoder } from "./file_encoder.ts";
import { isAddress } from "./find_files.ts";
import { createKnownRows, type KnownRows } from "./known_rows.ts";
import { countJobs, type OpenedQueue, openQueue, type QueuePlace } from "./queue.ts";
import { type EncodeJob, resultFolder } from "./queue_protocol.ts";
import { shardPath } from "./shards.ts";
import { VectorSink } from "./vector_sink.ts";
import { checkSameModel, keyOf, type VectorHead } from "./vectors.ts";

/** Which queue a worker serves, and how. */
export interface WorkerOptions extends QueuePlace, Pick<LoadOptions, "calibration"> {
  /** Folder of results, made when it is not there. */
  readonly out: string;
  /** `parquet` unless given. */
  readonly format?: "parquet" | "safetensors" | "npy";
  /** Rows of a file of results; 10000 unless given. */
  readonly shardRows?: number;
  /** Folder that paths of jobs are relative to; the working directory unless given. */
  readonly root?: string;
  /** Where the model lies for this worker, if not where jobs say. */
  readonly model?: string;
  /** Files that are read or wait for the device at once; 64 unless given. */
  readonly concurrency?: number;
  /** Milliseconds of silence after which another worker takes a worker's jobs; 30000 unless given. */
  readonly stalledAfterMs?: number;
  /** Ends when the queue has nothing to do, rather than waiting for more. */
  readonly drain?: boolean;
  /** Finishes the jobs that were begun and ends. */
  readonly signal?: AbortSignal;
  /** Told after each attempt at a job. */
  readonly onProgress?: (progress: WorkerProgress) => void;
  /** Told while the queue does not answer, every 5 seconds at most. */
  readonly onProblem?: (sentence: string) => void;
}

/** How far a worker is. */
export interface WorkerProgress {
  /** Jobs of this worker's that were encoded. */
  readonly encoded: number;
  /** Jobs whose vector was there. */
  readonly skipped: number;
  /** Attempts that failed. */
  readonly failed: number;
}

/** What a worker did until it ended. */
export interface WorkerReport extends WorkerProgress {
  /** Files of vectors that were written. */
  readonly written: readonly string[];
}

const CONCURRENCY = 64;
const SHARD_ROWS = 10_000;
const STALLED_AFTER_MS = 30_000;
/** A job that ended so many workers is a dead letter. */
const MOST_STALLS = 5;
/** Milliseconds until what the queue did not hear is said again. */
const RETRY_MS = 1000;
/** Milliseconds between two looks at an empty queue. */
const DRAIN_MS = 250;

/** Errors that the next attempt would meet as well. */
const PERMANENT = /^(image|audio)\.|^(invalid_input|no_vector|changed_content)$/;

interface Target {
  readonly encoder: FileEncoder;
  readonly sink: VectorSink;
  readonly known: KnownRows;
}

/**
 * Works on a queue until the signal, or with `drain` until nothing is left to do. Every vector is in a journal in the folder of
 * results, and on the disk, before its job counts as done; journals become files of `shardRows` rows. docs/bulk.md says what
 * a kill can and cannot do.
 * @throws FoveaError `missing_package`, `queue_unreachable`, `bad_usage`, and those of files of results
 */
export async function runWorker(runtime: Runtime, options: WorkerOptions): Promise<WorkerReport> {
  checkWorkerOptions("runWorker", options);
  const host = await detectHost();
  const queue = await openQueue(options, options.onProblem ?? (() => {}));
  const worker = new BulkWorker(host, runtime, queue, options);
  try {
    await worker.run();
    return worker.report;
  } finally {
    await worker.close();
    await queue.close();
  }
}

class BulkWorker {
  readonly #host: Host;
  readonly #runtime: Runtime;
  readonly #queue: OpenedQueue;
  readonly #options: WorkerOptions;
  readonly #targets = new Map<string, Promise<Target>>();
  readonly #ended = new AbortController();
  #failure: { readonly error: unknown } | undefined;
  #counts: WorkerProgress = { encoded: 0, skipped: 0, failed: 0 };
  #written: readonly string[] = [];

  constructor(host: Host, runtime: Runtime, queue: OpenedQueue, options: WorkerOptions) {
    this.#host = host;
    this.#runtime = runtime;
    this.#queue = queue;
    this.#options = options;
  }

  get report(): WorkerReport {
    return { ...this.#counts, written: this.#written };
  }

  async run(): Promise<void> {
    const { concurrency = CONCURRENCY, stalledAfterMs = STALLED_AFTER_MS, signal, drain = false } = this.#options;
    const { peer, name, connection } = this.#queue;
    const worker = new peer.Worker<EncodeJob>(name, (job) => this.#work(job), {
      ...{ connection, concurrency, autorun: false, maxStalledCount: MOST_STALLS, runRetryDelay: RETRY_MS },
      ...{ lockDuration: stalledAfterMs, stalledInterval: stalledAfterMs },
    });
    // Broken connections are told by the queue's own.
    worker.on("error", () => {});
    const end = (): void => this.#ended.abort();
    signal?.addEventListener("abort", end, { once: true });
    if (signal?.aborted === true) end();
    const running = worker.run();
    try {
      await Promise.race([running, aborted(this.#ended.signal), ...(drain ? [this.#drained()] : [])]);
    } finally {
      end();
      signal?.removeEventListener("abort", end);
      await worker.close();
      await running.catch(() => undefined);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    await this.#finish();
  }

  /** Resolves when nothing waits, runs anywhere or will be tried again. */
  async #drained(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      const { waiting, active, delayed } = await countJobs(this.#queue);
      if (waiting + active + delayed === 0) return;
      await new Promise((resolve) => setTimeout(resolve, DRAIN_MS));
    }
  }

  async #work(job: QueueJob<EncodeJob>): Promise<object> {
    try {
      const encoded = await this.#encode(job);
      this.#count(encoded ? "encoded" : "skipped");
      return {};
    } catch (error) {
      this.#count("failed");
      if (!(error instanceof FoveaError) || !PERMANENT.test(error.code)) throw error;
      throw new this.#queue.peer.UnrecoverableError(error.message);
    }
  }

  #count(what: keyof WorkerProgress): void {
    this.#counts = { ...this.#counts, [what]: this.#counts[what] + 1 };
    this.#options.onProgress?.(this.#counts);
  }

  /** False where the vector was there. */
  async #encode({ data, attemptsStarted }: QueueJob<EncodeJob>): Promise<boolean> {
    const { path, digest } = data;
    const { encoder, sink, known } = await this.#target(data.model);
    // Whoever had the job before may have come as far as the journal.
    if (attemptsStarted > 1) await known.refresh();
    const key = keyOf({ path, digest });
    if (known.has(key)) return false;
    const { root } = this.#options;
    const place = root === undefined || isAddress(path) || path.startsWith("/") ? path : `${root}/${path}`;
    const content = await readContent(this.#host, place, new AbortController().signal);
    if (content.digest !== digest) {
      throw new FoveaError(
        "changed_content",
        `${place} has other bytes than when it was enqueued: SHA-256 ${content.digest.slice(0, 12)}… instead of ${digest.slice(0, 12)}…. Enqueue it again.`,
      );
    }
    const vector = await encoder.encode(content.bytes, path, new AbortController().signal);
    try {
      await sink.append({ path, digest, size: content.bytes.length }, vector);
    } catch (error) {
      return this.#fail(error);
    }
    known.add(key);
    return true;
  }

  /** Ends the worker where it is at fault, without a place for results or the jobs' model: they are others' to do. */
  #fail(error: unknown): never {
    this.#failure ??= { error };
    this.#ended.abort();
    throw error;
  }

  #target(model: string): Promise<Target> {
    let target = this.#targets.get(model);
    if (target === undefined) {
      target = this.#open(model);
      this.#targets.set(model, target);
      // The next job may find what was missing.
      target.catch(() => this.#targets.delete(model));
    }
    return target;
  }

  async #open(model: string): Promise<Target> {
    const { out, format = "parquet", shardRows = SHARD_ROWS, calibration } = this.#options;
    const wanted = await this.#queue.getHead(model);
    const { modality, output, dtype } = wanted;
    const source = this.#options.model ?? wanted.model;
    const describe = async (): Promise<VectorHead> => {
      const here = await describeVectors(this.#runtime, source, { modality, output, dtype });
      checkSameModel(here, wanted, `The model ${source}`, "name the model that the jobs are of");
      return here;
    };
    const isTold = this.#options.model !== undefined;
    const head = await describe().catch((error: unknown): never => {
      if (isTold) this.#fail(error);
      throw error;
    });
    const folder = resultFolder(out, head);
    await this.#host.mkdir(folder).catch((error: unknown) => this.#fail(error));
    const known = createKnownRows(this.#host, folder);
    await known.refresh();
    const encoder = await openFileEncoder(this.#runtime, head, calibration === undefined ? {} : { calibration });
    const own = `${folder}/${crypto.randomUUID()}.${format}`;
    const pathOf = (number: number): string => shardPath(own, number);
    try {
      const sink = await VectorSink.open({ host: this.#host, head, pathOf, first: 0, shardRows });
      return { encoder, sink, known };
    } catch (error) {
      encoder.close();
      throw error;
    }
  }

  async #opened(): Promise<readonly Target[]> {
    const all = await Promise.allSettled(this.#targets.values());
    return all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  }

  async #finish(): Promise<void> {
    const targets = await this.#opened();
    for (const { sink } of targets) await sink.finish();
    this.#written = targets.flatMap(({ sink }) => sink.written);
  }

  async close(): Promise<void> {
    for (const { sink, encoder } of await this.#opened()) {
      await sink.close().catch(() => undefined);
      encoder.close();
    }
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
