/** Commands that run a model once: a small one is over before workers and ranges that nothing asks for would be ready. */
import { FoveaError } from "../core/diagnostics.ts";
import { detectHost } from "../host/mod.ts";
import type { LoadOptions, RuntimeOptions } from "../session.ts";
import type { CommonOptions } from "./options.ts";

/** Bytes of weights times inputs up to which a run is small: about as long on one thread as workers take to start. */
const SMALL_BYTES = 64 << 20;

/** What a command asks for that runs a model once. */
export interface OneShot {
  readonly runtime: Pick<RuntimeOptions, "threads">;
  readonly load: Pick<LoadOptions, "lazy">;
}

/** Little work is computed by the main thread unless `--threads` says otherwise, and prepares only the ranges that it uses. */
export async function oneShot(model: string, inputs: number, { threads }: CommonOptions): Promise<OneShot> {
  if (!(await isSmallWork(model, inputs))) return { runtime: {}, load: {} };
  return { runtime: threads === undefined ? { threads: 0 } : {}, load: { lazy: true } };
}

/** Models that are not in a folder count as large. */
async function isSmallWork(model: string, inputs: number): Promise<boolean> {
  const host = await detectHost();
  try {
    let bytes = 0;
    for (const { name } of await host.listDir(model)) {
      if (name.endsWith(".safetensors")) bytes += (await host.stat(`${model}/${name}`)).size;
    }
    return bytes > 0 && bytes * inputs <= SMALL_BYTES;
  } catch (error) {
    // What is wrong with a folder is said when it is opened.
    if (error instanceof FoveaError) return false;
    throw error;
  }
}
