/** `device: ["webgpu", "wasm"], handover: true`: answers on WebAssembly until the adapter's pipelines stand. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import { createRuntime, deviceOf, type Encoder, type Runtime } from "../../mod.ts";
import { hasCode } from "../kit/assertions.ts";
import { assertNear, openGpu } from "./gpu_kit.ts";
import { TINY, tinyPlugin, tinyRows } from "./tiny_model.ts";

const plugins = [webgpuPlugin, wasmPlugin, tinyPlugin];

let opened: Promise<Runtime> | undefined;
const runtime = (): Promise<Runtime> => {
  // The device's own reason comes first.
  opened ??= openGpu().then(async (device) => {
    await device.close();
    return createRuntime({ device: ["webgpu", "wasm"], handover: true, threads: 2, plugins });
  });
  return opened;
};
after(async () => (await opened)?.close());

const pipelines = (encoder: Encoder): number => encoder.stats().device.details?.pipelines ?? 0;

test("calls during a handover are answered by wasm, later ones by webgpu, whose pipelines all stand then", async () => {
  const r = await runtime();
  assert.deepEqual([r.device, r.interim], ["webgpu", "wasm"]);
  const encoder = await r.load(TINY);
  const early = await encoder.encode(tinyRows(2));
  assert.deepEqual([deviceOf(early), encoder.handover?.state], ["wasm", "pending"]);
  // Calls go on meanwhile; each is of one device.
  const seen: string[] = [];
  let done = false;
  const ended = encoder.handover?.ended.finally(() => {
    done = true;
  });
  while (!done) {
    seen.push(String(deviceOf(await encoder.encode(tinyRows(2)))));
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assert.equal(await ended, "done");
  assert.deepEqual(seen, seen.toSorted().reverse());
  const late = await encoder.encode(tinyRows(2));
  assert.equal(deviceOf(late), "webgpu");
  assertNear(late.last_hidden_state?.data ?? [], early.last_hidden_state?.data ?? [], 2e-5, "last_hidden_state");
  const before = pipelines(encoder);
  for (const batch of [1, 2, 3]) await encoder.encode(tinyRows(batch));
  assert.equal(pipelines(encoder), before);
  assert.ok(before > 0);
  assert.equal(r.stats().otherDevices.wasm.bytesInUse, 0);
  encoder.close();
  assert.equal(r.stats().device.bytesInUse, 0);
});

test("what webgpu has no kernels for stays on wasm, and closing during a handover leaves nothing behind", async () => {
  const problems: string[] = [];
  const own = await createRuntime({
    device: ["webgpu", "wasm"],
    handover: true,
    threads: 0,
    plugins,
    onProblem: (sentence) => problems.push(sentence),
  });
  const encoder = await own.load(TINY, { dtype: "int8" });
  assert.equal(await encoder.handover?.ended, "stayed");
  assert.match(
    problems.join(" "),
    /stays on the device "wasm", for "webgpu" could not take over: .*quantized_matmul.*Keep the weights as f16/,
  );
  assert.equal(deviceOf(await encoder.encode(tinyRows(1))), "wasm");
  encoder.close();
  const other = await own.load(TINY);
  await new Promise((resolve) => setTimeout(resolve, 5));
  other.close();
  assert.equal(await other.handover?.ended, "stayed");
  assert.equal(own.stats().device.bytesInUse, 0);
  const last = await own.load(TINY);
  await own.close();
  await assert.rejects(last.encode(tinyRows(1)), hasCode("closed", /closed/));
});
