/** The error that users see, and the one for invariants of our own. */

export interface FoveaErrorOptions {
  readonly cause?: unknown;
  /** What the command line exits with: 1 a check failed, 2 bad usage or input (the default). */
  readonly exitCode?: 1 | 2;
}

/**
 * An error for people: its message says in sentences what failed, where, what was found, what was expected and what to
 * do next. `code` is stable and for programs.
 */
export class FoveaError extends Error {
  readonly code: string;
  readonly exitCode: 1 | 2;

  constructor(code: string, message: string, options: FoveaErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "FoveaError";
    this.code = code;
    this.exitCode = options.exitCode ?? 2;
  }
}

/** A compile was asked for after `runtime.seal()`. */
export class SealedError extends FoveaError {
  /** @param range the box that has no artifact, in words */
  constructor(tag: string, range: string) {
    super(
      "sealed",
      `Component "${tag}" has no artifact for ${range}, and this runtime was sealed: it compiles nothing more. Run or load what is needed before \`seal()\`, or add the sizes to the component's ranges.`,
    );
    this.name = "SealedError";
  }
}

/** @throws Error always: an invariant of fovea itself does not hold. */
export function internal(message: string): never {
  throw new Error(`internal: ${message}`);
}

const UNITS = ["KiB", "MiB", "GiB", "TiB"];

/** A number of bytes for people: `512 bytes`, `1.5 MiB`. */
export function bytesText(bytes: number): string {
  let [value, unit] = [bytes, "bytes"];
  for (const next of UNITS) {
    if (value < 1024) break;
    [value, unit] = [value / 1024, next];
  }
  return `${Math.round(value * 10) / 10} ${unit}`;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last: number[] = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replaced, last[j] + 1, row[j - 1] + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2] + 1);
      row.push(best);
    }
    before = last;
    last = row;
  }
  return last[b.length];
}

/** The word that `word` was most likely meant to be, or nothing when none is within a third of its length. */
export function nearest(word: string, words: Iterable<string>): string | undefined {
  const wanted = word.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of words) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}
