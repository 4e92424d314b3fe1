/** `fovea embed … --out x.parquet`: a row for each of many files. */
import type { BulkProgress, EmbedFilesReport } from "../bulk/mod.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { countOf } from "../core/figures.ts";
import { detectHost, type Host } from "../host/mod.ts";
import { fileProgress } from "./file_progress.ts";
import { listenForInterrupt, SIGNAL_EXITS } from "./interrupt.ts";
import { type CalibrationOption, type CommonOptions, weightOptions, withRuntime } from "./options.ts";
import { printJson, say, setExitCode } from "./terminal.ts";

export interface BulkOptions extends CommonOptions, CalibrationOption {
  readonly text?: readonly string[];
  readonly video?: readonly string[];
  readonly out?: string;
  readonly outputs?: readonly string[];
  readonly record?: string;
  readonly trace?: string;
  readonly traceLimit?: number;
  readonly jpegShrinkOnLoad?: true;
  readonly resume?: boolean;
  readonly shardRows?: number;
}

/** Used where neither the command line nor the file that is gone on with names one: its vectors can be searched by texts. */
const USUAL_MODEL = "hf:openai/clip-vit-base-patch32";

const MEDIA = /\.(png|jpe?g|webp|gif|wav|flac|mp3|og[ag])$/i;

/** Whether the first of several arguments names a model rather than files. */
async function isModel(host: Host, [text, ...rest]: readonly string[]): Promise<boolean> {
  if (text.startsWith("hf:")) return true;
  if (/^[a-z][a-z\d+.-]+:\/\//i.test(text)) return !MEDIA.test(text);
  const isThere = async (path: string): Promise<boolean> =>
    (await host.stat(path).catch(() => undefined)) !== undefined;
  if (await isThere(`${text}/config.json`)) return true;
  // A model's path with a mistake in it must not become a file of another model.
  return rest.length > 0 && !/[*?[{]/.test(text) && !(await isThere(text));
}

/** The model and the files of a command line whose first argument may be either. */
async function modelAndFiles(
  host: Host,
  given: readonly string[],
  { out, resume }: { readonly out: string; readonly resume: boolean },
): Promise<{ readonly model: string; readonly files: readonly string[] }> {
  if (await isModel(host, given)) return { model: given[0], files: given.slice(1) };
  const { findHead } = await import("../bulk/mod.ts");
  const head = resume ? await findHead(out) : undefined;
  if (head !== undefined) return { model: head.model, files: given };
  say(`fovea: no model is named, and ${given[0]} is none: taking ${USUAL_MODEL}`);
  return { model: USUAL_MODEL, files: given };
}

/** Options of commands that encode a few inputs. */
const ALONE = ["text", "video", "record", "trace", "traceLimit", "jpegShrinkOnLoad"] as const;

/** @throws FoveaError `bad_usage` */
function checkBulk(options: BulkOptions): { readonly out: string; readonly output?: string } {
  const { out, outputs } = options;
  if (out === undefined || out === "-") {
    throw new FoveaError("bad_usage", "--resume and --shard-rows go with --out x.parquet, x.safetensors or x.npy.");
  }
  const odd = ALONE.find((name) => options[name] !== undefined);
  if (odd !== undefined) {
    throw new FoveaError(
      "bad_usage",
      `--${odd.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} does not go with a row for each file; leave it out, or leave out --resume, --shard-rows and .parquet.`,
    );
  }
  if (outputs === undefined) return { out };
  if (outputs.length === 1) return { out, output: outputs[0] };
  throw new FoveaError(
    "bad_usage",
    `A row holds one vector; name one result with --outputs, not ${outputs.join(", ")}.`,
  );
}

/** Failures that are listed; the rest are counted. `--json` has all. */
const MOST_LISTED = 50;

function tell(report: EmbedFilesReport, out: string, isThere: boolean): void {
  const { encoded, skipped, failures, written, ms, total } = report;
  for (const { path, message } of failures.slice(0, MOST_LISTED)) {
    say(`fovea: ${message.includes(path) ? "" : `${path}: `}${message}`);
  }
  if (failures.length > MOST_LISTED) say(`fovea: and ${failures.length - MOST_LISTED} others`);
  const last = written.length < 2 ? "" : ` to ${written[written.length - 1]}`;
  const none = isThere ? `${out} stays as it is` : "nothing was written";
  const files = written.length === 0 ? none : `wrote ${written[0]}${last}`;
  const rate = encoded === 0 ? "" : ` (${((encoded * 1000) / ms).toFixed(1)}/s with loading)`;
  say(
    `${files}: ${encoded} of ${countOf(total, "file")} encoded${rate}, ${skipped} were there, ${failures.length} could not be read`,
  );
}

export async function embedBulk(first: string, rest: readonly string[], options: BulkOptions): Promise<void> {
  const { out, output } = checkBulk(options);
  const host = await detectHost();
  const { checkOut, embedFiles } = await import("../bulk/mod.ts");
  await checkOut(out);
  const { model, files } = await modelAndFiles(host, [first, ...rest], { out, resume: options.resume === true });
  if (files.length === 0) {
    throw new FoveaError(
      "bad_usage",
      "No file is named beside the model; add files, folders or patterns such as 'photos/**'.",
    );
  }
  await withRuntime(options, async ({ runtime, progress }) => {
    const quiet = options.json === true;
    const onProgress: (progress: BulkProgress) => void = fileProgress(host, progress, quiet);
    const interrupt = listenForInterrupt();
    const stopped = new AbortController();
    interrupt.came.then((name) => stopped.abort(name));
    const report = await embedFiles(runtime, model, files, {
      ...{ out, onProgress, resume: options.resume === true, signal: stopped.signal },
      ...weightOptions(options),
      ...(output === undefined ? {} : { output }),
      ...(options.shardRows === undefined ? {} : { shardRows: options.shardRows }),
    })
      .catch((error: unknown) => {
        if (!stopped.signal.aborted) throw error;
      })
      .finally(interrupt.stop);
    progress.stop();
    if (report === undefined) {
      const name = stopped.signal.reason as keyof typeof SIGNAL_EXITS;
      say(`fovea: ${name}: stopped; what was encoded is kept, and the same command with --resume goes on`);
      return setExitCode(SIGNAL_EXITS[name]);
    }
    if (report.failures.length > 0) setExitCode(1);
    if (!quiet) return tell(report, out, (await host.stat(out).catch(() => undefined)) !== undefined);
    const { device, target } = runtime;
    printJson({ model, runtime: host.name, device, target, out, ...report });
  });
}
