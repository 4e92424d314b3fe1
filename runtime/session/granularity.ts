/**
 * An encoder cut otherwise: consecutive component calls of its plan become one component. Only component specs and plans
 * are read, so that it works with everyone's encoders.
 */
import type { ComponentCall, ComponentSpec, GraphBuilder, Node, Plan, TowerSpec } from "../abi/encoder.ts";
import { FoveaError, internal } from "../core/diagnostics.ts";
import { type Bindings, type Box, type Dim, dimKey, type Interval, shapeEquals, symbol } from "../core/dim.ts";
import { dispatch, splitRanges } from "../core/range.ts";
import { solve, substitute } from "../core/substitute.ts";
import { comparable } from "../ir/comparisons.ts";
import { createInterner, type OpTable } from "../ir/node.ts";
import { noComponent } from "./plan_errors.ts";
import { type ComponentPort, tracePorts } from "./ports.ts";

/** A port of a part: which call of the group, and its own name there. */
interface PartPort {
  readonly part: number;
  readonly port: string;
}

const portName = ({ part, port }: PartPort): string => `${part}/${port}`;

/** One call inside a composed component. */
interface Part {
  readonly spec: ComponentSpec;
  /** Its symbols in those of the composed component. */
  readonly dims: Readonly<Record<string, Dim>>;
  /** Own input -> an earlier part's output, or an input of the composed component (under the part that declares it). */
  readonly wires: Readonly<Record<string, { readonly from: "part" | "outside"; readonly at: PartPort }>>;
  /** The first part with the same instance: they read the same tensors. */
  readonly weights: number;
}

/** A symbol of a composed component: its interval and whose symbols it is. */
interface ComposedSymbol {
  readonly interval: Interval;
  readonly sources: readonly { readonly part: number; readonly name: string }[];
}

/** Consecutive calls as one component. */
interface Composition {
  readonly parts: readonly Part[];
  readonly symbols: Readonly<Record<string, ComposedSymbol>>;
  /** Inputs of the composed component, each under the first part that takes it, and the plan's values for them. */
  readonly inputs: readonly { readonly at: PartPort; readonly value: string }[];
  /** Values that others read. */
  readonly outputs: readonly { readonly at: PartPort; readonly value: string }[];
}

/** A tower whose components are composed ones. */
export interface ComposedTower {
  readonly spec: TowerSpec;
  /** A tensor's name as the encoder's own components call it, without the checkpoint's prefix. */
  tensorOf(instance: string, name: string): string;
}

/** Blocks that become one component, or all calls of the tower. */
export type CallsPerComponent = number | "all";

/**
 * Groups of consecutive calls, as [first, end). Calls of tags that occur once stay alone, unless all are wanted.
 */
export function groupCalls(
  calls: readonly ComponentCall[],
  size: CallsPerComponent,
): readonly (readonly [number, number])[] {
  if (size === "all") return [[0, calls.length]];
  const times = new Map<string, number>();
  for (const { tag } of calls) times.set(tag, (times.get(tag) ?? 0) + 1);
  const repeated = calls.map(({ tag }) => (times.get(tag) as number) > 1);
  const groups: [number, number][] = [];
  for (let at = 0; at < calls.length; ) {
    let end = at + 1;
    while (repeated[at] && end < calls.length && repeated[end] && end - at < size) end++;
    groups.push([at, end]);
    at = end;
  }
  return groups;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

function both(a: Interval, b: Interval): Interval {
  const [x, y] = [a.multipleOf ?? 1, b.multipleOf ?? 1];
  const step = (x * y) / gcd(x, y);
  return {
    min: Math.max(a.min, b.min),
    max: Math.min(a.max, b.max),
    ...(step === 1 ? {} : { multipleOf: step }),
  };
}

/** What composing needs to know of a component at given sizes. */
interface Facts {
  readonly spec: ComponentSpec;
  /** The range that serves the sizes. */
  readonly box: Box;
  readonly inputs: readonly ComponentPort[];
  readonly outputs: readonly ComponentPort[];
}

/** Composes one group of calls of a plan. */
function compose(
  plan: Plan,
  [first, end]: readonly [number, number],
  factsOf: (call: ComponentCall) => Facts,
): Composition {
  const calls = plan.calls.slice(first, end);
  const others = [...plan.calls.slice(0, first), ...plan.calls.slice(end)];
  const wanted = new Set([...Object.values(plan.results), ...others.flatMap((c) => Object.values(c.inputs))]);
  /** Values inside the group: where they are made or first taken, and their shape in composed symbols. */
  const known = new Map<string, { from: "part" | "outside"; at: PartPort; shape: readonly Dim[] }>();
  const symbols: Record<string, { interval: Interval; sources: { part: number; name: string }[] }> = {};
  const inputs: { at: PartPort; value: string }[] = [];
  const outputs: { at: PartPort; value: string }[] = [];

  const parts = calls.map((call, part): Part => {
    const facts = factsOf(call);
    const dims: Record<string, Dim> = {};
    // What flows in says how large things are: [batch, tokens, width] gives `tokens` its meaning here.
    for (let found = true; found; ) {
      found = false;
      for (const { name, shape } of facts.inputs) {
        const given = known.get(call.inputs[name])?.shape;
        if (given?.length !== shape.length) continue;
        for (const [axis, d] of shape.entries()) {
          const solution = solve(d, given[axis], dims);
          if (solution === undefined) continue;
          dims[solution.name] = solution.is;
          found = true;
        }
      }
    }
    // What nothing says is a symbol of the whole, shared with parts that have it at the same value.
    for (const [name, interval] of Object.entries(facts.box)) {
      if (Object.hasOwn(dims, name)) continue;
      const same = Object.entries(symbols).find(([, { sources }]) =>
        sources.some((s) => s.name === name && calls[s.part].dims[name] === call.dims[name]),
      );
      const source = { part, name };
      if (same !== undefined) {
        same[1].interval = both(same[1].interval, interval);
        same[1].sources.push(source);
        dims[name] = symbol(same[0]);
        continue;
      }
      let own = name;
      for (let n = 2; Object.hasOwn(symbols, own); n++) own = `${name}_${n}`;
      symbols[own] = { interval, sources: [source] };
      dims[name] = symbol(own);
    }
    const wires = facts.inputs.map(({ name, shape }) => {
      const value = call.inputs[name];
      const at = { part, port: name };
      const source = known.get(value) ?? { from: "outside" as const, at, shape: shape.map((d) => substitute(d, dims)) };
      if (!known.has(value)) {
        known.set(value, source);
        inputs.push({ at, value });
      }
      return [name, { from: source.from, at: source.at }] as const;
    });
    for (const { name, shape } of facts.outputs) {
      const value = call.outputs[name];
      if (value === undefined) continue;
      const at = { part, port: name };
      known.set(value, { from: "part", at, shape: shape.map((d) => substitute(d, dims)) });
      if (wanted.has(value)) outputs.push({ at, value });
    }
    const weights = calls.findIndex((c) => c.instance === call.instance);
    return { spec: facts.spec, dims, wires: Object.fromEntries(wires), weights };
  });
  return { parts, symbols, inputs, outputs };
}

/** Text that is equal for compositions of one structure, whatever their instances. */
function signature({ parts, symbols, inputs, outputs }: Composition): string {
  return JSON.stringify([
    parts.map(({ spec, dims, wires, weights }) => [
      spec.tag,
      Object.entries(dims).map(([name, d]) => [name, dimKey(d)]),
      wires,
      weights,
    ]),
    symbols,
    inputs.map((i) => portName(i.at)),
    outputs.map((o) => portName(o.at)),
  ]);
}

/** Builds all parts into one graph. */
function buildParts(b: GraphBuilder, { parts, inputs, outputs }: Composition): void {
  const declared = new Set(inputs.map((i) => portName(i.at)));
  const nodes = new Map<string, Node>();
  parts.forEach(({ spec, dims, wires, weights }, part) => {
    spec.build({
      ...b,
      dims: comparable(b, dims),
      input: (name, shape, dtype) => {
        const own = portName({ part, port: name });
        if (declared.has(own)) nodes.set(`outside ${own}`, b.input(own, shape, dtype));
        const { from, at } = wires[name];
        const node = nodes.get(`${from} ${portName(at)}`) ?? internal(`"${own}" is read before it is made`);
        // Components read one another's values densely, whatever shape each gives them.
        return shapeEquals(node.shape, shape) ? node : b.reshape(node, shape);
      },
      weight: (name, shape) => b.weight(`${weights}/${name}`, shape),
      output: (name, node) => {
        nodes.set(`part ${portName({ part, port: name })}`, node);
      },
      finish: () => internal("a component finishes the graph that it is only a part of"),
    });
  });
  for (const { at } of outputs) {
    b.output(portName(at), nodes.get(`part ${portName(at)}`) ?? internal(`"${portName(at)}" is never made`));
  }
}

/** `clip/vision.block x 4`, or the first and the last tag. */
function tagOf({ parts }: Composition): string {
  const tags = [...new Set(parts.map((p) => p.spec.tag))];
  return tags.length === 1
    ? `${tags[0]} x ${parts.length}`
    : `${tags[0]} to ${tags[tags.length - 1]} (${parts.length})`;
}

/** Dims of a composed call. */
function composedDims({ symbols }: Composition, calls: readonly ComponentCall[]): Bindings {
  return Object.fromEntries(
    Object.entries(symbols).map(([name, { sources }]) => [name, calls[sources[0].part].dims[sources[0].name]]),
  );
}

/**
 * A tower whose plan has its calls grouped. It serves geometries whose calls, wiring and ranges are those of the example.
 * @param example a plan of the tower: it says what is called in which order
 * @throws FoveaError `cannot_compose`
 */
export function composeTower(tower: TowerSpec, size: CallsPerComponent, example: Plan, ops: OpTable): ComposedTower {
  const byTag = new Map(tower.components.map((c) => [c.tag, c]));
  const traced = new Map<string, Facts>();
  const factsOf = ({ tag, dims }: ComponentCall): Facts => {
    const spec = byTag.get(tag) ?? noComponent(tag, byTag.keys());
    const boxes = splitRanges(spec.symbols, spec.ranges ?? {}, {
      tag,
      ...(spec.maxArtifacts === undefined ? {} : { maxArtifacts: spec.maxArtifacts }),
    });
    const box = boxes[dispatch(tag, boxes, dims)];
    const key = JSON.stringify([tag, box]);
    const facts = traced.get(key) ?? { spec, box, ...tracePorts(spec, box, createInterner(ops)) };
    traced.set(key, facts);
    return facts;
  };

  const components = new Map<string, { spec: ComponentSpec; instances: Map<string, string> }>();
  /** Composed instance -> the parts' own instances. */
  const instances = new Map<string, readonly string[]>();
  /** Instances of components that stay as they are, by tag. */
  const alone = new Map<string, Set<string>>();
  const grouped = groupCalls(example.calls, size);
  for (const group of grouped) {
    const calls = example.calls.slice(...group);
    if (calls.length === 1) {
      const [{ tag, instance }] = calls;
      alone.set(tag, (alone.get(tag) ?? new Set()).add(instance));
      continue;
    }
    const composition = compose(example, group, factsOf);
    const key = signature(composition);
    const known = components.get(key);
    const own = calls.map((c) => c.instance);
    const instance = `calls ${group[0] + 1} to ${group[1]}: `;
    instances.set(instance, own);
    const named = (known?.instances ?? new Map<string, string>()).set(own.join("\n"), instance);
    const tags = [...components.values()].map((c) => c.spec.tag);
    const tag = known?.spec.tag ?? tagOf(composition);
    components.set(key, {
      instances: named,
      spec: {
        tag: known !== undefined || !tags.includes(tag) ? tag : `${tag} #${tags.length + 1}`,
        symbols: Object.fromEntries(Object.entries(composition.symbols).map(([name, s]) => [name, s.interval])),
        instances: [...named.values()],
        build: (b) => buildParts(b, composition),
      },
    });
  }

  const plan: TowerSpec["plan"] = (shapes, outputs) => {
    const whole = tower.plan(shapes, outputs);
    const calls = groupCalls(whole.calls, size).map((group): ComponentCall => {
      const own = whole.calls.slice(...group);
      if (own.length === 1) return own[0];
      const composition = compose(whole, group, factsOf);
      const found = components.get(signature(composition));
      const instance = found?.instances.get(own.map((c) => c.instance).join("\n"));
      if (found === undefined || instance === undefined) {
        throw new FoveaError(
          "cannot_compose",
          `The ${tower.modality} tower was composed for inputs that it plans otherwise than these; compose it again with an example of this size.`,
        );
      }
      return {
        tag: found.spec.tag,
        instance,
        dims: composedDims(composition, own),
        inputs: Object.fromEntries(composition.inputs.map(({ at, value }) => [portName(at), value])),
        outputs: Object.fromEntries(composition.outputs.map(({ at, value }) => [portName(at), value])),
      };
    });
    return { ...whole, key: `${size} ${whole.key}`, calls };
  };

  return {
    spec: {
      ...tower,
      components: [
        ...tower.components.flatMap((c) => {
          const instances = alone.get(c.tag);
          return instances === undefined ? [] : { ...c, instances: [...instances] };
        }),
        ...[...components.values()].map((c) => c.spec),
      ],
      plan,
    },
    tensorOf: (instance, name) => {
      const own = instances.get(instance);
      if (own === undefined) return `${instance}${name}`;
      const [part, ...rest] = name.split("/");
      return `${own[Number(part)]}${rest.join("/")}`;
    },
  };
}
