/** What `fovea.lock` may hold. */
import * as v from "valibot";
import { ISOLATIONS } from "../../abi/isolation.ts";
import type { LockedPlugin } from "./plugin_lock.ts";

const LOCK = v.strictObject({
  lock: v.literal(1),
  plugins: v.record(
    v.string(),
    v.strictObject({
      plugins: v.array(v.string()),
      form: v.picklist(["wasm", "component", "wasm-pack", "wgsl", "javascript"]),
      isolation: v.optional(v.picklist(ISOLATIONS)),
      trustGlue: v.optional(v.boolean()),
      digest: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
    }),
  ),
});

/** Pins by source. @throws what the schema says of anything else */
export function parseLock(value: unknown): Readonly<Record<string, LockedPlugin>> {
  return v.parse(LOCK, value).plugins as Readonly<Record<string, LockedPlugin>>;
}
