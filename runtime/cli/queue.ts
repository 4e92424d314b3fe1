/** `fovea queue`: how far a queue is, its dead letters, its workers' results, what of it is no longer wanted. */
import { Command, InvalidArgumentError } from "commander";
import { countOf } from "../core/figures.ts";
import { detectHost } from "../host/mod.ts";
import { fileProgress } from "./file_progress.ts";
import { nonEmpty, wholeNumber } from "./options.ts";
import { countsText, type QueueOptions, queuePlace, withQueueOptions } from "./queue_options.ts";
import { oneLine, table } from "./table.ts";
import { print, printJson, progressBar, say, setExitCode } from "./terminal.ts";

interface StatusOptions extends QueueOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
}

interface FailedOptions extends QueueOptions {
  readonly json?: boolean;
  readonly most: number;
}

interface CleanOptions extends QueueOptions {
  readonly json?: boolean;
  readonly done?: boolean;
  readonly failed?: boolean;
  readonly olderThan?: number;
}

interface RemoveOptions extends QueueOptions {
  readonly json?: boolean;
  readonly force?: boolean;
}

interface CollectOptions {
  readonly json?: boolean;
  readonly out: string;
  readonly shardRows?: number;
}

const JSON_OPTION = ["--json", "print one JSON document on stdout and nothing else"] as const;
const VERBOSE = ["--verbose", "stack traces with errors"] as const;

const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of `90s`, `15m`, `12h` or `7d`. */
export function duration(text: string): number {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text.trim()) ?? [];
  if (unit === undefined) throw new InvalidArgumentError("Expected a time such as 90s, 15m, 12h or 7d.");
  return Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
}

export function queueCommand(): Command {
  const queue = new Command("queue").description(
    "How far a queue is, its dead letters, its workers' results, and removing what is over.",
  );
  const about = (name: string, text: string): Command =>
    withQueueOptions(new Command(name).description(text))
      .option(...JSON_OPTION)
      .option(...VERBOSE);
  queue.addCommand(
    about("status", "Count the jobs of a queue by what has become of them.")
      .option("--watch", "wait until the queue is done, and tell how far it is")
      .action(status),
  );
  queue.addCommand(
    about("failed", "List dead letters: jobs that failed as often as they may; exit 1 for any.")
      .option("--most <n>", "jobs that are listed, the last that failed first", wholeNumber(1), 1000)
      .action(failed),
  );
  queue.addCommand(about("retry", "Give dead letters all their attempts again.").action(retry));
  queue.addCommand(
    about("clean", "Remove done jobs from the queue, or dead letters; results stay.")
      .option("--done", "done jobs, which is meant unless --failed is given alone")
      .option("--failed", "dead letters")
      .option("--older-than <time>", "only those that ended so long ago, such as 12h or 7d", duration)
      .action(clean),
  );
  queue.addCommand(
    about("remove", "Remove the queue with everything that it has in Redis; results stay.")
      .option("--force", "also when jobs are not done")
      .action(remove),
  );
  queue.addCommand(
    new Command("collect")
      .description("Make one file, or shards, of what workers wrote into a folder: each content once.")
      .argument("<folder>", "the workers' --out")
      .requiredOption("--out <file>", "x.parquet, x.safetensors or x.npy", nonEmpty("a file"))
      .option("--shard-rows <n>", "rows of x-00000.parquet, x-00001.parquet, …", wholeNumber(1))
      .option(...JSON_OPTION)
      .option(...VERBOSE)
      .action(collect),
  );
  return queue.addHelpText(
    "after",
    "\nExamples:\n  fovea queue status --queue redis://localhost:6379 --watch\n  fovea queue failed --queue redis://localhost:6379\n  fovea queue clean --queue redis://localhost:6379 --older-than 7d\n  fovea queue collect vectors --out photos.parquet",
  );
}

async function status(options: StatusOptions): Promise<void> {
  const host = await detectHost();
  const { queueStatus, watchQueue } = await import("../bulk/mod.ts");
  const place = queuePlace(options);
  const bar = await progressBar(host, options.json === true);
  const onProgress = fileProgress(host, bar, options.json === true);
  const counts = await (options.watch === true ? watchQueue({ ...place, onProgress }) : queueStatus(place));
  bar.stop();
  if (options.json === true) printJson(counts);
  else print(countsText(counts));
}

const REASON_WIDTH = 120;

async function failed(options: FailedOptions): Promise<void> {
  const { deadLetters } = await import("../bulk/mod.ts");
  const letters = await deadLetters({ ...queuePlace(options), most: options.most });
  if (letters.length > 0) setExitCode(1);
  if (options.json === true) return printJson(letters);
  if (letters.length === 0) return say("fovea: there are no dead letters");
  const rows = letters.map(({ path, attempts, reason }) => [path, String(attempts), oneLine(reason, REASON_WIDTH)]);
  print(table(["file", "attempts", "reason"], rows));
}

async function retry(options: StatusOptions): Promise<void> {
  const { retryDeadLetters } = await import("../bulk/mod.ts");
  const count = await retryDeadLetters(queuePlace(options));
  if (options.json === true) printJson({ retried: count });
  else say(`${countOf(count, "job")} will be tried again`);
}

async function clean(options: CleanOptions): Promise<void> {
  const { cleanQueue } = await import("../bulk/mod.ts");
  const { done, failed = false, olderThan } = options;
  const removed = await cleanQueue({
    ...queuePlace(options),
    ...{ done: done ?? !failed, failed },
    ...(olderThan === undefined ? {} : { olderThanMs: olderThan }),
  });
  if (options.json === true) printJson(removed);
  else say(`removed ${countOf(removed.done, "done job")} and ${countOf(removed.failed, "dead letter")}`);
}

async function remove(options: RemoveOptions): Promise<void> {
  const { removeQueue } = await import("../bulk/mod.ts");
  const counts = await removeQueue({ ...queuePlace(options), ...(options.force === true ? { force: true } : {}) });
  if (options.json === true) printJson(counts);
  else say(`removed the queue: ${countsText(counts)}`);
}

async function collect(folder: string, options: CollectOptions): Promise<void> {
  const { collectResults } = await import("../bulk/mod.ts");
  const { out, shardRows } = options;
  const report = await collectResults(folder, { out, ...(shardRows === undefined ? {} : { shardRows }) });
  if (options.json === true) return printJson({ folder, ...report });
  const { rows, repeated, sources, written } = report;
  say(
    `wrote ${rows} rows to ${written.length === 1 ? out : `${written.length} files`}, of ${countOf(sources, "file")}; ${repeated} were there twice`,
  );
}
