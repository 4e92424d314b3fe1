/** Looking after a queue: how far it is, its dead letters. */

import type { BulkProgress } from "./embed_files.ts";
import type { OpenedQueue } from "./queue.ts";
import { countJobs, openQueue, type QueueCounts, type QueuePlace, totalJobs } from "./queue.ts";

export interface QueueOptions extends QueuePlace {
  readonly onProblem?: (sentence: string) => void;
}

/** A job that no attempt is left for. */
export interface DeadLetter {
  readonly id: string;
  readonly path: string;
  readonly digest: string;
  /** Attempts that were made. */
  readonly attempts: number;
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

/** @throws FoveaError `missing_package`, `queue_unreachable`, `bad_usage` */
export function queueStatus(options: QueueOptions): Promise<QueueCounts> {
  return withQueue(options, countJobs);
}

/** Dead letters, the last that failed first. @param most how many of them */
export function deadLetters(options: QueueOptions & { readonly most?: number }): Promise<readonly DeadLetter[]> {
  const { most = Number.POSITIVE_INFINITY } = options;
  return withQueue(options, async ({ jobs }) => {
    const failed = await jobs.getFailed(0, Number.isFinite(most) ? most - 1 : -1);
    return failed.map(({ id = "", data, attemptsMade, failedReason = "" }) => ({
      ...{ id, path: data.path, digest: data.digest },
      ...{ attempts: attemptsMade, reason: failedReason },
    }));
  });
}

/** Gives dead letters all their attempts again. @returns how many there were */
export function retryDeadLetters(options: QueueOptions): Promise<number> {
  return withQueue(options, async ({ jobs }) => {
    const failed = await jobs.getFailed(0, -1);
    for (const job of failed) await job.retry("failed", { resetAttemptsMade: true, resetAttemptsStarted: false });
    return failed.length;
  });
}

export interface WatchOptions extends QueueOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds between two looks; 500 unless given. */
  readonly everyMs?: number;
  readonly onProgress?: (progress: BulkProgress) => void;
}

const LOOK_MS = 500;

/** Resolves when a queue has nothing left to do, or at the signal, with what became of its jobs. */
export function watchQueue(options: WatchOptions): Promise<QueueCounts> {
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
