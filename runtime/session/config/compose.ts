/**
 * Consecutive component calls of a plan as one component. Only component specs and calls are read, so that it works with
 * everyone's encoders.
 */
import type { ComponentCall, ComponentSpec, GraphBuilder, Node } from "../../abi/encoder.ts";
import { internal } from "../../core/diagnostics.ts";
import { type Bindings, type Box, type Dim, evaluate, type Interval, shapeEquals, symbol } from "../../core/dim.ts";
import { type RangeSpec, wholeBox } from "../../core/range.ts";
import { type Relation, relationText } from "../../core/relation.ts";
import { soleSymbol, solve, substitute } from "../../core/substitute.ts";
import { comparable, RangeSplit } from "../../ir/comparisons.ts";
import { createInterner, type OpTable } from "../../ir/node.ts";
import { type ComponentPorts, tracePorts } from "../artifacts/ports.ts";
import { runBuild } from "./run_build.ts";

/** A port of a part: which call of the group, and its own name there. */
interface PartPort {
  readonly part: number;
  readonly port: string;
}

const portKey = ({ part, port }: PartPort): string => `${part}/${port}`;

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

/** An input or output of a composed component. */
interface ComposedPort {
  readonly name: string;
  readonly at: PartPort;
}

/** Consecutive calls as one component. */
export interface Composition {
  readonly parts: readonly Part[];
  readonly symbols: Box;
  /** Whose symbol each symbol is: the first part that has it, and its name there. */
  readonly sources: Readonly<Record<string, { readonly part: number; readonly name: string }>>;
  readonly relations: readonly Relation[];
  readonly ranges: RangeSpec;
  /** Inputs, each at the first part that takes it. */
  readonly inputs: readonly ComposedPort[];
  /** Values that others read. */
  readonly outputs: readonly ComposedPort[];
}

/** What composing needs to know of a component. */
export interface ComponentFacts extends ComponentPorts {
  readonly spec: ComponentSpec;
  readonly ranges: RangeSpec;
}

/** The ports of a component; where its build compares sizes, those of the smallest range that it asks for. */
export function factsOf(spec: ComponentSpec, ranges: RangeSpec, ops: OpTable): ComponentFacts {
  for (let box = wholeBox(spec.symbols, ranges); ; ) {
    try {
      return { spec, ranges, ...tracePorts(spec, box, createInterner(ops)) };
    } catch (error) {
      if (!(error instanceof RangeSplit)) throw error;
      const { symbol: name, end } = error.point;
      box = { ...box, [name]: { ...box[name], max: end } };
    }
  }
}

/** Text that is equal for groups of calls that are wired alike, whatever their instances and sizes. */
export function wiringOf(calls: readonly ComponentCall[]): string {
  const values = new Map<string, string>();
  const parts = calls.map((call, part) => {
    const inputs = Object.entries(call.inputs)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([port, value]) => {
        const known = values.get(value) ?? `outside ${portKey({ part, port })}`;
        values.set(value, known);
        return [port, known];
      });
    for (const [port, value] of Object.entries(call.outputs)) values.set(value, portKey({ part, port }));
    return [call.tag, inputs, calls.findIndex((c) => c.instance === call.instance)];
  });
  return JSON.stringify(parts);
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

/** The dims of all parts in as few symbols as the wiring allows, and the shapes of values that say so. */
class Sizes {
  readonly symbols: Record<string, Interval> = {};
  readonly sources: Record<string, { part: number; name: string }> = {};
  readonly parts: Record<string, Dim>[] = [];
  readonly #calls: readonly ComponentCall[];
  /** Values inside the group by name: their shape in composed symbols. */
  readonly #shapes = new Map<string, readonly Dim[]>();
  /** Values that parts of the group make. */
  readonly #made: ReadonlySet<string>;

  constructor(calls: readonly ComponentCall[]) {
    this.#calls = calls;
    this.#made = new Set(calls.flatMap((c) => Object.values(c.outputs)));
  }

  /** The dims of the next part. */
  add({ spec, inputs, outputs }: ComponentFacts): Readonly<Record<string, Dim>> {
    const part = this.parts.length;
    const call = this.#calls[part];
    const dims: Record<string, Dim> = {};
    this.parts.push(dims);
    // What flows in says how large things are: [batch, tokens, width] gives `tokens` its meaning here.
    for (let found = true; found; ) {
      found = false;
      for (const { name, shape } of inputs) {
        const given = this.#shapes.get(call.inputs[name]);
        if (given?.length !== shape.length) continue;
        for (const [axis, d] of shape.entries()) {
          const solution = solve(d, given[axis], dims);
          if (solution === undefined) continue;
          dims[solution.name] = solution.is;
          found = true;
        }
      }
    }
    const alike = this.#calls.slice(0, part).findIndex((earlier) => this.#isAlike(earlier, call));
    for (const [name, interval] of Object.entries(spec.symbols)) {
      dims[name] ??= alike >= 0 ? this.parts[alike][name] : this.#declare(part, name, interval);
      const sole = soleSymbol(dims[name]);
      if (sole !== undefined) this.symbols[sole] = both(this.symbols[sole], interval);
    }
    const learn = (value: string | undefined, shape: readonly Dim[]): void => {
      if (value !== undefined && !this.#shapes.has(value))
        this.#shapes.set(
          value,
          shape.map((d) => substitute(d, dims)),
        );
    };
    for (const { name, shape } of inputs) learn(call.inputs[name], shape);
    for (const { name, shape } of outputs) learn(call.outputs[name], shape);
    return dims;
  }

  /** Calls of one component that read the same from outside have the same sizes. */
  #isAlike(a: ComponentCall, b: ComponentCall): boolean {
    const isInside = (value: string): boolean => this.#made.has(value);
    return (
      a.tag === b.tag &&
      Object.entries(a.inputs).every(([port, value]) => value === b.inputs[port] || isInside(b.inputs[port]))
    );
  }

  #declare(part: number, name: string, interval: Interval): Dim {
    let own = name;
    for (let n = 2; Object.hasOwn(this.symbols, own); n++) own = `${name}_${n}`;
    this.symbols[own] = interval;
    this.sources[own] = { part, name };
    return symbol(own);
  }
}

/** Ports under their own names; of those with one name `keeper` keeps it and the others are told apart by their parts. */
function named(ports: readonly PartPort[], keeper: "first" | "last"): readonly ComposedPort[] {
  return ports.map((at, i) => {
    const others = keeper === "first" ? ports.slice(0, i) : ports.slice(i + 1);
    return { at, name: others.some((o) => o.port === at.port) ? portKey(at) : at.port };
  });
}

/** Relations of the parts in composed symbols, each once. */
function composedRelations(parts: readonly Part[]): readonly Relation[] {
  const inside = parts.flatMap(({ spec, dims }) => {
    const side = (s: string | Dim): Dim => substitute(typeof s === "string" ? symbol(s) : s, dims);
    return (spec.relations ?? []).map(([left, sign, right]): Relation => [side(left), sign, side(right)]);
  });
  return [...new Map(inside.map((r) => [relationText(r), r])).values()];
}

/** Ranges: those of the component where all parts are of one and have its sizes, else the ends of all. */
function composedRanges(parts: readonly Part[], rangesOf: (part: number) => RangeSpec, symbols: Box): RangeSpec {
  const isOne = parts.every(
    ({ spec, dims }) =>
      spec.tag === parts[0].spec.tag && Object.entries(dims).every(([name, d]) => soleSymbol(d) === name),
  );
  const own = rangesOf(0);
  if (isOne && Object.keys(symbols).length === Object.keys(parts[0].dims).length) return own;
  const ends = new Map<string, Set<number>>();
  for (const [at, { dims }] of parts.entries()) {
    const ranges = rangesOf(at);
    if (ranges === "open") return "open";
    for (const [name, values] of Object.entries(ranges.ends ?? {})) {
      const sole = soleSymbol(dims[name]);
      if (sole === undefined) continue;
      const { min, max } = symbols[sole];
      const inside = values.filter((end) => end >= min && end < max);
      if (inside.length > 0) ends.set(sole, new Set([...(ends.get(sole) ?? []), ...inside]));
    }
  }
  return {
    ends: Object.fromEntries([...ends].map(([name, values]) => [name, [...values].sort((a, b) => a - b)])),
  };
}

/**
 * Composes calls.
 * @param isWanted whether a value is read outside of the group
 */
export function compose(
  calls: readonly ComponentCall[],
  isWanted: (value: string) => boolean,
  factsOfTag: (tag: string) => ComponentFacts,
): Composition {
  const sizes = new Sizes(calls);
  const known = new Map<string, { from: "part" | "outside"; at: PartPort }>();
  const inputs: PartPort[] = [];
  const outputs: PartPort[] = [];
  const parts = calls.map((call, part): Part => {
    const facts = factsOfTag(call.tag);
    const dims = sizes.add(facts);
    const wires = facts.inputs.map(({ name: port }) => {
      const value = call.inputs[port];
      const at = { part, port };
      if (!known.has(value)) inputs.push(at);
      const source = known.get(value) ?? { from: "outside" as const, at };
      known.set(value, source);
      return [port, source] as const;
    });
    for (const { name: port } of facts.outputs) {
      const value = call.outputs[port];
      if (value === undefined) continue;
      known.set(value, { from: "part", at: { part, port } });
      if (isWanted(value)) outputs.push({ part, port });
    }
    const weights = calls.findIndex((c) => c.instance === call.instance);
    return { spec: facts.spec, dims, wires: Object.fromEntries(wires), weights };
  });
  const { symbols, sources } = sizes;
  return {
    ...{ parts, symbols, sources },
    relations: composedRelations(parts),
    ranges: composedRanges(parts, (part) => factsOfTag(calls[part].tag).ranges, symbols),
    inputs: named(inputs, "first"),
    outputs: named(outputs, "last"),
  };
}

/** Builds all parts into one graph. */
export function buildParts(b: GraphBuilder, { parts, inputs, outputs }: Composition): void {
  const declared = new Map(inputs.map(({ at, name }) => [portKey(at), name]));
  const nodes = new Map<string, Node>();
  parts.forEach(({ spec, dims, wires, weights }, part) => {
    runBuild(spec, {
      ...b,
      dims: comparable(b, dims),
      input: (port, shape, dtype) => {
        const own = portKey({ part, port });
        const name = declared.get(own);
        if (name !== undefined) nodes.set(`outside ${own}`, b.input(name, shape, dtype));
        const { from, at } = wires[port];
        const node = nodes.get(`${from} ${portKey(at)}`) ?? internal(`"${own}" is read before it is made`);
        // Components read one another's values densely, whatever shape each gives them.
        return shapeEquals(node.shape, shape) ? node : b.reshape(node, shape);
      },
      weight: (name, shape) => b.weight(`${weights}/${name}`, shape),
      output: (port, node) => {
        nodes.set(`part ${portKey({ part, port })}`, node);
      },
      finish: () => internal("a component finishes the graph that it is only a part of"),
    });
  });
  for (const { at, name } of outputs) {
    b.output(name, nodes.get(`part ${portKey(at)}`) ?? internal(`"${portKey(at)}" is never made`));
  }
}

/** The call that does what `calls` do; nothing where their sizes or what others read of them are not the composition's. */
export function composedCall(
  { parts, sources, inputs, outputs }: Composition,
  calls: readonly ComponentCall[],
  isWanted: (value: string) => boolean,
): Omit<ComponentCall, "tag" | "instance"> | undefined {
  const dims: Bindings = Object.fromEntries(
    Object.entries(sources).map(([own, { part, name }]) => [own, calls[part].dims[name]]),
  );
  const sizesFit = parts.every((part, at) =>
    Object.entries(part.dims).every(([name, d]) => evaluate(d, dims) === calls[at].dims[name]),
  );
  const made = new Map(outputs.map(({ at, name }) => [calls[at.part].outputs[at.port], name]));
  const isMissing = (value: string): boolean => isWanted(value) && !made.has(value);
  if (!sizesFit || calls.some((c) => Object.values(c.outputs).some(isMissing))) return undefined;
  return {
    dims,
    inputs: Object.fromEntries(inputs.map(({ at, name }) => [name, calls[at.part].inputs[at.port]])),
    outputs: Object.fromEntries(
      [...made].filter(([value]) => value !== undefined).map(([value, name]) => [name, value]),
    ),
  };
}
