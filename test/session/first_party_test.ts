import assert from "node:assert/strict";
import { test } from "node:test";
import { createRuntime } from "../../mod.ts";
import { servedType } from "../../runtime/core/served_type.ts";
import { memoryFiles } from "../../runtime/exec/weights/checkpoint.ts";
import { type OpenedModel, openModel } from "../../runtime/session/models/model_files.ts";
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

test("LLaVA goes to the plugin of its tower, and to CLIP's with any other, which says what there is", async () => {
  const { modelTypes, find } = FIRST_PARTY_ENCODERS;
  const served = async (tower?: string): Promise<string | undefined> =>
    (await find(servedType({ model_type: "llava", vision_config: { model_type: tower } }, modelTypes)))?.name;
  assert.equal(await served("pixtral"), "@fovea/pixtral");
  assert.equal(await served("siglip_vision_model"), "@fovea/siglip");
  for (const tower of ["clip_vision_model", "siglip2_vision_model", undefined])
    assert.equal(await served(tower), "@fovea/clip");
  const open = (tower: string): Promise<OpenedModel> => {
    const text = JSON.stringify({ model_type: "llava", vision_config: { model_type: tower } });
    return openModel(memoryFiles(new Map([["config.json", new TextEncoder().encode(text)]])), FIRST_PARTY_ENCODERS);
  };
  const { modelType, plugin } = await open("siglip_vision_model");
  assert.deepEqual([modelType, plugin], ["llava", "@fovea/siglip"]);
  await assert.rejects(
    open("siglip2_vision_model"),
    hasCode("invalid_config", /holds "siglip2_vision_model"; expected clip_vision_model, or pixtral or siglip_vision/),
  );
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
