/** What is closed while something is under way: nothing stays behind, and nobody gets numbers of memory that was given back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import {
  ABI_VERSION,
  createRuntime,
  definePlugin,
  FoveaError,
  type Plugin,
  type Runtime,
  type Tensor,
  type TraceSink,
} from "../../mod.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { createRunnerMemory } from "../../runtime/exec/runner_memory.ts";
import { type CheckpointFiles, directoryFiles } from "../../runtime/exec/weights/checkpoint.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { createPlaces } from "../../runtime/session/artifacts/places.ts";
import { createSegmentRunner, type LinkedSegment } from "../../runtime/session/towers/segments.ts";
import { createFakeDevice } from "../exec/fake_device.ts";
import { hasCode } from "../kit/assertions.ts";
import { callContext } from "../kit/call_context.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { BARE_HOST } from "../kit/run_graph.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");

interface Opened {
  open: number;
  closed: number;
}

/** A device that tells how often it was opened and closed; it opens when `until` lets it. */
function countingPlugin(kind: string, counts: Opened, until: Promise<void> = Promise.resolve()): Plugin {
  return definePlugin({
    name: `test/${kind}`,
    version: "1.0.0",
    abi: ABI_VERSION,
    devices: [
      {
        kind,
        targets: [kind],
        probe: async () => ({ target: kind, capabilities: {} }),
        targetCapabilities: () => ({}),
        open: async (): Promise<Device> => {
          counts.open++;
          await until;
          const close = async (): Promise<void> => {
            await new Promise((resolve) => setTimeout(resolve, 5));
            counts.closed++;
          };
          return { ...createFakeDevice({}), kind, target: kind, close };
        },
      },
    ],
  });
}

const pixels: { readonly pixel_values: Tensor } = {
  pixel_values: { dtype: "f32", shape: [4, 3, 32, 32], data: new Float32Array(4 * 3 * 32 * 32).fill(0.5) },
};

for (const threads of [0, 2]) {
  test(`threads ${threads}: a call whose encoder is closed meanwhile says so, and gives no numbers`, async () => {
    const runtime = await openRuntime({ threads });
    const encoder = await runtime.load(DIGITS, { components: ["vision"] });
    // What is left of the call is a run on memory that is given back here.
    const closes: TraceSink = { span: ({ kind }) => kind === "write" && encoder.close() };
    await assert.rejects(
      encoder.encode(pixels, { trace: closes }),
      hasCode("closed", /encoder was closed; load the model again/),
    );
    const component = await runtime.compile({
      tag: "test/double",
      symbols: { n: { min: 1, max: 64 } },
      build: (b) => b.output("y", b.add(b.input("x", [b.dims.n], "f32"), b.input("x2", [b.dims.n], "f32"))),
    });
    const x: Tensor = { dtype: "f32", shape: [64], data: new Float32Array(64) };
    const running = component.run({ x, x2: x });
    component.close();
    await assert.rejects(running, hasCode("closed", /component "test\/double" was closed/));
    assert.equal(runtime.stats().device.bytesInUse, 0);
    await runtime.close();
  });
}

test("a call that a close ends leaves no listener and no timer, and tells its sink", async () => {
  const runtime = await openRuntime({ threads: 0 });
  const encoder = await runtime.load(DIGITS, { components: ["vision"] });
  const component = await runtime.compile({
    tag: "test/twice",
    symbols: { n: { min: 1, max: 64 } },
    build: (b) => b.output("y", b.add(b.input("x", [b.dims.n], "f32"), b.input("x2", [b.dims.n], "f32"))),
  });
  const x: Tensor = { dtype: "f32", shape: [64], data: new Float32Array(64) };
  const { signal } = new AbortController();
  let listeners = 0;
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  const kinds: string[] = [];
  const trace: TraceSink = { span: ({ kind }) => kinds.push(kind) };
  // The timer of a deadline would keep the process.
  const options = { signal, trace, deadline: 60_000 };
  const running = [encoder.encode(pixels, options), component.run({ x, x2: x }, options)];
  encoder.close();
  component.close();
  for (const one of running) await assert.rejects(one, hasCode("closed", /was closed/));
  assert.equal(listeners, 0);
  assert.equal(kinds.filter((kind) => kind === "request").length, 2);
  const throws: TraceSink = {
    span: () => {
      throw new Error("the sink's own");
    },
  };
  const other = await runtime.load(DIGITS, { components: ["vision"] });
  await assert.rejects(other.encode(pixels, { ...options, trace: throws }), /the sink's own/);
  await assert.rejects(other.readItems({}, { ...options, trace: throws }), /the sink's own/);
  assert.equal(listeners, 0);
  await runtime.close();
});

test("a device that is opened while places are closed is closed too, and so is every other", async () => {
  const counts: Opened = { open: 0, closed: 0 };
  let go = (): void => {};
  const opens = new Promise<void>((resolve) => {
    go = resolve;
  });
  const device: Device = { ...createFakeDevice({}), kind: "home", target: "home" };
  const plugins = [countingPlugin("home", { open: 0, closed: 0 }), countingPlugin("away", counts, opens)];
  const places = createPlaces({ device, plugins, host: BARE_HOST });
  const setting = { value: "away", from: "a test" };
  const finding = places.find({ device: setting, target: { value: undefined, from: "a test" } } as never);
  const found = finding.catch((error: unknown) => error);
  const closing = places.close();
  go();
  await closing;
  assert.equal((await found) instanceof FoveaError, false);
  const late = { device: { value: "other", from: "a test" }, target: { value: undefined, from: "a test" } };
  await assert.rejects(places.find(late as never), hasCode("closed", /is not opened any more/));
  assert.deepEqual(counts, { open: 1, closed: 1 });
});

test("a runtime that cannot be made closes the device that was opened for it", async () => {
  const counts: Opened = { open: 0, closed: 0 };
  const kernel = { name: "same", device: "counted", reads: [], claim: () => [] };
  const other = definePlugin({ name: "test/other", version: "1.0.0", abi: ABI_VERSION, kernels: [kernel] });
  const plugins = [{ ...countingPlugin("counted", counts), kernels: [kernel] }, other];
  await assert.rejects(createRuntime({ device: "counted", plugins }), hasCode("invalid_plugin", /both bring a kernel/));
  assert.deepEqual(counts, { open: 1, closed: 1 });
});

test("everybody who closes a runtime waits until it is closed", async () => {
  const counts: Opened = { open: 0, closed: 0 };
  const runtime = await createRuntime({ device: "counted", plugins: [countingPlugin("counted", counts), wasmPlugin] });
  const first = runtime.close();
  await runtime.close();
  assert.equal(counts.closed, 1);
  await first;
  assert.equal(counts.closed, 1);
});

test("whatever a runtime is at when it is closed says so", async () => {
  const batches = [1, 9].map((batch) => ({ tag: "clip/vision.block", dims: { batch } }));
  const works: Readonly<Record<string, (runtime: Runtime) => Promise<unknown>>> = {
    prepare: (runtime) => runtime.prepare(DIGITS),
    calibrate: (runtime) => runtime.calibrate(DIGITS, [pixels]),
    numerics: (runtime) => runtime.numerics(DIGITS, { dtype: "int8" }),
    tuneGranularity: (runtime) => runtime.tuneGranularity(DIGITS, { cuts: ["block"], runs: 1 }),
    tuneRanges: (runtime) => runtime.tuneRanges(DIGITS, batches, { measure: true }),
  };
  for (const [name, work] of Object.entries(works)) {
    let closed: Promise<void> | undefined;
    // Compiling has begun, and what was compiled waits for its proof on the device.
    const write = (): void => {
      closed ??= runtime.close();
    };
    const runtime = await createRuntime({ threads: 0, log: { topics: ["passes"], write } });
    await assert.rejects(work(runtime), hasCode("closed", /^This runtime was closed; create another one\.$/), name);
    await closed;
  }
});

test("a model that is loaded while its runtime is closed is closed with it", async () => {
  const runtime = await openRuntime({ threads: 0 });
  const loading = runtime.load(DIGITS, { components: ["vision"] });
  const outcome = assert.rejects(loading, hasCode("closed", /runtime was closed/));
  await runtime.close();
  await outcome;
  assert.equal(runtime.stats().device.bytesInUse, 0);
});

test("a calibration that is not there leaves no weights open", async () => {
  const runtime = await openRuntime({ threads: 0 });
  const closed: string[] = [];
  const opened: string[] = [];
  const files = directoryFiles(await detectHost(), DIGITS);
  const watched: CheckpointFiles = {
    ...files,
    open: async (name) => {
      const source = await files.open(name);
      opened.push(name);
      return {
        ...source,
        close: async () => {
          closed.push(name);
          await source.close();
        },
      };
    },
  };
  const load = runtime.load(watched, {
    components: ["vision"],
    dtype: "int8",
    calibration: repositoryPath("test/fixtures/absent.safetensors"),
  });
  await assert.rejects(load, hasCode("file.not_found", /absent\.safetensors/));
  assert.deepEqual([...closed].sort(), [...opened].sort());
  await runtime.close();
});

test("a runtime is closed when the files of weights that its encoders read later are", async () => {
  const files = directoryFiles(await detectHost(), DIGITS);
  for (const problem of [undefined, new Error("the disk is gone")]) {
    const runtime = await openRuntime({ threads: 0, compile: { base: { lazy: true } } });
    let [opened, closed] = [0, 0];
    const watched: CheckpointFiles = {
      ...files,
      open: async (name) => {
        const source = await files.open(name);
        opened++;
        const close = async (): Promise<void> => {
          await source.close?.();
          await new Promise((resolve) => setTimeout(resolve, 5));
          closed++;
          if (problem !== undefined && name.endsWith(".safetensors")) throw problem;
        };
        return { ...source, close };
      },
    };
    const encoder = await runtime.load(watched, { components: ["vision"] });
    assert.ok(closed < opened, `${opened} opened, ${closed} closed`);
    encoder.close();
    const closing = runtime.close();
    if (problem === undefined) await closing;
    else await assert.rejects(closing, problem);
    assert.equal(closed, opened);
    assert.equal(runtime.stats().device.bytesInUse, 0);
  }
});

test("a file that tells no size or time is closed", async () => {
  let closed = 0;
  const gone = new Error("it went away");
  const files = directoryFiles(
    {
      listDir: async () => [],
      openFile: async () => ({ size: 0, read: async () => 0, close: async () => void closed++ }),
      stat: async () => {
        throw gone;
      },
    },
    "folder",
  );
  await assert.rejects(files.open("weights"), gone);
  assert.equal(closed, 1);
});

test("a run over several devices that outlives its runner keeps no memory", async () => {
  const [one, two] = [createFakeDevice({ k: () => {} }), createFakeDevice({ k: () => {} })];
  const memory = createRunnerMemory();
  const runner = createSegmentRunner(memory);
  const segment = (device: Device, first: number): LinkedSegment => ({
    device,
    first,
    plan: { key: `#${first}`, calls: [], constants: {}, results: {} },
    linked: {
      key: `#${first}`,
      calls: [],
      arenaBytes: 64,
      flops: 0,
      values: {},
      launches: (buffer) => [
        { kernel: "k", code: "k", args: [{ buffer, offset: 0 }], grid: 1, flops: 0, workerScratch: 0 },
      ],
    },
  });
  const running = runner.run([segment(one, 0), segment(two, 1)], {}, {}, callContext());
  runner.release();
  await running;
  assert.equal(one.live.size + two.live.size, 0);
  assert.equal(memory.reclaim(two), false);
});
