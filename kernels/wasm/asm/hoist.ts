/** Vector constants as locals that are set once: engines build a constant anew wherever it stands in a loop. */
import { internal } from "../../../runtime/core/diagnostics.ts";
import { type Code, get, type Immediate, type Local, set, v128 } from "./code.ts";
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
export function hoistConstants(frame: KernelFrame, code: Code): Hoisted {
  return hoist(code, (constant) => {
    const local = frame.local("v128");
    return { setup: set(local, constant), read: get(local) };
  });
}

export interface Hoisted {
  readonly setup: Code;
  readonly code: Code;
}

/** What stands for a constant: how it is kept, and what reads it. */
interface Kept {
  readonly setup: Code;
  readonly read: Code;
}

function hoist(code: Code, keep: (constant: Code, index: number) => Kept): Hoisted {
  const reads = new Map<string, Code>();
  const setup: Code[] = [];
  const visit = (part: Code): Code => {
    const bytes = vectorConstant(part);
    if (bytes === undefined) return part.map((p) => (isCode(p) ? visit(p) : p));
    const key = bytes.join();
    const known = reads.get(key);
    if (known !== undefined) return known;
    const kept = keep(part, reads.size);
    setup.push(kept.setup);
    reads.set(key, kept.read);
    return kept.read;
  };
  const hoisted = visit(code);
  return { setup, code: hoisted };
}

/**
 * The same in memory, `offset` bytes from an address and one behind the other: where other loops of the kernel need all registers,
 * an engine that moves constants out of every loop by itself keeps some in registers that the others then lack.
 * @throws Error when there are more than `most`
 */
export function constantsInMemory(code: Code, address: Local, offset: number, most: number): Hoisted {
  return hoist(code, (constant, index) => {
    if (index >= most) internal(`more than ${most} vector constants are kept in memory`);
    const at = offset + 16 * index;
    return { setup: v128.store(get(address), constant, at), read: v128.load(get(address), at) };
  });
}

/** Code whose vector constants are set once, before it. */
export function withConstants(frame: KernelFrame, code: Code): Code {
  const hoisted = hoistConstants(frame, code);
  return [hoisted.setup, hoisted.code];
}
