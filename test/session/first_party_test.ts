import assert from "node:assert/strict";
import { test } from "node:test";
import { createRuntime } from "../../mod.ts";
import { encodersOf } from "../../runtime/session/registry/encoder_plugins.ts";
import {
  configuredDevices,
  devicePlugins,
  FIRST_PARTY_ENCODERS,
  firstPartyPlugins,
} from "../../runtime/session/registry/first_party.ts";
import { hasCode } from "../kit/assertions.ts";

test("each model of fovea's own encoders is served by the plugin that says so, loaded alone", async () => {
  const all = encodersOf(await firstPartyPlugins());
  assert.deepEqual([...FIRST_PARTY_ENCODERS.modelTypes].sort(), [...all.modelTypes].sort());
  for (const modelType of all.modelTypes) {
    const plugin = await FIRST_PARTY_ENCODERS.find(modelType);
    assert.equal(plugin, await all.find(modelType), modelType);
    assert.equal(plugin?.ops, undefined, "ops of an encoder would be known too late");
    assert.equal(plugin?.kernels, undefined);
  }
  assert.equal(await FIRST_PARTY_ENCODERS.find("gpt2"), undefined);
});

test("devices are loaded by kind, and all of them where a kind is none of fovea's", async () => {
  const kinds = async (wanted?: readonly string[]): Promise<readonly string[]> =>
    (await devicePlugins(wanted)).flatMap((p) => p.devices ?? []).map((d) => d.kind);
  assert.deepEqual(await kinds(["wasm"]), ["wasm"]);
  assert.deepEqual(await kinds(["reference", "wasm"]), ["wasm", "reference"]);
  assert.deepEqual(await kinds(["wasm", "cuda"]), ["wasm", "webgpu", "reference"]);
  assert.deepEqual(await kinds(), ["wasm", "webgpu", "reference"]);
  const config = { base: { device: "wasm" }, components: { "*/text.*": { device: "reference" }, "*": { lazy: true } } };
  assert.deepEqual(configuredDevices([{ config }, { config: {} }]), ["wasm", "reference"]);
  await assert.rejects(
    createRuntime({ device: "cuda" }),
    hasCode("unknown_device", /there are wasm, webgpu, reference\./),
  );
});
