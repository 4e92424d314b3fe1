/** Putting files into a queue as jobs. */

import { FoveaError } from "../core/diagnostics.ts";
import { detectHost, type Host } from "../host/mod.ts";
import type { LoadOptions, Runtime } from "../session.ts";
import { checkEnqueueOptions, checkPlaces } from "./check_options.ts";
import { readContent } from "./content.ts";
import { type BulkProgress, type FailedFile, modalityOfFiles } from "./embed_files.ts";
import { describeVectors } from "./file_encoder.ts";
import { findFiles } from "./find_files.ts";
import { countJobs, openQueue, type QueueCounts, type QueuePlace, totalJobs } from "./queue.ts";
import { type EncodeJob, JOB_NAME, jobName, modelName } from "./queue_protocol.ts";
import type { VectorHead } from "./vectors.ts";

/** Which queue, and what its jobs are to make. */
export interface EnqueueOptions extends QueuePlace, Pick<LoadOptions, "dtype"> {
  /** Result that the vectors are; the model's embedding unless given. */
  readonly output?: string;
  /** Attempts before a job is a dead letter; 5 unless given. */
  readonly attempts?: number;
  /** Milliseconds before the second attempt, doubled with each further one; 1000 unless given. */
  readonly backoffMs?: number;
  /** Ends reading and adding; jobs that were added stay. */
  readonly signal?: AbortSignal;
  /** Told after every 500 files at most; `encoded` are those that have a job. */
  readonly onProgress?: (progress: BulkProgress) => void;
  /** Told while the queue does not answer, every 5 seconds at most. */
  readonly onProblem?: (sentence: string) => void;
}

/** What was enqueued. */
export interface EnqueueReport {
  /** What the vectors will say of themselves. */
  readonly head: VectorHead;
  /** Files that were named, each once. */
  readonly files: number;
  /** Jobs that the queue did not have. */
  readonly added: number;
  /** Files that could not be read, and have no job. */
  readonly failures: readonly FailedFile[];
  /** Jobs of the queue when all were added. */
  readonly counts: QueueCounts;
}

const ATTEMPTS = 5;
const BACKOFF_MS = 1000;
/** Share of a wait that is drawn by lot, so that what failed together is not tried again together. */
const JITTER = 0.5;

/** Files that are read at once for their digests, and jobs that are added at once. */
const AT_ONCE = 16;
const ADDED_AT_ONCE = 500;

const LIST = /\.(txt|list)$/i;

interface Listed {
  readonly path: string;
  readonly digest?: string;
}

/** Lines of a list: a path or an address, after its SHA-256 and two spaces where it is known, as `sha256sum` prints them. */
export function parseList(text: string): readonly Listed[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const [, digest, path] = /^(?:([0-9a-f]{64}) [ *])?(.+)$/.exec(line.trim()) ?? [];
    if (path === undefined || path.startsWith("#")) return [];
    return [digest === undefined ? { path } : { path, digest }];
  });
}

async function listedFiles(host: Host, given: readonly string[]): Promise<readonly Listed[]> {
  const listed: Listed[] = [];
  for (const one of given) {
    if (LIST.test(one)) listed.push(...parseList(new TextDecoder().decode(await host.readFile(one))));
    else listed.push(...(await findFiles(host, [one])).map((path) => ({ path })));
  }
  const byPath = new Map(listed.map((one) => [one.path, one]));
  if (byPath.size > 0) return [...byPath.values()];
  throw new FoveaError("no_files", `${given.join(", ")} names no file.`);
}

/**
 * Adds a job for each file to a queue. Jobs hold the file's path or address with the SHA-256 of its bytes and the model's name;
 * what the queue has already, done or not, is not added again.
 * @param model as workers are to load it
 * @param files paths, addresses, folders, patterns, and lists of files that end in .txt or .list
 * @throws FoveaError `no_files`, `bad_usage`, `missing_package`, `queue_unreachable`, and those of opening a model
 */
export async function enqueueFiles(
  runtime: Runtime,
  model: string,
  files: readonly string[],
  options: EnqueueOptions,
): Promise<EnqueueReport> {
  checkPlaces("enqueueFiles", files);
  checkEnqueueOptions("enqueueFiles", options);
  const host = await detectHost();
  const { attempts = ATTEMPTS, backoffMs = BACKOFF_MS, output, dtype, onProgress, onProblem } = options;
  const signal = options.signal ?? new AbortController().signal;
  const listed = await listedFiles(host, files);
  const head = await describeVectors(runtime, model, {
    modality: modalityOfFiles(listed.map(({ path }) => path)),
    ...(output === undefined ? {} : { output }),
    ...(dtype === undefined ? {} : { dtype }),
  });
  const queue = await openQueue(options, onProblem ?? (() => {}));
  try {
    const before = totalJobs(await countJobs(queue));
    const name = modelName(host, head);
    await queue.putHead(name, head);
    const opts = { attempts, backoff: { type: "exponential", delay: backoffMs, jitter: JITTER } } as const;
    const failures: FailedFile[] = [];
    let done = 0;
    for (let from = 0; from < listed.length; from += ADDED_AT_ONCE) {
      const part = listed.slice(from, from + ADDED_AT_ONCE);
      const jobs: EncodeJob[] = [];
      let next = 0;
      const worker = async (): Promise<void> => {
        while (next < part.length) {
          signal.throwIfAborted();
          const { path, digest } = part[next++];
          try {
            jobs.push({ model: name, path, digest: digest ?? (await readContent(host, path, signal)).digest });
          } catch (error) {
            signal.throwIfAborted();
            failures.push({ path, message: error instanceof Error ? error.message : String(error) });
          }
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      await queue.jobs.addBulk(
        jobs.map((data) => ({ name: JOB_NAME, data, opts: { jobId: jobName(host, data), ...opts } })),
      );
      done += part.length;
      const failed = failures.length;
      onProgress?.({ total: listed.length, done, encoded: done - failed, skipped: 0, failed });
    }
    const counts = await countJobs(queue);
    return { head, files: listed.length, added: totalJobs(counts) - before, failures, counts };
  } finally {
    await queue.close();
  }
}
