/** A device whose memory and launches tests can watch; code is found by name. */
import type { Address, BoundProgram, Device, DeviceBuffer, Launch, RunOptions } from "../../runtime/abi/device.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";

/** What a launch does: its arguments are bytes of device memory from an address on, or numbers. */
export type FakeCode = (args: readonly (Uint8Array | number)[], launch: Launch) => void | Promise<void>;

export interface FakeDevice extends Device {
  /** Buffers that were allocated and not given back. */
  readonly live: ReadonlyMap<DeviceBuffer, Uint8Array>;
  /** Programs that were bound and not released. */
  readonly bound: ReadonlySet<BoundProgram>;
  readonly allocations: readonly number[];
}

/** Throws when memory is given back twice, read or written after that, or addressed outside of a buffer. */
export function createFakeDevice(codes: Readonly<Record<string, FakeCode>>, budget = 1e9): FakeDevice {
  const live = new Map<DeviceBuffer, Uint8Array>();
  const bound = new Set<BoundProgram>();
  const programs = new Map<BoundProgram, readonly Launch[]>();
  const allocations: number[] = [];
  const inUse = (): number => [...live.values()].reduce((sum, b) => sum + b.length, 0);
  const bytesAt = ({ buffer, offset }: Address): Uint8Array => {
    const memory = live.get(buffer);
    if (memory === undefined) throw new Error("memory is used after it was given back");
    if (offset < 0 || offset > memory.length) throw new Error(`offset ${offset} is outside of ${memory.length} bytes`);
    return memory.subarray(offset);
  };
  return {
    kind: "fake",
    target: "fake",
    capabilities: {},
    threads: 0,
    live,
    bound,
    allocations,
    load: async () => 0,
    has: () => true,
    allocate: (bytes) => {
      if (inUse() + bytes > budget) throw new FoveaError("out_of_memory", `${bytes} bytes do not fit.`);
      const buffer: DeviceBuffer = { bytes, address: allocations.push(bytes) };
      live.set(buffer, new Uint8Array(bytes).fill(0xee));
      return buffer;
    },
    release: (buffer) => {
      if (!live.delete(buffer)) throw new Error("memory is given back twice");
    },
    write: (buffer, offset, data) => {
      const room = bytesAt({ buffer, offset });
      if (data.length > room.length) throw new Error(`${data.length} bytes do not fit into ${room.length}`);
      room.set(data);
    },
    read: async (buffer, offset, into) => {
      into.set(bytesAt({ buffer, offset }).subarray(0, into.length));
    },
    bind: (launches) => {
      const program: BoundProgram = {
        launches: launches.length,
        release: () => {
          if (!bound.delete(program)) throw new Error("a program is released twice");
        },
      };
      bound.add(program);
      programs.set(program, launches);
      return program;
    },
    run: async (program: BoundProgram, { signal, onStart }: RunOptions) => {
      if (!bound.has(program)) throw new Error("a released program is run");
      onStart?.();
      for (const launch of programs.get(program) ?? []) {
        signal?.throwIfAborted();
        const args = launch.args.map((a) => (typeof a === "number" ? a : bytesAt(a)));
        await codes[launch.code](args, launch);
      }
    },
    stats: () => ({ modulesCompiled: 0, bytesInUse: inUse(), peakBytes: 0, limitBytes: budget, runs: 0 }),
    close: async () => {},
  };
}

/** f32 elements of a launch's argument. */
export function floats(bytes: Uint8Array | number, count: number): Float32Array {
  if (typeof bytes === "number") throw new Error("an address was expected");
  return new Float32Array(bytes.buffer, bytes.byteOffset, count);
}
