/** `fovea worker`: encodes what a queue holds, until an interrupt. */
import { Command } from "commander";
import { FoveaError } from "../core/diagnostics.ts";
import { countOf } from "../core/figures.ts";
import { listenForInterrupt } from "./interrupt.ts";
import {
  type CalibrationOption,
  type CommonOptions,
  nonEmpty,
  oneOf,
  wholeNumber,
  withCalibrationOption,
  withCommonOptions,
  withRuntime,
} from "./options.ts";
import { type QueueOptions, queuePlace, withQueueOptions } from "./queue_options.ts";
import { printJson, say } from "./terminal.ts";

const FORMATS = ["parquet", "safetensors", "npy"] as const;

interface WorkerOptions extends CommonOptions, CalibrationOption, QueueOptions {
  readonly out: string;
  readonly format: (typeof FORMATS)[number];
  readonly shardRows: number;
  readonly root?: string;
  readonly model?: string;
  readonly concurrency: number;
  readonly stalledAfter: number;
  readonly drain?: boolean;
}

export function workerCommand(): Command {
  const command = new Command("worker")
    .description("Encode what `fovea enqueue` put into a queue, until an interrupt.")
    .option("--out <folder>", "folder of results, which several workers may share", nonEmpty("a folder"), "vectors")
    .option("--format <name>", `files of results: ${FORMATS.join(", ")}`, oneOf(FORMATS), "parquet")
    .option("--shard-rows <n>", "rows of a file of results", wholeNumber(1), 10_000)
    .option("--root <folder>", "folder that the jobs' paths are relative to", nonEmpty("a folder"))
    .option("--model <model>", "where the model lies here, if not where jobs say", nonEmpty("a model"))
    .option("--concurrency <n>", "files that are read or wait for the device at once", wholeNumber(1), 64)
    .option("--stalled-after <ms>", "silence after which a worker's jobs are given to others", wholeNumber(100), 30_000)
    .option("--drain", "end when the queue has nothing left to do");
  return withCommonOptions(withCalibrationOption(withQueueOptions(command)))
    .addHelpText(
      "after",
      "\nSIGINT and SIGTERM finish the jobs that were begun and end.\n" +
        "\nExamples:\n  fovea worker --queue redis://localhost:6379 --out vectors\n  fovea queue collect vectors --out photos.parquet",
    )
    .action(work);
}

/** Milliseconds between lines that tell how far a worker is. */
const LINE_MS = 10_000;

async function work(options: WorkerOptions): Promise<void> {
  const { out, format, shardRows, root, model, calibration, concurrency, stalledAfter, drain = false } = options;
  if (options.dtype !== undefined) {
    throw new FoveaError(
      "bad_usage",
      "Jobs say which type of weights makes their vectors; give --dtype to `fovea enqueue`, not to `fovea worker`.",
    );
  }
  await withRuntime(options, async ({ host, runtime, progress }) => {
    const { runWorker } = await import("../bulk/mod.ts");
    const interrupt = listenForInterrupt();
    const ended = new AbortController();
    interrupt.came.then((name) => {
      say(`fovea: ${name}: finishing the jobs that were begun`);
      ended.abort();
    });
    let last = host.now();
    try {
      if (options.json !== true) say(`fovea: working on ${options.name ?? "fovea"}, results go to ${out}`);
      const report = await runWorker(runtime, {
        ...queuePlace(options),
        ...{ out, format, shardRows, concurrency, drain, stalledAfterMs: stalledAfter, signal: ended.signal },
        ...(root === undefined ? {} : { root }),
        ...(model === undefined ? {} : { model }),
        ...(calibration === undefined ? {} : { calibration }),
        onProgress: ({ encoded, skipped, failed }) => {
          progress.stop();
          if (options.json === true || host.now() - last < LINE_MS) return;
          last = host.now();
          say(`fovea: ${encoded} encoded, ${skipped} were there, ${failed} failed`);
        },
      });
      if (options.json === true) return printJson({ runtime: host.name, device: runtime.device, out, ...report });
      const { encoded, skipped, failed, written } = report;
      say(
        `${encoded} encoded, ${skipped} were there, ${countOf(failed, "failed attempt")}; wrote ${countOf(written.length, "file")} below ${out}`,
      );
    } finally {
      interrupt.stop();
    }
  });
}
