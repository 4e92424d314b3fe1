/** Foreign kernels in their sandbox: right ones serve, each kind of wrong one is stopped, named and replaced. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime, loadPlugin, type RuntimeOptions } from "../../mod.ts";
import type { LoadPluginOptions } from "../../runtime/session/plugin_files.ts";
import { moduleBytes, pluginFiles } from "./assemble.ts";
import { SINS, squaring } from "./kernels.ts";

interface Outcome {
  readonly kernels: readonly string[];
  readonly problems: readonly string[];
  readonly ms: number;
}

const WIDTH = 5;

/** Squares `rows` rows with a plugin beside the built-in kernels; results must be right whatever the plugin does. */
async function square(
  files: ReadonlyMap<string, Uint8Array>,
  rows: number,
  options: RuntimeOptions = {},
  how: LoadPluginOptions = {},
): Promise<Outcome> {
  const problems: string[] = [];
  const plugin = await loadPlugin(files, how);
  const runtime = await createRuntime({
    threads: 0,
    plugins: [cheap(plugin), wasmPlugin],
    onProblem: (sentence) => problems.push(sentence),
    ...options,
  });
  try {
    const begin = performance.now();
    const component = await runtime.compile({
      tag: "example/square",
      symbols: { rows: { min: 1, max: 512 } },
      build: (b) => {
        const x = b.input("x", [b.dims.rows, WIDTH]);
        b.output("y", b.mul(x, x));
      },
    });
    const data = Float32Array.from({ length: rows * WIDTH }, (_, i) => (i % 11) - 4);
    const { y } = await component.run({ x: { dtype: "f32", shape: [rows, WIDTH], data } });
    const ms = performance.now() - begin;
    assert.deepEqual(
      y.data,
      data.map((v) => v * v),
    );
    return { kernels: [...component.explain().matchAll(/^ {6}(\S+)\/\S+: /gm)].map((m) => m[1]), problems, ms };
  } finally {
    await runtime.close();
  }
}

type Loaded = Awaited<ReturnType<typeof loadPlugin>>;

/** The plugin with claims that cost nothing, so that the cover takes them. */
function cheap(plugin: Loaded): Loaded {
  const kernels = plugin.kernels?.map((kernel) => ({
    ...kernel,
    claim: (...args: Parameters<typeof kernel.claim>) =>
      kernel
        .claim(...args)
        .map((offer) => ("cost" in offer ? { ...offer, cost: { flops: 0, bytes: 0, launches: 0 } } : offer)),
  }));
  return { ...plugin, ...(kernels === undefined ? {} : { kernels }) };
}

for (const threads of [0, 2]) {
  test(`a right kernel serves, with ${threads} workers, in its own memory and in the device's`, async () => {
    const files = pluginFiles(moduleBytes({ code: squaring() }));
    for (const isolation of ["own-memory", "shared-memory"] as const) {
      for (const rows of [1, 3, 500]) {
        const { kernels, problems } = await square(files, rows, { threads }, { isolation });
        assert.deepEqual({ kernels, problems }, { kernels: ["@test/foreign/square"], problems: [] });
      }
    }
  });

  for (const [sin, { code, says }] of Object.entries(SINS)) {
    test(`a kernel that ${sin} is stopped and named, with ${threads} workers, and the next cover computes`, async () => {
      const { kernels, problems } = await square(pluginFiles(moduleBytes({ code })), 7, { threads });
      assert.deepEqual(kernels, ["elementwise"]);
      assert.equal(problems.length, 1);
      assert.match(problems[0], /^The kernel "@test\/foreign\/square" was put aside: /);
      assert.match(problems[0], says);
    });
  }
}
