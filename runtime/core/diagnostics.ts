/** The errors that users see, and the one for invariants of our own. */
import { placeText, type SourcePlace } from "./source_place.ts";

/** What an error says beside its code and sentence. */
export interface FoveaErrorOptions {
  /** The error that led to this one. */
  readonly cause?: unknown;
  /** What the command line exits with: 1 a check failed, 2 bad usage or input (the default). */
  readonly exitCode?: 1 | 2;
  /** The author's line that the message names. */
  readonly place?: SourcePlace;
}

/**
 * An error for people: its message says in sentences what failed, where, what was found, what was expected and what to
 * do next. `code` is stable and for programs.
 */
export class FoveaError extends Error {
  /** Stable name of what went wrong, such as `invalid_config` or `image.shape`; functions list theirs. */
  readonly code: string;
  /** What the command line exits with: 1 a check failed, 2 bad usage or input. */
  readonly exitCode: 1 | 2;
  /** The author's line that the message names, as the engine knows it. */
  readonly place: SourcePlace | undefined;

  /** An error with its code. `message` is sentences: what was found, what was expected, what to do next. */
  constructor(code: string, message: string, options: FoveaErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "FoveaError";
    this.code = code;
    this.exitCode = options.exitCode ?? 2;
    this.place = options.place;
  }

  /** Tells errors of all copies of this module from others. */
  get isFoveaError(): true {
    return true;
  }

  /** The same error with another place, such as the one that a source map leads to. */
  movedTo(place: SourcePlace): FoveaError {
    const message =
      this.place === undefined ? this.message : this.message.replace(placeText(this.place), placeText(place));
    return new FoveaError(this.code, message, { cause: this.cause ?? this, exitCode: this.exitCode, place });
  }

  /** An error of the same class that says one sentence more; this one stays as it is, for others may have caught it too. */
  adding(sentence: string): FoveaError {
    // The classes' own constructors would make another message.
    const error = Object.setPrototypeOf(
      new Error(`${this.message} ${sentence}`, { cause: this }),
      this.constructor.prototype,
    );
    return Object.assign(error, this);
  }
}

// An error of any copy of this module is one: plugins may come with another copy than the command line has in its bundle.
Object.defineProperty(FoveaError, Symbol.hasInstance, {
  value(this: unknown, value: unknown): boolean {
    if (this === FoveaError && (value as Partial<FoveaError> | null | undefined)?.isFoveaError === true) return true;
    return Function.prototype[Symbol.hasInstance].call(this as () => void, value);
  },
});

/** What cannot stay in a component's graph: a tensor's value, a branch on one, an op or a size that nobody declared. */
export type TraceBreakKind = "host_read" | "branch" | "unknown_op" | "unnamed_size" | "comparison";

/** Where and why a component's `build` left what a graph can say. */
export interface TraceBreak {
  /** Which of the things that a graph cannot say was met. */
  readonly kind: TraceBreakKind;
  /** Tag, once it is known. */
  readonly component?: string;
  /** The node and what it is made of, such as `add <- matmul <- input hidden_states`. */
  readonly node?: string;
  /** The author's line, where the stack tells. */
  readonly place?: SourcePlace;
  /** What was found, as the end of a sentence. */
  readonly found: string;
  /** What to do instead, as a sentence. */
  readonly remedy: string;
}

/** A trace break as sentences. */
export function traceBreakText({ component, node, place, found, remedy }: TraceBreak): string {
  const who = component === undefined ? "A component" : `Component "${component}"`;
  const at = place === undefined ? "" : ` at ${placeText(place)}`;
  return `${who} breaks its trace${at}: ${found}${node === undefined ? "" : ` (${node})`}. ${remedy}`;
}

/** A component's `build` did what no graph can say. */
export class TraceBreakError extends FoveaError {
  /** The break by itself, for tools and lists. */
  readonly info: TraceBreak;

  /** The error that says a break in sentences. */
  constructor(info: TraceBreak) {
    super("trace_break", traceBreakText(info), info.place === undefined ? {} : { place: info.place });
    this.name = "TraceBreakError";
    this.info = info;
  }

  /** The same break at another place. */
  override movedTo(place: SourcePlace): TraceBreakError {
    return new TraceBreakError({ ...this.info, place });
  }
}

/** A compile was asked for after `runtime.seal()`. */
export class SealedError extends FoveaError {
  /**
   * The refusal to compile a component, by its tag.
   * @param range the box that has no artifact, in words
   */
  constructor(tag: string, range: string) {
    super(
      "sealed",
      `Component "${tag}" has no artifact for ${range}, and this runtime was sealed: it compiles nothing more. Run or load what is needed before \`seal()\`, or add the sizes to the component's ranges.`,
    );
    this.name = "SealedError";
  }
}

/** A kernel ended otherwise than by its result: the engine stopped it, it never came to an end, or it said so itself. */
export class KernelError extends FoveaError {
  /** Kind of the device. */
  readonly device: string;
  /** `kernel/step`. */
  readonly step: string;
  /** What it did, as the end of a sentence. */
  readonly reason: string;

  /**
   * The failure of a step on a device, by what the fields of the same names say.
   * @param cause what the engine threw, where it threw
   */
  constructor(device: string, step: string, reason: string, cause?: unknown) {
    super(
      "kernel_failed",
      `The kernel ${step} failed on the device "${device}": ${reason}. Its results are not usable; the device is.`,
      { cause, exitCode: 1 },
    );
    this.name = "KernelError";
    this.device = device;
    this.step = step;
    this.reason = reason;
  }
}

// As above: a device from elsewhere may throw that of another copy.
Object.defineProperty(KernelError, Symbol.hasInstance, {
  value(this: unknown, value: unknown): boolean {
    if (this === KernelError && value instanceof FoveaError && value.name === "KernelError") return true;
    return Function.prototype[Symbol.hasInstance].call(this as () => void, value);
  },
});

/**
 * Ends on an invariant of fovea itself that does not hold: a bug, never a user's mistake.
 * @throws Error always, its message beginning with `internal:`
 */
export function internal(message: string): never {
  throw new Error(`internal: ${message}`);
}

/** The first line that says something: of the messages of some engines and drivers that is not the first. */
export function firstLine(message: string): string {
  return message.split("\n").find((line) => line.trim() !== "") ?? message;
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
