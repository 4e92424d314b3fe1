/**
 * How a thread of the device calls a kernel in a worker of its own: words in a small shared buffer, operands and results in a
 * shared memory that both see. One caller and one worker for each channel.
 */

/** Both ends of a channel have these. */
export interface Channel {
  readonly control: Int32Array<SharedArrayBuffer>;
  /** Of a module, its own memory; of a component, where values are handed over. */
  readonly memory: WebAssembly.Memory;
}

/** Words per cache line. */
const LINE = 16;
/** Number of the request that waits; the worker sleeps on it. */
const REQUEST = 0 * LINE;
/** Number of the request that was answered last, or {@link GONE}; the caller sleeps on it. */
const ANSWER = 1 * LINE;
/** 1 where the request failed, and its reason as UTF-16 code units, one a word. */
const FAILED = 2 * LINE;
const RESULT = FAILED + 1;
const REASON_LENGTH = FAILED + 2;
const REASON = FAILED + 3;
const REASON_LIMIT = 400;
/** What is asked: how many words, then the words. */
const ASKED = REASON + REASON_LIMIT;
const ASKED_LIMIT = 4096;

/** Requests are counted in 31 bits: none has the number of what is below. */
const following = (request: number): number => (request + 1) & 0x7fffffff;

/** As an answer: the worker was ended, or ended by itself. */
const GONE = -1;
/** As a request: the worker leaves its loop. */
const LEAVE = -1;

/** How long a call may take beside what its work allows: threads are not always scheduled at once. */
const DEADLINE_MS = 2000;
/** Of a unit of work; code that no engine has optimised yet takes a few nanoseconds. */
const UNIT_MS = 1e-5;

/** Whether the thread that asks may wait for others: main threads of browsers may not. */
export function mayWait(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0);
    return true;
  } catch {
    return false;
  }
}

export function createChannel(memory: WebAssembly.Memory): Channel {
  return { control: new Int32Array(new SharedArrayBuffer((ASKED + 1 + ASKED_LIMIT) * 4)), memory };
}

function writeReason(control: Int32Array<SharedArrayBuffer>, reason: string): void {
  const length = Math.min(reason.length, REASON_LIMIT);
  for (let i = 0; i < length; i++) control[REASON + i] = reason.charCodeAt(i);
  Atomics.store(control, REASON_LENGTH, length);
}

const readReason = (control: Int32Array<SharedArrayBuffer>): string =>
  String.fromCharCode(...control.subarray(REASON, REASON + Atomics.load(control, REASON_LENGTH)));

/** Whether its worker will answer no more. */
export const isGone = ({ control }: Channel): boolean => Atomics.load(control, ANSWER) === GONE;

/** The number of the request that its worker is at; nothing where it is at none, or is gone. */
export function underWay({ control }: Channel): number | undefined {
  const answered = Atomics.load(control, ANSWER);
  const request = Atomics.load(control, REQUEST);
  return answered === GONE || request === LEAVE || request === answered ? undefined : request;
}

/** Says that its worker answers no more, and wakes who waits for it. The first reason stays. */
export function markGone({ control }: Channel, reason: string): void {
  if (Atomics.load(control, ANSWER) === GONE) return;
  writeReason(control, reason);
  Atomics.store(control, ANSWER, GONE);
  Atomics.notify(control, ANSWER);
}

/** Asks a worker to leave its loop, so that it can be ended. */
export function leave({ control }: Channel): void {
  Atomics.store(control, REQUEST, LEAVE);
  Atomics.notify(control, REQUEST);
}

/**
 * Asks the worker and waits for its answer, one word.
 * @param budget units that the work may take, from which the deadline follows
 * @throws Error that says how the call failed, or that the worker is gone
 */
export function ask(channel: Channel, budget: number, words: ArrayLike<number>): number {
  const { control } = channel;
  const before = Atomics.load(control, ANSWER);
  if (before === GONE) throw new Error(`its worker was ended: ${readReason(control)}`);
  if (words.length > ASKED_LIMIT)
    throw new Error(`it takes ${words.length} words of arguments; most are ${ASKED_LIMIT}`);
  control[ASKED] = words.length;
  control.set(words, ASKED + 1);
  // One that was asked to leave meanwhile is asked for nothing more.
  if (Atomics.compareExchange(control, REQUEST, before, following(before)) !== before)
    throw new Error(`its worker was ended: ${readReason(control)}`);
  Atomics.notify(control, REQUEST);
  const most = DEADLINE_MS + budget * UNIT_MS;
  // Sleeps at once: it has nothing else to do, and a caller that spins takes the core that its worker could have.
  if (Atomics.wait(control, ANSWER, before, most) === "timed-out" && Atomics.load(control, ANSWER) === before)
    markGone(channel, `it did not answer within ${Math.round(most)} ms`);
  if (Atomics.load(control, ANSWER) === GONE) throw new Error(`${readReason(control)}; its worker was ended`);
  if (control[FAILED] === 1) throw new Error(readReason(control));
  return control[RESULT];
}

/** Answers requests until the worker is asked to leave. @param work gets the words of a request; what it throws is told */
export function serve({ control }: Channel, work: (words: Int32Array) => number): void {
  for (let done = 0; ; done = following(done)) {
    while (Atomics.load(control, REQUEST) === done) Atomics.wait(control, REQUEST, done);
    if (Atomics.load(control, REQUEST) === LEAVE) return;
    try {
      control[RESULT] = work(control.slice(ASKED + 1, ASKED + 1 + control[ASKED]));
      control[FAILED] = 0;
    } catch (error) {
      // Who gave up on this answer wrote a reason of its own.
      if (Atomics.load(control, ANSWER) === GONE) return;
      writeReason(control, error instanceof Error ? error.message : String(error));
      control[FAILED] = 1;
    }
    if (Atomics.compareExchange(control, ANSWER, done, following(done)) !== done) return;
    Atomics.notify(control, ANSWER);
  }
}
