/** Vector constants as locals that are set once: engines build a constant anew wherever it stands in a loop. */
import { type Code, get, type Immediate, type Local, set } from "./code.ts";
import type { KernelFrame } from "./module.ts";

const isCode = (part: number | Immediate | Code): part is Code => Array.isArray(part);

/** The bytes of a `v128.const`, written by `v128.of` as an array of its own; nothing for other code. */
function vectorConstant(code: Code): readonly number[] | undefined {
  const last = code[code.length - 1];
  return typeof last === "object" && "kind" in last && last.kind === "v128" ? last.bytes : undefined;
}

/**
 * Replaces every vector constant of `code` by a local; `setup` sets the locals and must run before. Equal constants
 * share one.
 */
export function hoistConstants(frame: KernelFrame, code: Code): { readonly setup: Code; readonly code: Code } {
  const locals = new Map<string, Local>();
  const setup: Code[] = [];
  const visit = (part: Code): Code => {
    const bytes = vectorConstant(part);
    if (bytes === undefined) return part.map((p) => (isCode(p) ? visit(p) : p));
    const key = bytes.join();
    const local = locals.get(key) ?? frame.local("v128");
    if (!locals.has(key)) setup.push(set(local, part));
    locals.set(key, local);
    return get(local);
  };
  const hoisted = visit(code);
  return { setup, code: hoisted };
}

/** Code whose vector constants are set once, before it. */
export function withConstants(frame: KernelFrame, code: Code): Code {
  const hoisted = hoistConstants(frame, code);
  return [hoisted.setup, hoisted.code];
}
