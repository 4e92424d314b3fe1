/**
 * Foreign kernels: modules that may touch copies of their operands and nothing else, for as long as their declared work
 * allows. To the loops that call kernels they are kernels like others.
 */
import type { Sandbox } from "../../../runtime/abi/sandbox.ts";
import { type Component, componentKernel, linkLean } from "./component_kernel.ts";
import {
  callEntry,
  type Entry,
  fuelFor,
  growTo,
  itemsOfCall,
  OWN_MEMORY_PAGES,
  PAGE,
  View,
  WORDS,
} from "./foreign_call.ts";
import { ask, type Channel } from "./isolate_channel.ts";
import { linkIsolated } from "./isolated_component.ts";
import type { Kernel } from "./run_loop.ts";

const ALIGNMENT = 64;

/** Written behind every operand, and looked at after every call. */
const GUARD = 0xa5;
const GUARD_BYTES = 32;

/** Calls a module's entry with its table and what it may do. @throws Error that says how it misbehaved */
type Call = (table: number, budget: number) => void;

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** Links components whose glue is code of its own; nothing for others. */
export type LinkGlued = (module: WebAssembly.Module) => Component | undefined;

/**
 * A module over a device's memory, ready to be called on one worker.
 * @param releases what was released of the device's memory, as `noteRelease` writes it
 * @param isolate where the worker is that runs it, of kernels that have one
 */
export function linkKernel(
  { module, sandbox }: { readonly module: WebAssembly.Module; readonly sandbox?: Sandbox },
  device: WebAssembly.Memory,
  releases: Int32Array,
  glued?: LinkGlued,
  isolate?: Channel,
): Kernel {
  if (sandbox === undefined) return new WebAssembly.Instance(module, { e: { m: device } }).exports.f as Kernel;
  if (sandbox.component !== undefined)
    return componentKernel(() => linkComponent(module, glued, isolate), sandbox, device, releases);
  if (sandbox.memory === "shared") return sharedKernel(module, device, sandbox);
  const own = new OwnMemory(module, device, sandbox, isolate);
  return (args, begin, end) => own.run(args, begin, end);
}

const linkComponent = (module: WebAssembly.Module, glued?: LinkGlued, isolate?: Channel): Component =>
  isolate === undefined ? (glued?.(module) ?? linkLean(module)) : linkIsolated(isolate);

const tableBytes = ({ arguments: list }: Sandbox): number => aligned(list.length * 4);

/** Bits of the words that stand at both ends of a result before a call; no kernel writes this NaN. */
const UNWRITTEN = 0xffc0f0ea | 0;

/** An operand or the result of an own-memory kernel, with where the call at hand finds it. */
interface Pointer {
  /** Position among the arguments. */
  readonly index: number;
  readonly isRead: boolean;
  readonly split: boolean;
  /** In the device's memory. */
  address: number;
  /** Of one item where it is split, else of all. */
  bytes: number;
  /** In the kernel's memory. */
  at: number;
}

/** A kernel in a memory of its own: operands are copied in, results out, piece by piece of the grid. A worker of its own may run it. */
class OwnMemory {
  readonly #module: WebAssembly.Module;
  readonly #sandbox: Sandbox;
  readonly #device: View;
  readonly #pointers: readonly Pointer[];
  /** Address of the table in its memory. */
  readonly #table: number;
  readonly #isolate: Channel | undefined;
  #inside: View | undefined;
  #entry: Call | undefined;

  constructor(module: WebAssembly.Module, device: WebAssembly.Memory, sandbox: Sandbox, isolate?: Channel) {
    this.#module = module;
    this.#isolate = isolate;
    this.#sandbox = sandbox;
    this.#device = new View(device);
    this.#table = aligned(sandbox.reserved);
    this.#pointers = sandbox.arguments.flatMap((how, index) =>
      how.kind === "pointer"
        ? [{ index, isRead: how.mode === "read", split: how.split, address: 0, bytes: 0, at: 0 }]
        : [],
    );
  }

  run(args: number, begin: number, end: number): void {
    const list = this.#sandbox.arguments;
    this.#device.reach(args + 4 * (2 * list.length + 1));
    const { words } = this.#device;
    let word = args >> 2;
    let itemBytes = 0;
    let wholeBytes = 0;
    let scratch = 0;
    let pointer = 0;
    for (let i = 0; i < list.length; i++) {
      const { kind } = list[i];
      if (kind === "pointer") {
        const own = this.#pointers[pointer++];
        own.address = words[word] >>> 0;
        own.bytes = words[word + 1] >>> 0;
        if (own.split) itemBytes += own.bytes;
        else wholeBytes += own.bytes;
      } else if (kind === "scratch") scratch = words[word];
      word += WORDS[kind];
    }
    const flops = words[word];
    const items = itemsOfCall(end - begin, flops, itemBytes);
    const view = this.#place(items, scratch, args, words);
    this.#entry ??= this.#link(view.memory);
    for (const own of this.#pointers) if (own.isRead && !own.split) this.#copyIn(view, own, 0, own.bytes);
    const budget = fuelFor(flops * items, wholeBytes + itemBytes * items);
    for (let item = begin; item < end; item += items) {
      const count = Math.min(items, end - item);
      try {
        this.#call(view, this.#entry, item, count, budget);
      } catch (error) {
        // Its stack pointer and data are as the failure left them.
        this.#entry = undefined;
        throw error;
      }
    }
  }

  #link(memory: WebAssembly.Memory): Call {
    const isolate = this.#isolate;
    if (isolate !== undefined) return (table, budget) => void ask(isolate, budget, [budget, table]);
    const entry = new WebAssembly.Instance(this.#module, { e: { m: memory } }).exports as unknown as Entry;
    return (table, budget) => callEntry(entry, table, budget);
  }

  /** Places operands, result and scratch for so many items, and writes the table. */
  #place(items: number, scratch: number, args: number, words: Int32Array): View {
    const list = this.#sandbox.arguments;
    let next = this.#table + aligned(list.length * 4);
    for (const own of this.#pointers) {
      own.at = next;
      next += aligned((own.split ? own.bytes * items : own.bytes) + GUARD_BYTES);
    }
    const view = this.#room(next + aligned(scratch));
    let word = args >> 2;
    let pointer = 0;
    for (let i = 0; i < list.length; i++) {
      const { kind } = list[i];
      const value = kind === "pointer" ? this.#pointers[pointer++].at : kind === "scratch" ? next : words[word];
      if (kind !== "count") view.words[(this.#table >> 2) + i] = value;
      word += WORDS[kind];
    }
    return view;
  }

  #room(end: number): View {
    const least = Math.ceil(this.#sandbox.reserved / PAGE) + 1;
    this.#inside ??= new View(
      this.#isolate?.memory ?? new WebAssembly.Memory({ initial: least, maximum: OWN_MEMORY_PAGES }),
    );
    growTo(this.#inside, end);
    return this.#inside;
  }

  #copyIn(view: View, { address, at }: Pointer, offset: number, bytes: number): void {
    const from = address + offset;
    this.#device.reach(from + bytes);
    view.bytes.set(this.#device.bytes.subarray(from, from + bytes), at);
  }

  #call(view: View, entry: Call, item: number, count: number, budget: number): void {
    const { bytes: memory, words } = view;
    const list = this.#sandbox.arguments;
    for (let i = 0; i < list.length; i++) if (list[i].kind === "count") words[(this.#table >> 2) + i] = count;
    for (const own of this.#pointers) {
      const size = own.split ? own.bytes * count : own.bytes;
      if (own.isRead && own.split) this.#copyIn(view, own, item * own.bytes, size);
      if (!own.isRead && size >= 4) words[own.at >> 2] = words[(own.at + size - 4) >> 2] = UNWRITTEN;
      memory.fill(GUARD, own.at + size, own.at + size + GUARD_BYTES);
    }
    entry(this.#table, budget);
    for (const own of this.#pointers) {
      const size = own.split ? own.bytes * count : own.bytes;
      for (let guard = own.at + size; guard < own.at + size + GUARD_BYTES; guard++) {
        if (memory[guard] !== GUARD) throw new Error(`it wrote behind the end of its argument ${own.index}`);
      }
      if (own.isRead) continue;
      const isUnwritten = words[own.at >> 2] === UNWRITTEN || words[(own.at + size - 4) >> 2] === UNWRITTEN;
      if (size >= 4 && isUnwritten) throw new Error("it left elements of its result unwritten");
      const to = own.split ? own.address + item * own.bytes : own.address;
      this.#device.reach(to + size);
      this.#device.bytes.set(memory.subarray(own.at, own.at + size), to);
    }
  }
}

function sharedKernel(module: WebAssembly.Module, device: WebAssembly.Memory, sandbox: Sandbox): Kernel {
  const list = sandbox.arguments;
  const outside = new View(device);
  const entry = new WebAssembly.Instance(module, { e: { m: device } }).exports as unknown as Entry;
  return (args, begin, end, scratch) => {
    outside.reach(Math.max(args + 4 * (2 * list.length + 1), scratch + tableBytes(sandbox)));
    const words = outside.words;
    let last = args >> 2;
    for (const how of list) last += WORDS[how.kind];
    const flops = words[last];
    const items = itemsOfCall(end - begin, flops, 0);
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
        word += WORDS[how.kind];
      }
      callEntry(entry, scratch, fuelFor(flops * count, moved));
    }
  };
}
