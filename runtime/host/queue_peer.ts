/** BullMQ and its client of Redis and Valkey: optional peers, loaded when a queue is first used. */
import { FoveaError } from "../core/diagnostics.ts";

/** The part of an ioredis client that is used. */
export interface RedisClient {
  connect(): Promise<void>;
  disconnect(): void;
  quit(): Promise<unknown>;
  select(database: number): Promise<unknown>;
  on(event: "error", listener: (error: Error) => void): unknown;
  hset(key: string, field: string, value: string): Promise<number>;
  hget(key: string, field: string): Promise<string | null>;
  del(key: string): Promise<number>;
}

/** A job as the queue keeps it. */
export interface QueueJob<Data> {
  readonly id?: string;
  readonly data: Data;
  readonly failedReason?: string;
  readonly attemptsMade: number;
  /** Counts those that a kill ended as well. */
  readonly attemptsStarted: number;
  retry(
    state: "failed",
    options: { readonly resetAttemptsMade: boolean; readonly resetAttemptsStarted: boolean },
  ): Promise<void>;
}

export interface JobOptions {
  readonly jobId: string;
  readonly attempts: number;
  readonly backoff: { readonly type: "exponential"; readonly delay: number; readonly jitter?: number };
}

export interface JobQueue<Data> {
  addBulk(jobs: readonly { readonly name: string; readonly data: Data; readonly opts: JobOptions }[]): Promise<unknown>;
  getJobCounts(...states: readonly string[]): Promise<Readonly<Record<string, number>>>;
  getFailed(from: number, to: number): Promise<readonly QueueJob<Data>[]>;
  /** Removes at most `limit` jobs that ended `grace` milliseconds ago or earlier; resolves to their names. */
  clean(grace: number, limit: number, type: "completed" | "failed"): Promise<readonly string[]>;
  /** Removes the queue with all its jobs; without `force` it fails where jobs are under way. */
  obliterate(options: { readonly force: boolean }): Promise<void>;
  on(event: "error", listener: (error: Error) => void): unknown;
  close(): Promise<void>;
}

export interface JobWorker {
  run(): Promise<void>;
  /** Waits for the jobs that are under way. */
  close(): Promise<void>;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "completed" | "failed", listener: () => void): unknown;
}

export interface QueueOptions {
  readonly connection: RedisClient;
}

export interface WorkerOptions extends QueueOptions {
  readonly autorun: false;
  readonly concurrency: number;
  /** Milliseconds until a job whose worker says nothing is given to another. */
  readonly lockDuration: number;
  readonly stalledInterval: number;
  readonly maxStalledCount: number;
  readonly runRetryDelay: number;
}

export interface QueuePeer {
  readonly Queue: new <Data>(name: string, options: QueueOptions) => JobQueue<Data>;
  readonly Worker: new <Data>(
    name: string,
    work: (job: QueueJob<Data>) => Promise<unknown>,
    options: WorkerOptions,
  ) => JobWorker;
  /** Ends a job at once, without further attempts. */
  readonly UnrecoverableError: new (
    message: string,
  ) => Error;
  readonly Redis: new (
    url: string,
    options: { readonly maxRetriesPerRequest: null; readonly lazyConnect: boolean },
  ) => RedisClient;
}

// Not literals: bundlers and registries must not take optional peers for dependencies.
const PEERS = ["bullmq", "ioredis"] as const;

/** @throws FoveaError `missing_package` */
export async function loadQueuePeer(): Promise<QueuePeer> {
  try {
    const [bullmq, ioredis] = await Promise.all(PEERS.map((name) => import(name)));
    const { Queue, Worker, UnrecoverableError } = bullmq as Omit<QueuePeer, "Redis">;
    return { Queue, Worker, UnrecoverableError, Redis: (ioredis as Pick<QueuePeer, "Redis">).Redis };
  } catch (cause) {
    throw queuePeerError(cause);
  }
}

/** Why the packages did not load: they are missing, or Deno did not permit them. */
export function queuePeerError(cause: unknown): FoveaError {
  const [line] = (cause instanceof Error ? cause.message : String(cause)).split("\n");
  // Where fovea itself lies helps nobody.
  const why = line.replace(/ (imported )?from .*/, "").replace(/\.$/, "");
  const flag = /--allow-[a-z]+/.exec(why)?.[0];
  const then =
    flag === undefined
      ? `do not load here: ${why}. Install them beside fovea with \`npm install bullmq ioredis\``
      : `were not permitted to load. Deno needs ${flag}`;
  return new FoveaError("missing_package", `Queues need the packages bullmq and ioredis, which ${then}.`, { cause });
}
