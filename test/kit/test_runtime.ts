/** Runtimes that share what they compile with all other tests of this machine: a model compiles once, not once a test. */
import { createRuntime, type Runtime, type RuntimeOptions } from "../../mod.ts";
import { TEST_CACHE } from "./test_cache.ts";

/** A runtime on the shared cache. Plugins of a test's own compile anew: equal names may stand for other kernels. */
export function openRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  return createRuntime(options.plugins === undefined ? { cache: TEST_CACHE, ...options } : options);
}
