/** What `fovea.lock` may hold. */
import * as v from "valibot";
import { ISOLATIONS } from "../../abi/isolation.ts";
import { jsonProblem } from "../../core/json_problem.ts";
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

/** Pins by source. @throws Error that says what is wrong where, as the end of a sentence */
export function parseLock(text: string): Readonly<Record<string, LockedPlugin>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Error(jsonProblem(text) ?? String(cause), { cause });
  }
  const result = v.safeParse(LOCK, value, { abortEarly: true });
  if (result.success) return result.output.plugins as Readonly<Record<string, LockedPlugin>>;
  const [issue] = result.issues;
  const place = v.getDotPath(issue);
  throw new Error(`${place === null ? "its content" : `\`${place}\``} ${problem(issue)}`);
}

function problem({ expected, received }: v.BaseIssue<unknown>): string {
  if (received === "undefined") return "is missing";
  return expected === "never" ? "must not be there" : `must be ${expected}; found ${received}`;
}
