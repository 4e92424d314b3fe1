/** What calls of foreign code have in common: how much a call gets and may do, and views of a memory that grows. */
import { endedBy } from "../../../runtime/abi/component.ts";
import type { Sandbox } from "../../../runtime/abi/sandbox.ts";

export const PAGE = 65536;
/** 256 MiB: larger pieces of operands are no kernel's. */
export const OWN_MEMORY_PAGES = 4096;

/** What a call does at most beside what it declares, in instructions: half a millisecond. */
const BASE_FUEL = 2 ** 19;
/** Instructions for each declared operation: what scalar code that computes its addresses anew takes. */
const FUEL_PER_FLOP = 16;
const MOST_FUEL = 2 ** 31 - 1;

/** A call gets as many items as do this much, 15 us or so, so that one that never ends stops within milliseconds, */
const CALL_FLOPS = 5e5;
/** or as fit into a cache beside each other. */
const CALL_BYTES = 1 << 18;

/** Words of a step for each kind of argument. */
export const WORDS: Readonly<Record<Sandbox["arguments"][number]["kind"], number>> = {
  pointer: 2,
  word: 1,
  count: 0,
  scratch: 1,
};

export function fuelFor(flops: number, bytes: number): number {
  return Math.min(MOST_FUEL, BASE_FUEL + FUEL_PER_FLOP * flops + bytes);
}

/** Items of a call, at least 1, of which each does `flops` and has `bytes` copied. */
export function itemsOfCall(most: number, flops: number, bytes: number): number {
  const fitting = Math.min(Math.floor(CALL_FLOPS / Math.max(1, flops)), Math.floor(CALL_BYTES / Math.max(1, bytes)));
  return Math.max(1, Math.min(most, fitting));
}

/** Views of a memory that may grow, shared or not. */
export class View {
  readonly memory: WebAssembly.Memory;
  bytes: Uint8Array;
  words: Int32Array;

  constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Int32Array(memory.buffer);
  }

  /** Makes sure that the views reach an address. */
  reach(end: number): void {
    if (end <= this.bytes.length) return;
    // Growing by nothing makes every engine hand out a buffer of the present length; of memory that is not shared, which has it
    // anyway, it would take away the views of others.
    if (!(this.memory.buffer instanceof ArrayBuffer)) this.memory.grow(0);
    this.bytes = new Uint8Array(this.memory.buffer);
    this.words = new Int32Array(this.memory.buffer);
  }
}

/** Makes a memory and its views reach an address. @throws Error where that is more than a memory of its own holds */
export function growTo(view: View, end: number): void {
  const pages = Math.ceil(end / PAGE);
  if (pages > OWN_MEMORY_PAGES) throw new Error(`its operands take ${end} bytes, more than a memory of its own holds`);
  const missing = pages - view.bytes.length / PAGE;
  if (missing > 0) view.memory.grow(missing);
  view.reach(end);
}

/** The exports of a rewritten module. */
export interface Entry {
  readonly f: (table: number) => number;
  readonly fuel: WebAssembly.Global;
}

/** Calls an entry that may end in any way. @throws Error that says how it misbehaved */
export function callEntry({ f, fuel }: Entry, table: number, budget: number): void {
  fuel.value = budget;
  let status: number;
  try {
    status = f(table);
  } catch (cause) {
    throw endedBy(cause, fuel.value as number, budget);
  }
  if (status !== 0) throw new Error(`it returned the status ${status}`);
}

/** Releases that are remembered: a count, then address and bytes of the last of them in turn. */
const REMEMBERED = 64;
export const RELEASE_WORDS: number = 1 + 2 * REMEMBERED;

/** Notes that memory of the device was released, before anyone else may get it. */
export function noteRelease(log: Int32Array, address: number, bytes: number): void {
  const count = log[0];
  const at = 1 + 2 * ((count >>> 0) % REMEMBERED);
  log[at] = address;
  log[at + 1] = bytes;
  Atomics.store(log, 0, (count + 1) | 0);
}

/** Tells whether values that were read before may be others by now. */
export class ReleaseReader {
  readonly #log: Int32Array;
  #seen: number;

  constructor(log: Int32Array) {
    this.#log = log;
    this.#seen = Atomics.load(log, 0);
  }

  /** Whether memory from `address` on was released since the last call of `done`. */
  touched(address: number, bytes: number): boolean {
    const missed = (Atomics.load(this.#log, 0) - this.#seen) >>> 0;
    if (missed > REMEMBERED) return true;
    for (let i = 0; i < missed; i++) {
      const at = 1 + 2 * (((this.#seen + i) >>> 0) % REMEMBERED);
      const released = this.#log[at] >>> 0;
      if (released < address + bytes && address < released + (this.#log[at + 1] >>> 0)) return true;
    }
    return false;
  }

  get isBehind(): boolean {
    return Atomics.load(this.#log, 0) !== this.#seen;
  }

  done(): void {
    this.#seen = Atomics.load(this.#log, 0);
  }
}
