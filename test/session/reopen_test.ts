/** `reopen()` of devices that are not lost, of any kind: what was loaded computes as before. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ComponentInput,
  createRuntime,
  deviceOf,
  FoveaError,
  type RuntimeOptions,
  type Tensor,
} from "../../mod.ts";
import type { ReopenableDevice } from "../../runtime/abi/device.ts";
import { openReopenable } from "../../runtime/exec/reopenable_device.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { deviceHost, openDevice } from "../../runtime/session/artifacts/devices.ts";
import { devicePlugins } from "../../runtime/session/registry/first_party.ts";
import { Reopenings } from "../../runtime/session/towers/reopen.ts";
import { hasCode } from "../kit/assertions.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const CLIP = repositoryPath("test/fixtures/clip");

const TEXT: { readonly input_ids: Tensor } = {
  input_ids: { dtype: "i32", shape: [1, 4], data: Int32Array.of(5, 4, 3, 2) },
};

const CASES: readonly RuntimeOptions[] = [
  { threads: 0 },
  { threads: 2 },
  { device: "reference" },
  { threads: 0, compile: { components: { "clip/text.block": { device: "reference" } } } },
];

for (const options of CASES) {
  test(`after reopen() encoders have the same bits and the same memory: ${JSON.stringify(options)}`, async () => {
    const runtime = await openRuntime(options);
    const encoder = await runtime.load(CLIP, { components: ["text"] });
    const lazy = await runtime.load(CLIP, { components: ["text"], lazy: true });
    const before = [await encoder.encode(TEXT), await lazy.encode(TEXT)];
    runtime.seal();
    const { bytesInUse } = runtime.stats().device;
    const [meanwhile] = await Promise.all([runtime.reopen(), encoder.encode(TEXT)].reverse());
    assert.deepEqual(meanwhile, before[0]);
    assert.deepEqual(await encoder.encode(TEXT), before[0]);
    assert.deepEqual(await lazy.encode(TEXT), before[1]);
    assert.ok(runtime.stats().device.bytesInUse <= bytesInUse);
    assert.deepEqual(
      runtime.stats().recompiles.filter(({ cause }) => cause !== "first use"),
      [],
    );
    await runtime.close();
  });
}

test("a device kind that is not open is refused with those that are", async () => {
  const runtime = await createRuntime({ threads: 0 });
  await assert.rejects(runtime.reopen("webgpu"), hasCode("unknown_device", /no device "webgpu" open; it has wasm\./));
  await runtime.close();
  await assert.rejects(runtime.reopen(), hasCode("closed", /closed/));
});

test("the device that answers first in a handover can be opened anew while it does", async () => {
  const runtime = await createRuntime({ device: ["reference", "wasm"], handover: true, threads: 0 });
  const encoder = await runtime.load(CLIP, { components: ["text"] });
  await runtime.reopen("wasm");
  const { device } = encoder;
  assert.equal(deviceOf(await encoder.encode(TEXT)), device);
  assert.equal(await encoder.handover?.ended, "done");
  assert.equal(runtime.stats().otherDevices.wasm.bytesInUse, 0);
  await runtime.reopen("wasm");
  await runtime.reopen("reference");
  assert.equal(deviceOf(await encoder.encode(TEXT)), "reference");
  await runtime.close();
});

test("closing a runtime while its device is opened anew leaves nothing at work", async () => {
  const runtime = await createRuntime({ threads: 2 });
  const encoder = await runtime.load(CLIP, { components: ["text"] });
  const reopened = runtime.reopen().catch((error: unknown) => error);
  await runtime.close();
  await reopened;
  await assert.rejects(encoder.encode(TEXT), hasCode("closed", /closed/));
});

for (const options of [CASES[0], CASES[1]]) {
  test(`what is loaded while a device is opened anew lies on the new one: ${JSON.stringify(options)}`, async () => {
    const runtime = await openRuntime(options);
    const first = await runtime.load(CLIP, { components: ["text"] });
    const wanted = await first.encode(TEXT);
    const square: ComponentInput = {
      ...{ tag: "example/square", symbols: {} },
      build: (b) => {
        const x = b.input("x", [2]);
        b.output("y", b.mul(x, x));
      },
    };
    const x: Tensor = { dtype: "f32", shape: [2], data: Float32Array.of(2, 3) };
    const { bytesInUse } = runtime.stats().device;
    for (let round = 0; round < 24; round++) {
      const loading = [runtime.load(CLIP, { components: ["text"] }), runtime.compile(square)] as const;
      const calls = [first.encode(TEXT), first.encode(TEXT)];
      await new Promise((resolve) => setTimeout(resolve, round / 2));
      const reopened = runtime.reopen();
      const meanwhile = runtime.load(CLIP, { components: ["text"] });
      for (const call of await Promise.allSettled(calls))
        if (call.status === "rejected") assert.equal((call.reason as FoveaError).code, "device_lost");
      await reopened;
      const [encoder, component] = [await loading[0], await loading[1]];
      for (const one of [encoder, await meanwhile, first]) assert.deepEqual(await one.encode(TEXT), wanted);
      assert.deepEqual([...(await component.run({ x })).y.data], [4, 9]);
      component.close();
      for (const one of [encoder, await meanwhile]) await one.close();
    }
    assert.ok(runtime.stats().device.bytesInUse <= bytesInUse);
    await runtime.close();
  });
}

test("a load that every time meets a device opened anew ends with device_lost, and leaves nothing", async () => {
  const reopenings = new Reopenings();
  const device = { kind: "wasm", reopen: async () => {} } as ReopenableDevice;
  let closed = 0;
  const work = async () => {
    await reopenings.begin(device, []);
    return { close: () => closed++ };
  };
  const lost = hasCode("device_lost", /^A device was opened anew while this was loaded; make the call again\.$/);
  await assert.rejects(reopenings.through(work), lost);
  assert.equal(closed, 4);
});

const open = async (threads: number) =>
  openDevice("wasm", await devicePlugins(["wasm"]), deviceHost(await detectHost()), { threads });

for (const threads of [0, 2]) {
  test(`memory and programs of before are refused, and what was under way ends with device_lost: ${threads} workers`, async () => {
    const device = await open(threads);
    const { target } = device;
    const stale = device.allocate(64);
    const idle = device.bind([]);
    await Promise.all([device.reopen(), device.reopen()]);
    assert.deepEqual([device.generation, device.target], [1, target]);
    const lost = hasCode("device_lost", /"wasm" was opened anew.*make the call again/);
    assert.throws(() => device.write(stale, 0, new Uint8Array(4)), lost);
    await assert.rejects(device.read(stale, 0, new Uint8Array(4)), lost);
    await assert.rejects(device.run(idle, {}), lost);
    const launch = {
      kernel: "k",
      code: "c",
      args: [{ buffer: stale, offset: 0 }],
      grid: 1,
      flops: 0,
      workerScratch: 0,
    };
    assert.throws(() => device.bind([launch]), lost);
    device.release(stale);
    idle.release();
    const { bytesInUse } = device.stats();
    const own = device.allocate(8);
    device.write(own, 0, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    const back = new Uint8Array(8);
    await device.read(own, 0, back);
    assert.deepEqual([...back], [1, 2, 3, 4, 5, 6, 7, 8]);
    device.release(own);
    assert.equal(device.stats().bytesInUse, bytesInUse);
    const loading = device.load(new Map());
    await device.close();
    await loading.catch(() => {});
    await assert.rejects(device.reopen(), hasCode("device_closed", /closed for good/));
  });
}

test("what opening throws is told, and a later try may succeed", async () => {
  let tries = 0;
  const device = await openReopenable(async () => {
    if (tries++ === 1) throw new FoveaError("device_unavailable", "It is busy.");
    return open(0);
  });
  await assert.rejects(device.reopen(), hasCode("device_unavailable", /busy/));
  assert.throws(() => device.allocate(4), hasCode("device_closed", /closed/));
  await device.reopen();
  device.release(device.allocate(4));
  await device.close();
});
