/** A component's `build`, called: what it must not give. */
import type { ComponentSpec } from "../../abi/encoder.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import type { GraphBuilder } from "../../ir/builder.ts";

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";

/** @throws FoveaError `build_failed` for a `build` that is async, and what it throws */
export function runBuild(spec: ComponentSpec, builder: GraphBuilder): void {
  const given: unknown = spec.build(builder);
  if (!isPromise(given)) return;
  // What it does later is nobody's, and must not end the process.
  given.then(undefined, () => {});
  throw new FoveaError(
    "build_failed",
    `Component "${spec.tag}" cannot be built: its \`build\` gives a promise; it must not be async.`,
  );
}
