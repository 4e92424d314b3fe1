/** Handing an encoder over: one device answers while another is made ready. */
import { FoveaError } from "../../core/diagnostics.ts";
import type { Handover, HandoverState, HandoverStats } from "./handover_state.ts";
import type { Residence, Resident } from "./residence.ts";

export interface HandoverOptions extends Pick<HandoverStats, "from" | "to"> {
  readonly residence: Residence;
  /** Loads the towers on the other device. */
  readonly load: (signal: AbortSignal) => Promise<Resident>;
  /** Staying is an error. */
  readonly strict: boolean;
  readonly onProblem: (sentence: string) => void;
  readonly onDone: () => void;
}

/** A handover that can be given up, and begun again. */
export interface RunningHandover extends Handover {
  /** Ends it where the encoder is; resolves when nothing of it is left. */
  stop(): Promise<void>;
  /** Begins again, where it did not end on the other device. */
  again(): Promise<void>;
}

const sentenceOf = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error);
  return /[.?]$/.test(text) ? text : `${text}.`;
};

const abortOf = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });

/** Ranges that calls made ready meanwhile are made ready on the other device as well. */
async function catchUp(last: Resident, next: Resident, signal: AbortSignal): Promise<void> {
  for (const [modality, { components }] of last.towers) {
    for (const [tag, { slots }] of components) {
      const others = next.towers.get(modality)?.components.get(tag)?.slots ?? [];
      const used = slots.filter((s) => s.ready !== undefined).map((s) => JSON.stringify(s.box));
      for (const slot of others) {
        if (slot.ready === undefined && used.includes(JSON.stringify(slot.box)))
          await slot.obtain({ cause: "handover" }, signal);
      }
    }
  }
}

export function beginHandover(options: HandoverOptions): RunningHandover {
  const { from, to, residence, load, strict, onProblem, onDone } = options;
  let stopped = new AbortController();
  let state: HandoverState = "pending";
  let problem: string | undefined;

  const work = async (): Promise<"done" | "stayed"> => {
    const { signal } = stopped;
    let last: Resident;
    let next: Resident | undefined;
    try {
      next = await load(signal);
      await catchUp(residence.current, next, signal);
      signal.throwIfAborted();
      last = residence.current;
      residence.move(next);
      state = "done";
      onDone();
    } catch (error) {
      // What ended it is told, not what closing adds.
      if (residence.current !== next) await next?.release().catch(() => {});
      problem = sentenceOf(error);
      if (signal.aborted) {
        state = "stayed";
        return state;
      }
      if (!strict) {
        state = "stayed";
        onProblem(`The encoder stays on the device "${from}", for "${to}" could not take over: ${problem}`);
        return state;
      }
      state = "failed";
      const code = error instanceof FoveaError ? error.code : "handover_failed";
      const failure = new FoveaError(
        code,
        `The encoder could not be handed over from the device "${from}" to "${to}", which \`strict\` makes an error: ${problem}`,
        { cause: error, exitCode: 1 },
      );
      residence.fail(failure);
      throw failure;
    }
    // Calls under way end where they began, and make ranges ready until then. What fails now fails in the call that needs it.
    await Promise.race([residence.left(last), abortOf(signal)]);
    await catchUp(last, next, signal).catch(() => {});
    return state;
  };

  const begin = (): Promise<"done" | "stayed"> => {
    const begun = work();
    // Calls of the encoder tell it as well.
    begun.catch(() => {});
    return begun;
  };
  let ended = begin();
  const stop = async (): Promise<void> => {
    stopped.abort(new FoveaError("closed", "The encoder was closed while it was handed over."));
    await ended.catch(() => {});
  };
  return {
    ...{ from, to, stop },
    again: async () => {
      await stop();
      if (state === "done") return;
      stopped = new AbortController();
      state = "pending";
      problem = undefined;
      residence.recover();
      ended = begin();
    },
    get ended() {
      return ended;
    },
    get state() {
      return state;
    },
    get problem() {
      return problem as string;
    },
  };
}
