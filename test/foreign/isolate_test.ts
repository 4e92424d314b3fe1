/** Kernels in workers of their own: what nothing counts, and what ends a thread, ends that worker alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { f32, get } from "../../kernels/wasm/asm/code.ts";
import { openEdgeDevice } from "../../kernels/wasm/edge.ts";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime, loadPlugin, type Plugin } from "../../mod.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { withSandbox } from "../../runtime/abi/sandbox.ts";
import { KernelError } from "../../runtime/core/diagnostics.ts";
import { CODE, counterLaunch, createHost, openDevice, readWords, zeroWords } from "../wasm/device_kit.ts";
import { i32At, moduleBytes, pluginFiles, rowsSandbox, uncountedModule } from "./assemble.ts";
import { componentFiles, recordedCache, squareComponent } from "./components.ts";
import { argument, SINS, squaring } from "./kernels.ts";
import { cheap, square, squareBy, withCode } from "./square.ts";

const ISOLATED = { isolation: "worker" } as const;
const SERVES = { kernels: ["@test/foreign/square"], problems: [], recompiles: [] };
const FOREVER = [0x03, 0x40, 0x0c, 0x00, 0x0b, 0x00];

for (const threads of [0, 2]) {
  test(`a right module serves in workers of its own, with ${threads} workers of the device`, async () => {
    const files = pluginFiles(moduleBytes({ code: squaring() }));
    for (const rows of [3, 500]) assert.deepEqual(await square(files, rows, { threads }, ISOLATED), SERVES);
  });

  test(`components serve in workers of their own, with ${threads} workers of the device`, async () => {
    const lean = componentFiles(squareComponent(0));
    assert.deepEqual(await square(lean, 500, { threads }, ISOLATED), SERVES);
    const hosted = componentFiles(squareComponent(0, "hosted"));
    const how = { ...ISOLATED, cache: await recordedCache(0) };
    assert.deepEqual(await square(hosted, 9, { threads }, how), SERVES);
  });

  for (const sin of ["traps", "loops without an end", "writes behind its result", "returns a status"]) {
    const { code, says } = SINS[sin];
    test(`one that ${sin} is stopped and named as on the device's threads, with ${threads} workers`, async () => {
      const found = await square(pluginFiles(moduleBytes({ code })), 7, { threads }, ISOLATED);
      assert.deepEqual([found.kernels, found.problems.length], [["elementwise"], 1]);
      assert.match(found.problems[0], says);
    });
  }

  test(`a component that loops without an end is stopped and named, with ${threads} workers`, async () => {
    const found = await square(componentFiles(squareComponent(2)), 7, { threads }, ISOLATED);
    assert.deepEqual([found.kernels, found.problems.length], [["elementwise"], 1]);
    assert.match(found.problems[0], /stopped after the \d+ instructions/);
  });
}

/** Squares, and where the first number of a call is 1000 it never ends, which nothing counts. */
const HANGS = uncountedModule([
  ...[f32.load(argument(1)), f32.of(1000), 0x5b, 0x04, 0x40, FOREVER.slice(0, 5), 0x0b],
  squaring(),
]);

const hanging = async (): Promise<Plugin> => {
  const plugin = await loadPlugin(pluginFiles(moduleBytes({ code: squaring() })), ISOLATED);
  return withCode(plugin, withSandbox(HANGS, rowsSandbox("worker")));
};

for (const threads of [0, 2]) {
  test(`a hang that nothing counts ends its worker alone, and the call completes on the next cover, with ${threads} workers`, async () => {
    const plugin = await hanging();
    assert.deepEqual(await squareBy(plugin, 9, { threads }), SERVES);
    const met = await squareBy(plugin, 9, { threads }, (index) => (index === 0 ? 1000 : index));
    assert.deepEqual([met.kernels, met.recompiles], [["elementwise"], ["kernel failed"]]);
    assert.equal(met.problems.length, 1);
    assert.match(
      met.problems[0],
      /^The kernel "@test\/foreign\/square" was put aside during a call: .*it did not answer within \d+ ms; its worker was ended/,
    );
  });
}

/** A square over rows of which the first of a call may be 1000. */
async function squares(plugin: Plugin) {
  const problems: string[] = [];
  const runtime = await createRuntime({
    ...{ threads: 2, plugins: [cheap(plugin), wasmPlugin] },
    onProblem: (sentence) => problems.push(sentence),
  });
  const component = await runtime.compile({
    tag: "example/square",
    symbols: { rows: { min: 1, max: 512 } },
    build: (b) => {
      const x = b.input("x", [b.dims.rows, 4]);
      b.output("y", b.mul(x, x));
    },
  });
  const run = async (first: number, signal?: AbortSignal): Promise<readonly number[]> => {
    const data = Float32Array.from({ length: 12 }, (_, i) => (i === 0 ? first : i));
    const { y } = await component.run({ x: { dtype: "f32", shape: [3, 4], data } }, signal && { signal });
    return [...(y.data as Float32Array)];
  };
  return { runtime, run, problems, explain: () => component.explain() };
}

/** Runs until it hangs, and aborts it. */
async function abortHanging(run: (signal: AbortSignal) => Promise<unknown>, afterMs = 30): Promise<void> {
  const controller = new AbortController();
  const reason = new Error("no longer wanted");
  setTimeout(() => controller.abort(reason), afterMs);
  await assert.rejects(run(controller.signal), (error) => error === reason);
}

test("an abort ends a kernel that hangs in a worker of its own; the next call has a new one, and nothing is put aside", async () => {
  const { runtime, run, problems, explain } = await squares(await hanging());
  try {
    const expected = Array.from({ length: 12 }, (_, i) => (i === 0 ? 4 : i * i));
    assert.deepEqual(await run(2), expected);
    // Had the call lasted until its deadline, the kernel would have no worker any more.
    for (let round = 0; round < 2; round++) {
      await abortHanging((signal) => run(1000, signal));
      assert.deepEqual(await run(2), expected);
    }
    assert.match(explain(), /@test\/foreign\/square/);
    assert.deepEqual([problems, runtime.stats().recompiles], [[], []]);
  } finally {
    await runtime.close();
  }
});

test("strict: a hang that nothing counts is an error that names the kernel", async () => {
  const plugin = await hanging();
  await assert.rejects(
    squareBy(plugin, 9, { compile: { strict: true }, threads: 2 }, () => 1000),
    (error: unknown) =>
      error instanceof KernelError && /^The kernel @test\/foreign\/square\/run failed/.test(error.message),
  );
});

/** A launch of `endless` over 64 rows of 16 numbers. */
function endlessLaunch(device: Device) {
  const place = { buffer: device.allocate(4096), offset: 0 };
  const args = [place, 64, place, 64, 16, 16];
  return { kernel: "test/endless", code: "endless", args, grid: 64, flops: 4e6, workerScratch: 0 };
}

const ENDLESS = withSandbox(uncountedModule([FOREVER, get(i32At(0))]), rowsSandbox("worker"));

test("a kernel's worker that ends by itself is told at once, and the device's own workers stay", async () => {
  const host = createHost();
  const device = await openDevice({ threads: 2 }, host);
  try {
    await device.load(new Map([["endless", ENDLESS], ...CODE]));
    assert.equal(host.workers.length, 4);
    const bound = device.bind([endlessLaunch(device)]);
    // Asked first: JavaScriptCore and Deno do not end a thread once it is in the loop.
    const ended = Promise.all(host.workers.slice(2).map((worker) => worker.terminate()));
    const run = device.run(bound, {});
    await assert.rejects(run, /test\/endless failed .*its worker ended: /);
    await ended;
    await assert.rejects(device.run(bound, {}), /test\/endless failed .*its worker was ended: /);
    const counted = zeroWords(device, 8);
    await device.run(device.bind([counterLaunch(counted, 8, 1)]), {});
    assert.deepEqual([...(await readWords(device, counted))], Array(8).fill(1));
    assert.equal(host.workers.length, 4);
  } finally {
    await device.close();
  }
});

test("what waits behind an aborted call of a kernel that hangs goes on", async () => {
  const host = createHost();
  const device = await openDevice({ threads: 2 }, host);
  try {
    await device.load(new Map([["endless", withSandbox(HANGS, rowsSandbox("worker"))], ...CODE]));
    const launch = endlessLaunch(device);
    const [{ buffer }] = launch.args as readonly {
      readonly buffer: { readonly bytes: number; readonly address: number };
    }[];
    const fill = (value: number): void =>
      device.write(buffer, 0, new Uint8Array(new Float32Array(1024).fill(value).buffer));
    const bound = device.bind([launch]);
    const counted = zeroWords(device, 8);
    const counter = device.bind([counterLaunch(counted, 8, 1)]);
    let rounds = 0;
    // An abort may come before the kernel began, on a machine that pauses: nothing hung then.
    for (; host.workers.length === 4; rounds++) {
      fill(1000);
      let behind: Promise<void> | undefined;
      await abortHanging(
        (signal) => {
          const run = device.run(bound, { signal });
          behind = device.run(counter, {});
          return run;
        },
        30 * (rounds + 1),
      );
      await behind;
    }
    assert.deepEqual([...(await readWords(device, counted))], Array(8).fill(rounds));
    fill(3);
    await device.run(bound, {});
    const found = new Float32Array((await readWords(device, buffer)).buffer);
    assert.ok(found.every((v) => v === 9));
    // Two of the device, two of the kernel's own, and one in place of each that hung.
    assert.ok(host.workers.length <= 6, `${host.workers.length} workers`);
  } finally {
    await device.close();
  }
});

test("a call that waits for a kernel's new workers is aborted, and the device closes, though they never start", async () => {
  // With something to wait for: a worker that ends early is told, and its kernel missed.
  const idle = new URL("data:text/javascript,export function start() { setInterval(() => {}, 1e6); }");
  const device = await openDevice(
    { threads: 2 },
    createHost((entry, worker) => (worker < 4 ? entry : idle)),
  );
  await device.load(new Map([["endless", ENDLESS]]));
  const bound = device.bind([endlessLaunch(device)]);
  await abortHanging((signal) => device.run(bound, { signal }));
  await abortHanging((signal) => device.run(bound, { signal }));
  const lost = assert.rejects(device.run(bound, {}), { code: "device_closed" });
  await device.close();
  await lost;
});

test("a device closes while a kernel hangs in a worker of its own", async () => {
  const device = await openDevice({ threads: 2 });
  await device.load(new Map([["endless", ENDLESS]]));
  const run = device.run(device.bind([endlessLaunch(device)]), {});
  const lost = assert.rejects(run, { code: "device_closed" });
  await device.close();
  await lost;
});

test("after a worker of the device ended, kernels have new workers of their own", async () => {
  const host = createHost();
  const device = await openDevice({ threads: 2 }, host);
  try {
    const code = withSandbox(uncountedModule(squaring()), rowsSandbox("worker"));
    await device.load(new Map([["endless", code]]));
    const launch = endlessLaunch(device);
    const [{ buffer }] = launch.args as readonly {
      readonly buffer: { readonly bytes: number; readonly address: number };
    }[];
    device.write(buffer, 0, new Uint8Array(Float32Array.from({ length: 1024 }, () => 3).buffer));
    const bound = device.bind([launch]);
    await host.workers[0].terminate();
    // The end is told by the event loop; a run before that is lost.
    await device.run(bound, {}).catch((error: unknown) => assert.match(String(error), /ended/));
    device.write(buffer, 0, new Uint8Array(Float32Array.from({ length: 1024 }, () => 3).buffer));
    await device.run(bound, {});
    const found = new Float32Array((await readWords(device, buffer)).buffer);
    assert.ok(found.every((v) => v === 9));
    assert.equal(host.workers.length, 8);
  } finally {
    await device.close();
  }
});

test("where there are no workers it is refused by a sentence that says what to do", async () => {
  const refused = {
    code: "no_workers",
    message:
      /^A plugin's kernel is to run in a worker of its own \(isolation "worker"\), but .*; load the plugin with isolation "own-memory"\.$/,
  };
  const device = await openDevice({ threads: 0 }, { name: "edge", cores: 1 });
  await assert.rejects(device.load(new Map([["endless", ENDLESS]])), refused);
  await device.close();
  const module = new WebAssembly.Module(ENDLESS as Uint8Array<ArrayBuffer>);
  const code = new Map([["endless", { module, sandbox: rowsSandbox("worker") }]]);
  await assert.rejects(openEdgeDevice({ target: "wasm-simd128", memory: 1 << 20, code, sliceMs: 5 }), refused);
});
