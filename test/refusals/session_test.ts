/** Sentences of sessions, weights and caches that no other test asks for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime } from "../../mod.ts";
import type { DeviceSpec } from "../../runtime/abi/device.ts";
import type { ComponentSpec, Tensor } from "../../runtime/abi/encoder.ts";
import type { Plugin } from "../../runtime/abi/plugin.ts";
import { compileGraph } from "../../runtime/compile/compile.ts";
import { type CacheEntry, entryProblem } from "../../runtime/exec/cache_entries.ts";
import { encodeArtifact } from "../../runtime/exec/codec.ts";
import { PACK_FORMAT } from "../../runtime/exec/pack.ts";
import { putContent } from "../../runtime/exec/store/content.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import { memoryFiles, openCheckpoint } from "../../runtime/exec/weights/checkpoint.ts";
import { encodeSafetensors } from "../../runtime/exec/weights/writer.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { createGraphBuilder } from "../../runtime/ir/builder.ts";
import { createInterner } from "../../runtime/ir/node.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { openDevice } from "../../runtime/session/artifacts/devices.ts";
import { openPackSource } from "../../runtime/session/artifacts/pack_source.ts";
import { openMediaProcessor } from "../../runtime/session/inputs/processor.ts";
import { createMediaReader } from "../../runtime/session/inputs/source.ts";
import { openModel, readJson } from "../../runtime/session/models/model_files.ts";
import { pullModel } from "../../runtime/session/models/pull.ts";
import { encodersOf } from "../../runtime/session/registry/encoder_plugins.ts";
import { hasCode } from "../kit/assertions.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { BARE_HOST } from "../kit/run_graph.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const CLIP = repositoryPath("test/fixtures/clip");

const PRODUCT: ComponentSpec = {
  tag: "example/text.product",
  symbols: { rows: { min: 1, max: 8 } },
  instances: [""],
  build: (b) => {
    const x = b.input("x", [b.dims.rows, 4]);
    const y = b.input("y", [b.dims.rows, 4]);
    b.output("z", b.mul(b.add(x, y), b.weight("w", [4])));
  },
};
const tensor = (...shape: number[]) =>
  ({ dtype: "f32", shape, data: new Float32Array(shape.reduce((a, n) => a * n, 1)) }) as const;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

test("a component says which inputs and weights it needs", async () => {
  const runtime = await createRuntime({ threads: 0 });
  await assert.rejects(
    runtime.compile(PRODUCT, { other: tensor(4) }),
    hasCode("missing_tensor", /Component "example\/text\.product" needs the weight "w"; given are other\./),
  );
  const product = await runtime.compile(PRODUCT, { w: tensor(4) });
  const run = (inputs: Parameters<typeof product.run>[0], says: RegExp) =>
    assert.rejects(product.run(inputs), hasCode("invalid_input", says));
  await run({ x: tensor(2, 4) }, /Input "y" of component "example\/text\.product" is missing; it takes x, y\./);
  await run(
    { x: tensor(2, 4), yy: tensor(4, 3) },
    /Component "example\/text\.product" has no input "yy"; it takes x, y\. Did you mean "y"\?/,
  );
  await run({ x: tensor(2, 4), y: tensor(3, 4) }, /Input "y" .* must have the shape \[2, 4\], found \[3, 4\]\./);
  product.close();
  await assert.rejects(product.run({}), hasCode("closed", /was closed; compile it again to run it\./));
  await runtime.close();
  await assert.rejects(runtime.load(CLIP), hasCode("closed", /This runtime was closed; create another one\./));
});

test("an encoder names the towers that it was loaded with, and that it was closed", async () => {
  const runtime = await openRuntime({ threads: 0 });
  const encoder = await runtime.load(CLIP, { components: ["text"] });
  assert.throws(
    () => encoder.tower("vision"),
    hasCode("no_component", /This clip model was loaded with text; it has no "vision" component here\./),
  );
  // Not that a file of a processor is missing.
  for (const [inputs, tower] of [
    [{ images: ["cat.png"] }, "vision"],
    [{ audio: ["cat.wav"] }, "audio"],
  ] as const) {
    await assert.rejects(
      encoder.encode(inputs),
      hasCode("no_component", new RegExp(`loaded with text; it has no "${tower}" component here`)),
    );
  }
  const ids = { dtype: "i32", shape: "1, 3", data: new Int32Array(3) } as unknown as Tensor;
  await assert.rejects(
    encoder.encode({ input_ids: ids }),
    hasCode("invalid_input", /"input_ids" must be a tensor \{ dtype, shape, data \} whose shape is a list of sizes/),
  );
  await assert.rejects(
    encoder.encode({}, { outputs: 3 as unknown as string[] }),
    hasCode("invalid_options", /The option `outputs` of encode is .*; expected a list of names\./),
  );
  encoder.close();
  await assert.rejects(
    encoder.encode({ texts: ["a"] }),
    hasCode("closed", /This encoder was closed; load the model again to encode\./),
  );
  await runtime.close();
});

test("ranges that the configuration got wrong are told with their place", async () => {
  const runtime = await createRuntime({
    threads: 0,
    compile: { base: { ranges: { ends: { rows: [2, 4] } }, maxArtifacts: 1 } },
  });
  await assert.rejects(
    runtime.compile(PRODUCT, { w: tensor(4) }),
    hasCode("invalid_range", /over maxArtifacts 1; .* See compile\.base\./),
  );
  await runtime.close();
});

test("threads are refused where there are no workers", async () => {
  await assert.rejects(
    openDevice("wasm", [wasmPlugin], BARE_HOST, { threads: 2 }),
    hasCode("no_workers", /^2 threads were asked for, but \w+ has no workers; use threads: 0\.$/),
  );
});

test("devices that nobody brings or that cannot run here are refused", async () => {
  const absent = {
    ...(wasmPlugin.devices?.[0] as DeviceSpec),
    probe: async () => ({ unavailable: "no such hardware" }),
  };
  const plugin: Plugin = { ...wasmPlugin, devices: [absent] };
  await assert.rejects(
    openDevice("wasm", [plugin], BARE_HOST, {}),
    hasCode("device_unavailable", /The device "wasm" is not available: no such hardware\./),
  );
  await assert.rejects(
    openDevice("wasn", [wasmPlugin], BARE_HOST, {}),
    hasCode("unknown_device", /No plugin brings a device "wasn"; there are wasm\. Did you mean "wasm"\?/),
  );
});

test("a device whose probe throws is not available, and two plugins bring no device of one kind", async () => {
  const [device] = wasmPlugin.devices as readonly [DeviceSpec];
  const probe = async (): Promise<never> => {
    throw new Error("boom.");
  };
  const broken: Plugin = { ...wasmPlugin, devices: [{ ...device, probe }] };
  await assert.rejects(
    openDevice("wasm", [broken], BARE_HOST, {}),
    hasCode("device_unavailable", /The device "wasm" is not available: its `probe` threw: boom\./),
  );
  const other: Plugin = { ...wasmPlugin, name: "@test/device", kernels: [] };
  await assert.rejects(
    createRuntime({ threads: 0, plugins: [other, wasmPlugin] }),
    hasCode(
      "invalid_plugin",
      /^The plugins "@test\/device" and "@fovea\/wasm" both bring a device "wasm"; leave one of/,
    ),
  );
});

test("a plugin's op that exists already is refused", async () => {
  const add = OP_TABLE.get("add");
  assert.ok(add !== undefined);
  const plugin: Plugin = { ...wasmPlugin, name: "@test/ops", ops: { add } };
  await assert.rejects(
    createRuntime({ threads: 0, plugins: [plugin] }),
    hasCode("invalid_plugin", /^Plugin "@test\/ops" defines the op "add", which exists already\.$/),
  );
});

test("what the option `webgpu` holds is refused by name", async () => {
  const refused = (webgpu: unknown, says: RegExp): Promise<void> =>
    assert.rejects(createRuntime({ webgpu: webgpu as object }), hasCode("invalid_options", says));
  await refused(
    { unsaf: true },
    /^createRuntime's `webgpu` has no option "unsaf"; it takes unsafe\. Did you mean "unsafe"\?$/,
  );
  await refused({ unsafe: 1 }, /^The option `unsafe` of createRuntime's `webgpu` is 1; expected true or false\.$/);
  await refused(
    true,
    /^The option `webgpu` of createRuntime is true; expected an object such as \{ unsafe: true \}\.$/,
  );
});

test("a model folder's small files are read or refused by name", async () => {
  const open = (config: string) =>
    openModel(memoryFiles(new Map([["config.json", text(config)]])), encodersOf([wasmPlugin]));
  await assert.rejects(open("[]"), hasCode("invalid_config", /config\.json in memory must be an object\./));
  await assert.rejects(
    open('{"model_type": "clap"}'),
    hasCode(
      "unknown_model_type",
      /No plugin serves the model_type "clap" of memory; none of the plugins has an encoder\. /,
    ),
  );
  await assert.rejects(
    readJson(memoryFiles(new Map([["config.json", text("{")]])), "config.json"),
    hasCode("invalid_json", /config\.json in memory is not valid JSON: /),
  );
  await assert.rejects(
    openMediaProcessor(repositoryPath("test/fixtures/bert")),
    hasCode("unknown_processor", /No plugin serves the processor undefined of .*; known are /),
  );
  await assert.rejects(
    pullModel("someone/something", { hub: { folder: false } }),
    hasCode(
      "no_folder",
      /There is no folder to pull someone\/something into: `hub\.folder` is false \(--no-cache\)\. Name one/,
    ),
  );
});

test("packs are opened from what can hold one", async () => {
  const host = await detectHost();
  await assert.rejects(
    openPackSource(7 as unknown as string, host),
    hasCode("bad_source", /A pack is a folder's path, a file or http\(s\) URL, or a Map of files by name; found /),
  );
  const nothing = openPackSource(new Map(), host);
  await assert.rejects(nothing, (error: Error) => {
    assert.match(String((error.cause as Error).message), /The pack in memory has no file "/);
    return hasCode("no_pack", /There is no pack at memory: it has no /)(error);
  });
});

test("a pack whose blob has other bytes names the blob", async () => {
  const digest = "0".repeat(64);
  const manifest = text(JSON.stringify({ format: PACK_FORMAT, entries: [], blobs: { [digest]: 4 } }));
  const files = new Map([
    ["manifest.json", manifest],
    [`blobs/${digest}`, text("abc")],
  ]);
  const pack = await openPackSource(files, await detectHost());
  await assert.rejects(
    pack.blob(digest),
    hasCode(
      "damaged_pack",
      /The pack memory cannot be used: its blob 0{64} is damaged \(3 of 4 bytes\)\. Build or download it again\./,
    ),
  );
});

test("pictures are read from places that can be read", async () => {
  const media = createMediaReader(await detectHost());
  await assert.rejects(
    media.image(new URL("ftp://example.org/cat.png")),
    hasCode("bad_source", /ftp:\/\/example\.org\/cat\.png cannot be read; give a path, an http\(s\) or a file URL\./),
  );
});

test("models are read from places that can be read", async () => {
  const runtime = await createRuntime({ threads: 0 });
  const says = /ftp:\/\/example\.org\/clip cannot be read; give a folder, an http\(s\) or a file URL\./;
  await assert.rejects(runtime.load(new URL("ftp://example.org/clip")), hasCode("bad_source", says));
  await runtime.close();
});

test("a checkpoint has each tensor once, in the configuration's shape, until it is closed", async () => {
  const w = { dtype: "f32", shape: [2], data: new Float32Array(2) } as const;
  const file = encodeSafetensors({ w });
  const twice = memoryFiles(new Map([1, 2].map((i) => [`model-0000${i}-of-00002.safetensors`, file])));
  await assert.rejects(
    openCheckpoint(twice),
    hasCode(
      "ambiguous_checkpoint",
      /Tensor "w" is in model-00001.* and in model-00002.* has no model\.safetensors\.index\.json that decides/,
    ),
  );
  const checkpoint = await openCheckpoint(memoryFiles(new Map([["model.safetensors", file]])));
  await assert.rejects(
    checkpoint.readTensor("w", [3]),
    hasCode(
      "wrong_shape",
      /Tensor "w" in model\.safetensors has the shape \[2\]; expected \[3\]\. The configuration and the weights belong to different models\.$/,
    ),
  );
  await checkpoint.close();
  await assert.rejects(
    checkpoint.readTensor("w", [2]),
    hasCode("closed", /The weights in memory were closed; load the model/),
  );
  await assert.rejects(memoryFiles(new Map()).open("w"), hasCode("file.not_found", /^memory has no file "w"\.$/));
});

test("a cache entry that lost its artifact or its code says so", async () => {
  const store = createMemoryStore();
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: {}, interner });
  b.output("y", b.unary("tanh", b.input("x", [4])));
  const target = "wasm-simd128";
  const capabilities = wasmPlugin.devices?.[0].targetCapabilities(target) ?? {};
  const kernels = wasmPlugin.kernels ?? [];
  const { artifact, code } = compileGraph(b.finish(), { interner, kernels, target, capabilities, enabled: true });
  const entryOf = (digest: string): CacheEntry => ({ key: "0", artifact: digest }) as CacheEntry;
  const missing = "0".repeat(64);
  assert.equal(await entryProblem(store, entryOf(missing)), `its artifact ${missing} is missing or damaged.`);
  const digest = await putContent(store, "blobs", encodeArtifact(artifact));
  const [blob] = code.keys();
  assert.equal(await entryProblem(store, entryOf(digest)), `its code ${blob} is missing or damaged.`);
});
