/** `device` as a list: the first kind that this machine has is opened, and reasons are told where there is none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime, definePlugin, FoveaError } from "../../mod.ts";
import type { OpenOptions } from "../../runtime/abi/device.ts";
import { openDevice } from "../../runtime/session/devices.ts";
import { hasCode } from "../kit/assertions.ts";

/** A device that no machine has. */
function absent(kind: string, reason: string) {
  return {
    kind,
    targets: [kind],
    probe: async () => ({ unavailable: reason }),
    targetCapabilities: () => ({}),
    open: async () => {
      throw new FoveaError("device_unavailable", "It was opened although it is absent.");
    },
  };
}

const plugins = [
  definePlugin({
    name: "@test/absent",
    version: "1.0.0",
    abi: 1,
    devices: [absent("north", "it is too cold"), absent("south", "it is too warm")],
  }),
  wasmPlugin,
];

test("the first available device of a list is opened", async () => {
  const runtime = await createRuntime({ device: ["north", "wasm", "south"], threads: 0, plugins });
  assert.equal(runtime.device, "wasm");
  await runtime.close();
});

test("without an available one the reasons of all are told", async () => {
  const one = createRuntime({ device: ["south"], plugins });
  await assert.rejects(one, hasCode("device_unavailable", /^The device "south" is not available: it is too warm\.$/));
  const both = createRuntime({ device: ["north", "south"], plugins });
  await assert.rejects(both, hasCode("device_unavailable", /"north".*too cold\..*"south".*too warm\./));
});

test("a kind that no plugin brings is an error even behind an available one", async () => {
  const wrong = createRuntime({ device: ["wasm", "wasn"], plugins });
  await assert.rejects(wrong, hasCode("unknown_device", /"wasn".*Did you mean "wasm"/));
});

test("a tuning record decides by engine about the target that a probe found, unless another is pinned", async () => {
  const [spec] = wasmPlugin.devices ?? [];
  const opened = async (engine: string, options: OpenOptions, host = "V8 99") => {
    const tuned = [{ engine, found: "wasm-simd128", target: "wasm-simd128-6x8" }];
    const found = { target: "wasm-simd128", capabilities: spec.targetCapabilities("wasm-simd128") };
    const plugin = { ...wasmPlugin, devices: [{ ...spec, tuned, probe: async () => found }] };
    const device = await openDevice("wasm", [plugin], { name: "test", cores: 1, engine: host }, options);
    await device.close();
    return device.target;
  };
  assert.equal(await opened("V8", {}), "wasm-simd128-6x8");
  assert.equal(await opened("V8", { target: "wasm-simd128" }), "wasm-simd128");
  assert.equal(await opened("JavaScriptCore", {}), "wasm-simd128");
  for (const { found, target } of spec.tuned ?? [])
    assert.ok(spec.targets.includes(found) && spec.targets.includes(target));
});
