/** The process around a command: streams, exit code, progress bars. */
import process from "node:process";
import { FoveaError } from "../core/diagnostics.ts";
import type { Host } from "../host/mod.ts";
import type { Progress } from "../session/options.ts";

export const args: readonly string[] = process.argv.slice(2);

export function workingDirectory(): string {
  return process.cwd();
}

export function print(text: string): void {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2));
}

/** A sentence for people; never on stdout, which belongs to results. */
export function say(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
}

export function setExitCode(code: number): void {
  process.exitCode = code;
}

/** Prints an error for people and sets the exit code; a stack only with `verbose` or for errors that are ours. */
export function fail(error: unknown, verbose: boolean): void {
  if (error instanceof FoveaError) {
    say(`fovea: ${error.message}`);
    if (verbose) say(error.stack ?? "");
    setExitCode(error.exitCode);
    return;
  }
  const text = error instanceof Error ? error.message : String(error);
  say(`fovea: ${text.startsWith("internal:") ? `this is a defect of fovea: ${text}` : text}`);
  if (error instanceof Error) {
    if (verbose) say(error.stack ?? "");
    else say("Run again with --verbose for a stack trace.");
  }
  setExitCode(2);
}

/** Only work that lasts longer than this gets a bar. */
const QUIET_MS = 500;

export interface ProgressBar {
  readonly onProgress: (progress: Progress) => void;
  /** For `encode`. */
  readonly onEncoded: (done: number, total: number) => void;
  stop(): void;
}

const LABELS: Readonly<Record<Progress["phase"], string>> = { compile: "compiling", weights: "loading weights" };

const SILENT: ProgressBar = { onProgress: () => {}, onEncoded: () => {}, stop: () => {} };

/** A bar on stderr where that is a terminal and `quiet` is not asked for; it shows after half a second. */
export async function progressBar(host: Host, quiet: boolean): Promise<ProgressBar> {
  if (quiet || !host.isTerminal("stderr")) return SILENT;
  const { default: cliProgress } = await import("cli-progress");
  const bar = new cliProgress.SingleBar({
    format: "{label} [{bar}] {value}/{total} {item}",
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
  });
  const begin = host.now();
  let shown = false;
  const show = (label: string, done: number, total: number, item: string): void => {
    if (host.now() - begin < QUIET_MS) return;
    if (!shown) bar.start(total, done, { label, item });
    else {
      bar.setTotal(total);
      bar.update(done, { label, item });
    }
    shown = true;
  };
  return {
    onProgress: ({ phase, modality, done, total, item }) => show(`${LABELS[phase]} (${modality})`, done, total, item),
    onEncoded: (done, total) => show("encoding", done, total, ""),
    stop: () => {
      if (shown) bar.stop();
      shown = false;
    },
  };
}
