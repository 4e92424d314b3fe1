/** A loaded tower: components with their artifacts and weights, programs linked per geometry. */
import type { Plan, Tensors, TowerSpec } from "../../abi/encoder.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { evaluate } from "../../core/dim.ts";
import type { ForwardContext } from "../../exec/forward_context.ts";
import type { InstanceWeights } from "../../exec/instance_weights.ts";
import type { ResolvedCall } from "../../exec/linker.ts";
import type { ResultMemory } from "../../exec/result_memory.ts";
import type { ComponentProvider, PrepareOptions } from "../artifacts/artifacts.ts";
import type { RangeSlot, ReadyComponent } from "../artifacts/ready_component.ts";
import { type Caller, firstUse } from "../callers.ts";
import type { CutComponent } from "../config/cut_component.ts";
import { concatRows, mostRows, sliceRows } from "../inputs/batching.ts";
import type { RecordedSizes } from "../tune/tune_ranges.ts";
import { withSlot } from "./call_slot.ts";
import { createLateChecks, type LateChecks } from "./late_checks.ts";
import { checkRows, noComponent, noInstance, ofTower, twoComponents } from "./plan_errors.ts";
import { limitRuns, type RunLimit } from "./run_limit.ts";
import {
  createSegmentRunner,
  type LinkedSegment,
  linkSegments,
  partitionPlan,
  type SegmentRunner,
} from "./segments.ts";
import type { EncoderTower, ModelTower, RunStats } from "./tower_facts.ts";
import { checkRoom, loadAtFirstUse, loadWeights, type WeightOptions, weightKey } from "./tower_weights.ts";

/** Linked programs kept; the one unused for longest goes first. */
const PROGRAMS = 32;

export interface TowerProgress {
  compile(done: number, total: number, tag: string): void;
  weights(done: number, total: number, instance: string): void;
}

export interface RunRequest {
  readonly inputs: Tensors;
  readonly outputs: readonly string[];
  readonly context: ForwardContext;
  /** Memory for results, used where one run makes them. */
  readonly into?: ResultMemory | undefined;
  /** `file:line` of whoever asked, for what is compiled after loading. */
  readonly caller?: Caller;
}

/** A tower whose components are traced and, unless lazy, compiled; weights are not read. */
export interface PreparedTower extends ModelTower {
  readonly components: ReadonlyMap<string, ReadyComponent>;
  readonly limit?: RunLimit | undefined;
}

export interface LoadedTower extends PreparedTower, EncoderTower {
  /** False while a range waits for its first use or may have to be replaced: the weights' source is needed until then. */
  readonly complete: boolean;
  run(request: RunRequest): Promise<Tensors>;
  release(): void;
}

export interface PrepareTowerOptions extends PrepareOptions {
  readonly artifacts: ComponentProvider;
  readonly onPrepared?: (done: number, total: number, tag: string) => void;
  /** Called before each component. */
  readonly turn?: (() => Promise<void>) | undefined;
}

export interface TowerOptions extends PrepareOptions, Omit<WeightOptions, "onLoaded"> {
  readonly artifacts: ComponentProvider;
  readonly turn?: (() => Promise<void>) | undefined;
  readonly progress: TowerProgress;
  readonly onSizes?: ((sizes: RecordedSizes) => void) | undefined;
}

/** Traces a tower's components and compiles those that are not lazy. @throws what preparing a component throws */
export async function prepareTower(spec: TowerSpec, options: PrepareTowerOptions): Promise<PreparedTower> {
  const { artifacts, onPrepared, turn, ...how } = options;
  const components = new Map<string, ReadyComponent>();
  for (const component of spec.components) {
    if (components.has(component.tag)) twoComponents(component.tag);
    await turn?.();
    how.signal?.throwIfAborted();
    components.set(component.tag, await artifacts.prepare(component, how));
    onPrepared?.(components.size, spec.components.length, component.tag);
  }
  return { spec, components };
}

/** Compiles and loads a tower. @throws what compiling and reading throw; nothing stays behind then. */
export async function loadTower(spec: TowerSpec, options: TowerOptions): Promise<LoadedTower> {
  const weights = new Map<string, InstanceWeights>();
  const release = (): void => {
    for (const w of weights.values()) w.release();
    weights.clear();
  };
  try {
    const how = { ...options, weights: options.reader, onPrepared: options.progress.compile };
    const { components } = await prepareTower(spec, how);
    checkRoom(spec, components);
    await loadWeights(components, weights, { ...options, onLoaded: options.progress.weights });
    return new Tower(spec, components, weights, options, release);
  } catch (error) {
    release();
    throw error;
  }
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const isOutOfMemory = (error: unknown): boolean => error instanceof FoveaError && error.code === "out_of_memory";

/** What does not fit at once may fit in two runs. */
const halfOf = (rows: number): number => Math.ceil(rows / 2);

const withoutMemory = (request: WholeRun): WholeRun => ({ ...request, into: undefined });

/** What the parts of a run took so far. */
interface Spent {
  modelMs: number;
  flops: number;
}

/** A run, which may be cut into parts. */
interface WholeRun extends RunRequest {
  readonly spent: Spent;
}

interface Program {
  readonly plan: Plan;
  readonly segments: readonly LinkedSegment[];
}

class Tower implements LoadedTower {
  readonly spec: TowerSpec;
  readonly components: ReadonlyMap<string, ReadyComponent>;
  readonly stats: RunStats = {
    planned: 0,
    planMs: 0,
    modelMs: 0,
    flops: 0,
    arenaBytes: 0,
    segments: [],
    crossedBytes: 0,
  };
  readonly release: () => void;
  readonly limit: RunLimit | undefined;
  readonly #weights: ReadonlyMap<string, InstanceWeights>;
  readonly #options: TowerOptions;
  readonly #runner: SegmentRunner;
  readonly #programs = new Map<string, Program>();
  /** Rows of one run: the smallest upper end of `batch` or what memory holds, lowered when that was too much. */
  #rowLimit: number;

  constructor(
    spec: TowerSpec,
    components: ReadonlyMap<string, ReadyComponent>,
    weights: ReadonlyMap<string, InstanceWeights>,
    options: TowerOptions,
    release: () => void,
  ) {
    this.spec = spec;
    this.components = components;
    this.#weights = weights;
    this.#options = options;
    this.#runner = createSegmentRunner(options.artifacts.memory);
    this.limit = limitRuns(spec, components);
    const counted = spec.split !== undefined || this.limit?.symbol === "batch" ? this.limit?.size : undefined;
    const batches = spec.components.map((c) => c.symbols.batch?.max ?? Number.POSITIVE_INFINITY);
    this.#rowLimit = counted ?? Math.min(...batches);
    this.release = () => {
      this.#runner.release();
      this.#programs.clear();
      release();
    };
  }

  get weightBytes(): number {
    let bytes = 0;
    for (const w of this.#weights.values()) bytes += w.bytes;
    return bytes;
  }

  get complete(): boolean {
    const slots = [...this.components.values()].flatMap((c) => c.slots);
    return slots.every(({ ready }) => ready !== undefined && !ready.mayFail);
  }

  async run(request: RunRequest): Promise<Tensors> {
    const { split } = this.spec;
    const whole = { ...request, spent: { modelMs: 0, flops: 0 } };
    try {
      return await (split === undefined ? this.#runBatches(whole) : this.#runPacks(whole, split));
    } catch (error) {
      throw ofTower(error, this.spec);
    }
  }

  async #runBatches(request: WholeRun): Promise<Tensors> {
    const checks = createLateChecks();
    const prepared = this.spec.prepare(request.inputs, checks.add);
    const rows = mostRows(prepared);
    const results: Tensors[] = [];
    for (let from = 0; from < rows; ) {
      const size = Math.min(this.#rowLimit, rows - from);
      if (size < rows) checkRows(prepared, rows, size);
      const part = size === rows ? prepared : sliceRows(prepared, from, from + size);
      try {
        results.push(await this.#runPart(part, part === prepared ? request : withoutMemory(request), checks));
        from += size;
      } catch (error) {
        // Without a batch, rows of different tensors do not belong together.
        if (!isOutOfMemory(error) || size === 1 || this.#rowLimit === Number.POSITIVE_INFINITY) throw error;
        this.#rowLimit = halfOf(size);
      }
    }
    return this.#joined(results);
  }

  /** Packed layouts have no batch to slice: the tower says where a request may be cut. */
  async #runPacks(request: WholeRun, split: NonNullable<TowerSpec["split"]>): Promise<Tensors> {
    const waiting = [...split(request.inputs, this.#rowLimit)];
    const isWhole = waiting.length === 1;
    const results: Tensors[] = [];
    for (let pack = waiting.shift(); pack !== undefined; pack = waiting.shift()) {
      const checks = createLateChecks();
      const prepared = this.spec.prepare(pack, checks.add);
      try {
        const whole = isWhole && waiting.length === 0 && results.length === 0;
        results.push(await this.#runPart(prepared, whole ? request : withoutMemory(request), checks));
      } catch (error) {
        if (!isOutOfMemory(error)) throw error;
        const limit = halfOf(mostRows(prepared));
        const smaller = split(pack, limit);
        if (smaller.length === 1 || smaller.includes(pack)) throw error;
        this.#rowLimit = limit;
        waiting.unshift(...smaller);
      }
    }
    return this.#joined(results);
  }

  #joined(parts: readonly Tensors[]): Tensors {
    return parts.length === 1 ? parts[0] : concatRows(parts, this.spec.joinAxes);
  }

  async #runPart(inputs: Tensors, request: WholeRun, checks: LateChecks): Promise<Tensors> {
    const results = await this.#options.artifacts.surviving(() => this.#runOnce(inputs, request, checks.make));
    checks.make();
    return results;
  }

  async #runOnce(inputs: Tensors, request: WholeRun, meanwhile: () => void): Promise<Tensors> {
    request.context.check();
    const { plan, segments } = await this.#program(inputs, request);
    if (this.#options.onSizes !== undefined)
      tellSizes(plan, (tag) => this.#componentOf(tag).spec, this.#options.onSizes);
    const begin = this.#options.now();
    const { context, into, spent } = request;
    const details = { into, meanwhile };
    const { results, crossedBytes } = await this.#runner.run(segments, inputs, plan.results, context, details);
    spent.modelMs += this.#options.now() - begin;
    spent.flops += sum(segments.map((s) => s.linked.flops));
    Object.assign(this.stats, spent);
    this.stats.arenaBytes = sum(segments.map((s) => s.linked.arenaBytes));
    this.stats.segments = segments.map(({ device, plan: { calls } }) => ({ device: device.kind, calls: calls.length }));
    this.stats.crossedBytes = crossedBytes;
    return results;
  }

  async #program(inputs: Tensors, request: RunRequest): Promise<Program> {
    const { outputs, context } = request;
    const { modality } = this.spec;
    const shapes = Object.fromEntries(Object.entries(inputs).map(([name, t]) => [name, t.shape]));
    // Programs of kernels that were put aside meanwhile are not run again.
    const key = JSON.stringify([shapes, outputs, this.#options.artifacts.quarantined.length]);
    const known = this.#programs.get(key);
    if (known !== undefined) {
      this.#programs.delete(key);
      this.#programs.set(key, known);
      return known;
    }
    const begin = this.#options.now();
    context.doing(() => `planning the ${modality} tower`);
    const plan = this.spec.plan(shapes, outputs);
    context.span({ kind: "plan", name: modality, begin, figures: { calls: plan.calls.length } });
    const linking = context.now();
    // Arenas are kept by the linked key, which must tell apart what reads back different results.
    const program = { plan, segments: await this.#link({ ...plan, key }, inputs, request) };
    context.span({ kind: "link", name: modality, begin: linking });
    this.stats.planned++;
    this.stats.planMs = this.#options.now() - begin;
    this.#programs.set(key, program);
    if (this.#programs.size > PROGRAMS) this.#programs.delete(this.#programs.keys().next().value as string);
    return program;
  }

  #componentOf(tag: string): ReadyComponent {
    return this.components.get(tag) ?? noComponent(tag, this.components.keys());
  }

  async #link(plan: Plan, inputs: Tensors, { context, caller }: RunRequest): Promise<readonly LinkedSegment[]> {
    const resolved: ResolvedCall[] = [];
    for (const { tag, instance, dims } of plan.calls) {
      const component = this.#componentOf(tag);
      const weights = this.#weights.get(weightKey(tag, instance));
      if (weights === undefined) noInstance(tag, instance, component.spec.instances);
      const use = async (slot: RangeSlot): Promise<ResolvedCall> => {
        const { artifact } = slot.ready ?? (await slot.obtain(await firstUse(dims, caller), context.signal));
        // Lazy ranges bring weights of their own; all others are resident.
        await loadAtFirstUse(weights, artifact.weights, this.#options.reader(instance), { tag, instance, context });
        return { artifact, weights: weights.resolve(artifact.weights) };
      };
      resolved.push(await withSlot(component, dims, context, use));
    }
    const segments = partitionPlan(plan, (tag) => this.#componentOf(tag).device);
    return linkSegments(segments, inputs, (at) => resolved[at]);
  }
}

/** Tells the dims of a plan's calls, equal ones of a component once; of larger components those of the encoder's own inside. */
function tellSizes({ calls }: Plan, specOf: (tag: string) => CutComponent, tell: (sizes: RecordedSizes) => void): void {
  const told = new Set<string>();
  const tellOnce = (sizes: RecordedSizes): void => {
    const key = JSON.stringify([sizes.tag, sizes.dims]);
    if (!told.has(key)) tell(sizes);
    told.add(key);
  };
  for (const { tag, dims } of calls) {
    const { parts } = specOf(tag);
    if (parts === undefined) tellOnce({ tag, dims });
    for (const part of parts ?? []) {
      const own = Object.entries(part.dims).map(([name, d]) => [name, evaluate(d, dims)]);
      tellOnce({ tag: part.spec.tag, dims: Object.fromEntries(own) });
    }
  }
}
