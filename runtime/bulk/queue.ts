/** A queue on Redis or Valkey, opened. */
import { FoveaError } from "../core/diagnostics.ts";
import { type JobQueue, loadQueuePeer, type QueuePeer, type RedisClient } from "../host/mod.ts";
import { type EncodeJob, headsKey } from "./queue_protocol.ts";
import { headText, parseHead, type VectorHead } from "./vectors.ts";

/** Where a queue is. */
export interface QueuePlace {
  /** `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. */
  readonly queue: string;
  /** Name of the queue there; `fovea` unless given. */
  readonly name?: string;
}

const QUEUE_NAME = "fovea";

/** An address without its password. */
export function queueText(address: string): string {
  return address.replace(/\/\/[^@/]*@/, "//");
}

export interface OpenedQueue {
  readonly peer: QueuePeer;
  readonly name: string;
  readonly connection: RedisClient;
  readonly jobs: JobQueue<EncodeJob>;
  /** Keeps what vectors of jobs with this model say of themselves. */
  putHead(model: string, head: VectorHead): Promise<void>;
  /** @throws FoveaError `unknown_job` */
  getHead(model: string): Promise<VectorHead>;
  close(): Promise<void>;
}

/**
 * Connects; afterwards a connection that breaks is made again for as long as it takes.
 * @param onProblem told that the connection broke
 * @throws FoveaError `missing_package`, `bad_usage`, `queue_unreachable`
 */
export async function openQueue(place: QueuePlace, onProblem: (sentence: string) => void): Promise<OpenedQueue> {
  const { queue: address, name = QUEUE_NAME } = place;
  if (!/^(redis|rediss|valkey|valkeys):\/\//.test(address)) {
    throw new FoveaError("bad_usage", `"${queueText(address)}" is no address of a queue; write redis://host:6379.`);
  }
  const database = /^\w+:\/\/[^/?#]*\/([^?#]+)/.exec(address)?.[1];
  if (database !== undefined && !/^\d{1,5}$/.test(database)) {
    throw new FoveaError(
      "bad_usage",
      `"${queueText(address)}" ends in "${database}", which is no number of a database; write redis://host:6379 or redis://host:6379/1. A queue's name is an option of its own.`,
    );
  }
  if (!/^[\w.-]+$/.test(name)) {
    throw new FoveaError("bad_usage", `A queue cannot be called "${name}"; use letters, digits, dots and dashes.`);
  }
  const peer = await loadQueuePeer();
  const where = queueText(address);
  const connection = new peer.Redis(address.replace(/^valkey/, "redis"), {
    maxRetriesPerRequest: null,
    lazyConnect: true,
  });
  let told = 0;
  let reason: string | undefined;
  const onError = (error: Error): void => {
    // Node tells of several addresses with an error that has no words.
    reason = error.message || (error as { readonly code?: string }).code || error.name;
    const now = performance.now();
    if (told !== 0 && now - told < PROBLEM_MS) return;
    if (told !== 0) onProblem(`The queue at ${where} does not answer (${reason}); trying again.`);
    told = now;
  };
  connection.on("error", onError);
  try {
    await connection.connect();
  } catch (cause) {
    connection.disconnect();
    const why = reason ?? (cause instanceof Error ? cause.message : String(cause));
    throw new FoveaError(
      "queue_unreachable",
      `No Redis or Valkey answers at ${where}: ${why}. Check the address, and that the server runs.`,
      { cause },
    );
  }
  if (database !== undefined) {
    try {
      // Where there is none of the number the client went on in database 0.
      await connection.select(Number(database));
    } catch (cause) {
      connection.disconnect();
      throw new FoveaError("bad_usage", `The server at ${where} has no database ${database}.`, { cause });
    }
  }
  told = 1;
  const jobs = new peer.Queue<EncodeJob>(name, { connection });
  jobs.on("error", onError);
  return {
    ...{ peer, name, connection, jobs },
    putHead: async (model, head) => {
      await connection.hset(headsKey(name), model, headText(head));
    },
    getHead: async (model) => {
      const text = await connection.hget(headsKey(name), model);
      if (text !== null) return parseHead(text, `The queue "${name}"`);
      throw new FoveaError("unknown_job", `The queue "${name}" at ${where} does not say what model its jobs are for.`);
    },
    close: async () => {
      await jobs.close();
      connection.disconnect();
    },
  };
}

/** Milliseconds between two sentences about one broken connection. */
const PROBLEM_MS = 5000;

/** Jobs by what has become of them. */
export interface QueueCounts {
  /** Not begun yet. */
  readonly waiting: number;
  /** Worked on now, or by a worker that has not been missed yet. */
  readonly active: number;
  /** Failed and waiting for the next attempt. */
  readonly delayed: number;
  /** Done, with a vector on the disk, and not cleaned away. */
  readonly completed: number;
  /** Dead letters: no attempt is left. */
  readonly failed: number;
}

export async function countJobs({ jobs }: OpenedQueue): Promise<QueueCounts> {
  const counts = await jobs.getJobCounts("wait", "prioritized", "paused", "active", "delayed", "completed", "failed");
  const sum = (...states: readonly string[]): number => states.reduce((n, state) => n + (counts[state] ?? 0), 0);
  return {
    waiting: sum("wait", "prioritized", "paused"),
    active: sum("active"),
    delayed: sum("delayed"),
    completed: sum("completed"),
    failed: sum("failed"),
  };
}

export const totalJobs = ({ waiting, active, delayed, completed, failed }: QueueCounts): number =>
  waiting + active + delayed + completed + failed;
