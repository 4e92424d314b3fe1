/** Every kernel that an encoder's components run, at their sizes, against what one thread of the engine can reach. */
import { wasmPlugin } from "../kernels/wasm/plugin.ts";
import type { Artifact } from "../runtime/abi/artifact.ts";
import type { Device, Launch } from "../runtime/abi/device.ts";
import type { ComponentCall, ComponentSpec, Plan, Tensor } from "../runtime/abi/encoder.ts";
import { lowerGraph } from "../runtime/compile/compile.ts";
import type { GroupDetail } from "../runtime/compile/details.ts";
import { type Bindings, evaluate } from "../runtime/core/dim.ts";
import { bytesOf } from "../runtime/core/dtype.ts";
import { fillNormal } from "../runtime/core/random.ts";
import { createInstanceWeights } from "../runtime/exec/instance_weights.ts";
import { linkPlan } from "../runtime/exec/linker.ts";
import { createDummySource } from "../runtime/exec/weights/dummy.ts";
import { detectHost } from "../runtime/host/mod.ts";
import { createGraphBuilder } from "../runtime/ir/builder.ts";
import type { Graph } from "../runtime/ir/graph.ts";
import { createInterner } from "../runtime/ir/node.ts";
import { OP_TABLE } from "../runtime/ir/ops.ts";
import { deviceHost, openDevice } from "../runtime/session/artifacts/devices.ts";
import type { BenchOptions, BenchResult, BenchRow, Ceilings } from "./benchmark.ts";
import { measureCeilings } from "./ceilings.ts";
import { median } from "./interleave.ts";
import { openModel } from "./models.ts";

/** Milliseconds of one measurement: kernels that take less run several times in it. */
const LONG_ENOUGH = 3;

/** Least milliseconds that the ceilings allow: the arithmetic, or the bytes within the level that holds them all. */
function leastMs(flops: number, bytes: number, { gflops, copies }: Ceilings): number {
  const level = copies.find((copy) => bytes <= copy.bytes) ?? copies[copies.length - 1];
  return Math.max(flops / gflops, bytes / level.gbytes) / 1e6;
}

/** A component compiled for the sizes of one call alone, with weights and inputs on the device. */
interface OpenComponent {
  readonly launches: readonly Launch[];
  readonly groups: readonly { readonly group: GroupDetail; readonly name: string }[];
  release(): void;
}

function normalTensor(shape: readonly number[]): Tensor {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  fillNormal(data, 7, 0, 1);
  return { dtype: "f32", shape, data };
}

/** `1 x 196 x 768` of `f32[batch, 196, 768]`. */
function sizesText(type: string, dims: Bindings): string {
  const sizes = type.replace(/^.*\[|\]$/g, "").split(", ");
  return sizes.map((size) => dims[size] ?? size).join(" x ");
}

async function openComponent(
  device: Device,
  { tag, build }: ComponentSpec,
  call: ComponentCall,
  known: (name: string) => Tensor | undefined,
): Promise<OpenComponent> {
  const interner = createInterner(OP_TABLE);
  const symbols = Object.fromEntries(Object.entries(call.dims).map(([name, at]) => [name, { min: at, max: at }]));
  const b = createGraphBuilder({ symbols, interner });
  build(b);
  const graph: Graph = b.finish();
  const { target, capabilities } = device;
  const lowered = lowerGraph(graph, {
    ...{ interner, target, capabilities, enabled: true, details: true },
    kernels: wasmPlugin.kernels ?? [],
  });
  const artifact: Artifact = { ...lowered.artifact, expectations: [] };
  await device.load(lowered.code);
  const weights = createInstanceWeights(device, call.instance);
  const source = createDummySource(0);
  await weights.load(artifact.weights, (name, shape) => source.read(name, shape));

  const inputs = Object.fromEntries(
    graph.inputs.map(({ attributes, shape }) => {
      const name = String(attributes.name);
      return [name, known(call.inputs[name]) ?? normalTensor(shape.map((d) => evaluate(d, call.dims)))];
    }),
  );
  const ports = (names: readonly string[]): Record<string, string> => Object.fromEntries(names.map((n) => [n, n]));
  const outputs = Object.fromEntries(graph.outputs.map(({ name }) => [name, `output ${name}`]));
  const plan: Plan = {
    ...{ key: tag, constants: {}, results: outputs },
    calls: [{ ...call, inputs: ports(Object.keys(inputs)), outputs }],
  };
  const program = linkPlan(plan, inputs, () => ({ artifact, weights: weights.resolve(artifact.weights) }));
  const arena = device.allocate(program.arenaBytes);
  for (const [name, { data }] of Object.entries(inputs)) {
    device.write(arena, program.values[name].offset, bytesOf(data));
  }
  const { nodes = [], groups = [] } = lowered.report.details ?? {};
  return {
    launches: program.launches(arena),
    groups: groups.map((group) => {
      const covers = group.nodes.map((at) => nodes[at].op).join(" + ");
      const [read] = group.operands;
      const from = read === undefined ? "" : `${sizesText(nodes[read].type, call.dims)} `;
      return {
        group,
        name: `${tag.split("/")[1]}: ${covers} ${from}-> ${sizesText(nodes[group.output].type, call.dims)}`,
      };
    }),
    release: () => {
      device.release(arena);
      weights.release();
    },
  };
}

async function timeLaunches(device: Device, launches: readonly Launch[], count: number): Promise<readonly number[]> {
  const timed = async (times: number): Promise<number> => {
    const bound = device.bind(Array.from({ length: times }, () => launches).flat());
    const begin = performance.now();
    await device.run(bound, {});
    const ms = performance.now() - begin;
    bound.release();
    return ms / times;
  };
  await timed(1);
  const times = Math.max(1, Math.ceil(LONG_ENOUGH / Math.max(await timed(1), 1e-3)));
  const all: number[] = [];
  for (let i = 0; i < count; i++) all.push(await timed(times));
  return all;
}

/** `ratio` is the share of what the ceilings allow. */
export async function kernels({ model: name, batch, rounds, runs }: BenchOptions): Promise<BenchResult> {
  const { tower, inputs } = await openModel(name, batch);
  const prepared = tower.prepare(inputs);
  const shapes = Object.fromEntries(Object.entries(prepared).map(([port, t]) => [port, t.shape]));
  const plan = tower.plan(shapes, ["last_hidden_state"]);
  const ceilings = measureCeilings();
  const host = await detectHost();
  const device = await openDevice("wasm", [wasmPlugin], deviceHost(host), { threads: 0 });
  const rows = new Map<string, BenchRow>();
  try {
    // Layers differ in their weights alone.
    const calls = new Map([...plan.calls].reverse().map((call) => [call.tag, call]));
    for (const call of [...calls.values()].reverse()) {
      const spec = tower.components.find(({ tag }) => tag === call.tag) as ComponentSpec;
      const open = await openComponent(device, spec, call, (value) => prepared[value] ?? plan.constants[value]);
      for (const { group, name: row } of open.groups) {
        const [first, end] = group.steps;
        // What it reads is what the steps before it left.
        const before = device.bind(open.launches.slice(0, first));
        await device.run(before, {});
        before.release();
        if (rows.has(row) || first === end) continue;
        const times = await timeLaunches(device, open.launches.slice(first, end), rounds * runs);
        const { flops, bytes } = group;
        const ms = median(times);
        rows.set(row, {
          ...{ name: row, ms, min: Math.min(...times), gflops: flops / ms / 1e6, gbytes: bytes / ms / 1e6 },
          ratio: leastMs(flops, bytes, ceilings) / ms,
        });
      }
      open.release();
    }
    return { settings: { model: name, target: device.target, threads: 0, batch }, ceilings, rows: [...rows.values()] };
  } finally {
    await device.close();
  }
}
