/**
 * Workers on a queue while workers and Redis are killed, and what came of it. Short in the tests, at full length in
 * `npm run soak`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Runtime } from "../../mod.ts";
import { collectResults, embedFiles, enqueueFiles, readVectors, type VectorTable } from "../../runtime/bulk/mod.ts";
import { countJobs, openQueue } from "../../runtime/bulk/queue.ts";
import { DIGITS, writePictures } from "./pictures.ts";
import { withRedis } from "./redis.ts";

export interface KillRunOptions {
  /** Empty folder for everything. */
  readonly folder: string;
  readonly runtime: Runtime;
  readonly items: number;
  /** Commands of the workers, each of which runs until the queue is done. */
  readonly commands: readonly (readonly string[])[];
  readonly env: Readonly<Record<string, string>>;
  /** What is killed, one after another at even distances of finished jobs. */
  readonly kills: readonly ("worker" | "redis")[];
  readonly shardRows: number;
  readonly stalledAfterMs: number;
  readonly say?: (sentence: string) => void;
}

export interface KillRunReport {
  readonly items: number;
  /** Rows after collecting. */
  readonly rows: number;
  /** Pictures without a row. */
  readonly missing: readonly string[];
  /** Rows of results beyond the first of their content: jobs that were done twice. */
  readonly repeated: number;
  /** Rows whose content another row has as well. */
  readonly doubled: number;
  /** Largest difference of any number from that of one process that nobody killed. */
  readonly worst: number;
  readonly deadLetters: number;
  /** Jobs under way when each kill came. */
  readonly underWay: readonly number[];
  /** Shards and journals that workers left. */
  readonly sources: number;
  readonly ms: number;
  /** Lines of workers that ended with an error though nobody killed them. */
  readonly problems: readonly string[];
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #text = "";
  killed = false;

  constructor(command: readonly string[], env: Readonly<Record<string, string>>) {
    const [program, ...args] = command;
    this.#child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (chunk) => {
        this.#text += chunk;
      });
    }
    this.#ended = once(this.#child, "close");
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async kill(): Promise<void> {
    this.killed = true;
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  /** What went wrong, if anything did. */
  async end(): Promise<readonly string[]> {
    await this.#ended;
    return this.killed || this.#child.exitCode === 0 ? [] : [`code ${this.#child.exitCode}: ${this.#text}`];
  }
}

/** Largest difference between rows of equal content. */
function worstDifference(found: VectorTable, expected: VectorTable): number {
  const at = new Map(expected.rows.map((row, i) => [row.digest, i]));
  let worst = 0;
  for (const [i, { digest }] of found.rows.entries()) {
    const other = at.get(digest);
    if (other === undefined) return Number.POSITIVE_INFINITY;
    for (let j = 0; j < found.width; j++) {
      const difference = found.vectors[i * found.width + j] - expected.vectors[other * expected.width + j];
      worst = Math.max(worst, Math.abs(difference));
    }
  }
  return worst;
}

export async function killRun(options: KillRunOptions): Promise<KillRunReport> {
  const { folder, runtime, items, commands, env, kills, shardRows, stalledAfterMs, say = () => {} } = options;
  const pictures = join(folder, "pictures");
  writePictures(pictures, items);
  await embedFiles(runtime, DIGITS, [pictures], { out: join(folder, "direct.parquet") });
  const expected = await readVectors(join(folder, "direct.parquet"));
  return withRedis(join(folder, "redis"), async (redis) => {
    const place = { queue: redis.url };
    const { added } = await enqueueFiles(runtime, DIGITS, [pictures], { ...place, attempts: 8, backoffMs: 100 });
    if (added !== items) throw new Error(`${added} jobs were added instead of ${items}`);
    const out = join(folder, "vectors");
    const how = ["--drain", "--shard-rows", `${shardRows}`, "--stalled-after", `${stalledAfterMs}`, "--json"];
    const start = (command: readonly string[]): WorkerProcess =>
      new WorkerProcess(
        [
          ...command,
          "worker",
          "--threads",
          "0",
          "--target",
          runtime.target,
          "--queue",
          redis.url,
          "--out",
          out,
          ...how,
        ],
        env,
      );
    const begin = performance.now();
    const workers = commands.map((command) => ({ command, process: start(command) }));
    const all = workers.map(({ process }) => process);
    const underWay: number[] = [];
    const queue = await openQueue(place, () => {});
    try {
      for (const [i, what] of kills.entries()) {
        const least = Math.floor((items * (i + 1)) / (kills.length + 2));
        let counts = await countJobs(queue);
        while (counts.completed < least || counts.active === 0) {
          if (counts.waiting + counts.active + counts.delayed === 0) throw new Error("the queue was done too soon");
          if (workers.every(({ process }) => !process.running)) throw new Error("all workers ended too soon");
          await pause(25);
          counts = await countJobs(queue);
        }
        underWay.push(counts.active);
        say(`${counts.completed} of ${items} done: killing ${what}`);
        if (what === "redis") {
          await redis.kill();
          await pause(300);
          await redis.start();
        } else {
          const victim = workers[i % workers.length];
          await victim.process.kill();
          victim.process = start(victim.command);
          all.push(victim.process);
        }
      }
      const problems = (await Promise.all(all.map((process) => process.end()))).flat();
      const ms = performance.now() - begin;
      const counts = await countJobs(queue);
      say(`${counts.completed} of ${items} done`);
      const report = await collectResults(out, { out: join(folder, "all.parquet") });
      const found = await readVectors(join(folder, "all.parquet"));
      const contents = new Set(found.rows.map(({ digest }) => digest));
      return {
        items,
        rows: found.rows.length,
        missing: expected.rows.filter(({ digest }) => !contents.has(digest)).map(({ path }) => path),
        repeated: report.repeated,
        doubled: found.rows.length - contents.size,
        worst: worstDifference(found, expected),
        deadLetters: counts.failed,
        ...{ underWay, ms, problems },
        sources: report.sources,
      };
    } finally {
      await queue.close();
      for (const process of all) if (process.running) await process.kill();
    }
  });
}
