/** What a runtime did while it compiled: events for logs, counters and `explain`. One journal a runtime; no globals. */
import type { Bindings } from "../../core/dim.ts";

/** Why a compile was asked for. */
export type CompileCause = "load" | "handover" | "device reopened" | "first use" | "proof failed" | "kernel failed";

/** Causes that are part of loading: no compile after it, and none that sealing forbids. */
export const LOADING: readonly CompileCause[] = ["load", "handover", "device reopened"];

/** What made a component's range necessary. */
export interface Demand {
  /** What needed it. */
  readonly cause: CompileCause;
  /** Dims of the call; nothing while loading. */
  readonly dims?: Bindings;
  /** `file:line` of the caller, where it is known. */
  readonly caller?: string;
}

/** A compile after its component was loaded; what a cache or a pack held is none. */
export interface Recompile extends Demand {
  /** Component. */
  readonly tag: string;
}

/**
 * What can be told: `passes` of the compiler with their times, `claims` of kernels taken and not, `ranges` and their splits, hits
 * and misses of the `cache`, trace `breaks`, and `recompiles`, which are compiles after load.
 */
export type LogTopic = "passes" | "claims" | "ranges" | "cache" | "breaks" | "recompiles";

/** Topics that `FOVEA_LOG` may name. */
export const LOG_TOPICS: readonly LogTopic[] = ["passes", "claims", "ranges", "cache", "breaks", "recompiles"];

/** One thing that happened, as a sentence for people and as data. */
export interface JournalEvent {
  /** One of those that were asked for. */
  readonly topic: LogTopic;
  /** Component, where there is one. */
  readonly tag?: string;
  /** What happened, without the component's name; one line. */
  readonly text: string;
}

export interface Journal {
  /** Topics that somebody listens to: texts of others need not be made. */
  wants(topic: LogTopic): boolean;
  tell(event: JournalEvent): void;
  recompiled(recompile: Recompile): void;
  readonly recompiles: readonly Recompile[];
}

/** Recompiles kept; a runtime that makes more has told the same many times. */
const KEPT = 1000;

/** @param listen told every event of the topics wanted */
export function createJournal(
  topics: readonly LogTopic[] = [],
  listen: (event: JournalEvent) => void = () => {},
): Journal {
  const recompiles: Recompile[] = [];
  const journal: Journal = {
    wants: (topic) => topics.includes(topic),
    tell: (event) => {
      if (topics.includes(event.topic)) listen(event);
    },
    recompiled: (recompile) => {
      recompiles.push(recompile);
      if (recompiles.length > KEPT) recompiles.shift();
      const { tag, cause, dims = {}, caller } = recompile;
      const sizes = Object.entries(dims).map(([name, value]) => `${name} ${value}`);
      const at = caller === undefined ? "" : `, asked for at ${caller}`;
      journal.tell({
        topic: "recompiles",
        tag,
        text: `compiled after load (${cause}) for ${sizes.join(", ") || "no symbols"}${at}`,
      });
    },
    recompiles,
  };
  return journal;
}
