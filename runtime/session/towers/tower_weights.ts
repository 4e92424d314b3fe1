/** The weights of a tower's components: what they take, and loading them. */
import type { WeightUse } from "../../abi/artifact.ts";
import type { Device } from "../../abi/device.ts";
import type { TowerSpec } from "../../abi/encoder.ts";
import { bytesText, FoveaError } from "../../core/diagnostics.ts";
import type { Span, TraceSink } from "../../core/trace.ts";
import type { ForwardContext } from "../../exec/forward_context.ts";
import {
  createInstanceWeights,
  type InstanceWeights,
  stagingBytes,
  type TensorReader,
} from "../../exec/instance_weights.ts";
import { runOverlapped } from "../../exec/overlapped.ts";
import { Staging } from "../../exec/staging.ts";
import type { WeightCache } from "../../exec/weight_cache.ts";
import type { ReadyComponent } from "../artifacts/ready_component.ts";
import { usualInstances } from "../config/cut_component.ts";

export interface WeightOptions {
  /** Reader of one instance's tensors. */
  readonly reader: (instance: string) => TensorReader;
  /** Where one instance's packed weights are kept between loads. */
  readonly kept?: ((instance: string) => WeightCache) | undefined;
  readonly onLoaded: (done: number, total: number, instance: string) => void;
  readonly now: () => number;
  /** Told how long reading and packing took. */
  readonly trace?: TraceSink | undefined;
  readonly signal?: AbortSignal;
}

/** Under which an instance's weights are found. */
export const weightKey = (tag: string, instance: string): string => `${tag} ${instance}`;

/** A component's weights, each packed form once. */
function weightUses({ artifacts }: ReadyComponent): readonly WeightUse[] {
  return [...new Map(artifacts.flatMap((a) => a.artifact.weights).map((w) => [w.key, w])).values()];
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Bytes of a component's weights over all instances, as far as its ranges are compiled. */
export function weightBytesOf(component: ReadyComponent): number {
  return sum(weightUses(component).map((w) => w.bytes)) * usualInstances(component.spec).length;
}

/** Refuses before anything is read. @throws FoveaError `out_of_memory` */
export function checkRoom(spec: TowerSpec, components: ReadonlyMap<string, ReadyComponent>): void {
  const all = [...components.values()];
  for (const device of new Set(all.map((c) => c.device))) {
    checkDevice(
      spec,
      all.filter((c) => c.device === device),
      device,
    );
  }
}

function checkDevice(spec: TowerSpec, all: readonly ReadyComponent[], device: Device): void {
  const needed = sum(all.map(weightBytesOf));
  const { bytesInUse, limitBytes } = device.stats();
  const room = limitBytes - bytesInUse;
  if (needed <= room) return;
  // The smallest run's values, and the largest weight twice while it is packed.
  const least = (c: ReadyComponent): number => Math.min(...c.artifacts.map((a) => a.artifact.peakBytes));
  const values = sum(all.filter((c) => c.artifacts.length > 0).map(least));
  const fits = bytesInUse + needed + values + Math.max(...all.flatMap(weightUses).map(stagingBytes));
  throw new FoveaError(
    "out_of_memory",
    `The weights of the ${spec.modality} tower need ${bytesText(needed)} and the device "${device.kind}" has ${bytesText(room)} left of ${bytesText(limitBytes)}. ` +
      `A \`memory\` of ${bytesText(fits)} would fit; else load fewer components, close other encoders, or take a smaller model.`,
  );
}

/** Weights that are loaded at a time: while the device packs one, the next is read. */
const WEIGHTS_AT_ONCE = 2;
/** Times what loading the largest weight takes beside it: enough for two under way and what is kept for the next two. */
const ROOMY = 4;

/** Whether the devices have more memory left than the weights and the run after them need. */
function hasRoom(all: readonly ReadyComponent[]): boolean {
  return [...new Set(all.map((c) => c.device))].every((device) => {
    const own = all.filter((c) => c.device === device);
    const { bytesInUse, limitBytes } = device.stats();
    const staged = Math.max(0, ...own.flatMap(weightUses).map(stagingBytes));
    return bytesInUse + sum(own.map(weightBytesOf)) + ROOMY * staged <= limitBytes;
  });
}

/** One instance's part of loading a tower. */
interface InstanceLoad {
  readonly tag: string;
  readonly instance: string;
  readonly own: InstanceWeights;
  /** It has no weights, or all of them wait for their first use. */
  readonly isEmpty: boolean;
  /** Weights that are still to be loaded. */
  left: number;
}

/** What a trace tells of an instance's weights beside the time. */
export const weightSpan = (tag: string, instance: string, bytes: number): Omit<Span, "begin" | "end"> => ({
  ...{ kind: "weights", name: instance === "" ? tag : instance, tag },
  figures: { bytes },
});

/** Loads what a call is the first to need of an instance's weights, as a span of that call. */
export async function loadAtFirstUse(
  weights: InstanceWeights,
  uses: readonly WeightUse[],
  read: TensorReader,
  { tag, instance, context }: { readonly tag: string; readonly instance: string; readonly context: ForwardContext },
): Promise<void> {
  const missing = uses.filter((use) => !weights.has(use));
  if (missing.length === 0) return;
  const begin = context.now();
  await weights.load(missing, read, context.signal);
  context.span({ ...weightSpan(tag, instance, sum(missing.map((w) => w.bytes))), begin });
}

/** Loads all weights that no lazy range waits with into `weights`. */
export async function loadWeights(
  components: ReadonlyMap<string, ReadyComponent>,
  weights: Map<string, InstanceWeights>,
  { reader, kept, onLoaded, now, trace, signal }: WeightOptions,
): Promise<void> {
  const all = [...components.values()];
  const total = sum(all.map((c) => usualInstances(c.spec).length));
  const roomy = hasRoom(all);
  const staging = new Map(all.map(({ device }) => [device, new Staging(device, roomy)]));
  const loads: InstanceLoad[] = [];
  // Weights that pass through staging come first, so that those after them lie where it was.
  const staged: (() => Promise<void>)[] = [];
  const direct: (() => Promise<void>)[] = [];
  let told = 0;
  let begin = now();
  // Weights overlap by one, so that an instance may end before the one in front of it.
  const tell = (): void => {
    for (; told < loads.length && loads[told].left === 0; told++) {
      const { tag, instance, own, isEmpty } = loads[told];
      const end = now();
      if (!isEmpty) trace?.span({ ...weightSpan(tag, instance, own.bytes), begin, end });
      begin = end;
      onLoaded(told + 1, total, instance);
    }
  };
  for (const component of all) {
    const { tag, instances } = component.spec;
    const usual = usualInstances(component.spec);
    const uses = weightUses(component);
    for (const instance of instances) {
      const own = createInstanceWeights(component.device, instance, kept?.(instance));
      weights.set(weightKey(tag, instance), own);
      if (!usual.includes(instance)) continue;
      const read = reader(instance);
      const load = { tag, instance, own, isEmpty: uses.length === 0, left: uses.length };
      loads.push(load);
      for (const use of uses) {
        (stagingBytes(use) > 0 ? staged : direct).push(async () => {
          await own.load([use], read, signal, staging.get(component.device));
          load.left--;
          tell();
        });
      }
    }
  }
  try {
    for (const jobs of [staged, direct]) {
      await runOverlapped(jobs, roomy ? WEIGHTS_AT_ONCE : 1);
      for (const s of staging.values()) s.release();
    }
    tell();
  } finally {
    for (const s of staging.values()) s.release();
  }
}
