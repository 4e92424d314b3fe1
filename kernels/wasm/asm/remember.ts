/** Kernels that were written before: the ranges of a component, and components of one shape, ask for the same code again. */
import { structureKey } from "../../../runtime/core/structure_key.ts";
import type { KernelModule } from "./module.ts";

/** Modules are some kilobytes each. */
const MOST = 512;

/** `write`, with the modules of up to 512 options kept. Options are plain data, and a module follows from them alone. */
export function remembered<O>(write: (options: O) => KernelModule): (options: O) => KernelModule {
  const known = new Map<string, KernelModule>();
  return (options) => {
    const key = structureKey(options);
    const before = known.get(key);
    if (before !== undefined) return before;
    if (known.size >= MOST) known.clear();
    const module = write(options);
    known.set(key, module);
    return module;
  };
}
