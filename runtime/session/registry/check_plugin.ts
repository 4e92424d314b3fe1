/** Conformance of foreign kernels: their graphs at corners and odd sizes, beside the reference and the built-in kernels. */
import type { Tensor, Tensors } from "../../abi/encoder.ts";
import type { Plugin } from "../../abi/plugin.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import type { Interval } from "../../core/dim.ts";
import { uniform } from "../../core/random.ts";
import type { KernelLayout } from "../../foreign/layout.ts";
import type { ForeignPlugin } from "../../foreign/load.ts";
import type { AxisPattern, KernelManifest, Pattern, TestTensor, TestVector } from "../../foreign/manifest.ts";
import type { GraphBuilder, Node } from "../../ir/builder.ts";
import { createRuntime } from "../../session.ts";
import type { CompiledComponent } from "../component.ts";
import type { RuntimeOptions } from "../options.ts";
import type { ComponentInput, Runtime } from "../runtime.ts";
import { intervalOf, LARGEST_GRID, pointsOf, type Sizes, sizeName, valuesOf } from "./check_sizes.ts";
import { firstPartyPlugins } from "./first_party.ts";
import { type LoadPluginOptions, openPlugin, type PluginSource } from "./plugin_files.ts";
import type { PluginForm } from "./plugin_lock.ts";
import { resizeProblem } from "./wasm_pack.ts";

/** What checking one kernel of a plugin of files found. */
export interface KernelCheck {
  /** Its name in the description. */
  readonly kernel: string;
  /** Sizes at which its results were compared. */
  readonly points: number;
  /** Largest difference to the reference, as a share of what passes. */
  readonly worst: number;
  /** Microseconds of a call at the largest sizes, the median of several. */
  readonly microseconds: number;
  /** Microseconds that the built-in kernels take for the same graph. */
  readonly builtIn: number;
  /** Sentences; none for a sound kernel. */
  readonly problems: readonly string[];
}

export interface PluginCheck {
  readonly form: PluginForm;
  /** Nothing for JavaScript, wasm-pack's glue too, which is trusted code: there is nothing to enforce. */
  readonly foreign: ForeignPlugin | undefined;
  /** What `fovea.lock` pins. */
  readonly digest: string;
  readonly plugins: readonly Plugin[];
  readonly kernels: readonly KernelCheck[];
  /** What is wrong beside kernels, as sentences. */
  readonly problems: readonly string[];
}

/** Value of attributes that a pattern binds, such as an epsilon. */
const BOUND_ATTRIBUTE = 1e-5;
/** As proofs have it. */
const TOLERANCE = 1e-5;
const RUNS = 9;

/** The kernel's pattern as a component whose only symbol is the grid's. */
function componentOf(
  kernel: KernelManifest,
  sizes: Sizes,
  grid: Interval,
  same: readonly string[] = [],
  bound: Readonly<Record<string, number>> = {},
): ComponentInput {
  const build = (b: GraphBuilder): void => {
    const shapeOf = (shape: readonly AxisPattern[]) =>
      shape.map((axis) =>
        typeof axis === "number"
          ? axis
          : sizeName(axis) === kernel.grid
            ? b.dims[sizeName(axis)]
            : sizes[sizeName(axis)],
      );
    const operands = new Map<string, Node>();
    for (const [operand, { dtype, shape, weight }] of Object.entries(kernel.operands)) {
      const shared = same.includes(operand) ? operands.get(same[0]) : undefined;
      const made = (): Node =>
        weight === true ? b.weight(operand, shapeOf(shape)) : b.input(operand, shapeOf(shape), dtype ?? "f32");
      operands.set(operand, shared ?? made());
    }
    const nodeOf = (pattern: Pattern): Node => {
      if (typeof pattern === "string") return operands.get(pattern) as Node;
      if ("constant" in pattern) return b.constant(pattern.constant);
      const attributes = Object.entries(pattern.attributes ?? {}).map(([key, value]) => [
        key,
        typeof value === "object" ? (bound[value.bind] ?? BOUND_ATTRIBUTE) : value,
      ]);
      return b.op(pattern.op, pattern.inputs.map(nodeOf), Object.fromEntries(attributes));
    };
    b.output("result", nodeOf(kernel.pattern));
  };
  const tag = `check/${kernel.name}${same.length === 0 ? "" : `.${same.join("_")}`}`;
  return { tag, symbols: kernel.grid === undefined ? {} : { [kernel.grid]: grid }, build };
}

function tensorOf(shape: readonly number[], dtype: "f32" | "i32" | "u8", seed: number): Tensor {
  const count = shape.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: count }, (_, i) => uniform(seed, i));
  if (dtype === "f32") return { dtype, shape, data: Float32Array.from(values, (v) => 4 * v - 2) };
  if (dtype === "i32") return { dtype, shape, data: Int32Array.from(values, (v) => Math.floor(v * 100)) };
  return { dtype, shape, data: Uint8Array.from(values, (v) => Math.floor(v * 256)) };
}

/** Operands that are weights, or those that are inputs. */
function operandsOf(kernel: KernelManifest, sizes: Sizes, weights: boolean): Record<string, Tensor> {
  const entries = Object.entries(kernel.operands).map(([name, { dtype = "f32", shape, weight = false }], i) => {
    const own = shape.map((axis) => (typeof axis === "number" ? axis : sizes[sizeName(axis)]));
    return weight === weights ? [[name, tensorOf(own, dtype, i + 1)] as const] : [];
  });
  return Object.fromEntries(entries.flat());
}

/**
 * The plugin with claims that cost nothing, so that its kernels are taken wherever they can be.
 * @param onRefusal told why a kernel does not take what matches its pattern
 */
export function withFreeClaims(plugin: Plugin, onRefusal?: (kernel: string, reason: string) => void): Plugin {
  const kernels = plugin.kernels?.map((kernel) => ({
    ...kernel,
    claim: (...args: Parameters<typeof kernel.claim>) =>
      kernel.claim(...args).map((offer) => {
        if (!("reason" in offer)) return { ...offer, cost: { flops: 0, bytes: 0, launches: 0 } };
        onRefusal?.(kernel.name, offer.reason);
        return offer;
      }),
  }));
  return { ...plugin, ...(kernels === undefined ? {} : { kernels }) };
}

const dataOf = (tensors: Tensors): ArrayLike<number> => tensors.result.data as ArrayLike<number>;

/** Largest difference as a share of what passes; infinite where a number is none, or none where it should be. */
export function differenceOf(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [worst, square, finite] = [0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    if (!Number.isFinite(expected[i])) {
      // Such as the root of a negative number.
      if (!Object.is(found[i], expected[i])) return Number.POSITIVE_INFINITY;
      continue;
    }
    finite++;
    square += expected[i] * expected[i];
    const difference = Math.abs(found[i] - expected[i]);
    if (Number.isNaN(difference)) return Number.POSITIVE_INFINITY;
    worst = Math.max(worst, difference);
  }
  return worst / (TOLERANCE * Math.sqrt(square / Math.max(1, finite)) + 1e-7);
}

const isFiniteSomewhere = (values: ArrayLike<number>): boolean =>
  Array.from(values).some((value) => Number.isFinite(value));

/** Microseconds that the device computes, the median of several runs. */
async function timeOf(runtime: Runtime, component: CompiledComponent, inputs: Tensors): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    let ms = 0;
    const span = ({
      kind,
      begin,
      end,
    }: {
      readonly kind: string;
      readonly begin: number;
      readonly end: number;
    }): void => {
      if (kind === "launches") ms += end - begin;
    };
    const begin = performance.now();
    await component.run(inputs, { trace: { span } });
    // What an adapter computes shows in whole calls alone.
    times.push((ms === 0 || runtime.device === "webgpu" ? performance.now() - begin : ms) * 1000);
  }
  return times.sort((a, b) => a - b)[RUNS >> 1];
}

/** The first operands that may be one value: of one shape and type, no weights. */
function alikeOperands({ operands }: KernelManifest): readonly string[] {
  const groups = new Map<string, string[]>();
  for (const [name, { dtype = "f32", shape, weight }] of Object.entries(operands)) {
    if (weight === true) continue;
    const key = `${dtype} ${shape.join()}`;
    groups.set(key, [...(groups.get(key) ?? []), name]);
  }
  return [...groups.values()].find((names) => names.length > 1) ?? [];
}

interface Runtimes {
  readonly reference: Runtime;
  readonly foreign: Runtime;
  readonly threaded: Runtime;
  readonly builtIn: Runtime;
}

/** How far a kernel is off where several of its operands are one value. */
async function aliasedDifference(
  kernel: KernelManifest,
  fixed: Sizes,
  grid: Interval,
  { foreign, reference }: Runtimes,
): Promise<number> {
  const [first, ...others] = alikeOperands(kernel);
  if (first === undefined) return 0;
  const component = componentOf(kernel, fixed, grid, [first, ...others]);
  const weights = operandsOf(kernel, fixed, true);
  const sizes = kernel.grid === undefined ? fixed : { ...fixed, [kernel.grid]: grid.min };
  const inputs = Object.entries(operandsOf(kernel, sizes, false)).filter(([name]) => !others.includes(name));
  const results: ArrayLike<number>[] = [];
  for (const runtime of [foreign, reference]) {
    const opened = await runtime.compile(component, weights);
    results.push(dataOf(await opened.run(Object.fromEntries(inputs))));
    opened.close();
  }
  return differenceOf(results[0], results[1]);
}

const tensorOfValues = ({ shape, data }: TestTensor, dtype: "f32" | "i32" | "u8" = "f32"): Tensor => {
  const kinds = { f32: Float32Array, i32: Int32Array, u8: Uint8Array } as const;
  return { dtype, shape, data: kinds[dtype].from(data) };
};

/** Sizes of a test vector, by the shapes of its tensors; a sentence where they do not fit. */
function sizesOfVector(kernel: KernelManifest, { operands, output }: TestVector): Sizes | string {
  const sizes: Record<string, number> = {};
  const odd = Object.keys(operands).find((name) => !Object.hasOwn(kernel.operands, name));
  if (odd !== undefined) return `it has values for "${odd}", which is none of the kernel's operands.`;
  const patterns = Object.entries(kernel.operands).map(([name, { shape }]) => [name, shape, operands[name]] as const);
  for (const [name, pattern, tensor] of [...patterns, ["output", kernel.output, output] as const]) {
    if (tensor === undefined) return `it has no values for "${name}".`;
    const { shape, data } = tensor;
    if (shape.length !== pattern.length)
      return `"${name}" has the shape [${shape.join(", ")}]; it takes [${pattern.join(", ")}].`;
    const count = shape.reduce((a, b) => a * b, 1);
    if (data.length !== count)
      return `"${name}" has ${data.length} values; its shape [${shape.join(", ")}] holds ${count}.`;
    for (const [i, axis] of pattern.entries()) {
      const size = typeof axis === "number" ? undefined : axis.replace(/^\.\.\./, "");
      const known = size === undefined ? (axis as number) : (sizes[size] ?? shape[i]);
      if (known !== shape[i]) return `"${name}" has ${shape[i]} at axis ${i}; expected ${known}.`;
      if (size !== undefined) sizes[size] = known;
    }
  }
  return sizes;
}

/** What is wrong with a test vector: its own values against the reference, then the kernel's. */
async function vectorProblem(
  kernel: KernelManifest,
  vector: TestVector,
  { foreign, reference }: Runtimes,
): Promise<string | undefined> {
  const sizes = sizesOfVector(kernel, vector);
  if (typeof sizes === "string") return sizes;
  const { grid } = kernel;
  const only = grid === undefined ? { min: 1, max: 1 } : { min: sizes[grid], max: sizes[grid] };
  const component = componentOf(kernel, sizes, only, [], vector.attributes);
  const tensors = Object.entries(vector.operands).map(
    ([name, values]) => [name, tensorOfValues(values, kernel.operands[name]?.dtype)] as const,
  );
  const isWeight = (name: string): boolean => kernel.operands[name]?.weight === true;
  const [weights, inputs] = [true, false].map((wanted) =>
    Object.fromEntries(tensors.filter(([name]) => isWeight(name) === wanted)),
  );
  for (const [who, runtime] of [
    ["the reference evaluator", reference],
    ["the kernel", foreign],
  ] as const) {
    const opened = await runtime.compile(component, weights);
    const off = differenceOf(dataOf(await opened.run(inputs)), vector.output.data);
    opened.close();
    if (!(off <= 1)) return `${who} computes something else, off by ${off.toPrecision(3)} times what passes.`;
  }
  return undefined;
}

async function checkOne(
  layout: KernelLayout,
  name: string,
  runtimes: Runtimes,
  refusalOf: (kernel: string) => string | undefined,
): Promise<KernelCheck> {
  const { kernel } = layout;
  const grid = intervalOf(kernel.grid === undefined ? undefined : kernel.ranges?.[kernel.grid], LARGEST_GRID);
  const problems: string[] = [];
  let [points, worst, microseconds, builtIn] = [0, 0, 0, 0];
  let refused: string | undefined;
  for (const [i, vector] of (kernel.vectors ?? []).entries()) {
    const problem = await vectorProblem(kernel, vector, runtimes).catch((error: unknown) => {
      if (!(error instanceof FoveaError)) throw error;
      return error.message;
    });
    if (problem !== undefined) problems.push(`Test vector ${i}: ${problem}`);
  }
  for (const fixed of pointsOf(layout)) {
    const component = componentOf(kernel, fixed, grid);
    const weights = operandsOf(kernel, fixed, true);
    const place = Object.entries(fixed).map(([size, value]) => `${size} ${value}`);
    try {
      // One after the other: what is wrong shows in the first.
      const opened: CompiledComponent[] = [];
      for (const r of Object.values(runtimes) as Runtime[]) opened.push(await r.compile(component, weights));
      const [reference, foreign, threaded, own] = opened;
      if (!foreign.explain().includes(`${name}/`)) {
        problems.push(
          `At ${place.join(", ")} it does not claim its own pattern: ${refusalOf(name) ?? "nothing of it matches."}`,
        );
        continue;
      }
      for (const rows of kernel.grid === undefined ? [1] : valuesOf(grid)) {
        const sizes: Sizes = kernel.grid === undefined ? fixed : { ...fixed, [kernel.grid]: rows };
        const at = Object.entries(sizes).map(([size, value]) => `${size} ${value}`);
        const inputs = operandsOf(kernel, sizes, false);
        const found = dataOf(await foreign.run(inputs));
        const expected = dataOf(await reference.run(inputs));
        if (expected.length > 0 && !isFiniteSomewhere(expected)) {
          problems.push(
            `At ${at.join(", ")} its pattern gives no finite number, so that nothing can be compared; do its ops have all their attributes, by the right names?`,
          );
        }
        const difference = differenceOf(found, expected);
        points++;
        worst = Math.max(worst, difference);
        if (difference > 1)
          problems.push(`At ${at.join(", ")} its result is off by ${difference.toPrecision(3)} times what passes.`);
        for (const other of [await foreign.run(inputs), await threaded.run(inputs)]) {
          const again = dataOf(other);
          if (Array.from(found).some((v, i) => !Object.is(v, again[i])))
            problems.push(
              `At ${at.join(", ")} it does not compute the same twice, or not the same when its grid is divided otherwise.`,
            );
        }
        microseconds = await timeOf(runtimes.foreign, foreign, inputs);
        builtIn = await timeOf(runtimes.builtIn, own, inputs);
      }
      for (const one of opened) one.close();
      const aliased = await aliasedDifference(kernel, fixed, grid, runtimes);
      if (aliased > 1)
        problems.push(
          `At ${place.join(", ")} with one value as ${alikeOperands(kernel).join(" and ")} its result is off by ${aliased.toPrecision(3)} times what passes.`,
        );
    } catch (error) {
      if (!(error instanceof FoveaError)) throw error;
      // Sizes that an op refuses together, such as a part that is larger than its whole, never come to the kernel.
      if (error.code === "shape_error") refused = error.message;
      else problems.push(`${place.length === 0 ? "" : `At ${place.join(", ")}: `}${error.message}`);
    }
  }
  if (points === 0 && problems.length === 0 && refused !== undefined)
    problems.push(`An op refuses its pattern at all sizes that were tried: ${refused}`);
  return { kernel: kernel.name, points, worst, microseconds, builtIn, problems: [...new Set(problems)] };
}

/**
 * Opens a plugin and, where it is one of files, runs each of its kernels at the ends of its ranges and between, with one
 * and several pieces of its grid: against the reference evaluator, twice, on workers, and beside the built-in kernels.
 * @throws FoveaError as `loadPlugin`; what a kernel does wrong is in the result
 */
export async function checkPlugin(source: PluginSource, options: LoadPluginOptions = {}): Promise<PluginCheck> {
  const opened = await openPlugin(source, options);
  if ("plugins" in opened) {
    const { form, plugins, digest } = opened;
    const images = plugins.flatMap((p) => p.images ?? []);
    const problems = (await Promise.all(images.map(resizeProblem))).flatMap((p) => (p === undefined ? [] : [p]));
    return { form, foreign: undefined, plugins, digest, kernels: [], problems };
  }
  const { plugin, layouts, manifest, digest } = opened;
  const firstParty = await firstPartyPlugins();
  const refusals = new Map<string, string>();
  const free = withFreeClaims(plugin, (kernel, reason) => refusals.set(kernel, reason));
  const strict = { compile: { strict: true }, plugins: [free, ...firstParty] };
  const device = manifest.form === "wgsl" ? "webgpu" : "wasm";
  const runtimes: Runtime[] = [];
  const open = async (options: RuntimeOptions): Promise<Runtime> => {
    const runtime = await createRuntime(options);
    runtimes.push(runtime);
    return runtime;
  };
  try {
    const reference = await open({ device: "reference" });
    const foreign = await open({ device, threads: 0, ...strict });
    const threaded = device === "wasm" ? await open({ device, threads: 2, ...strict }) : foreign;
    const builtIn = await open({ device, threads: 0 });
    const kernels: KernelCheck[] = [];
    for (const layout of layouts) {
      const name = `${plugin.name}/${layout.kernel.name}`;
      kernels.push(await checkOne(layout, name, { reference, foreign, threaded, builtIn }, (k) => refusals.get(k)));
    }
    return { form: manifest.form, foreign: opened, plugins: [plugin], digest, kernels, problems: [] };
  } finally {
    for (const runtime of runtimes) await runtime.close();
  }
}
