/** The linker: component calls of one geometry become one launch list over one arena. */
import type { Artifact, BufferRef, Step, StepList } from "../abi/artifact.ts";
import type { Address, DeviceBuffer, Launch } from "../abi/device.ts";
import type { Plan } from "../abi/encoder.ts";
import { bytesText, FoveaError } from "../core/diagnostics.ts";
import type { Bindings } from "../core/dim.ts";
import { type DimData, evaluateData } from "../core/dim_data.ts";
import { DTYPE_BYTES, type DType } from "../core/dtype.ts";
import { blockSizes } from "../core/row_blocks.ts";

export const ARENA_ALIGNMENT = 64;

const align = (n: number): number => Math.ceil(n / ARENA_ALIGNMENT) * ARENA_ALIGNMENT;

/** A value's place in the arena. */
export interface ValuePlace {
  readonly offset: number;
  readonly bytes: number;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** What one call runs: the dispatched artifact and the instance's weights, in the artifact's weight order. */
export interface ResolvedCall {
  readonly artifact: Artifact;
  readonly weights: readonly DeviceBuffer[];
}

/** A component call of a program: which part of its launch list. */
export interface LinkedCall {
  readonly tag: string;
  readonly instance: string;
  readonly dims: Bindings;
  readonly launches: number;
  readonly flops: number;
}

export interface LinkedProgram {
  readonly key: string;
  /** In the order of their launches. */
  readonly calls: readonly LinkedCall[];
  /** The encode's peak memory beside weights. */
  readonly arenaBytes: number;
  readonly values: Readonly<Record<string, ValuePlace>>;
  readonly flops: number;
  launches(arena: DeviceBuffer): readonly Launch[];
}

const sizesAt =
  (bindings: Bindings): ((d: DimData) => number) =>
  (d) =>
    evaluateData(d, bindings);

interface Span {
  readonly name: string;
  readonly bytes: number;
  readonly first: number;
  last: number;
}

/** First fit by lifetime: spans that are alive together never overlap. */
function placeSpans(spans: readonly Span[]): { offsets: ReadonlyMap<string, number>; total: number } {
  const placed: { span: Span; offset: number }[] = [];
  let total = 0;
  for (const span of spans) {
    const rivals = placed
      .filter((p) => p.span.first <= span.last && span.first <= p.span.last)
      .sort((a, b) => a.offset - b.offset);
    let offset = 0;
    for (const r of rivals) {
      if (offset + align(span.bytes) <= r.offset) break;
      offset = Math.max(offset, r.offset + align(r.span.bytes));
    }
    placed.push({ span, offset });
    total = Math.max(total, offset + align(span.bytes));
  }
  return { offsets: new Map(placed.map((p) => [p.span.name, p.offset])), total };
}

/** Sizes of a step list's scratch slots, bytes. */
export function slotBytes(list: StepList, bindings: Bindings): readonly number[] {
  const size = sizesAt(bindings);
  return list.slots.map((sizes) => align(Math.max(0, ...sizes.map(size))));
}

/** A step at its sizes: those of the call, or of the block of rows that it runs over. */
interface SizedStep {
  readonly step: Step;
  readonly bindings: Bindings;
  /** Rows in front of the block, as its symbol counts them. */
  readonly before: number;
}

/** The steps of a list in the order of their launches. */
function sizedSteps({ steps, blocks = [] }: StepList, bindings: Bindings): readonly SizedStep[] {
  const found: SizedStep[] = [];
  const whole = (from: number, to: number): void => {
    for (const step of steps.slice(from, to)) found.push({ step, bindings, before: 0 });
  };
  let at = 0;
  for (const block of blocks) {
    const [first, end] = block.steps;
    whole(at, first);
    let before = 0;
    for (const rows of blockSizes(bindings[block.symbol], block)) {
      const own = { ...bindings, [block.symbol]: rows };
      for (const step of steps.slice(first, end)) found.push({ step, bindings: own, before });
      before += rows;
    }
    at = end;
  }
  whole(at, steps.length);
  return found;
}

/** Launches of one step list with every buffer known. */
export function bindSteps(list: StepList, bindings: Bindings, address: (ref: BufferRef) => Address): readonly Launch[] {
  return sizedSteps(list, bindings).map(({ step, bindings: own, before }) => {
    const size = sizesAt(own);
    return {
      kernel: step.kernel,
      code: step.code,
      args: step.args.map((a): Address | number => {
        if ("size" in a) return size(a.size);
        const base = address(a.buffer);
        const moved = a.advance === undefined ? 0 : before * size(a.advance);
        return { buffer: base.buffer, offset: base.offset + size(a.buffer.offset) + moved };
      }),
      grid: size(step.grid),
      ...(step.parts === undefined ? {} : { parts: size(step.parts) }),
      flops: size(step.flops),
      workerScratch: step.workerScratch,
    };
  });
}

/** Sizes of a call that its range does not vouch for. @throws FoveaError `call_too_large` */
function checkIndices({ artifact }: ResolvedCall, tag: string, dims: Bindings): void {
  if (artifact.indices === "proven") return;
  const size = sizesAt(dims);
  const integers = artifact.steps.flatMap((s) => [s.grid, ...s.args.flatMap((a) => ("size" in a ? [a.size] : []))]);
  const ports = [...artifact.inputs, ...artifact.outputs].map((p) =>
    p.shape.reduce<number>((n, d) => n * size(d), DTYPE_BYTES[p.dtype]),
  );
  const bytes = [...ports, ...slotBytes(artifact, dims)].reduce((a, b) => a + b, 0);
  if (bytes < 2 ** 32 && integers.every((d) => Math.abs(size(d)) < 2 ** 31)) return;
  const sizes = Object.entries(dims).map(([name, value]) => `${name} = ${value}`);
  throw new FoveaError(
    "call_too_large",
    `Component "${tag}" at ${sizes.join(", ")} needs ${bytesText(bytes)}, and 32-bit addresses reach 4 GiB; encode less at once.`,
  );
}

/** A mistake in an encoder's `plan`. */
function planError(problem: string): never {
  throw new FoveaError("invalid_plan", problem);
}

const listText = (names: Iterable<string>): string => [...names].map((name) => `"${name}"`).join(", ") || "none";

/** Elements of the first axis, of the first two, and so on. */
const partialSizes = (shape: readonly number[]): readonly number[] => {
  let elements = 1;
  return shape.map((size) => (elements *= size));
};

/**
 * Whether dense values of one shape may be read in another: axes are merged and split ([4, 8] as [2, 2, 8], [32] or [2, 16]).
 * Where one shape's sizes do not divide the other's, such as [2, 3] as [3, 2], axes were taken for each other.
 */
function regroups(a: readonly number[], b: readonly number[]): boolean {
  const [left, right] = [partialSizes(a), partialSizes(b)];
  const elements = left.at(-1) ?? 1;
  if (elements !== (right.at(-1) ?? 1)) return false;
  if (elements === 0) return true;
  const all = [...left, ...right].sort((x, y) => x - y);
  return all.every((size, i) => i === 0 || size % all[i - 1] === 0);
}

/**
 * Links a plan. `resolve` gives the artifact and weights of each call.
 * Values are placed by their lifetime over the calls; all calls share one scratch region.
 * @throws FoveaError `call_too_large`; `invalid_plan` for calls that do not fit their components or each other
 */
export function linkPlan(
  plan: Plan,
  inputs: Readonly<Record<string, { dtype: DType; shape: readonly number[] }>>,
  resolve: (call: number) => ResolvedCall,
): LinkedProgram {
  const end = plan.calls.length;
  const types = new Map<string, { dtype: DType; shape: readonly number[] }>();
  const spans = new Map<string, Span>();
  const declare = (name: string, dtype: DType, shape: readonly number[], first: number): void => {
    if (spans.has(name))
      planError(`The plan defines the value "${name}" twice; give each output of its calls another name.`);
    types.set(name, { dtype, shape });
    spans.set(name, { name, bytes: shape.reduce((a, b) => a * b, DTYPE_BYTES[dtype]), first, last: first });
  };
  for (const [name, t] of Object.entries(inputs)) declare(name, t.dtype, t.shape, -1);
  for (const [name, t] of Object.entries(plan.constants)) declare(name, t.dtype, t.shape, -1);

  const resolved = plan.calls.map((call, at) => {
    const r = resolve(at);
    checkIndices(r, call.tag, call.dims);
    const size = sizesAt(call.dims);
    const who = `Call ${at} of the plan, of component "${call.tag}",`;
    for (const port of r.artifact.inputs) {
      const value = call.inputs[port.name];
      if (value === undefined) {
        planError(
          `${who} names no value for the input "${port.name}"; its \`inputs\` name ${listText(Object.keys(call.inputs))}.`,
        );
      }
      const span = spans.get(value);
      if (span === undefined) {
        planError(
          `${who} reads "${value}" as its input "${port.name}", which no earlier call computes; there are ${listText(spans.keys())}.`,
        );
      }
      const want = port.shape.map(size);
      const { shape: have, dtype } = types.get(value) as { dtype: DType; shape: readonly number[] };
      if (dtype !== port.dtype) {
        planError(`${who} takes its input "${port.name}" as ${port.dtype}; the value "${value}" is ${dtype}.`);
      }
      if (!regroups(want, have)) {
        planError(
          `${who} takes its input "${port.name}" as [${want.join(", ")}] by its dims; the value "${value}" is [${have.join(", ")}].`,
        );
      }
      span.last = at;
    }
    for (const port of r.artifact.outputs) {
      // An output that nobody named is written all the same and needs a place.
      declare(call.outputs[port.name] ?? `${at}/${port.name}`, port.dtype, port.shape.map(size), at);
    }
    return { ...r, slots: slotBytes(r.artifact, call.dims) };
  });
  for (const value of Object.values(plan.results)) {
    const span = spans.get(value);
    if (span === undefined) {
      planError(
        `The plan's results name the value "${value}", which no call computes; there are ${listText(spans.keys())}.`,
      );
    }
    span.last = end;
  }

  const { offsets, total } = placeSpans([...spans.values()]);
  const scratchBytes = Math.max(0, ...resolved.map((r) => r.slots.reduce((a, b) => a + b, 0)));
  const values = Object.fromEntries(
    [...spans.values()].map((s) => [
      s.name,
      {
        offset: offsets.get(s.name) as number,
        bytes: s.bytes,
        ...(types.get(s.name) as { dtype: DType; shape: readonly number[] }),
      },
    ]),
  );
  const launches = (arena: DeviceBuffer): readonly Launch[] =>
    resolved.flatMap((r, at) => {
      const call = plan.calls[at];
      const slotAt: number[] = [];
      let next = total;
      for (const bytes of r.slots) {
        slotAt.push(next);
        next += bytes;
      }
      return bindSteps(r.artifact, call.dims, (ref) => {
        switch (ref.space) {
          case "input":
            return { buffer: arena, offset: offsets.get(call.inputs[r.artifact.inputs[ref.index].name]) as number };
          case "output": {
            const port = r.artifact.outputs[ref.index].name;
            return { buffer: arena, offset: offsets.get(call.outputs[port] ?? `${at}/${port}`) as number };
          }
          case "weight":
            return { buffer: r.weights[ref.index], offset: 0 };
          case "scratch":
            return { buffer: arena, offset: slotAt[ref.index] };
        }
      });
    });
  const calls = resolved.map(({ artifact }, at): LinkedCall => {
    const { tag, instance, dims } = plan.calls[at];
    const steps = sizedSteps(artifact, dims);
    const flops = steps.reduce((n, { step, bindings }) => n + evaluateData(step.flops, bindings), 0);
    return { tag, instance, dims, launches: steps.length, flops };
  });
  const flops = calls.reduce((sum, call) => sum + call.flops, 0);
  return { key: plan.key, calls, arenaBytes: total + scratchBytes, values, flops, launches };
}
