/** Options of commands that use a queue. */
import type { Command } from "commander";
import type { QueueCounts, QueuePlace } from "../bulk/mod.ts";
import { countOf } from "../core/figures.ts";
import { nonEmpty } from "./options.ts";
import { say } from "./terminal.ts";

export interface QueueOptions {
  readonly queue: string;
  readonly name?: string;
}

export function withQueueOptions(command: Command): Command {
  return command
    .requiredOption("--queue <address>", "Redis or Valkey, such as redis://localhost:6379", nonEmpty("an address"))
    .option("--name <queue>", "name of the queue there (fovea)", nonEmpty("a name"));
}

/** The queue that was named, and where it says what is wrong with it. */
export function queuePlace({ queue, name }: QueueOptions): QueuePlace & { onProblem(sentence: string): void } {
  return { queue, ...(name === undefined ? {} : { name }), onProblem: (sentence) => say(`fovea: ${sentence}`) };
}

export function countsText({ waiting, active, delayed, completed, failed }: QueueCounts): string {
  return `${completed} done, ${active} under way, ${waiting} waiting, ${delayed} to be tried again, ${countOf(failed, "dead letter")}`;
}
