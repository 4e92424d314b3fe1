/** What callers see of an encoder that answers on one device until another is ready. */

/** `pending` until the other device is ready; `stayed` where it cannot be used; `failed` where that is an error (`strict`). */
export type HandoverState = "pending" | "done" | "stayed" | "failed";

/** How far the move of an encoder from one device to another is. */
export interface HandoverStats {
  /** Kind of the device that answers first. */
  readonly from: string;
  /** Kind of the device that answers once it is ready. */
  readonly to: string;
  /** Whether the other device answers by now. */
  readonly state: HandoverState;
  /** Why the other device cannot be used, as a sentence. */
  readonly problem?: string;
}

/** The move of an encoder as it goes on: its members change until it ended. */
export interface Handover extends HandoverStats {
  /**
   * Resolves when calls that begin from then on are answered by `to`, or when that will not happen.
   * @throws what ended it, with `strict`; the encoder's calls end with the same
   */
  readonly ended: Promise<Exclude<HandoverState, "pending" | "failed">>;
}

export function handoverStats({ from, to, state, problem }: Handover): HandoverStats {
  return { from, to, state, ...(problem === undefined ? {} : { problem }) };
}

/** One line for `explain`. */
export function handoverText({ from, to, state, problem = "" }: Handover): string {
  switch (state) {
    case "pending":
      return `handover: answers on ${from} until ${to} is ready`;
    case "done":
      return `handover: handed over from ${from} to ${to}`;
    case "stayed":
      return `handover: stayed on ${from}: ${problem}`;
    case "failed":
      return `handover: failed from ${from} to ${to}: ${problem}`;
  }
}
