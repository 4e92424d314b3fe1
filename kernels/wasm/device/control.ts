/**
 * The words by which the workers of a pool agree. They lie in a small shared buffer of their own, out of reach of
 * kernels, each on its own cache line.
 */

import { RELEASE_WORDS } from "./foreign_call.ts";

/** Words per cache line. */
const LINE = 16;

/** Changes whenever helpers should look: a step opened, or a message is waiting. */
export const WAKE: number = 0 * LINE;
/** 1 while helpers may join the current step. */
export const OPEN: number = 1 * LINE;
/** Chunks of the current step that were claimed. */
export const NEXT: number = 2 * LINE;
/** Helpers inside {@link OPEN}'s door. */
export const ACTIVE: number = 3 * LINE;
/** Helpers that sleep, or are about to, until {@link WAKE} changes. */
export const SLEEPERS: number = 4 * LINE;
/** 1 while the leader sleeps until {@link ACTIVE} is 0. */
export const LEADER_WAITS: number = 5 * LINE;
/** Number of the run that must end early. */
export const STOP: number = 6 * LINE;
/** Messages that were posted to every helper. */
export const MESSAGES: number = 7 * LINE;

/** Written by the leader while no helper is active. */
export const RUN: number = 8 * LINE;
export const TABLE: number = 8 * LINE + 1;
export const LAUNCHES: number = 8 * LINE + 2;
export const STEP: number = 8 * LINE + 3;
export const SCRATCH: number = 8 * LINE + 4;
export const SCRATCH_STRIDE: number = 8 * LINE + 5;

/** Position of the failed launch plus 1, then the length of the reason and its UTF-16 code units, one a word. */
export const FAILED: number = 9 * LINE;
const REASON_LENGTH = FAILED + 1;
const REASON = FAILED + 2;
const REASON_LIMIT = 200;

/** First word of what was released. */
export const RELEASES: number = REASON + REASON_LIMIT;

const CONTROL_WORDS = RELEASES + RELEASE_WORDS;

export function createControl(): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * 4));
}

/** Notes the first failure of a run, and ends the run. */
export function noteFailure(control: Int32Array<SharedArrayBuffer>, reason: string): void {
  if (Atomics.compareExchange(control, FAILED, 0, Atomics.load(control, STEP) + 1) === 0) {
    const text = reason.slice(0, REASON_LIMIT);
    for (let i = 0; i < text.length; i++) control[REASON + i] = text.charCodeAt(i);
    Atomics.store(control, REASON_LENGTH, text.length);
  }
  Atomics.store(control, STOP, Atomics.load(control, RUN));
}

export function failureReason(control: Int32Array<SharedArrayBuffer>): string {
  const length = Atomics.load(control, REASON_LENGTH);
  return String.fromCharCode(...control.subarray(REASON, REASON + length));
}
