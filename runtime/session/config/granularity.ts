/** How towers are cut: consecutive component calls of their plans as one component each, as settings or a measurement ask. */
import type { ComponentCall, ComponentSpec, Plan, RunGrowth, Tensors, TowerSpec } from "../../abi/encoder.ts";
import { FoveaError, internal } from "../../core/diagnostics.ts";
import type { RangeSpec } from "../../core/range.ts";
import { INSTANCE_JOINT } from "../../exec/instance_weights.ts";
import type { OpTable } from "../../ir/node.ts";
import { noComponent } from "../towers/plan_errors.ts";
import {
  buildParts,
  type ComponentFacts,
  type Composition,
  compose,
  composedCall,
  factsOf,
  wiringOf,
} from "./compose.ts";
import type { CutComponent } from "./cut_component.ts";
import { type CallSettings, type CompileLayers, type Granularity, type Home, resolveSettings } from "./settings.ts";

/** How calls are grouped. */
export interface Grouping {
  /** Blocks that become one component, or all calls; nothing where a component stays as it is. */
  readonly sizeOf: (tag: string) => number | "tower" | undefined;
  /** Calls are joined where these are equal; all are unless given. */
  readonly kindOf?: (tag: string) => string;
}

/** Groups of consecutive calls, as [first, end). Of numbers of blocks, calls of tags that occur once stay alone. */
export function groupCalls(
  calls: readonly ComponentCall[],
  { sizeOf, kindOf = () => "" }: Grouping,
): readonly (readonly [number, number])[] {
  const times = new Map<string, number>();
  for (const { tag } of calls) times.set(tag, (times.get(tag) ?? 0) + 1);
  const sizes = calls.map(({ tag }) => {
    const size = sizeOf(tag);
    return typeof size === "number" && (times.get(tag) as number) === 1 ? undefined : size;
  });
  const joins = (first: number, at: number): boolean =>
    sizes[at] !== undefined && sizes[at] === sizes[first] && kindOf(calls[at].tag) === kindOf(calls[first].tag);
  const groups: [number, number][] = [];
  for (let at = 0; at < calls.length; ) {
    const size = sizes[at];
    const most = size === "tower" ? calls.length : (size ?? 1);
    let end = at + 1;
    while (end < calls.length && end - at < most && joins(at, end)) end++;
    groups.push([at, end]);
    at = end;
  }
  return groups;
}

/** `clip/vision.block x 4`, or the first and the last tag. */
function tagOf(calls: readonly ComponentCall[]): string {
  const tags = [...new Set(calls.map((c) => c.tag))];
  return tags.length === 1
    ? `${tags[0]} x ${calls.length}`
    : `${tags[0]} to ${tags[tags.length - 1]} (${calls.length})`;
}

const joinedInstance = (calls: readonly ComponentCall[]): string => calls.map((c) => c.instance).join(INSTANCE_JOINT);

/** A composed component and the groups of calls that it serves. */
interface Composed {
  readonly tag: string;
  readonly composition: Composition;
  readonly instances: Set<string>;
}

/** The first reason of a part's gate. */
function gateOf({ parts }: Composition): ComponentSpec["enableIf"] {
  const gates = [...new Set(parts.flatMap(({ spec }) => spec.enableIf ?? []))];
  if (gates.length === 0) return undefined;
  return (config, capabilities) =>
    gates.map((gate) => gate(config, capabilities)).find((answer) => answer !== true) ?? true;
}

/** Its build throws FoveaError `cannot_compose` where the parts' sizes do not show that they fit together. */
function specOf({ tag, composition, instances }: Composed): CutComponent {
  const { parts, symbols, relations, ranges } = composition;
  const gate = gateOf(composition);
  return {
    ...{ tag, symbols, relations, ranges, parts },
    instances: [...instances],
    ...(parts.some((part) => part.spec.lazy === true) ? { lazy: true } : {}),
    ...(gate === undefined ? {} : { enableIf: gate }),
    build: (b) => {
      try {
        buildParts(b, composition);
      } catch (error) {
        // A size that the part before fixes is a number, without a symbol's comparisons.
        const isMismatch = error instanceof FoveaError ? error.code === "shape_error" : error instanceof TypeError;
        if (!isMismatch) throw error;
        const message = (error as Error).message.replace(/\.?$/, ".");
        throw new FoveaError(
          "cannot_compose",
          `"${tag}" joins components whose sizes do not show that they fit together: ${message} Set another \`granularity\` for one of them.`,
          { cause: error },
        );
      }
    },
  };
}

/** What other calls and results read of a plan's values. */
function wantedOf(plan: Plan, [first, end]: readonly [number, number]): (value: string) => boolean {
  const others = [...plan.calls.slice(0, first), ...plan.calls.slice(end)];
  const wanted = new Set([...Object.values(plan.results), ...others.flatMap((c) => Object.values(c.inputs))]);
  return (value) => wanted.has(value);
}

export interface CutOptions extends Grouping {
  /** A plan that says what is called in which order, with all results wanted. */
  readonly example: Plan;
  readonly ops: OpTable;
  /** Ranges of the encoder's own components; their own unless given. */
  readonly rangesOf?: (spec: ComponentSpec) => RangeSpec;
}

/**
 * A tower whose plans have calls grouped as those of the example are. Sizes stay symbolic, so that others are served as well.
 * What a plan calls otherwise is served by the encoder's own components, which are compiled and get their weights then.
 */
export function cutTower(tower: TowerSpec, options: CutOptions): TowerSpec {
  const { example, ops, rangesOf = (spec) => spec.ranges ?? {} } = options;
  const byTag = new Map(tower.components.map((c) => [c.tag, c]));
  const traced = new Map<string, ComponentFacts>();
  const facts = (tag: string): ComponentFacts => {
    const spec = byTag.get(tag) ?? noComponent(tag, byTag.keys());
    const known = traced.get(tag) ?? factsOf(spec, rangesOf(spec), ops);
    traced.set(tag, known);
    return known;
  };

  /** By wiring. */
  const composed = new Map<string, Composed[]>();
  const all: Composed[] = [];
  /** Instances whose calls are inside of composed components; by tag. */
  const joined = new Set<string>();
  for (const group of groupCalls(example.calls, options)) {
    const calls = example.calls.slice(...group);
    if (calls.length === 1) continue;
    for (const { tag, instance } of calls) joined.add(`${tag} ${instance}`);
    const wiring = wiringOf(calls);
    const composition = compose(calls, wantedOf(example, group), facts);
    const outputs = JSON.stringify(composition.outputs);
    const known = composed.get(wiring)?.find((c) => JSON.stringify(c.composition.outputs) === outputs);
    if (known !== undefined) {
      known.instances.add(joinedInstance(calls));
      continue;
    }
    const tag = tagOf(calls);
    const number = all.filter((c) => c.tag === tag || c.tag.startsWith(`${tag} #`)).length;
    const made: Composed = {
      tag: number === 0 ? tag : `${tag} #${number + 1}`,
      composition,
      instances: new Set([joinedInstance(calls)]),
    };
    composed.set(wiring, [...(composed.get(wiring) ?? []), made]);
    all.push(made);
  }
  if (all.length === 0) return tower;

  const plan: TowerSpec["plan"] = (shapes, outputs) => {
    const whole = tower.plan(shapes, outputs);
    const calls = groupCalls(whole.calls, options).flatMap((group): readonly ComponentCall[] => {
      const own = whole.calls.slice(...group);
      if (own.length === 1) return own;
      const isWanted = wantedOf(whole, group);
      const instance = joinedInstance(own);
      for (const { tag, composition, instances } of composed.get(wiringOf(own)) ?? []) {
        const call = instances.has(instance) ? composedCall(composition, own, isWanted) : undefined;
        if (call !== undefined) return [{ ...call, tag, instance }];
      }
      return own;
    });
    return { ...whole, key: `cut ${whole.key}`, calls };
  };

  const own = tower.components.map((c): CutComponent => {
    const spare = c.instances.filter((i) => joined.has(`${c.tag} ${i}`));
    return spare.length === 0 ? c : { ...c, spare };
  });
  const { growth } = tower;
  return {
    ...tower,
    components: [...own, ...all.map(specOf)],
    ...(growth === undefined ? {} : { growth: cutGrowth(growth, all) }),
    plan,
  };
}

/** Growth with the symbols of composed components. */
function cutGrowth(growth: RunGrowth, all: readonly Composed[]): RunGrowth {
  return {
    ...growth,
    dims: (size) => {
      const own = growth.dims(size);
      const more = all.flatMap(({ composition: { sources } }) =>
        Object.entries(sources).map(([name, source]) => [name, own[source.name]] as const),
      );
      return { ...Object.fromEntries(more), ...own };
    },
  };
}

/** The plan for inputs, with all results. */
export function planFor(tower: TowerSpec, inputs: Tensors): Plan {
  const prepared = Object.entries(tower.prepare(inputs));
  return tower.plan(Object.fromEntries(prepared.map(([name, t]) => [name, t.shape])), tower.outputs);
}

/** A tower cut as the configuration says. */
export function cutAsConfigured(
  tower: TowerSpec,
  { layers, home, call, ops }: { layers: CompileLayers; home: Home; call: CallSettings; ops: OpTable },
): TowerSpec {
  const settings = new Map(tower.components.map((c) => [c.tag, resolveSettings(c, layers, home, call)]));
  const of = (tag: string): NonNullable<ReturnType<typeof settings.get>> =>
    settings.get(tag) ?? internal(`the plan calls "${tag}", which the tower does not have`);
  const sizeOf = (tag: string): ReturnType<Grouping["sizeOf"]> => {
    const { enabled, granularity } = of(tag);
    return enabled.value ? sizeOfCut(granularity.value) : undefined;
  };
  if (tower.components.every((c) => sizeOf(c.tag) === undefined)) return tower;
  return cutTower(tower, {
    sizeOf,
    kindOf: (tag) => {
      const { dtype, device, target } = of(tag);
      return JSON.stringify([dtype.value, device.value, target.value]);
    },
    example: planFor(tower, tower.example({ batch: 1, seed: 1 })),
    ops,
    rangesOf: (spec) => of(spec.tag).ranges.value,
  });
}

/** Calls that a granularity joins. */
export function sizeOfCut(cut: Granularity): number | "tower" | undefined {
  return cut === "op" || cut === "block" ? undefined : cut;
}
