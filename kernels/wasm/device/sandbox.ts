/**
 * Foreign kernels: modules that may touch copies of their operands and nothing else, for as long as their declared work
 * allows. To the loops that call kernels they are kernels like others.
 */
import type { Sandbox } from "../../../runtime/abi/sandbox.ts";
import type { Kernel } from "./run_loop.ts";

const PAGE = 65536;
const ALIGNMENT = 64;
/** 256 MiB: larger pieces of operands are no kernel's. */
const MOST_PAGES = 4096;

/** What a call does at most beside what it declares, in instructions: half a millisecond. */
const BASE_FUEL = 2 ** 19;
/** Instructions for each declared operation. */
const FUEL_PER_FLOP = 8;
const MOST_FUEL = 2 ** 31 - 1;

/** A call gets as many items as do this much, 30 us or so, so that one that never ends stops within milliseconds, */
const CALL_FLOPS = 1e6;
/** or as fit into a cache beside each other. */
const CALL_BYTES = 1 << 18;

/** Written behind every operand, and looked at after every call. */
const GUARD = 0xa5;

interface Entry {
  readonly f: (table: number) => number;
  readonly fuel: WebAssembly.Global;
}

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** One argument of the call that is being made. */
interface Piece {
  /** In the device's memory. */
  address: number;
  /** Of one item, or of all. */
  bytes: number;
  /** In the kernel's memory. */
  at: number;
}

/** Views of a memory that may grow, shared or not. */
class View {
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

/** A module over a device's memory, ready to be called on one worker. */
export function linkKernel(
  { module, sandbox }: { readonly module: WebAssembly.Module; readonly sandbox?: Sandbox },
  device: WebAssembly.Memory,
): Kernel {
  if (sandbox === undefined) return new WebAssembly.Instance(module, { e: { m: device } }).exports.f as Kernel;
  return sandbox.memory === "own" ? ownMemoryKernel(module, device, sandbox) : sharedKernel(module, device, sandbox);
}

/** Words of a step before those of the next argument. */
const stepWords = ({ kind }: Sandbox["arguments"][number]): number =>
  kind === "pointer" ? 2 : kind === "count" ? 0 : 1;

const tableBytes = ({ arguments: list }: Sandbox): number => aligned(list.length * 4);

function fuelFor(flops: number, bytes: number): number {
  return Math.min(MOST_FUEL, BASE_FUEL + FUEL_PER_FLOP * flops + bytes);
}

/** Calls an entry that may end in any way. @throws Error that says how it misbehaved */
function callEntry({ f, fuel }: Entry, table: number, budget: number): void {
  fuel.value = budget;
  let status: number;
  try {
    status = f(table);
  } catch (cause) {
    if ((fuel.value as number) < 0) {
      throw new Error(
        `it was stopped after the ${budget} instructions that its declared work allows: a loop without an end, or \`flops\` says too little`,
      );
    }
    throw new Error(`it trapped: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  if (status !== 0) throw new Error(`it returned the status ${status}`);
}

function ownMemoryKernel(module: WebAssembly.Module, device: WebAssembly.Memory, sandbox: Sandbox): Kernel {
  const list = sandbox.arguments;
  const pieces: Piece[] = list.map(() => ({ address: 0, bytes: 0, at: 0 }));
  const outside = new View(device);
  const table = aligned(sandbox.reserved);
  const first = table + tableBytes(sandbox);
  let inside: View | undefined;
  let entry: Entry | undefined;

  const room = (end: number): View => {
    const pages = Math.ceil(end / PAGE);
    if (pages > MOST_PAGES) throw new Error(`its operands take ${end} bytes, more than a memory of its own holds`);
    inside ??= new View(
      new WebAssembly.Memory({ initial: Math.max(pages, Math.ceil(sandbox.reserved / PAGE) + 1), maximum: MOST_PAGES }),
    );
    const missing = pages - inside.bytes.length / PAGE;
    if (missing > 0) inside.memory.grow(missing);
    inside.reach(end);
    return inside;
  };
  const open = (view: View): Entry =>
    new WebAssembly.Instance(module, { e: { m: view.memory } }).exports as unknown as Entry;

  return (args, begin, end) => {
    outside.reach(args + 4 * (2 * list.length + 1));
    const words = outside.words;
    let word = args >> 2;
    let itemBytes = 0;
    for (const [i, how] of list.entries()) {
      const piece = pieces[i];
      piece.address = words[word] >>> 0;
      piece.bytes = how.kind === "scratch" ? words[word] : words[word + 1];
      if (how.kind === "pointer" && how.split) itemBytes += piece.bytes;
      word += stepWords(how);
    }
    const flops = words[word];
    const items = Math.max(
      1,
      Math.min(
        end - begin,
        Math.floor(CALL_FLOPS / Math.max(1, flops)),
        Math.floor(CALL_BYTES / Math.max(1, itemBytes)),
      ),
    );
    let next = first;
    let moved = items * itemBytes;
    for (const [i, how] of list.entries()) {
      if (how.kind !== "pointer" && how.kind !== "scratch") continue;
      const piece = pieces[i];
      piece.at = next;
      const split = how.kind === "pointer" && how.split;
      if (how.kind === "pointer" && !split) moved += piece.bytes;
      next += aligned(piece.bytes * (split ? items : 1)) + ALIGNMENT;
    }
    const view = room(next);
    entry ??= open(view);
    const memory = view.bytes;
    for (const [i, how] of list.entries()) {
      if (how.kind !== "pointer" || how.split || how.mode !== "read") continue;
      const { address, bytes, at } = pieces[i];
      outside.reach(address + bytes);
      memory.set(outside.bytes.subarray(address, address + bytes), at);
    }
    const budget = fuelFor(flops * items, moved);
    for (let item = begin; item < end; item += items) {
      const count = Math.min(items, end - item);
      word = args >> 2;
      for (const [i, how] of list.entries()) {
        const slot = (table >> 2) + i;
        if (how.kind === "pointer" || how.kind === "scratch") view.words[slot] = pieces[i].at;
        else view.words[slot] = how.kind === "count" ? count : words[word];
        word += stepWords(how);
        if (how.kind !== "pointer") continue;
        const { address, bytes, at } = pieces[i];
        const size = how.split ? bytes * count : bytes;
        if (how.mode === "write") memory.fill(0xff, at, at + size);
        else if (how.split) {
          const from = address + item * bytes;
          outside.reach(from + size);
          memory.set(outside.bytes.subarray(from, from + size), at);
        }
        memory.fill(GUARD, at + size, aligned(at + size) + ALIGNMENT);
      }
      try {
        callEntry(entry, table, budget);
        for (const [i, how] of list.entries()) {
          if (how.kind !== "pointer") continue;
          const { address, bytes, at } = pieces[i];
          const size = how.split ? bytes * count : bytes;
          for (let guard = at + size; guard < aligned(at + size) + ALIGNMENT; guard++) {
            if (memory[guard] !== GUARD) throw new Error(`it wrote behind the end of its argument ${i}`);
          }
          if (how.mode === "read") continue;
          const from = address + (how.split ? item * bytes : 0);
          outside.reach(from + size);
          outside.bytes.set(memory.subarray(at, at + size), from);
        }
      } catch (error) {
        // Its stack pointer and data are as the failure left them.
        entry = undefined;
        throw error;
      }
    }
  };
}

function sharedKernel(module: WebAssembly.Module, device: WebAssembly.Memory, sandbox: Sandbox): Kernel {
  const list = sandbox.arguments;
  const outside = new View(device);
  const entry = new WebAssembly.Instance(module, { e: { m: device } }).exports as unknown as Entry;
  return (args, begin, end, scratch) => {
    outside.reach(Math.max(args + 4 * (2 * list.length + 1), scratch + tableBytes(sandbox)));
    const words = outside.words;
    let last = args >> 2;
    for (const how of list) last += stepWords(how);
    const flops = words[last];
    const items = Math.max(1, Math.min(end - begin, Math.floor(CALL_FLOPS / Math.max(1, flops))));
    const table = scratch >> 2;
    for (let item = begin; item < end; item += items) {
      const count = Math.min(items, end - item);
      let word = args >> 2;
      let moved = 0;
      for (const [i, how] of list.entries()) {
        if (how.kind === "pointer") {
          words[table + i] = words[word] + (how.split ? item * words[word + 1] : 0);
          moved += words[word + 1] * (how.split ? count : 1);
        } else if (how.kind === "scratch") words[table + i] = scratch + tableBytes(sandbox);
        else words[table + i] = how.kind === "count" ? count : words[word];
        word += stepWords(how);
      }
      callEntry(entry, scratch, fuelFor(flops * count, moved));
    }
  };
}
