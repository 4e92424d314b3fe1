/** Squares by a foreign kernel beside the built-in ones. */
import assert from "node:assert/strict";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import { createRuntime, loadPlugin, type Plugin, type RuntimeOptions } from "../../mod.ts";
import type { LoadPluginOptions } from "../../runtime/session/registry/plugin_files.ts";

export interface Outcome {
  readonly kernels: readonly string[];
  readonly problems: readonly string[];
  /** Causes of compiles after load. */
  readonly recompiles: readonly string[];
}

const WIDTH = 5;

/** Squares `rows` rows with a plugin beside the built-in kernels; results must be right whatever the plugin does. */
export async function square(
  files: ReadonlyMap<string, Uint8Array>,
  rows: number,
  options: RuntimeOptions = {},
  how: LoadPluginOptions = {},
  value: (index: number) => number = (index) => (index % 11) - 4,
): Promise<Outcome> {
  return squareBy(await loadPlugin(files, how), rows, options, value);
}

/** The same with a plugin that was loaded. */
export async function squareBy(
  plugin: Plugin,
  rows: number,
  options: RuntimeOptions = {},
  value: (index: number) => number = (index) => (index % 11) - 4,
): Promise<Outcome> {
  const problems: string[] = [];
  const runtime = await createRuntime({
    threads: 0,
    plugins: [cheap(plugin), options.device === "webgpu" ? webgpuPlugin : wasmPlugin],
    onProblem: (sentence) => problems.push(sentence),
    ...options,
  });
  try {
    const component = await runtime.compile({
      tag: "example/square",
      symbols: { rows: { min: 1, max: 512 } },
      build: (b) => {
        const x = b.input("x", [b.dims.rows, WIDTH]);
        b.output("y", b.mul(x, x));
      },
    });
    const data = Float32Array.from({ length: rows * WIDTH }, (_, i) => value(i));
    const { y } = await component.run({ x: { dtype: "f32", shape: [rows, WIDTH], data } });
    assert.deepEqual(
      y.data,
      data.map((v) => v * v),
    );
    return {
      kernels: [...component.explain().matchAll(/^ {6}(\S+)\/\S+: /gm)].map((m) => m[1]),
      problems,
      recompiles: runtime.stats().recompiles.map((r) => r.cause),
    };
  } finally {
    await runtime.close();
  }
}

/** The plugin with claims that cost nothing, so that the cover takes them. */
export function cheap(plugin: Plugin): Plugin {
  const kernels = plugin.kernels?.map((kernel) => ({
    ...kernel,
    claim: (...args: Parameters<typeof kernel.claim>) =>
      kernel
        .claim(...args)
        .map((offer) => ("cost" in offer ? { ...offer, cost: { flops: 0, bytes: 0, launches: 0 } } : offer)),
  }));
  return { ...plugin, ...(kernels === undefined ? {} : { kernels }) };
}

/** A plugin whose steps carry other code. */
export function withCode(plugin: Plugin, code: Uint8Array): Plugin {
  const kernels = plugin.kernels?.map((kernel) => ({
    ...kernel,
    claim: (...args: Parameters<typeof kernel.claim>) =>
      kernel.claim(...args).map((offer) => {
        if ("reason" in offer) return offer;
        const emit: typeof offer.emit = (e) =>
          offer.emit(Object.create(e, { step: { value: (step: object) => e.step({ ...step, code } as never) } }));
        return { ...offer, emit };
      }),
  }));
  return { ...plugin, ...(kernels === undefined ? {} : { kernels }) };
}
