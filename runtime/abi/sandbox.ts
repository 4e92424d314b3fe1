/**
 * Foreign code for a device with one linear memory: a module whose loops are counted, and beside it, in a section of its
 * own, what the words of a step's arguments mean. The device gives it copies of exactly its operands.
 */
import { canonicalJson } from "../core/canonical_json.ts";

/**
 * What an entry gets as the words of its table, in order.
 * - `pointer`: an operand or the result. The step's words: address, then bytes, of one grid item where it is `split`.
 *   Components get the values of those that are `weight` once, and the others with each call.
 * - `word`: a word of the step as it is.
 * - `count`: grid items of the call; no word of the step.
 * - `scratch`: a pointer to bytes that live for one call. The step's word: how many.
 */
export type SandboxArgument =
  | {
      readonly kind: "pointer";
      readonly mode: "read" | "write";
      readonly split: boolean;
      readonly dtype: "f32" | "i32" | "u8";
      readonly weight: boolean;
    }
  | { readonly kind: "word"; readonly isAttribute: boolean }
  | { readonly kind: "count" }
  | { readonly kind: "scratch" };

/** How foreign code is run. The step's last word, after those of the arguments, says the operations of one grid item. */
export interface Sandbox {
  /**
   * `own`: a memory of its own, operands are copied in and results out. `worker`: the same, in a worker of its own.
   * `shared`: the device's memory, in place.
   */
  readonly memory: "own" | "worker" | "shared";
  /** Of a component: the position of the kernel in its offers. Its memory is never the device's. */
  readonly component?: number;
  /** Bytes at the bottom of its own memory that belong to the module: static data and stack. */
  readonly reserved: number;
  readonly arguments: readonly SandboxArgument[];
}

const SECTION = "fovea.sandbox";
const HEADER_BYTES = 8;

function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...unsigned(Math.floor(value / 128))];
}

/** A module with its sandbox as its last, custom section. */
export function withSandbox(module: Uint8Array, sandbox: Sandbox): Uint8Array {
  const encoder = new TextEncoder();
  const [name, text] = [encoder.encode(SECTION), encoder.encode(canonicalJson(sandbox))];
  const content = [...unsigned(name.length), ...name, ...text];
  return Uint8Array.from([...module, 0, ...unsigned(content.length), ...content]);
}

/** The sandbox of foreign code; nothing for other code. */
export function sandboxOf(code: Uint8Array): Sandbox | undefined {
  let at = HEADER_BYTES;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; at < code.length; shift += 7) {
      const byte = code[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) break;
    }
    return value;
  };
  while (at < code.length) {
    const id = code[at++];
    const size = number();
    const end = at + size;
    if (id === 0) {
      const length = number();
      const decoder = new TextDecoder();
      if (decoder.decode(code.slice(at, at + length)) === SECTION)
        return JSON.parse(decoder.decode(code.slice(at + length, end))) as Sandbox;
    }
    at = end;
  }
  return undefined;
}
