/** Progress of work on many files: a bar with rate and time left on a terminal, lines elsewhere. */
import type { BulkProgress } from "../bulk/mod.ts";
import type { Host } from "../host/mod.ts";
import { type ProgressBar, say } from "./terminal.ts";

/** Milliseconds over which the rate is taken: skipped files go by at another speed than encoded ones. */
const WINDOW_MS = 10_000;
/** Milliseconds between lines where there is no terminal. */
const LINE_MS = 10_000;

const SECOND = 1000;

/** `42 s`, `3 min`, `2 h 5 min`. */
export function durationText(ms: number): string {
  const seconds = Math.ceil(ms / SECOND);
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const rateText = (perSecond: number): string => (perSecond >= 10 ? perSecond.toFixed(0) : perSecond.toFixed(1));

/** Told how far the work is; says it now and then. @param quiet says nothing at all */
export function fileProgress(host: Host, bar: ProgressBar, quiet: boolean): (progress: BulkProgress) => void {
  const samples: { readonly at: number; readonly done: number }[] = [];
  let lastLine = host.now();
  return ({ total, done, failed }) => {
    const now = host.now();
    samples.push({ at: now, done });
    while (samples.length > 2 && now - samples[1].at > WINDOW_MS) samples.shift();
    const [oldest] = samples;
    const perMs = now > oldest.at ? (done - oldest.done) / (now - oldest.at) : 0;
    const speed = perMs > 0 ? `, ${rateText(perMs * SECOND)}/s, ${durationText((total - done) / perMs)} left` : "";
    const text = `${done}/${total}${speed}${failed > 0 ? `, ${failed} failed` : ""}`;
    bar.onFiles(done, total, text);
    if (quiet || host.isTerminal("stderr") || now - lastLine < LINE_MS || done === total) return;
    lastLine = now;
    say(`fovea: ${text}`);
  };
}
