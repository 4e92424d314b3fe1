/** Lost devices: what calls meet, and `reopen()`, which brings back everything that was on them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime, deviceOf, type Encoder, type RuntimeOptions, type Tensor } from "../../mod.ts";
import type { GraphBuilder } from "../../runtime/ir/builder.ts";
import { hasCode } from "../kit/assertions.ts";
import { openGpu } from "./gpu_kit.ts";
import { type Losable, losableWebGpu } from "./losable_kit.ts";
import { TINY, tinyPlugin, tinyRows } from "./tiny_model.ts";

async function open(losable: Losable, options: RuntimeOptions = {}) {
  // The device's own reason comes first.
  await (await openGpu()).close();
  return createRuntime({ device: "webgpu", plugins: [losable.plugin, wasmPlugin, tinyPlugin], ...options });
}

const square = {
  tag: "test/square",
  symbols: { n: { min: 1, max: 9 } },
  build: (b: GraphBuilder) => {
    const x = b.input("x", [b.dims.n]);
    b.output("y", b.mul(b.mul(x, x), b.weight("w", [1])));
  },
};

const X: Tensor = { dtype: "f32", shape: [3], data: Float32Array.of(1, -2, 3) };
const W: Tensor = { dtype: "f32", shape: [1], data: Float32Array.of(0.5) };

const states = async (encoder: Encoder, batch: number): Promise<Tensor["data"] | undefined> =>
  (await encoder.encode(tinyRows(batch))).last_hidden_state?.data;

const LOST = hasCode("device_lost", /`reopen\(\)` of the runtime.*tiny\/vision\.step.* kernels? .*rms_norm/s);

test("after a loss calls say so with component and kernels; reopen() brings encoders and components back", async () => {
  const losable = losableWebGpu();
  const runtime = await open(losable);
  const [one, other] = [await runtime.load(TINY), await runtime.load(TINY)];
  const component = await runtime.compile(square, { w: W });
  const expected = await states(one, 5);
  assert.deepEqual(await states(other, 5), expected);
  await component.run({ x: X });
  const { bytesInUse } = runtime.stats().device;
  runtime.seal();
  for (let round = 0; round < 2; round++) {
    await losable.lose();
    await assert.rejects(one.encode(tinyRows(5)), LOST);
    await assert.rejects(other.encode(tinyRows(2)), hasCode("device_lost", /`reopen\(\)`/));
    await assert.rejects(component.run({ x: X }), hasCode("device_lost", /`reopen\(\)`/));
    const reopened = runtime.reopen();
    // Calls that begin meanwhile wait for it.
    const [meanwhile] = await Promise.all([states(one, 5), reopened]);
    assert.deepEqual(meanwhile, expected);
    assert.deepEqual(await states(other, 5), expected);
    assert.deepEqual([...(await component.run({ x: X })).y.data], [0.5, 2, 4.5]);
    assert.equal(runtime.stats().device.bytesInUse, bytesInUse);
  }
  one.close();
  other.close();
  component.close();
  assert.equal(runtime.stats().device.bytesInUse, 0);
  await runtime.close();
});

test("closing an encoder harms no other on the device, whatever is under way", async () => {
  const losable = losableWebGpu();
  const runtime = await open(losable);
  const [one, other] = [await runtime.load(TINY), await runtime.load(TINY)];
  const expected = await states(other, 4);
  const running = states(other, 4);
  void one.encode(tinyRows(4)).catch(() => {});
  one.close();
  assert.deepEqual(await running, expected);
  assert.deepEqual(await states(other, 4), expected);
  await assert.rejects(one.encode(tinyRows(4)), hasCode("closed", /closed/));
  other.close();
  assert.equal(runtime.stats().device.bytesInUse, 0);
  await runtime.close();
});

test("a device that cannot be opened anew leaves a typed error, and a later try may do it", async () => {
  const losable = losableWebGpu();
  const runtime = await open(losable);
  const encoder = await runtime.load(TINY);
  const expected = await states(encoder, 3);
  await losable.lose();
  losable.setAbsent(true);
  await assert.rejects(runtime.reopen(), hasCode("device_unavailable", /"webgpu" is not available: it was taken out/));
  await assert.rejects(encoder.encode(tinyRows(3)), hasCode("device_lost", /opened anew|`reopen\(\)`/));
  losable.setAbsent(false);
  await runtime.reopen();
  assert.deepEqual(await states(encoder, 3), expected);
  await runtime.close();
});

test("a worker that ends is recovered from as a lost device is", async () => {
  const losable = losableWebGpu();
  const runtime = await open(losable);
  const encoder = await runtime.load(TINY);
  const expected = await states(encoder, 3);
  if (await losable.endWorker())
    await assert.rejects(encoder.encode(tinyRows(3)), hasCode("worker_failed", /`reopen\(\)` of the runtime/));
  await runtime.reopen();
  assert.deepEqual(await states(encoder, 3), expected);
  await runtime.close();
});

test("a device that is lost while encoders are handed to it keeps them on wasm; reopen() hands them over", async () => {
  const losable = losableWebGpu();
  const problems: string[] = [];
  const runtime = await open(losable, {
    device: ["webgpu", "wasm"],
    handover: true,
    threads: 0,
    onProblem: (sentence) => problems.push(sentence),
  });
  await losable.lose();
  const encoder = await runtime.load(TINY);
  assert.equal(await encoder.handover?.ended, "stayed");
  assert.match(problems.join(" "), /stays on the device "wasm", for "webgpu" could not take over: .*was lost/);
  assert.equal(deviceOf(await encoder.encode(tinyRows(2))), "wasm");
  await runtime.reopen();
  assert.equal(await encoder.handover?.ended, "done");
  assert.equal(deviceOf(await encoder.encode(tinyRows(2))), "webgpu");
  assert.equal(runtime.stats().otherDevices.wasm.bytesInUse, 0);
  await losable.lose();
  await runtime.reopen();
  assert.equal(deviceOf(await encoder.encode(tinyRows(2))), "webgpu");
  await runtime.close();
});
