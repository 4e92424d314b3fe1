/** `fovea enqueue`: files into a queue, as jobs for workers. */
import { Command } from "commander";
import type { EnqueueReport } from "../bulk/mod.ts";
import { countOf } from "../core/figures.ts";
import { fileProgress } from "./file_progress.ts";
import {
  type CommonOptions,
  dtypeOption,
  nonEmpty,
  type Opened,
  wholeNumber,
  withCommonOptions,
  withRuntime,
} from "./options.ts";
import { countsText, type QueueOptions, queuePlace, withQueueOptions } from "./queue_options.ts";
import { printJson, say, setExitCode } from "./terminal.ts";

interface EnqueueOptions extends CommonOptions, QueueOptions {
  readonly output?: string;
  readonly attempts?: number;
  readonly backoff?: number;
  readonly watch?: boolean;
}

export function enqueueCommand(): Command {
  const command = new Command("enqueue")
    .description("Put files into a queue, for `fovea worker` on any machines to encode.")
    .argument("<model>", "model as workers are to load it: hf:organisation/name, an address, or a folder")
    .argument("<files...>", "paths as workers see them, addresses, folders, patterns; lists of files (.txt, .list)")
    .option("--output <name>", "result that the vectors are; the embedding unless given", nonEmpty("a result"))
    .option("--attempts <n>", "attempts before a job is a dead letter (5)", wholeNumber(1))
    .option("--backoff <ms>", "milliseconds before the second attempt, doubled with each (1000)", wholeNumber(1))
    .option("--watch", "wait until the queue is done, and tell how far it is");
  return withCommonOptions(withQueueOptions(command))
    .addHelpText(
      "after",
      "\nA list has a path or an address in each line, after its SHA-256 where `sha256sum` wrote it.\n" +
        "\nExamples:\n  fovea enqueue hf:openai/clip-vit-base-patch32 'photos/**' --queue redis://localhost:6379 --watch\n  fovea enqueue ./clip list.txt --queue redis://localhost:6379",
    )
    .action(enqueue);
}

async function enqueue(model: string, files: readonly string[], options: EnqueueOptions): Promise<void> {
  await withRuntime(options, async (opened) => {
    const { host, runtime, progress } = opened;
    const { enqueueFiles } = await import("../bulk/mod.ts");
    const { output, attempts, backoff } = options;
    const report = await enqueueFiles(runtime, model, files, {
      ...queuePlace(options),
      ...dtypeOption(options),
      ...(output === undefined ? {} : { output }),
      ...(attempts === undefined ? {} : { attempts }),
      ...(backoff === undefined ? {} : { backoffMs: backoff }),
      onProgress: fileProgress(host, progress, options.json === true),
    });
    progress.stop();
    if (report.failures.length > 0) setExitCode(1);
    if (options.json !== true) tell(report);
    const counts = options.watch === true ? await watch(options, opened) : report.counts;
    if (options.json === true) printJson({ model, ...report, counts });
  });
}

function tell({ files, added, failures }: EnqueueReport): void {
  for (const { path, message } of failures) say(`fovea: ${message.includes(path) ? "" : `${path}: `}${message}`);
  const known = files - failures.length - added;
  say(
    `${added} of ${countOf(files, "file")} enqueued, ${known} ${known === 1 ? "was" : "were"} in the queue, ${failures.length} could not be read`,
  );
}

/** Waits until nothing is left to do; dead letters are a failure. */
async function watch(options: EnqueueOptions, { host, progress }: Opened): Promise<EnqueueReport["counts"]> {
  const { watchQueue } = await import("../bulk/mod.ts");
  const onProgress = fileProgress(host, progress, options.json === true);
  const counts = await watchQueue({ ...queuePlace(options), onProgress });
  progress.stop();
  if (counts.failed > 0) setExitCode(1);
  if (options.json !== true) say(countsText(counts));
  return counts;
}
