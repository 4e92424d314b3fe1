/** What the types of weights cost in precision: every component call of a plan against the same call with f32 weights. */
import type { ComponentCall, ExampleOptions, Modality, Plan, Tensor, Tensors, TowerSpec } from "../../abi/encoder.ts";
import { internal } from "../../core/diagnostics.ts";
import { openContext } from "../../exec/forward_context.ts";
import type { TensorReader } from "../../exec/instance_weights.ts";
import type { Artifacts } from "../artifacts/artifacts.ts";
import type { CallSettings, CompileConfig } from "../config/settings.ts";
import { type LoadedTower, loadTower } from "../towers/tower.ts";

/** What is measured on. */
export interface NumericsOptions {
  /** Sizes of the made-up inputs: batch 1 and the tower's own unless given. */
  readonly example?: Partial<ExampleOptions>;
}

/** How far values are from those with f32 weights. */
export interface Deviation {
  /** Of the angle between both, over all numbers of the value: 1 where nothing was lost. */
  readonly cosine: number;
  /** Root mean square of the differences over that of the values. */
  readonly error: number;
}

/** One output of one component call. */
export interface CallNumerics {
  /** Component. */
  readonly tag: string;
  /** Prefix of its weights' names in the checkpoint, such as `encoder.layers.3.`; it may be empty. */
  readonly instance: string;
  /** Which of the component's outputs. */
  readonly output: string;
  /** Type that the component's large weights were kept in. */
  readonly dtype: string;
  /** From exact inputs: what this call adds. */
  readonly alone: Deviation;
  /** From what the calls before it made. */
  readonly soFar: Deviation;
}

/** A value that could be kept as f16, and what it is kept in. */
export interface ValueNumerics {
  /** Component. */
  readonly tag: string;
  /** The op that makes it, and its shape in words. */
  readonly value: string;
  /** Type that it has on the device. */
  readonly kept: "f16" | "f32";
  /** No number of it can be larger; infinite where nothing is known. */
  readonly bound: number;
  /** Why it stays f32, as the end of a sentence. */
  readonly reason?: string;
}

/** What types of weights cost one tower in precision. */
export interface NumericsReport {
  /** Tower that was measured. */
  readonly modality: Modality;
  /** Calls in order. */
  readonly calls: readonly CallNumerics[];
  /** Values inside of components that were asked about for f16, by component; none on devices that keep values in f32. */
  readonly values: readonly ValueNumerics[];
}

export interface NumericsParts {
  readonly artifacts: Artifacts;
  /** What the call asks for. */
  readonly call: CallSettings;
  /** Reads a tensor by its whole name, without the checkpoint's prefix. */
  readonly read: TensorReader;
  readonly now: () => number;
}

/** Compiles the ranges that run. */
const LAZY: CompileConfig = { base: { lazy: true } };
const EXACT: CompileConfig = { ...LAZY, components: { "*": { dtype: "f32" } } };

function deviation(found: Tensor["data"], expected: Tensor["data"]): Deviation {
  let [dot, own, other, away] = [0, 0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    const [x, y] = [found[i], expected[i]];
    dot += x * y;
    own += x * x;
    other += y * y;
    away += (x - y) ** 2;
  }
  if (other === 0) return { cosine: own === 0 ? 1 : 0, error: own === 0 ? 0 : 1 };
  return { cosine: own === 0 ? 0 : dot / Math.sqrt(own * other), error: Math.sqrt(away / other) };
}

const valuesOf = (calls: readonly ComponentCall[]): readonly string[] => calls.flatMap((c) => Object.values(c.outputs));

/** The plan with all that its calls write as results. */
function watched(plan: Plan): Plan {
  return { ...plan, results: Object.fromEntries(valuesOf(plan.calls).map((value) => [value, value])) };
}

/** The plan whose calls read given values instead of what earlier calls wrote. */
function apart(plan: Plan, exact: Tensors): Plan {
  const given = (value: string): string => (Object.hasOwn(exact, value) ? `exact ${value}` : value);
  return {
    ...plan,
    calls: plan.calls.map((call) => ({
      ...call,
      inputs: Object.fromEntries(Object.entries(call.inputs).map(([port, value]) => [port, given(value)])),
    })),
    constants: {
      ...plan.constants,
      ...Object.fromEntries(Object.entries(exact).map(([value, tensor]) => [given(value), tensor])),
    },
  };
}

/**
 * Runs one tower's plan with f32 weights, with weights as they are configured, and the latter once more with each call's
 * inputs from f32: on made-up inputs, all values compared.
 * @throws what loading and running the tower throws
 */
export async function measureNumerics(
  tower: TowerSpec,
  parts: NumericsParts,
  { example = {} }: NumericsOptions = {},
): Promise<NumericsReport> {
  const inputs = tower.example({ batch: 1, seed: 1, ...example });
  const prepared = tower.prepare(inputs);
  const shapes = Object.fromEntries(Object.entries(prepared).map(([name, t]) => [name, t.shape]));
  const plan = watched(tower.plan(shapes, tower.outputs));
  let requests = 0;
  const run = async (own: Plan, over: CompileConfig): Promise<{ values: Tensors; loaded: LoadedTower }> => {
    const loaded = await loadTower(
      { ...tower, plan: () => own },
      {
        artifacts: parts.artifacts,
        call: parts.call,
        over: { name: "numerics", config: over },
        reader: (instance) => (name, shape, signal) => parts.read(`${instance}${name}`, shape, signal),
        progress: { compile: () => {}, weights: () => {} },
        now: parts.now,
      },
    );
    const context = openContext(tower.modality, {}, { requestId: String(++requests), now: parts.now });
    try {
      const outputs = Object.keys(own.results);
      return { values: await loaded.run({ inputs, outputs, context }), loaded };
    } finally {
      context.close();
      loaded.release();
    }
  };
  const exact = (await run(plan, EXACT)).values;
  const { values: soFar, loaded } = await run(plan, LAZY);
  const { values: alone } = await run(apart(plan, exact), LAZY);
  const dtypeOf = (tag: string): string =>
    loaded.components.get(tag)?.settings.dtype.value ?? internal(`the plan calls "${tag}", which is not loaded`);
  const calls = plan.calls.flatMap(({ tag, instance, outputs }) =>
    Object.entries(outputs).map(([output, value]): CallNumerics => {
      const expected = exact[value].data;
      return {
        ...{ tag, instance, output, dtype: dtypeOf(tag) },
        alone: deviation(alone[value].data, expected),
        soFar: deviation(soFar[value].data, expected),
      };
    }),
  );
  const values: ValueNumerics[] = [];
  for (const [tag, { settings, slots }] of loaded.components) {
    const slot = settings.facts === undefined ? undefined : slots.find(({ ready }) => ready !== undefined);
    if (slot === undefined) continue;
    const { report } = await slot.examine();
    for (const { source: _, ...width } of report.widths) values.push({ tag, ...width });
  }
  return { modality: tower.modality, calls, values };
}
