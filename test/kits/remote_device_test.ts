/** The example of a device plugin: a device of another process by HTTP passes the check of devices. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { remotePlugin } from "../../examples/device-plugin/remote_device.ts";
import { serveDevice } from "../../examples/device-plugin/serve_device.ts";
import { createRuntime } from "../../mod.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { checkDevice } from "../kit/check_device.ts";

test("a device behind HTTP passes the check of devices", async () => {
  const { url, close } = await serveDevice();
  try {
    const found = await checkDevice(remotePlugin(url), {
      ...{ graphs: 3, open: { target: "wasm-simd128", memory: 64 << 20 } },
    });
    assert.deepEqual([found.kind, found.target], ["remote", "wasm-simd128"]);
    assert.ok(found.compared > 0 && found.worst < 1, JSON.stringify(found));
  } finally {
    await close();
  }
});

test("a device whose process is gone is absent with a reason, and one that is lost says so", async () => {
  const { url, close } = await serveDevice();
  const runtime = await createRuntime({ device: "remote", plugins: [remotePlugin(url)], memory: 64 << 20 });
  const component = await runtime.compile({
    tag: "test/square",
    symbols: {},
    build: (b) => {
      const x = b.input("x", [2]);
      b.output("y", b.mul(x, x));
    },
  });
  const x = { dtype: "f32", shape: [2], data: Float32Array.of(3, -4) } as const;
  assert.deepEqual([...(await component.run({ x })).y.data], [9, 16]);
  await close();
  const lost = await component.run({ x }).catch((error: unknown) => error);
  assert.ok(lost instanceof FoveaError && /bad_request|device_lost/.test(lost.code), String(lost));
  await runtime.close();
  await assert.rejects(
    createRuntime({ device: "remote", plugins: [remotePlugin(url)] }),
    /The device "remote" is not available: nobody answers at http/,
  );
});
