/** What is said where a kernel that wants a worker of its own cannot have one. */
import { FoveaError } from "../../../runtime/core/diagnostics.ts";

/** @param why what the place lacks, as the end of a sentence */
export function noIsolates(why: string): FoveaError {
  return new FoveaError(
    "no_workers",
    `A plugin's kernel is to run in a worker of its own (isolation "worker"), but ${why}; load the plugin with isolation "own-memory".`,
  );
}
