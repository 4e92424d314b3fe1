/** Runs linked programs: an arena per call in flight, kept for the next call of the same geometry. */
import type { BoundProgram, Device, DeviceBuffer } from "../abi/device.ts";
import type { Tensor, Tensors } from "../abi/encoder.ts";
import { internal } from "../core/diagnostics.ts";
import type { DType } from "../core/dtype.ts";
import type { LinkedProgram } from "./linker.ts";

interface Arena {
  readonly key: string;
  readonly buffer: DeviceBuffer;
  readonly bound: BoundProgram;
}

/** Idle arenas kept beyond their call; the oldest is dropped first. */
const IDLE_ARENAS = 4;

const bytesOf = (data: Tensor["data"]): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Storage of a result. */
function storageOf(dtype: DType, bytes: number): Tensor["data"] {
  if (dtype === "u8") return new Uint8Array(bytes);
  return dtype === "i32" ? new Int32Array(bytes / 4) : new Float32Array(bytes / 4);
}

export interface ForwardContext {
  readonly requestId: number;
  readonly tag: string;
  readonly signal?: AbortSignal;
}

export interface ProgramRunner {
  run(
    program: LinkedProgram,
    inputs: Tensors,
    results: Readonly<Record<string, string>>,
    context: ForwardContext,
  ): Promise<Tensors>;
  release(): void;
}

export function createProgramRunner(device: Device): ProgramRunner {
  const idle: Arena[] = [];
  let released = false;
  const drop = (a: Arena): void => {
    a.bound.release();
    device.release(a.buffer);
  };
  const acquire = (program: LinkedProgram): Arena => {
    const at = idle.findIndex((a) => a.key === program.key && a.buffer.bytes >= program.arenaBytes);
    if (at >= 0) return idle.splice(at, 1)[0];
    const bind = (): Arena => {
      const buffer = device.allocate(Math.max(program.arenaBytes, 64));
      try {
        return { key: program.key, buffer, bound: device.bind(program.launches(buffer)) };
      } catch (error) {
        device.release(buffer);
        throw error;
      }
    };
    try {
      return bind();
    } catch (error) {
      if (idle.length === 0) throw error;
      // Memory that only waits for reuse is given up before a request is refused.
      for (const a of idle.splice(0)) drop(a);
      return bind();
    }
  };
  const giveBack = (arena: Arena): void => {
    // A run that outlives the runner takes its memory along.
    if (released) {
      drop(arena);
      return;
    }
    idle.push(arena);
    while (idle.length > IDLE_ARENAS) drop(idle.shift() as Arena);
  };
  return {
    run: async (program, inputs, results, context) => {
      context.signal?.throwIfAborted();
      const arena = acquire(program);
      try {
        for (const [name, t] of Object.entries(inputs)) {
          const place = program.values[name];
          if (place === undefined) continue;
          const bytes = bytesOf(t.data);
          if (bytes.length !== place.bytes)
            internal(`input "${name}" has ${bytes.length} bytes, its place ${place.bytes}`);
          device.write(arena.buffer, place.offset, bytes);
        }
        await device.run(arena.bound, context.signal === undefined ? {} : { signal: context.signal });
        const out: Record<string, Tensor> = {};
        for (const [name, value] of Object.entries(results)) {
          const place = program.values[value];
          const data = storageOf(place.dtype, place.bytes);
          await device.read(arena.buffer, place.offset, bytesOf(data));
          out[name] = { dtype: place.dtype, shape: place.shape, data };
        }
        return out;
      } finally {
        giveBack(arena);
      }
    },
    release: () => {
      released = true;
      for (const a of idle.splice(0)) drop(a);
    },
  };
}
