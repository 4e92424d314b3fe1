/** A plan over several devices: its calls in runs of one device, values that cross carried through host memory. */
import type { Device } from "../../abi/device.ts";
import type { ComponentCall, Plan, Tensors } from "../../abi/encoder.ts";
import { internal } from "../../core/diagnostics.ts";
import type { ForwardContext } from "../../exec/forward_context.ts";
import { type LinkedProgram, linkPlan, type ResolvedCall } from "../../exec/linker.ts";
import { createProgramRunner, type ProgramRunner, type RunDetails } from "../../exec/program_runner.ts";
import type { RunnerMemory } from "../../exec/runner_memory.ts";

/** Consecutive calls of a plan that run on one device. */
export interface Segment {
  readonly device: Device;
  /** Its results are the values that later segments or the caller want, by their own names. */
  readonly plan: Plan;
  /** Position of its first call in the whole plan. */
  readonly first: number;
}

/** A segment that is ready to run. */
export interface LinkedSegment extends Segment {
  readonly linked: LinkedProgram;
}

/** A part of a run that one device computed. */
export interface SegmentReport {
  /** Its kind. */
  readonly device: string;
  /** Component calls. */
  readonly calls: number;
}

const readsOf = (calls: readonly ComponentCall[]): ReadonlySet<string> =>
  new Set(calls.flatMap((c) => Object.values(c.inputs)));

/** Cuts a plan where the device changes. A plan on one device stays as it is. */
export function partitionPlan(plan: Plan, deviceOf: (tag: string) => Device): readonly Segment[] {
  const runs: { device: Device; first: number; calls: ComponentCall[] }[] = [];
  plan.calls.forEach((call, at) => {
    const device = deviceOf(call.tag);
    const last = runs.at(-1);
    if (last?.device === device) last.calls.push(call);
    else runs.push({ device, first: at, calls: [call] });
  });
  if (runs.length === 1) return [{ device: runs[0].device, plan, first: 0 }];
  const wanted = new Set(Object.values(plan.results));
  return runs.map(({ device, first, calls }, at) => {
    const read = readsOf(calls);
    const later = readsOf(runs.slice(at + 1).flatMap((r) => r.calls));
    const made = calls.flatMap((c) => Object.values(c.outputs)).filter((v) => later.has(v) || wanted.has(v));
    return {
      device,
      first,
      plan: {
        key: `${plan.key} #${at}`,
        calls,
        constants: Object.fromEntries(Object.entries(plan.constants).filter(([name]) => read.has(name))),
        results: Object.fromEntries(made.map((name) => [name, name])),
      },
    };
  });
}

/**
 * Links every segment of a plan.
 * @param inputs the whole plan's inputs
 * @param resolve artifact and weights of a call, by its position in the whole plan
 */
export function linkSegments(
  segments: readonly Segment[],
  inputs: Tensors,
  resolve: (call: number) => ResolvedCall,
): readonly LinkedSegment[] {
  if (segments.length === 1) {
    const [only] = segments;
    return [{ ...only, linked: linkPlan(only.plan, inputs, resolve) }];
  }
  const known: Record<string, Pick<Tensors[string], "dtype" | "shape">> = { ...inputs };
  return segments.map((segment) => {
    const { plan, first } = segment;
    const outside = [...readsOf(plan.calls)].filter((name) => Object.hasOwn(known, name));
    const taken = Object.fromEntries(outside.map((name) => [name, known[name]]));
    const linked = linkPlan(plan, taken, (call) => resolve(first + call));
    for (const name of Object.keys(plan.results)) known[name] = linked.values[name];
    return { ...segment, linked };
  });
}

/** What a run of segments did beside its results. */
export interface SegmentsRun {
  readonly results: Tensors;
  /** Bytes of values that went from one device to another through host memory. */
  readonly crossedBytes: number;
}

export interface SegmentRunner {
  /**
   * @param results result name -> value name, of the whole plan
   * @param details `into` is used where one segment makes all results
   */
  run(
    segments: readonly LinkedSegment[],
    inputs: Tensors,
    results: Readonly<Record<string, string>>,
    context: ForwardContext,
    details?: RunDetails,
  ): Promise<SegmentsRun>;
  release(): void;
}

/** @param memory shared with all runners of the devices */
export function createSegmentRunner(memory: RunnerMemory): SegmentRunner {
  const runners = new Map<Device, ProgramRunner>();
  let released = false;
  const runnerOf = (device: Device): ProgramRunner => {
    const runner = runners.get(device) ?? createProgramRunner(device, memory);
    runners.set(device, runner);
    // A run that outlives this one keeps nothing on the devices that it comes to.
    if (released) runner.release();
    return runner;
  };
  return {
    run: async (segments, inputs, results, context, details = {}) => {
      if (segments.length === 1) {
        const [{ device, linked, plan }] = segments;
        const out = await runnerOf(device).run(linked, { ...inputs, ...plan.constants }, results, context, details);
        return { results: out, crossedBytes: 0 };
      }
      const values: Record<string, Tensors[string]> = { ...inputs };
      const made = new Set<string>();
      let crossedBytes = 0;
      const { meanwhile } = details;
      for (const [at, { device, linked, plan }] of segments.entries()) {
        const taken = Object.entries(values).filter(([name]) => Object.hasOwn(linked.values, name));
        for (const [name, { data }] of taken) if (made.has(name)) crossedBytes += data.byteLength;
        const given = { ...Object.fromEntries(taken), ...plan.constants };
        const out = await runnerOf(device).run(linked, given, plan.results, context, at === 0 ? { meanwhile } : {});
        for (const [name, tensor] of Object.entries(out)) {
          values[name] = tensor;
          made.add(name);
        }
      }
      const found = Object.entries(results).map(
        ([name, value]) => [name, values[value] ?? internal(`no segment computes the result "${name}"`)] as const,
      );
      return { results: Object.fromEntries(found), crossedBytes };
    },
    release: () => {
      released = true;
      for (const runner of runners.values()) runner.release();
    },
  };
}
