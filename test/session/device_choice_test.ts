/** `device` as a list: the first kind that this machine has is opened, and reasons are told where there is none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime, definePlugin, FoveaError } from "../../mod.ts";
import type { OpenOptions } from "../../runtime/abi/device.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import { openDevice, reportDevices } from "../../runtime/session/artifacts/devices.ts";
import { keepTuning, readTuning } from "../../runtime/session/artifacts/tuning.ts";
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

test("what was measured here comes before a device's own records, as far as it still holds", async () => {
  const [spec] = wasmPlugin.devices ?? [];
  const store = createMemoryStore();
  const engine = "V8 99.1";
  const host = { name: "test", cores: 1, engine };
  const tuned = [{ engine: "V8", found: "wasm-simd128", target: "wasm-simd128-6x8" }];
  const chosen = async (found: string) => {
    const probe = async () => ({ target: found, capabilities: spec.targetCapabilities(found) });
    const plugin = { ...wasmPlugin, devices: [{ ...spec, tuned, probe }] };
    const [report] = await reportDevices([plugin], host, (kind, name) => readTuning(store, kind, name));
    return "target" in report ? [report.chosen, report.target] : report.unavailable;
  };
  const measured = { device: "wasm", engine, found: "wasm-simd128", target: "wasm-simd128", model: "m", gain: 1 };
  assert.deepEqual(await chosen("wasm-simd128"), ["record", "wasm-simd128-6x8"]);
  await keepTuning(store, measured);
  assert.deepEqual(await chosen("wasm-simd128"), ["measured", "wasm-simd128"]);
  // Another engine, another probe, and targets that are no more are other questions.
  await keepTuning(store, { ...measured, engine: "V8 99.2", target: "wasm-relaxed" });
  assert.deepEqual(await chosen("wasm-simd128"), ["measured", "wasm-simd128"]);
  assert.deepEqual(await chosen("wasm-simd128-6x8"), ["probe", "wasm-simd128-6x8"]);
  await keepTuning(store, { ...measured, target: "wasm-of-old" });
  assert.deepEqual(await chosen("wasm-simd128"), ["record", "wasm-simd128-6x8"]);
  const [key] = (await store.list?.("tuning/")) ?? [];
  for (const key of (await store.list?.("tuning/")) ?? []) await store.put(key, Uint8Array.of(123));
  assert.ok(key !== undefined);
  assert.deepEqual(await chosen("wasm-simd128"), ["record", "wasm-simd128-6x8"]);
});
