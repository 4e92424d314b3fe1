/** A component under two divisions into ranges, measured in turns at recorded sizes, with made-up inputs and weights. */
import type { ComponentSpec, Tensors } from "../../abi/encoder.ts";
import { type Bindings, evaluate } from "../../core/dim.ts";
import { median } from "../../core/figures.ts";
import { fillBuffer } from "../../core/fill.ts";
import { dispatch, type RangeSpec } from "../../core/range.ts";
import { openContext } from "../../exec/forward_context.ts";
import { createInstanceWeights } from "../../exec/instance_weights.ts";
import { type LinkedProgram, linkPlan } from "../../exec/linker.ts";
import { createProgramRunner, type ProgramRunner } from "../../exec/program_runner.ts";
import { createDummySource } from "../../exec/weights/dummy.ts";
import { createInterner, type OpTable } from "../../ir/node.ts";
import type { Artifacts } from "../artifacts/artifacts.ts";
import type { ReadyComponent } from "../artifacts/ready_component.ts";
import { traceComponent } from "../artifacts/trace.ts";
import { planOfCall } from "../component.ts";
import type { SizeSample } from "./learn_ranges.ts";

export interface MeasureParts {
  readonly artifacts: Artifacts;
  readonly ops: OpTable;
  readonly now: () => number;
}

/** Present and learnt ranges side by side at the recorded sizes that take the most time. */
export interface MeasuredRanges {
  /** Recorded calls that have one of the measured sizes. */
  readonly calls: number;
  /**
   * Seconds that those calls take: with the present ranges by medians of one call at each size, with the learnt ones by medians
   * of their share of it in the same round.
   */
  readonly seconds: { readonly now: number; readonly tuned: number };
}

/** Sizes that are measured: those that take the most time together. */
const MOST_SIZES = 8;
const ROUNDS = 9;
const WARM_UP = 2;
/** A turn repeats its call so long, since clocks and interruptions are coarse. */
const TURN_MS = 3;

interface Side {
  readonly component: ReadyComponent;
  /** Milliseconds of one call's launches, at the sizes that were linked last. */
  run(): Promise<number>;
  link(dims: Bindings, inputs: Tensors): Promise<void>;
  release(): void;
}

/** A component with some ranges, compiled as sizes need them. */
async function openSide(spec: ComponentSpec, ranges: RangeSpec, { artifacts, now }: MeasureParts): Promise<Side> {
  const settings = { ranges, lazy: true, maxArtifacts: Number.MAX_SAFE_INTEGER };
  const over = { name: "ranges", config: { components: { [spec.tag]: settings } } };
  const component = await artifacts.prepare(spec, { over });
  const [instance = ""] = spec.instances;
  const weights = createInstanceWeights(component.device);
  const made = createDummySource(0);
  const runner: ProgramRunner = createProgramRunner(component.device);
  let program: { linked: LinkedProgram; inputs: Tensors; results: Readonly<Record<string, string>> } | undefined;
  return {
    component,
    link: async (dims, inputs) => {
      const slot = component.slots[dispatch(spec.tag, component.boxes, dims, spec.relations)];
      const { artifact } = await slot.obtain({ cause: "load" }, undefined);
      await weights.load(artifact.weights, (name, shape) => made.read(`${instance}${name}`, shape));
      const plan = planOfCall(component, instance, dims);
      const linked = linkPlan(plan, inputs, () => ({ artifact, weights: weights.resolve(artifact.weights) }));
      program = { linked, inputs, results: plan.results };
    },
    run: async () => {
      if (program === undefined) return 0;
      let ms = 0;
      const span = ({ kind, begin, end }: { kind: string; begin: number; end: number }): void => {
        if (kind === "launches") ms += end - begin;
      };
      const context = openContext(spec.tag, { trace: { span } }, { requestId: "measure", now });
      try {
        await runner.run(program.linked, program.inputs, program.results, context);
      } finally {
        context.close();
      }
      return ms;
    },
    release: () => {
      runner.release();
      weights.release();
    },
  };
}

/** Made-up inputs of a component at a size. */
async function inputsFor(spec: ComponentSpec, { component }: Side, dims: Bindings, ops: OpTable): Promise<Tensors> {
  const { inputFills } = await import("../../compile/fills.ts");
  const { boxes, slots } = component;
  const at = dispatch(spec.tag, boxes, dims, spec.relations);
  const fills = inputFills(traceComponent(spec, boxes[at], createInterner(ops)), dims, ops);
  return Object.fromEntries(
    slots[at].inputs.map(({ name, dtype, shape }) => {
      const sizes = shape.map((d) => evaluate(d, dims));
      const data = fillBuffer(
        fills[name],
        sizes.reduce((a, b) => a * b, 1),
      );
      return [name, { dtype, shape: sizes, data }];
    }),
  );
}

/**
 * Runs a component at its recorded sizes with present and tuned ranges in turns.
 * @param samples the most expensive ones first
 */
export async function measureRanges(
  spec: ComponentSpec,
  ranges: { readonly now: RangeSpec; readonly tuned: RangeSpec },
  samples: readonly SizeSample[],
  parts: MeasureParts,
): Promise<MeasuredRanges> {
  const sides: Side[] = [];
  try {
    for (const one of [ranges.now, ranges.tuned]) sides.push(await openSide(spec, one, parts));
    const seconds = { now: 0, tuned: 0 };
    const measured = samples.slice(0, MOST_SIZES);
    for (const { dims, count } of measured) {
      const inputs = await inputsFor(spec, sides[0], dims, parts.ops);
      let longest = 0;
      for (const side of sides) {
        await side.link(dims, inputs);
        for (let i = 0; i < WARM_UP; i++) longest = Math.max(longest, await side.run());
      }
      const repeats = Math.max(1, Math.min(100, Math.ceil(TURN_MS / Math.max(longest, 0.01))));
      const now: number[] = [];
      const shares: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const taken = [0, 0];
        for (const at of round % 2 === 0 ? [0, 1] : [1, 0]) {
          const turn: number[] = [];
          for (let i = 0; i < repeats; i++) turn.push(await sides[at].run());
          taken[at] = median(turn);
        }
        now.push(taken[0]);
        shares.push(taken[1] / taken[0]);
      }
      const own = (count * median(now)) / 1000;
      seconds.now += own;
      seconds.tuned += own * median(shares);
    }
    return { calls: measured.reduce((n, s) => n + s.count, 0), seconds };
  } finally {
    for (const side of sides) side.release();
  }
}
