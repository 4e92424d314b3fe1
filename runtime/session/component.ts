/** One compiled graph with its weights: `runtime.compile`, from a small MLP to a whole tower. */
import type { ComponentSpec, Plan, Tensor, Tensors } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { type Bindings, evaluate, symbolsOf } from "../core/dim.ts";
import { soleSymbol } from "../core/substitute.ts";
import type { TraceSink } from "../core/trace.ts";
import { type CallOptions, type ForwardContext, openContext } from "../exec/forward_context.ts";
import { createInstanceWeights, type InstanceWeights, type TensorReader } from "../exec/instance_weights.ts";
import { linkPlan } from "../exec/linker.ts";
import { createProgramRunner, type ProgramRunner } from "../exec/program_runner.ts";
import type { Artifacts } from "./artifacts/artifacts.ts";
import type { CompileCause } from "./artifacts/journal.ts";
import type { ReadyComponent } from "./artifacts/ready_component.ts";
import type { PlaceFinder } from "./artifacts/trace.ts";
import { type Caller, firstUse, noteCaller } from "./callers.ts";
import { CALL_OPTIONS, checkOptions, didYouMean, foundText, isObject, tensorProblem } from "./check.ts";
import type { CallSettings } from "./config/settings.ts";
import { explainComponent } from "./explain/explain.ts";
import { withSlot } from "./towers/call_slot.ts";
import { Hold } from "./towers/hold.ts";
import type { ReloadableEntry } from "./towers/reopen.ts";
import { loadAtFirstUse, weightSpan } from "./towers/tower_weights.ts";
import type { RecordedSizes } from "./tune/tune_ranges.ts";

/** A component of one instance, ready to run. */
export interface CompiledComponent {
  /** As it was given to `runtime.compile`. */
  readonly tag: string;
  /**
   * Runs the graph on dense tensors by input name; sizes of symbols follow from their shapes.
   * @throws FoveaError `invalid_input`, `outside_ranges`, `out_of_memory`, `deadline_exceeded`, `closed`; the signal's reason on
   * abort
   */
  run(inputs: Tensors, options?: CallOptions): Promise<Tensors>;
  /** Text: its ranges with their artifacts, where those came from, and the steps of each. */
  explain(): string;
  /** Gives weights and buffers back. Runs that are under way, and later ones, reject with `closed`. */
  close(): void;
  /** As {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A component and what its runtime asks of it. */
export interface OpenedComponent extends ReloadableEntry {
  readonly component: CompiledComponent;
}

/** Values of all symbols from the inputs' shapes. */
export function bindSymbols(component: ReadyComponent, inputs: Tensors): Bindings {
  const { spec, slots } = component;
  const ports = slots[0].inputs;
  const names = ports.map((p) => p.name);
  const takes = names.join(", ");
  if (!isObject(inputs)) {
    throw new FoveaError(
      "invalid_input",
      `Component "${spec.tag}" takes tensors by input name (${takes}); found ${foundText(inputs)}.`,
    );
  }
  const unknown = Object.keys(inputs).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new FoveaError(
      "invalid_input",
      `Component "${spec.tag}" has no input "${unknown}"; it takes ${takes}.${didYouMean(unknown, names)}`,
    );
  }
  const bindings: Record<string, number> = {};
  const given = ports.map((port) => {
    const tensor = inputs[port.name];
    const refuse = (problem: string): never => {
      throw new FoveaError("invalid_input", `Input "${port.name}" of component "${spec.tag}" ${problem}`);
    };
    if (tensor === undefined) return refuse(`is missing; it takes ${takes}.`);
    const problem = tensorProblem(tensor);
    if (problem !== undefined) return refuse(problem);
    if (tensor.dtype !== port.dtype) return refuse(`must be ${port.dtype}, found ${tensor.dtype}.`);
    if (tensor.shape.length !== port.shape.length) {
      return refuse(`must have ${port.shape.length} axes, found [${tensor.shape.join(", ")}].`);
    }
    port.shape.forEach((d, axis) => {
      const name = soleSymbol(d);
      if (name !== undefined) bindings[name] ??= tensor.shape[axis];
    });
    return { port, tensor, refuse };
  });
  for (const { port, tensor, refuse } of given) {
    const known = port.shape.every((d) => [...symbolsOf(d)].every((s) => s in bindings));
    if (!known) refuse("has a size that no other input tells; declare an input with that symbol alone.");
    const expected = port.shape.map((d) => evaluate(d, bindings));
    if (expected.some((n, axis) => n !== tensor.shape[axis])) {
      refuse(`must have the shape [${expected.join(", ")}], found [${tensor.shape.join(", ")}].`);
    }
    if (tensor.data.length !== expected.reduce((a, b) => a * b, 1)) {
      refuse(`has ${tensor.data.length} elements, which is not what its shape [${tensor.shape.join(", ")}] holds.`);
    }
  }
  return bindings;
}

/** A plan of one call, its inputs and results under the component's names. */
export function planOfCall({ spec, slots }: ReadyComponent, instance: string, dims: Bindings): Plan {
  const { inputs, outputs } = slots[0];
  const names = outputs.map((o) => [o.name, `output ${o.name}`] as const);
  return {
    key: JSON.stringify(dims),
    calls: [
      {
        tag: spec.tag,
        instance,
        dims,
        inputs: Object.fromEntries(inputs.map((i) => [i.name, i.name])),
        outputs: Object.fromEntries(names),
      },
    ],
    constants: {},
    results: Object.fromEntries(names),
  };
}

export interface ComponentOptions {
  readonly artifacts: Artifacts;
  readonly reader: (instance: string) => TensorReader;
  /** What the call asks for. */
  readonly call: CallSettings;
  readonly findPlace: PlaceFinder;
  readonly onSizes?: ((sizes: RecordedSizes) => void) | undefined;
  readonly onClose: () => void;
  readonly now: () => number;
  readonly trace: TraceSink | undefined;
}

/** A component with its weights on a device. */
interface LoadedComponent {
  readonly component: ReadyComponent;
  readonly weights: InstanceWeights;
  readonly runner: ProgramRunner;
  release(): void;
}

async function loadComponent(
  spec: ComponentSpec,
  instance: string,
  { artifacts, call, reader, now, trace }: ComponentOptions,
  cause: CompileCause,
): Promise<LoadedComponent> {
  const component = await artifacts.prepare(spec, { call, cause, weights: reader });
  const weights = createInstanceWeights(component.device, instance);
  const read = reader(instance);
  const begin = now();
  try {
    for (const range of component.artifacts) await weights.load(range.artifact.weights, read);
    if (weights.bytes > 0) trace?.span({ ...weightSpan(spec.tag, instance, weights.bytes), begin, end: now() });
  } catch (error) {
    weights.release();
    throw error;
  }
  const runner = createProgramRunner(component.device, artifacts.memory);
  const release = (): void => {
    runner.release();
    weights.release();
  };
  return { component, weights, runner, release };
}

/** Compiles all ranges of a component with one instance and loads its weights. */
export async function compileComponent(spec: ComponentSpec, options: ComponentOptions): Promise<OpenedComponent> {
  const [instance = ""] = spec.instances;
  const read = options.reader(instance);
  const hold = new Hold();
  let loaded = await loadComponent(spec, instance, options, "load");
  let requests = 0;
  let closed = false;

  const runIn = async (context: ForwardContext, inputs: Tensors, caller: Caller | undefined): Promise<Tensors> => {
    const begin = context.now();
    const { component, weights, runner } = loaded;
    const dims = bindSymbols(component, inputs);
    options.onSizes?.({ tag: spec.tag, dims });
    const called = planOfCall(component, instance, dims);
    // Programs of kernels that were put aside meanwhile are not run again.
    const plan = { ...called, key: `${called.key} ${options.artifacts.quarantined.length}` };
    const artifact = await withSlot(component, dims, context, async (slot) => {
      const ready = slot.ready ?? (await slot.obtain(await firstUse(dims, caller), context.signal));
      await loadAtFirstUse(weights, ready.artifact.weights, read, { tag: spec.tag, instance, context });
      return ready.artifact;
    });
    const taken: Record<string, Tensor> = Object.fromEntries(artifact.inputs.map((i) => [i.name, inputs[i.name]]));
    const linked = linkPlan(plan, taken, () => ({ artifact, weights: weights.resolve(artifact.weights) }));
    context.span({ kind: "link", name: spec.tag, begin, tag: spec.tag, dims });
    return runner.run(linked, taken, plan.results, context);
  };
  const checkOpen = (): void => {
    if (closed) throw new FoveaError("closed", `The component "${spec.tag}" was closed; compile it again to run it.`);
  };
  const close = (): void => {
    if (closed) return;
    closed = true;
    loaded.release();
    options.onClose();
  };
  const made: CompiledComponent = {
    tag: spec.tag,
    run: async (inputs, call = {}) => {
      checkOpen();
      checkOptions("run", call, CALL_OPTIONS);
      const isComplete = loaded.component.slots.every((s) => s.ready !== undefined);
      const caller = isComplete ? undefined : noteCaller(options.findPlace);
      const defaults = { requestId: String(++requests), now: options.now, trace: options.trace };
      const context = openContext(spec.tag, call, defaults);
      const begin = context.now();
      try {
        context.check();
        if (hold.isOn) await hold.pass(context);
        return await options.artifacts.surviving(() => runIn(context, inputs, caller));
      } finally {
        context.close();
        context.span({ kind: "request", name: spec.tag, begin });
        // The memory of its weights may hold anything by now.
        if (!context.signal.aborted) checkOpen();
      }
    },
    explain: () => `${explainComponent(loaded.component)}\n`,
    close,
    [Symbol.asyncDispose]: async () => close(),
  };
  return {
    component: made,
    close,
    uses: (kind) => loaded.component.device.kind === kind,
    hold: (_kind, work) => hold.on(work),
    reload: async () => {
      const next = await loadComponent(spec, instance, options, "device reopened");
      const last = loaded;
      loaded = next;
      (closed ? next : last).release();
    },
  };
}
