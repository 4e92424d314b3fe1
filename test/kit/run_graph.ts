/** Compiles one graph for a device and runs it there: the shortest way from a graph to values. */
import type { CompiledArtifact } from "../../runtime/abi/artifact.ts";
import type { Device, DeviceHost } from "../../runtime/abi/device.ts";
import type { Tensor } from "../../runtime/abi/encoder.ts";
import type { Plugin } from "../../runtime/abi/plugin.ts";
import { type CompileResult, compileGraph } from "../../runtime/compile/compile.ts";
import type { ExpectationEffort } from "../../runtime/compile/expect.ts";
import type { Bindings, Box } from "../../runtime/core/dim.ts";
import type { WeightDType } from "../../runtime/core/dtype.ts";
import { createInstanceWeights } from "../../runtime/exec/instance_weights.ts";
import { linkPlan } from "../../runtime/exec/linker.ts";
import { createProgramRunner } from "../../runtime/exec/program_runner.ts";
import { createGraphBuilder, type GraphBuilder } from "../../runtime/ir/builder.ts";
import { type RefTensor, refTensor, type WeightValues } from "../../runtime/ir/evaluate/mod.ts";
import type { Graph } from "../../runtime/ir/graph.ts";
import { createInterner, type OpTable } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { callContext } from "./call_context.ts";

/** A host without workers. */
export const BARE_HOST: DeviceHost = { name: "test", cores: 1 };

/** The graph that `build` declares. */
export function buildGraph(symbols: Box, build: (b: GraphBuilder) => void, table: OpTable = OP_TABLE): Graph {
  const b = createGraphBuilder({ symbols, interner: createInterner(table) });
  build(b);
  return b.finish();
}

/** A graph, and how it is compiled and where it runs. */
export interface OpenGraphOptions {
  /** Runs it; it stays open. */
  readonly device: Device;
  /** Plugins whose kernels may claim. */
  readonly plugins: readonly Plugin[];
  /** Range that it is compiled for. */
  readonly symbols: Box;
  /** Declares it. */
  readonly build: (b: GraphBuilder) => void;
  /** Values of its weights. */
  readonly weights: WeightValues;
  /** False covers every op alone; true unless given. */
  readonly enabled?: boolean;
  /** Ops that it may use; the built-in ones unless given. */
  readonly ops?: OpTable;
  /** Type that large weights are kept in; f32 unless given. */
  readonly dtype?: WeightDType;
  /** How much is sampled for expectations; as at build unless given. */
  readonly effort?: ExpectationEffort;
  /** Bytes of a row block's inner values; the device's capability unless given. */
  readonly blockBytes?: number;
}

/** A graph and one call of it. */
export interface RunGraphOptions extends OpenGraphOptions {
  /** Sizes within the range. */
  readonly bindings: Bindings;
  /** Values of all inputs by name. */
  readonly inputs: Readonly<Record<string, RefTensor>>;
}

/** What a graph gave, and what it was compiled to. */
export interface RunGraphResult {
  /** Results by name. */
  readonly outputs: Readonly<Record<string, RefTensor>>;
  /** Steps and code. */
  readonly compiled: CompiledArtifact;
  /** Some of its values are kept as f16. */
  readonly halves: boolean;
}

/** A compiled graph with its weights on a device. */
export interface OpenGraph {
  readonly graph: Graph;
  readonly compiled: CompileResult;
  run(bindings: Bindings, inputs: RunGraphOptions["inputs"]): Promise<RunGraphResult["outputs"]>;
  /** Gives everything back to the device. */
  release(): void;
}

export function tensorOf(t: RefTensor): Tensor {
  const kinds = { i32: Int32Array, u8: Uint8Array } as const;
  const data = (t.dtype === "i32" || t.dtype === "u8" ? kinds[t.dtype] : Float32Array).from(t.data);
  return { dtype: t.dtype, shape: t.shape, data };
}

export async function openGraph(options: OpenGraphOptions): Promise<OpenGraph> {
  const { device } = options;
  const interner = createInterner(options.ops ?? OP_TABLE);
  const b = createGraphBuilder({ symbols: options.symbols, interner });
  options.build(b);
  const graph = b.finish();
  const compiled = compileGraph(graph, {
    interner,
    kernels: options.plugins.flatMap((p) => p.kernels ?? []).filter((k) => k.device === device.kind),
    target: device.target,
    capabilities: {
      ...device.capabilities,
      ...(options.blockBytes === undefined ? {} : { blockBytes: options.blockBytes }),
    },
    enabled: options.enabled ?? true,
    dtype: options.dtype ?? "f32",
    ...(options.effort === undefined ? {} : { effort: options.effort }),
  });
  await device.load(compiled.code);
  const weights = createInstanceWeights(device);
  const runner = createProgramRunner(device);
  const release = (): void => {
    runner.release();
    weights.release();
  };
  try {
    await weights.load(compiled.artifact.weights, async (name, shape) =>
      Float32Array.from(options.weights(name, shape).data),
    );
  } catch (error) {
    release();
    throw error;
  }
  const names = graph.inputs.map((n) => n.attributes.name as string);
  return {
    graph,
    compiled,
    release,
    run: async (bindings, inputs) => {
      const given = Object.fromEntries(names.map((name) => [name, tensorOf(inputs[name])]));
      const outputs = Object.fromEntries(graph.outputs.map((o) => [o.name, `out ${o.name}`]));
      const call = { tag: "test/graph", instance: "", dims: bindings };
      const plan = {
        key: JSON.stringify(bindings),
        calls: [{ ...call, inputs: Object.fromEntries(names.map((n) => [n, n])), outputs }],
        constants: {},
        results: outputs,
      };
      const program = linkPlan(plan, given, () => ({
        artifact: compiled.artifact,
        weights: weights.resolve(compiled.artifact.weights),
      }));
      const results = await runner.run(program, given, plan.results, callContext("test/graph"));
      return Object.fromEntries(
        Object.entries(results).map(([name, t]) => [name, refTensor(t.dtype, t.shape, t.data)]),
      );
    },
  };
}

/** The device gives everything back before this returns. */
export async function runGraph(options: RunGraphOptions): Promise<RunGraphResult> {
  const { run, compiled, release } = await openGraph(options);
  try {
    const halves = compiled.report.widths.some(({ kept }) => kept === "f16");
    return { outputs: await run(options.bindings, options.inputs), compiled, halves };
  } finally {
    release();
  }
}

/** Largest absolute difference; NaN when a value is. @throws Error for other shapes. */
export function maxDifference(a: RefTensor, b: RefTensor): number {
  if (a.shape.join() !== b.shape.join()) throw new Error(`shapes [${a.shape}] and [${b.shape}] differ`);
  let largest = 0;
  a.data.forEach((v, i) => {
    largest = Math.max(largest, Math.abs(v - b.data[i]));
  });
  return largest;
}

/** Largest magnitude. */
export function maxMagnitude(a: RefTensor): number {
  let largest = 0;
  for (const v of a.data) largest = Math.max(largest, Math.abs(v));
  return largest;
}
