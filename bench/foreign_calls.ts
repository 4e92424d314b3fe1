/** What a call of foreign code costs beside one of a built-in kernel, by form and by the size of its operands. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { wasmPlugin } from "../kernels/wasm/plugin.ts";
import { type CompiledComponent, createRuntime, loadPlugin, type Plugin, type Runtime } from "../mod.ts";
import { digestBytes } from "../runtime/core/digest.ts";
import { transpiledKey } from "../runtime/foreign/component/transpile.ts";
import type { BenchOptions, BenchResult, BenchRow } from "./benchmark.ts";
import { median } from "./interleave.ts";

/** Calls in a row in one component: squares of as many inputs. */
const CALLS = 32;
const SIZES = [16, 16384];

const file = (path: string): Uint8Array =>
  readFileSync(new URL(`../test/fixtures/components/${path}`, import.meta.url));

const SQUARE = {
  ...{ name: "square", entry: "square", pattern: { op: "mul", inputs: ["x", "x"] } },
  ...{ operands: { x: { shape: ["...rows", "width"] } }, output: ["...rows", "width"], grid: "rows" },
  ...{ arguments: ["output", "x", "rows", "width"], flops: "rows * width" },
};

function filesOf(form: "wasm" | "component", code: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const builds = [{ features: ["simd128"], file: "kernel.wasm", sha256: digestBytes(code) }];
  const own = form === "wasm" ? { memory: { reserved: 0 }, kernels: [SQUARE] } : {};
  const manifest = { name: "@bench/square", version: "1.0.0", abi: 1, form, builds, ...own };
  return new Map([
    ["plugin.json", new TextEncoder().encode(JSON.stringify(manifest))],
    ["kernel.wasm", code],
  ]);
}

/** Claims that cost nothing: taken wherever they can be. */
const taken = (plugin: Plugin): Plugin => ({
  ...plugin,
  kernels: (plugin.kernels ?? []).map((kernel) => ({
    ...kernel,
    claim: (...args: Parameters<typeof kernel.claim>) =>
      kernel.claim(...args).map((o) => ("reason" in o ? o : { ...o, cost: { flops: 0, bytes: 0, launches: 0 } })),
  })),
});

interface Opened {
  readonly name: string;
  readonly runtime: Runtime;
  readonly components: readonly CompiledComponent[];
}

async function open(name: string, plugin: Plugin | undefined): Promise<Opened> {
  const plugins = plugin === undefined ? [wasmPlugin] : [taken(plugin), wasmPlugin];
  // Every op is covered alone, so that the built-in kernels are called as often.
  const runtime = await createRuntime({ threads: 0, plugins, compile: { enabled: false, strict: true } });
  const components: CompiledComponent[] = [];
  for (const width of SIZES) {
    const component = await runtime.compile({
      ...{ tag: `bench/squares_${width}`, symbols: { rows: { min: 1, max: 4 } } },
      build: (b) => {
        for (let i = 0; i < CALLS; i++) {
          const x = b.input(`x${i}`, [b.dims.rows, width]);
          b.output(`y${i}`, b.mul(x, x));
        }
      },
    });
    const isForeign = component.explain().includes("@bench/square/");
    if (isForeign !== (plugin !== undefined)) throw new Error(`${name}: other kernels were taken than are measured.`);
    components.push(component);
  }
  return { name, runtime, components };
}

async function microseconds(component: CompiledComponent, width: number): Promise<number> {
  let ms = 0;
  const span = (s: { readonly kind: string; readonly begin: number; readonly end: number }): void => {
    if (s.kind === "launches") ms += s.end - s.begin;
  };
  const x = { dtype: "f32", shape: [1, width], data: new Float32Array(width).fill(1) } as const;
  await component.run(Object.fromEntries(Array.from({ length: CALLS }, (_, i) => [`x${i}`, x])), { trace: { span } });
  return (ms * 1000) / CALLS;
}

/** Microseconds of a call are in `ms`: a thousandth of a second stands for a second here. */
export async function foreignCalls({ rounds, runs }: BenchOptions): Promise<BenchResult> {
  const core = filesOf("wasm", file("square.core.wasm"));
  const kept = gunzipSync(file("hosted.jco.gz"));
  const hosted = file("hosted.wasm");
  const key = transpiledKey(hosted);
  const cache = {
    description: "",
    get: async (k: string) => (k === key ? kept : undefined),
    put: async () => {},
    delete: async () => {},
  };
  const opened = [
    await open("built in", undefined),
    await open("core module, shared memory", await loadPlugin(core, { isolation: "shared-memory" })),
    await open("core module, own memory", await loadPlugin(core)),
    await open("core module, worker", await loadPlugin(core, { isolation: "worker" })),
    await open("component, lean loader", await loadPlugin(filesOf("component", file("square.wasm")))),
    await open("component, jco", await loadPlugin(filesOf("component", hosted), { cache })),
  ];
  const rows: BenchRow[] = [];
  try {
    for (const [i, width] of SIZES.entries()) {
      const times = opened.map((): number[] => []);
      for (let round = 0; round < rounds * runs; round++) {
        for (const [o, { components }] of opened.entries()) times[o].push(await microseconds(components[i], width));
      }
      // The first of them are those of code that engines have not optimised yet.
      const middle = times.map((list) => median(list.slice(list.length >> 2)));
      for (const [o, { name }] of opened.entries()) {
        rows.push({
          name: `${width} numbers, ${name}`,
          ms: middle[o],
          min: Math.min(...times[o]),
          ratio: middle[0] / middle[o],
        });
      }
    }
    return { settings: { target: opened[0].runtime.target, threads: 0, calls: CALLS }, rows };
  } finally {
    for (const { runtime } of opened) await runtime.close();
  }
}
