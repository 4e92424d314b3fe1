/** Runs linked programs: an arena per call in flight, kept for the next call of the same geometry. */
import type { BoundProgram, Device, DeviceBuffer } from "../abi/device.ts";
import type { Tensor, Tensors } from "../abi/encoder.ts";
import { internal } from "../core/diagnostics.ts";
import type { DType } from "../core/dtype.ts";
import { dimsText, type ForwardContext, inRequest } from "./forward_context.ts";
import { createIdleMemory, type IdleMemory } from "./idle_memory.ts";
import type { LinkedCall, LinkedProgram } from "./linker.ts";

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

/** The component call that a launch belongs to, in words. */
function callText(calls: readonly LinkedCall[], position = 0): string {
  let end = 0;
  for (const [at, { tag, instance, dims, launches }] of calls.entries()) {
    end += launches;
    if (position >= end && at < calls.length - 1) continue;
    const of = instance === "" ? "" : ` ("${instance}")`;
    return `component "${tag}"${of}${dimsText(dims)}, call ${at + 1} of ${calls.length}`;
  }
  return "a program without calls";
}

export interface ProgramRunner {
  /**
   * @throws the context's reason to stop; FoveaErrors that name the request, the component and its dims; `out_of_memory`
   * before anything runs
   */
  run(
    program: LinkedProgram,
    inputs: Tensors,
    results: Readonly<Record<string, string>>,
    context: ForwardContext,
  ): Promise<Tensors>;
  release(): void;
}

/** @param memory what all runners of a device share, so that each gives up what it keeps where another needs it */
export function createProgramRunner(device: Device, memory: IdleMemory = createIdleMemory()): ProgramRunner {
  const idle: Arena[] = [];
  let released = false;
  const drop = (a: Arena): void => {
    a.bound.release();
    device.release(a.buffer);
  };
  const leave = memory.add(device, () => {
    const some = idle.length > 0;
    for (const a of idle.splice(0)) drop(a);
    return some;
  });
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
      if (!memory.reclaim(device)) throw error;
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
  /** One run of bound launches; without an answer it names where it was. */
  const compute = async (bound: BoundProgram, where: () => string, context: ForwardContext): Promise<number> => {
    let started = 0;
    context.doing(() => "waiting for the device behind other calls");
    const onStart = (): void => {
      context.check();
      context.doing(() => `computing ${where()}`);
      started = context.now();
    };
    await device.run(bound, { signal: context.signal, onStart });
    return started;
  };
  const computeAll = async ({ bound }: Arena, { calls }: LinkedProgram, context: ForwardContext): Promise<void> => {
    const where = (): string => callText(calls, bound.position);
    try {
      await compute(bound, where, context);
    } catch (error) {
      throw inRequest(error, context, where());
    }
  };
  /** Each component call for itself, so that its time is known; the launches are the same. */
  const computeTraced = async ({ buffer }: Arena, program: LinkedProgram, context: ForwardContext): Promise<void> => {
    const launches = program.launches(buffer);
    let first = 0;
    for (const [at, { tag, instance, dims, launches: count, flops }] of program.calls.entries()) {
      const bound = device.bind(launches.slice(first, first + count));
      first += count;
      const where = (): string => callText(program.calls, first - count);
      const waits = context.now();
      try {
        const begin = await compute(bound, where, context);
        const name = instance === "" ? tag : `${tag} ${instance}`;
        const about = { tag, dims, figures: { call: at, launches: count, flops } };
        context.span({ kind: "wait", name, begin: waits, tag, until: begin });
        context.span({ kind: "launches", name, begin, ...about });
      } catch (error) {
        throw inRequest(error, context, where());
      } finally {
        bound.release();
      }
    }
  };
  return {
    run: async (program, inputs, results, context) => {
      context.check();
      const arena = acquire(program);
      try {
        const begin = context.now();
        let written = 0;
        for (const [name, t] of Object.entries(inputs)) {
          const place = program.values[name];
          if (place === undefined) continue;
          const bytes = bytesOf(t.data);
          if (bytes.length !== place.bytes)
            internal(`input "${name}" has ${bytes.length} bytes, its place ${place.bytes}`);
          device.write(arena.buffer, place.offset, bytes);
          written += bytes.length;
        }
        context.span({ kind: "write", name: context.tag, begin, figures: { bytes: written } });
        await (context.traced ? computeTraced : computeAll)(arena, program, context);
        context.doing(() => "reading its results back");
        const reading = context.now();
        let read = 0;
        const out: Record<string, Tensor> = {};
        for (const [name, value] of Object.entries(results)) {
          const place = program.values[value];
          const data = storageOf(place.dtype, place.bytes);
          await device.read(arena.buffer, place.offset, bytesOf(data));
          out[name] = { dtype: place.dtype, shape: place.shape, data };
          read += place.bytes;
        }
        context.span({ kind: "read", name: context.tag, begin: reading, figures: { bytes: read } });
        return out;
      } finally {
        giveBack(arena);
      }
    },
    release: () => {
      released = true;
      leave();
      for (const a of idle.splice(0)) drop(a);
    },
  };
}
