/** Runs linked programs: an arena per call in flight, kept for the next call that fits, with what was bound in it. */
import type { BoundProgram, Device, DeviceBuffer, DeviceTime, RunOptions } from "../abi/device.ts";
import type { Tensor, Tensors } from "../abi/encoder.ts";
import { FoveaError, internal } from "../core/diagnostics.ts";
import { dimsText, type ForwardContext, inRequest, untilStopped } from "./forward_context.ts";
import type { LinkedCall, LinkedProgram } from "./linker.ts";
import { givenMemory, memoryFor, type ResultMemory } from "./result_memory.ts";
import { createRunnerMemory, type RunnerMemory } from "./runner_memory.ts";

interface Arena {
  readonly buffer: DeviceBuffer;
  /** Programs that are bound in it, by key; the one used last comes last. */
  readonly programs: Map<string, BoundProgram>;
}

/** Idle arenas kept beyond their call, and programs bound in each; the oldest is dropped first. */
const IDLE_ARENAS = 4;
const BOUND_PROGRAMS = 8;

/** Times that a run is begun again whose workers ended; each costs them a start. */
const MOST_REPEATS = 2;

/** The device lost the run and goes on. */
const isLost = (error: unknown): boolean => error instanceof FoveaError && error.code === "run_lost";

/** An idle arena that is smaller by at most this share gives its memory to a larger one: devices may have kept the place. */
const ALMOST = 7 / 8;

const bytesOf = (data: Tensor["data"]): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

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

/** Does work; what it throws goes to `otherwise`. */
function orElse<T>(work: () => T, otherwise: (error: unknown) => never): T {
  try {
    return work();
  } catch (error) {
    return otherwise(error);
  }
}

/** Does work that begins with its inputs again where the device lost it. */
async function repeated<T>(work: () => Promise<T>): Promise<T> {
  for (let left = MOST_REPEATS; ; left--) {
    try {
      return await work();
    } catch (error) {
      if (left === 0 || !isLost(error)) throw error;
    }
  }
}

/** Does work beside reads. @throws what the work threw, when the reads have ended, or there is a reason to stop */
async function beside(reads: Promise<unknown>, work: () => void, context: ForwardContext): Promise<void> {
  // Devices that submit with the first read do so behind this turn.
  await undefined;
  try {
    work();
  } catch (error) {
    await untilStopped(reads, context).catch(() => {});
    throw error;
  }
}

/** Kernels that a message names; a program may have more. */
const NAMED_KERNELS = 12;

/** For addresses that nobody reads. */
const NOWHERE: DeviceBuffer = { bytes: 0, address: 0 };

/** What a whole program computes: its components, and the kernels of its launches. */
function programText({ calls, launches }: LinkedProgram): string {
  const [first] = calls;
  if (first === undefined) return callText(calls);
  const of = first.instance === "" ? "" : ` ("${first.instance}")`;
  const tags = [...new Set(calls.map(({ tag }) => tag))].filter((tag) => tag !== first.tag);
  const others = tags.map((tag) => `, "${tag}"`).join("");
  const kernels = [...new Set(launches(NOWHERE).map(({ kernel }) => kernel))];
  const left = kernels.length - NAMED_KERNELS;
  const more = left > 0 ? ` and ${left} more` : "";
  const count = calls.length === 1 ? "1 call" : `${calls.length} calls`;
  const named = kernels.slice(0, NAMED_KERNELS).join(", ");
  return `component "${first.tag}"${of}${dimsText(first.dims)}${others}, ${count} with the kernels ${named}${more}`;
}

/** What else a run is given. */
export interface RunDetails {
  readonly into?: ResultMemory | undefined;
  /** Called when the device is at work, before the results come; what it throws is the run's outcome. */
  readonly meanwhile?: (() => void) | undefined;
}

export interface ProgramRunner {
  /**
   * @throws the context's reason to stop; FoveaErrors that name the request, the component and its dims; `out_of_memory`
   * before anything runs; `invalid_input` for memory that does not fit its result
   */
  run(
    program: LinkedProgram,
    inputs: Tensors,
    results: Readonly<Record<string, string>>,
    context: ForwardContext,
    details?: RunDetails,
  ): Promise<Tensors>;
  release(): void;
}

/** @param memory what all runners of a device share, so that each gives up what it keeps where another needs it */
export function createProgramRunner(device: Device, memory: RunnerMemory = createRunnerMemory()): ProgramRunner {
  const idle: Arena[] = [];
  let released = false;
  const drop = ({ buffer, programs }: Arena): void => {
    for (const bound of programs.values()) bound.release();
    device.release(buffer);
  };
  const leave = memory.add(device, () => {
    const some = idle.length > 0;
    for (const a of idle.splice(0)) drop(a);
    return some;
  });
  const take = (fits: (arena: Arena) => boolean): Arena | undefined => {
    const at = idle.findIndex(fits);
    return at < 0 ? undefined : idle.splice(at, 1)[0];
  };
  /** Memory that only waits for reuse is given up before a request is refused. */
  const reclaiming = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      if (!memory.reclaim(device)) throw error;
      return work();
    }
  };
  const acquire = ({ key, arenaBytes }: LinkedProgram): Arena => {
    const bytes = Math.max(arenaBytes, 64);
    const large = ({ buffer }: Arena): boolean => buffer.bytes >= bytes;
    const known = take((a) => a.programs.has(key) && large(a)) ?? take(large);
    if (known !== undefined) return known;
    const smaller = take(({ buffer }) => buffer.bytes >= ALMOST * bytes);
    if (smaller !== undefined) drop(smaller);
    return { buffer: reclaiming(() => device.allocate(bytes)), programs: new Map() };
  };
  /** The program in an arena that was acquired for it. */
  const boundIn = ({ buffer, programs }: Arena, program: LinkedProgram): BoundProgram => {
    const bound = programs.get(program.key) ?? reclaiming(() => device.bind(program.launches(buffer)));
    programs.delete(program.key);
    programs.set(program.key, bound);
    for (const [key, oldest] of programs) {
      if (programs.size <= BOUND_PROGRAMS) break;
      programs.delete(key);
      oldest.release();
    }
    return bound;
  };
  const giveBack = (arena: Arena): void => {
    // A run that outlives the runner takes its memory along; one that bound nothing has nothing to keep.
    if (released || arena.programs.size === 0) {
      drop(arena);
      return;
    }
    idle.push(arena);
    while (idle.length > IDLE_ARENAS) drop(idle.shift() as Arena);
  };
  /** One run of bound launches; without an answer it names where it was. */
  const compute = async (
    bound: BoundProgram,
    where: () => string,
    context: ForwardContext,
    onTime?: RunOptions["onTime"],
  ): Promise<number> => {
    let started = 0;
    context.doing(() => "waiting for the device behind other calls");
    const onStart = (): void => {
      context.check();
      context.doing(() => `computing ${where()}`);
      started = context.now();
    };
    await device.run(bound, { signal: context.signal, onStart, ...(onTime === undefined ? {} : { onTime }) });
    return started;
  };
  const computeAll = async (arena: Arena, program: LinkedProgram, context: ForwardContext): Promise<undefined> => {
    const bound = orElse(
      () => boundIn(arena, program),
      (error) => {
        throw inRequest(error, context, programText(program));
      },
    );
    const where = (): string => callText(program.calls, bound.position);
    try {
      await compute(bound, where, context);
    } catch (error) {
      throw inRequest(error, context, where());
    }
    return undefined;
  };
  /**
   * Each component call for itself, so that its time is known; the launches are the same.
   * @returns what tells the calls' times by the device's clock, when results were read
   */
  const computeTraced = async (
    { buffer }: Arena,
    program: LinkedProgram,
    context: ForwardContext,
  ): Promise<(end: number) => void> => {
    const timed: { readonly name: string; readonly tag: string; readonly time: DeviceTime }[] = [];
    const launches = program.launches(buffer);
    let first = 0;
    for (const [at, { tag, instance, dims, launches: count, flops }] of program.calls.entries()) {
      const bound = device.bind(launches.slice(first, first + count));
      first += count;
      const where = (): string => callText(program.calls, first - count);
      const waits = context.now();
      try {
        const name = instance === "" ? tag : `${tag} ${instance}`;
        const begin = await compute(bound, where, context, (time) => timed.push({ name, tag, time }));
        const about = { tag, dims, figures: { call: at, launches: count, flops } };
        context.span({ kind: "wait", name, begin: waits, tag, until: begin });
        context.span({ kind: "launches", name, begin, ...about });
      } catch (error) {
        throw inRequest(error, context, where());
      } finally {
        bound.release();
      }
    }
    return (end) => {
      const last = Math.max(...timed.map(({ time }) => time.end));
      for (const { name, tag, time } of timed)
        context.span({ kind: "device", name, tag, begin: end - last + time.begin, until: end - last + time.end });
    };
  };
  const writeInputs = (arena: Arena, program: LinkedProgram, inputs: Tensors, context: ForwardContext): void => {
    const begin = context.now();
    let written = 0;
    for (const [name, t] of Object.entries(inputs)) {
      const place = program.values[name];
      if (place === undefined) continue;
      const bytes = bytesOf(t.data);
      if (bytes.length !== place.bytes) internal(`input "${name}" has ${bytes.length} bytes, its place ${place.bytes}`);
      device.write(arena.buffer, place.offset, bytes);
      written += bytes.length;
    }
    context.span({ kind: "write", name: context.tag, begin, figures: { bytes: written } });
  };
  return {
    run: async (program, inputs, results, context, { into, meanwhile } = {}) => {
      context.check();
      for (const name of Object.keys(into ?? {}))
        if (Object.hasOwn(results, name)) givenMemory(name, program.values[results[name]], into);
      const named = (error: unknown): never => {
        throw inRequest(error, context, programText(program));
      };
      const arena = orElse(() => acquire(program), named);
      try {
        const tellTimes = await repeated(async () => {
          orElse(() => writeInputs(arena, program, inputs, context), named);
          return (context.traced ? computeTraced : computeAll)(arena, program, context);
        });
        context.doing(() => "reading its results back");
        const reading = context.now();
        let read = 0;
        const out: Record<string, Tensor> = {};
        // All at once: a device may bring them back together.
        const reads = Promise.all(
          Object.entries(results).map(([name, value]) => {
            const place = program.values[value];
            const data = memoryFor(name, place, memory.fresh, into);
            out[name] = { dtype: place.dtype, shape: place.shape, data };
            read += place.bytes;
            return device.read(arena.buffer, place.offset, bytesOf(data));
          }),
        );
        if (meanwhile !== undefined) await beside(reads, meanwhile, context);
        // Devices that are given all work at once tell here what became of it.
        await untilStopped(reads, context).catch(named);
        context.span({ kind: "read", name: context.tag, begin: reading, figures: { bytes: read } });
        tellTimes?.(context.now());
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
