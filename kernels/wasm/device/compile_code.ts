/** Modules of code blobs, made by the engine. */
import { type Sandbox, sandboxOf } from "../../../runtime/abi/sandbox.ts";
import { FoveaError } from "../../../runtime/core/diagnostics.ts";
import type { CompileCode } from "./linear_device.ts";
import { withSharedMemory } from "./shared_import.ts";

/** Engines limit synchronous compilation on a page's main thread to modules of this size. */
const SYNCHRONOUS_BYTES = 4096;

/** @param prepare makes a mode's own bytes of code that imports the device's memory */
export function codeCompiler(prepare: (code: Uint8Array) => Uint8Array<ArrayBuffer>): CompileCode {
  return async (digest, code) => {
    try {
      const sandbox = sandboxOf(code);
      const bytes = prepared(code, sandbox, prepare);
      const module =
        bytes.length <= SYNCHRONOUS_BYTES ? new WebAssembly.Module(bytes) : await WebAssembly.compile(bytes);
      return { module, ...(sandbox === undefined ? {} : { sandbox }) };
    } catch (cause) {
      if (cause instanceof FoveaError) throw cause;
      throw new FoveaError(
        "invalid_code",
        `The engine refused the code blob ${digest}: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    }
  };
}

function prepared(
  code: Uint8Array,
  sandbox: Sandbox | undefined,
  prepare: (code: Uint8Array) => Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  if (sandbox?.memory === "own" || sandbox?.component !== undefined) return Uint8Array.from(code);
  // Its own memory is seen by the thread that calls it and by the worker that runs it.
  return sandbox?.memory === "worker" ? withSharedMemory(code) : prepare(code);
}

/** For memory that is not shared: the bytes as they are. */
export const compileUnshared: CompileCode = codeCompiler((code) =>
  code.buffer instanceof ArrayBuffer ? (code as Uint8Array<ArrayBuffer>) : Uint8Array.from(code),
);
