/** Looking after a queue: how far it is, its dead letters, what of it is no longer wanted. */

import { FoveaError } from "../core/diagnostics.ts";
import { countOf } from "../core/figures.ts";
import {
  checkCleanOptions,
  checkDeadLetterOptions,
  checkQueueOptions,
  checkRemoveOptions,
  checkWatchOptions,
} from "./check_options.ts";
import type { BulkProgress } from "./embed_files.ts";
import type { OpenedQueue } from "./queue.ts";
import { countJobs, openQueue, type QueueCounts, type QueuePlace, totalJobs } from "./queue.ts";
import { headsKey } from "./queue_protocol.ts";

/** Which queue. */
export interface QueueOptions extends QueuePlace {
  /** Told while the queue does not answer, every 5 seconds at most. */
  readonly onProblem?: (sentence: string) => void;
}

/** A job that no attempt is left for. */
export interface DeadLetter {
  /** Name of the job in the queue. */
  readonly id: string;
  /** Path or address of its file. */
  readonly path: string;
  /** SHA-256 that the file had when it was enqueued. */
  readonly digest: string;
  /** Attempts that were made. */
  readonly attempts: number;
  /** What the last attempt failed for. */
  readonly reason: string;
}

async function withQueue<T>(options: QueueOptions, work: (queue: OpenedQueue) => Promise<T>): Promise<T> {
  const queue = await openQueue(options, options.onProblem ?? (() => {}));
  try {
    return await work(queue);
  } finally {
    await queue.close();
  }
}

/** How many jobs are in which state. @throws FoveaError `missing_package`, `queue_unreachable`, `bad_usage` */
export async function queueStatus(options: QueueOptions): Promise<QueueCounts> {
  checkQueueOptions("queueStatus", options);
  return withQueue(options, countJobs);
}

/**
 * Dead letters, the last that failed first.
 * @param options with `most` no more than so many; all unless given
 * @throws FoveaError as {@link queueStatus}
 */
export async function deadLetters(options: QueueOptions & { readonly most?: number }): Promise<readonly DeadLetter[]> {
  checkDeadLetterOptions("deadLetters", options);
  const { most = Number.POSITIVE_INFINITY } = options;
  return withQueue(options, async ({ jobs }) => {
    const failed = await jobs.getFailed(0, Number.isFinite(most) ? most - 1 : -1);
    return failed.map(({ id = "", data, attemptsMade, failedReason = "" }) => ({
      ...{ id, path: data.path, digest: data.digest },
      ...{ attempts: attemptsMade, reason: failedReason },
    }));
  });
}

/**
 * Gives dead letters all their attempts again.
 * @returns how many there were
 * @throws FoveaError as {@link queueStatus}
 */
export async function retryDeadLetters(options: QueueOptions): Promise<number> {
  checkQueueOptions("retryDeadLetters", options);
  return withQueue(options, async ({ jobs }) => {
    const failed = await jobs.getFailed(0, -1);
    for (const job of failed) await job.retry("failed", { resetAttemptsMade: true, resetAttemptsStarted: false });
    return failed.length;
  });
}

/** What is removed of a queue. */
export interface CleanOptions extends QueueOptions {
  /** Removes done jobs; true unless given. */
  readonly done?: boolean;
  /** Removes dead letters; false unless given. */
  readonly failed?: boolean;
  /** Keeps jobs that ended within so many milliseconds; 0 unless given. */
  readonly olderThanMs?: number;
}

/** Jobs that were removed. */
export interface CleanReport {
  /** Done ones. */
  readonly done: number;
  /** Dead letters. */
  readonly failed: number;
}

/** Jobs that are removed at once: the queue's server answers nobody else meanwhile. */
const REMOVED_AT_ONCE = 1000;

/**
 * Removes what is over from a queue; results stay. A file whose job was removed can be enqueued again, and is not encoded
 * again where its vector is in the folder of results.
 * @throws FoveaError `missing_package`, `queue_unreachable`, `bad_usage`
 */
export async function cleanQueue(options: CleanOptions): Promise<CleanReport> {
  checkCleanOptions("cleanQueue", options);
  const { done = true, failed = false, olderThanMs = 0 } = options;
  return withQueue(options, async ({ jobs }) => {
    const remove = async (type: "completed" | "failed"): Promise<number> => {
      for (let removed = 0; ; ) {
        const { length } = await jobs.clean(olderThanMs, REMOVED_AT_ONCE, type);
        removed += length;
        if (length < REMOVED_AT_ONCE) return removed;
      }
    };
    return { done: done ? await remove("completed") : 0, failed: failed ? await remove("failed") : 0 };
  });
}

/**
 * Removes a queue with everything that it has in Redis; results stay.
 * @param options with `force` jobs that are not done go as well
 * @returns what became of its jobs
 * @throws FoveaError `queue_busy` where jobs are not done, `missing_package`, `queue_unreachable`, `bad_usage`
 */
export async function removeQueue(options: QueueOptions & { readonly force?: boolean }): Promise<QueueCounts> {
  checkRemoveOptions("removeQueue", options);
  const { force = false } = options;
  return withQueue(options, async (queue) => {
    const counts = await countJobs(queue);
    const left = counts.waiting + counts.active + counts.delayed;
    if (left > 0 && !force) {
      throw new FoveaError(
        "queue_busy",
        `The queue "${queue.name}" has ${countOf(left, "job")} that ${left === 1 ? "is" : "are"} not done; wait for ${left === 1 ? "it" : "them"} (\`fovea queue status --watch\`), or end its workers and remove it with --force.`,
      );
    }
    await queue.jobs.obliterate({ force });
    await queue.connection.del(headsKey(queue.name));
    return counts;
  });
}

/** How a queue is watched. */
export interface WatchOptions extends QueueOptions {
  /** Ends watching, at the next look; `watchQueue` resolves all the same. */
  readonly signal?: AbortSignal;
  /** Milliseconds between two looks; 500 unless given. */
  readonly everyMs?: number;
  /** Told at each look. */
  readonly onProgress?: (progress: BulkProgress) => void;
}

const LOOK_MS = 500;

/**
 * Resolves when a queue has nothing left to do, or at the signal, with what became of its jobs.
 * @throws FoveaError as {@link queueStatus}
 */
export async function watchQueue(options: WatchOptions): Promise<QueueCounts> {
  checkWatchOptions("watchQueue", options);
  return withQueue(options, async (queue) => {
    for (;;) {
      const counts = await countJobs(queue);
      const { completed, failed, waiting, active, delayed } = counts;
      options.onProgress?.({
        total: totalJobs(counts),
        ...{ done: completed + failed, encoded: completed, skipped: 0, failed },
      });
      if (waiting + active + delayed === 0 || options.signal?.aborted === true) return counts;
      await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? LOOK_MS));
    }
  });
}
