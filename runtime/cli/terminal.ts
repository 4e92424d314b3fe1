/** What is around a command: streams, exit code, progress bars. */
import process from "node:process";
import { bytesText, FoveaError } from "../core/diagnostics.ts";
import type { Host } from "../host/mod.ts";
import type { Progress } from "../session/options.ts";
import { oneLine } from "./table.ts";

/** Where a command's results and its sentences for people go. */
export interface Streams {
  out(text: string): void;
  err(text: string): void;
}

let streams: Streams | undefined;
let code = 0;

/** Turns to the streams of a new run. */
export function writeTo(next: Streams): void {
  streams = next;
  code = 0;
}

export function print(text: string): void {
  try {
    streams?.out(text.endsWith("\n") ? text : `${text}\n`);
  } catch (cause) {
    // Deno writes to files at once and throws.
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FoveaError("output_failed", `The result cannot be written to stdout: ${reason}.`, { cause });
  }
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2));
}

/** A sentence for people; never on stdout, which belongs to results. */
export function say(sentence: string): void {
  streams?.err(`${sentence}\n`);
}

export function setExitCode(next: number): void {
  code = next;
}

export function exitCode(): number {
  return code;
}

/** Engines name what they cannot allocate each in their own way. */
const isOutOfMemory = (error: unknown): boolean =>
  error instanceof RangeError && /memory|allocat|array length|invalid length/i.test(error.message);

/** The stacks of an error and of what led to it. */
function stacksOf(error: Error): string {
  const stack = error.stack ?? error.message;
  return error.cause instanceof Error ? `${stack}\nCaused by ${stacksOf(error.cause)}` : stack;
}

/** Prints an error for people and sets the exit code, which it returns; a stack only with `verbose`. */
export function fail(error: unknown, verbose: boolean): number {
  const expected = error instanceof FoveaError || isOutOfMemory(error);
  setExitCode(error instanceof FoveaError ? error.exitCode : 2);
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof FoveaError) say(`fovea: ${text}`);
  else if (isOutOfMemory(error))
    say("fovea: The inputs do not fit into this process's memory; use fewer or smaller ones.");
  else if (text.startsWith("internal:")) say(`fovea: this is a defect of fovea: ${text}`);
  else say(`fovea: ${text}`);
  if (verbose && error instanceof Error) say(stacksOf(error));
  else if (!expected) say("Run again with --verbose for a stack trace.");
  return code;
}

/** Only work that lasts longer than this gets a bar. */
const QUIET_MS = 500;

export interface ProgressBar {
  readonly onProgress: (progress: Progress) => void;
  /** For `encode`. */
  readonly onEncoded: (done: number, total: number) => void;
  /** For many files, with words of the caller's own beside the bar. */
  readonly onFiles: (done: number, total: number, amount: string) => void;
  stop(): void;
}

/** Columns of the longest label, the numbers and what stands between. */
const BESIDE_BAR = 62;

const LABELS: Readonly<Record<Progress["phase"], string>> = {
  compile: "compiling",
  weights: "loading weights",
  download: "fetching",
  handover: "handed over",
};

/** Characters of a file's name beside the bar. */
const ITEM_WIDTH = 24;

const SILENT: ProgressBar = { onProgress: () => {}, onEncoded: () => {}, onFiles: () => {}, stop: () => {} };

/** A bar on stderr where that is a terminal and `quiet` is not asked for; it shows after half a second. */
export async function progressBar(host: Host, quiet: boolean): Promise<ProgressBar> {
  if (quiet || !host.isTerminal("stderr")) return SILENT;
  const { default: cliProgress } = await import("cli-progress");
  // Neither the cursor nor the terminal's wrapping is changed: an interrupted program could not change them back.
  const bar = new cliProgress.SingleBar({
    format: "{label} [{bar}] {amount}",
    barsize: Math.max(5, Math.min(40, (process.stderr.columns || 80) - BESIDE_BAR)),
    linewrap: true,
    clearOnComplete: true,
    stream: process.stderr,
  });
  const begin = host.now();
  let shown = false;
  const show = (label: string, done: number, total: number, amount = `${done}/${total}`): void => {
    if (host.now() - begin < QUIET_MS) return;
    if (!shown) bar.start(total, done, { label, amount });
    else {
      bar.setTotal(total);
      bar.update(done, { label, amount });
    }
    shown = true;
  };
  return {
    onProgress: ({ phase, modality, done, total, item, device }) =>
      phase === "download"
        ? show(
            `${LABELS[phase]} ${oneLine(item, ITEM_WIDTH)}`,
            done,
            total,
            `${bytesText(done)} of ${bytesText(total)}`,
          )
        : show(`${LABELS[phase]} (${device ?? modality})`, done, total),
    onEncoded: (done, total) => show("encoding", done, total),
    onFiles: (done, total, amount) => show("encoding", done, total, amount),
    stop: () => {
      if (shown) bar.stop();
      shown = false;
    },
  };
}
