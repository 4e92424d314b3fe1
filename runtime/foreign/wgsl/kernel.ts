/** A described shader as a kernel like any other of the device "webgpu". */
import { bytesOf, pointer, type Source, sourcesOf } from "../../abi/claims/operands.ts";
import type { Arg, ClaimContext, EmitContext, EmittedStep, KernelSpec, Offer, Place } from "../../abi/kernel.ts";
import { FoveaError, internal } from "../../core/diagnostics.ts";
import {
  add,
  type Box,
  bounds,
  type Dim,
  divisorOf,
  evaluate,
  fixedValue,
  floorDiv,
  mul,
  product,
  shapeText,
} from "../../core/dim.ts";
import { parseDim } from "../../core/dim_text.ts";
import { substitute } from "../../core/substitute.ts";
import type { Node } from "../../ir/node.ts";
import { negativeSize } from "../kernel.ts";
import { type KernelLayout, layoutOf, sizeName } from "../layout.ts";
import { type Match, matchKernel } from "../match.ts";
import type { BundleManifest, PrepackManifest, ShaderKernelManifest, ShaderManifest } from "./manifest.ts";
import { openShader, type Role, type Shader } from "./shader.ts";

/** Most workgroups of a launch. */
const MOST_GROUPS = 2 ** 24;
/** Most turns of loops of one invocation, counted in 31 bits; and those that every one may have. */
const MOST_TURNS = 2 ** 26;
const LEAST_TURNS = 4096;
/** Storage buffers that every adapter grants: the arena, what foreign code leaves, and weights. */
const MOST_WEIGHTS = 6;

/** What WebGPU grants everywhere, of what shaders may ask for. */
const LIMITS: Readonly<Record<string, number>> = {
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupSizeY: 256,
  maxComputeWorkgroupSizeZ: 64,
};

/** A shader with its sizes as expressions over those of the pattern. */
interface Launched {
  readonly shader: Shader;
  readonly manifest: ShaderManifest;
  readonly dispatch: readonly [Dim, Dim, Dim];
  /** Name of an override -> a size, or the name of an attribute. */
  readonly overrides: ReadonlyMap<string, Dim | string>;
  /** Names by binding. */
  readonly operands: ReadonlyMap<number, string>;
}

export interface ShaderKernel {
  readonly layout: KernelLayout;
  readonly spec: KernelSpec;
}

/** Attributes that a pattern binds. */
function boundNames(pattern: ShaderKernelManifest["pattern"], into: Set<string> = new Set()): ReadonlySet<string> {
  if (typeof pattern === "string" || "constant" in pattern) return into;
  for (const value of Object.values(pattern.attributes ?? {})) if (typeof value === "object") into.add(value.bind);
  for (const input of pattern.inputs) boundNames(input, into);
  return into;
}

interface ShaderScope {
  readonly file: string;
  readonly kernel: string;
  readonly text: string;
  readonly sizes: ReadonlySet<string>;
  readonly attributes: ReadonlySet<string>;
  readonly dialect: readonly string[];
  readonly dtypeOf: (operand: string) => "f32" | "i32" | undefined;
}

/** @throws FoveaError `invalid_manifest`, `refused_module` */
function launchedOf(manifest: ShaderManifest, scope: ShaderScope): Launched {
  const { file, kernel, sizes, attributes } = scope;
  const problem = (sentence: string): never => {
    throw new FoveaError("invalid_manifest", `In ${file}, the kernel "${kernel}" ${sentence}`);
  };
  const sizeOf = (what: string, text: string): Dim => {
    try {
      return parseDim(text, sizes);
    } catch (error) {
      return problem(`has a wrong \`${what}\`. ${error instanceof FoveaError ? error.message : String(error)}`);
    }
  };
  const operands = new Map<number, string>();
  const roles = new Map<number, Role>();
  for (const own of manifest.bindings) {
    if (roles.has(own.binding)) problem(`declares the binding ${own.binding} twice.`);
    if (own.role === "output") roles.set(own.binding, { role: "write" });
    else if (own.role === "operand") {
      const dtype = scope.dtypeOf(own.of);
      if (dtype === undefined) return problem(`binds "${own.of}", which is no operand of f32 or i32.`);
      operands.set(own.binding, own.of);
      roles.set(own.binding, { role: "read", of: own.of, dtype });
    } else {
      const unknown = own.of.find((name) => !sizes.has(name) && !attributes.has(name));
      if (unknown !== undefined) problem(`has "${unknown}" among its sizes, which is no size and no bound attribute.`);
      const of = own.of.map((name) => ({ name, kind: attributes.has(name) ? ("f32" as const) : ("u32" as const) }));
      roles.set(own.binding, { role: "sizes", of });
    }
  }
  if ([...roles.values()].filter((r) => r.role === "write").length !== 1) problem("needs one binding as its `output`.");
  const named = Object.entries(manifest.overrides ?? {});
  const [x, y = 1, z = 1] = manifest.dispatch.map((text) => sizeOf("dispatch", text));
  return {
    shader: openShader(scope.text, {
      file: manifest.file,
      entry: manifest.entry,
      roles,
      overrides: named.map(([name]) => name),
      dialect: scope.dialect,
    }),
    manifest,
    dispatch: [x, y, z],
    overrides: new Map(named.map(([name, text]) => [name, attributes.has(text) ? text : sizeOf("overrides", text)])),
    operands,
  };
}

const floatBits = new DataView(new ArrayBuffer(4));
function bitsOf(value: number): number {
  floatBits.setFloat32(0, value);
  return floatBits.getInt32(0);
}

/** A number as WGSL. */
const literal = (value: number, isFloat: boolean): string => {
  const text = String(isFloat ? Math.fround(value) : value);
  return !isFloat || /[.e]/.test(text) ? text : `${text}.0`;
};

type Bound = Pick<Match, "sizes" | "attributes">;

/** Values of overrides, or a sentence why there is none. */
function overridesOf(
  { overrides }: Launched,
  { sizes, attributes }: Bound,
  box: Box,
): ReadonlyMap<string, string> | string {
  const values = new Map<string, string>();
  for (const [name, of] of overrides) {
    if (typeof of === "string") values.set(name, literal(Number(attributes[of]), true));
    else {
      const value = fixedValue(substitute(of, sizes), box);
      if (value === undefined) return `its override ${name} needs a size that has one value.`;
      values.set(name, literal(value, false));
    }
  }
  return values;
}

/** Why a launch cannot be made, or nothing. */
function launchProblem(launched: Launched, bound: Bound, flops: Dim, box: Box): string | undefined {
  const overrides = overridesOf(launched, bound, box);
  if (typeof overrides === "string") return overrides;
  const negative = negativeSize({ flops }, box);
  if (negative !== undefined) return negative;
  const groups = product(launched.dispatch.map((d) => substitute(d, bound.sizes)));
  const { min, max } = bounds(groups, box);
  if (min < 1) return "it launches no workgroup at the smallest sizes.";
  if (!(max <= MOST_GROUPS)) return `it launches ${max} workgroups, more than ${MOST_GROUPS}.`;
  const turns = bounds(turnsOf(flops, groups), box).max;
  if (!(turns <= MOST_TURNS)) return `one of its workgroups does ${turns} operations, more than ${MOST_TURNS}.`;
  return undefined;
}

/** Turns of loops of an invocation: as if it did the work of its workgroup alone, four times. */
const turnsOf = (flops: Dim, groups: Dim): Dim => add(LEAST_TURNS, mul(4, floorDiv(flops, groups)));

interface Memory {
  readonly kind: "read" | "write" | "weight";
  readonly arg: Arg;
  readonly elements: Dim;
}

/** The step of a shader. @param memoryOf by binding */
function stepOf(
  name: string,
  launched: Launched,
  bound: Bound,
  flops: Dim,
  box: Box,
  memoryOf: (binding: number) => Memory,
): EmittedStep {
  const { shader } = launched;
  const memory = shader.memory.map((m) => memoryOf(m.binding));
  const overrides = overridesOf(launched, bound, box);
  if (typeof overrides === "string") return internal(overrides);
  const dispatch = launched.dispatch.map((d) => substitute(d, bound.sizes));
  const groups = product(dispatch);
  const words: readonly Dim[] = [
    ...memory.map(({ elements }) => (shader.lanes === 4 ? floorDiv(elements, 4) : elements)),
    ...dispatch,
    turnsOf(flops, groups),
    ...shader.sizes.map(({ name: size, kind }) =>
      kind === "f32" ? bitsOf(Number(bound.attributes[size])) : bound.sizes[size],
    ),
  ];
  return {
    name: launched.manifest.entry,
    code: shader.code(
      name,
      memory.map((m) => m.kind),
      overrides,
    ),
    args: [...memory.map((m) => m.arg), ...words.map((size) => ({ size }))],
    grid: groups,
    flops,
  };
}

/** @throws FoveaError `invalid_manifest`, `refused_module` */
export function shaderKernel(
  bundle: BundleManifest,
  kernel: ShaderKernelManifest,
  texts: ReadonlyMap<string, string>,
  file: string,
): ShaderKernel {
  const layout = layoutOf({ ...kernel, entry: kernel.entry, arguments: ["output"] }, file);
  const { features = [], limits = {}, dialect = [] } = bundle.requires ?? {};
  const name = `${bundle.name}/${kernel.name}`;
  const common = { file, kernel: kernel.name, sizes: layout.sizes, attributes: boundNames(kernel.pattern), dialect };
  const textOf = (shader: ShaderManifest): string => texts.get(shader.file) ?? internal(`no file ${shader.file}`);
  const main = launchedOf(kernel, {
    ...common,
    text: textOf(kernel),
    dtypeOf: (operand) => {
      const dtype = kernel.operands[operand]?.dtype ?? "f32";
      return Object.hasOwn(kernel.operands, operand) && dtype !== "u8" ? dtype : undefined;
    },
  });
  const packs = new Map<string, Packing>();
  for (const [operand, { prepack, weight, dtype = "f32" }] of Object.entries(kernel.operands)) {
    if (prepack === undefined) continue;
    if (weight !== true || dtype !== "f32")
      throw new FoveaError(
        "invalid_manifest",
        `In ${file}, the kernel "${kernel.name}" packs "${operand}", which is no weight of f32; what is packed once must be one.`,
      );
    // The layout of a weight is one for all ranges: it follows from the weight's own sizes.
    const sizes = new Set(kernel.operands[operand].shape.flatMap((axis) => sizeName(axis) ?? []));
    packs.set(operand, packOf(prepack, { ...common, sizes, attributes: new Set() }, textOf(prepack)));
  }

  const emit = (
    e: EmitContext,
    match: Match,
    places: ReadonlyMap<string, Source>,
    root: Node,
    context: ClaimContext,
  ): void => {
    const flops = substitute(layout.flops, match.sizes);
    const memoryOf = (binding: number): Memory => {
      const operand = main.operands.get(binding);
      if (operand === undefined)
        return {
          kind: "write",
          arg: { place: e.output, offset: 0, mode: "write" },
          elements: product(root.shape),
        };
      const node = match.operands[operand];
      const pack = packs.get(operand);
      if (pack !== undefined) {
        const place = packedPlace(e, `${name} ${operand}`, node, pack, match);
        return {
          kind: "weight",
          arg: { place, offset: 0, mode: "read" },
          elements: substitute(pack.elements, match.sizes),
        };
      }
      return {
        kind: context.isWeight(node) ? "weight" : "read",
        arg: pointer(places.get(operand) as Source, node),
        elements: product(node.shape),
      };
    };
    const step = stepOf(`${name}/${kernel.entry}`, main, match, flops, e.box, memoryOf);
    const items = kernel.grid === undefined ? undefined : match.sizes[kernel.grid];
    const divides = items !== undefined && kernel.dispatch.length === 1 && kernel.dispatch[0].trim() === kernel.grid;
    const inner = divides ? floorDiv(product(root.shape), items) : 0;
    e.step(
      divides
        ? {
            ...step,
            itemOf: (dims) => {
              const each = Math.max(1, evaluate(inner, dims));
              return (element) => Math.floor(element / each);
            },
          }
        : step,
    );
  };

  const claim = (context: ClaimContext, node: Node): readonly Offer[] => {
    const match = matchKernel(context, node, layout);
    if (match === undefined) return [];
    const refusal = (reason: string): readonly Offer[] => [{ kernel: name, node, reason }];
    if (typeof match === "string") return refusal(match);
    const lacking = features.find((feature) => context.capabilities[feature] !== true);
    if (lacking !== undefined) return refusal(`it needs the feature ${lacking}, which this target does not grant.`);
    const small = Object.entries(limits).find(([limit, least]) => least > (LIMITS[limit] ?? 0));
    if (small !== undefined)
      return refusal(
        `it needs ${small[0]} ${small[1]}; every adapter grants ${LIMITS[small[0]] ?? "nothing of that name"}.`,
      );
    const flops = substitute(layout.flops, match.sizes);
    const problem = launchProblem(main, match, flops, context.box);
    if (problem !== undefined) return refusal(problem);
    for (const pack of packs.values()) {
      const own = launchProblem(pack, match, substitute(pack.elements, match.sizes), context.box);
      if (own !== undefined) return refusal(`packing: ${own}`);
    }
    const names = Object.keys(kernel.operands);
    const nodes = names.map((n) => match.operands[n]);
    if (main.shader.lanes === 4) {
      const odd = [...nodes, node].find((n) => divisorOf(product(n.shape), context.box) % 4 !== 0);
      if (odd !== undefined) return refusal("it sees memory as vectors of four, and a size is no multiple of 4.");
    }
    const negative = negativeSize({ bytes: substitute(layout.bytes ?? 0, match.sizes) }, context.box);
    if (negative !== undefined) return refusal(negative);
    const sources = sourcesOf(context, nodes, "dense");
    if (sources.weights.length > MOST_WEIGHTS) return refusal(`it reads more than ${MOST_WEIGHTS} weights.`);
    const bytes =
      layout.bytes === undefined ? add(...[node, ...nodes].map(bytesOf)) : substitute(layout.bytes, match.sizes);
    return [
      {
        kernel: name,
        covers: match.covers,
        output: node,
        operands: sources.operands,
        weights: sources.weights,
        cost: { flops, bytes, launches: 1 },
        emit: (e) => {
          const plain = names.filter((n) => !packs.has(n));
          const places = new Map(plain.map((n) => [n, sources.source(e, names.indexOf(n))]));
          emit(e, match, places, node, context);
        },
      },
    ];
  };
  return { layout, spec: { name, device: "webgpu", reads: [...features], mayFail: true, claim } };
}

/** How a weight is packed. */
interface Packing extends Launched {
  /** Numbers of the layout. */
  readonly elements: Dim;
}

/** A prepack's shader: its operand is `source`, what it writes its output. */
function packOf(prepack: PrepackManifest, scope: Omit<ShaderScope, "text" | "dtypeOf">, text: string): Packing {
  const launched = launchedOf(prepack, {
    ...scope,
    text,
    dtypeOf: (operand) => (operand === "source" ? "f32" : undefined),
  });
  return { ...launched, elements: parseDim(prepack.elements, scope.sizes) };
}

/** The weight in the layout that its shader writes. */
function packedPlace(e: EmitContext, layout: string, node: Node, pack: Packing, match: Match): Place {
  const elements = fixedValue(substitute(pack.elements, match.sizes), e.box);
  if (elements === undefined) return internal(`the layout ${layout} has no fixed size`);
  return e.weight(node, {
    name: `${layout} ${shapeText(node.shape)}`,
    bytes: elements * 4,
    pack: (source, destination) =>
      stepOf(layout, pack, match, elements, e.box, (binding) =>
        pack.operands.has(binding)
          ? { kind: "read", arg: { place: source, offset: 0, mode: "read" }, elements: product(node.shape) }
          : { kind: "write", arg: { place: destination, offset: 0, mode: "write" }, elements },
      ),
  });
}
