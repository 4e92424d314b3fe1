/** Options that are mistyped or misspelt: a sentence with the name, what was found and what was expected. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  classifyImages,
  createRuntime,
  deviceOf,
  type EncodeInputs,
  type EncodeItem,
  type EncodeOptions,
  type Encoder,
  type LoadOptions,
  type PixelImage,
  type RuntimeOptions,
  type Span,
  type Tensor,
} from "../../mod.ts";
import { didYouMean, foundText } from "../../runtime/session/check.ts";
import { hasCode } from "../kit/assertions.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const CLIP = repositoryPath("test/fixtures/clip");

const RUNTIME_OPTIONS: readonly (readonly [unknown, RegExp])[] = [
  [{ thread: 2 }, /createRuntime has no option "thread".*Did you mean "threads"/s],
  [{ threads: "2" }, /`threads` of createRuntime is "2"; expected a whole number from 0/],
  [{ threads: 1e6 }, /1000000; expected a whole number/],
  [{ threads: Number.NaN }, /NaN; expected a whole number/],
  [{ device: 3 }, /`device`.*is 3; expected a text/],
  [{ memory: "1g" }, /`memory`.*"1g"; expected a number of bytes/],
  [{ cache: true }, /`cache`.*true; expected a folder's path/],
  [{ cache: "" }, /`cache`.*""; expected a folder's path/],
  [{ compile: false }, /`compile`.*false; expected an object/],
  [{ compile: { enable: false } }, /`compile` has no setting "enable".*Did you mean "enabled"/s],
  [{ plugins: "x" }, /`plugins`.*expected a list of plugins/],
  [{ plugins: [null] }, /`plugins\[0\]` is null; expected a plugin, as definePlugin makes it, the folder/],
  [{ onProgress: "x" }, /`onProgress`.*expected a function/],
  [null, /options of createRuntime must be an object; found null/],
];

test("createRuntime refuses options that it does not know or that have a wrong type", async () => {
  for (const [options, says] of RUNTIME_OPTIONS) {
    await assert.rejects(createRuntime(options as RuntimeOptions), hasCode("invalid_options", says));
  }
});

const LOAD_OPTIONS: readonly (readonly [unknown, RegExp])[] = [
  [{ component: ["vision"] }, /load has no option "component".*Did you mean "components"/s],
  [{ components: "vision" }, /"vision"; expected a list of names/],
  [{ components: [] }, /an empty list; expected a list of names/],
  [{ dtype: "int4" }, /"int4"; expected "f32" or "f16" or "bf16" or "int8"/],
  [{ loadFormat: "dumy" }, /"dumy"; expected "safetensors" or "dummy"/],
  [{ signal: 3 }, /`signal` of load is 3; expected an AbortSignal/],
];

const SOURCES: readonly (readonly [unknown, string, RegExp])[] = [
  [undefined, "bad_source", /found undefined/],
  [{}, "bad_source", /^A model is a folder's path, hf:organisation\/name, .*found an object/],
  ["", "bad_source", /name is empty/],
  ["ftp://example.org/clip", "bad_source", /ftp:.*cannot be read/],
  ["http://", "bad_source", /"http:\/\/" is not a valid address/],
  ["no-such/model", "file.not_found", /no model folder no-such\/model.*hf:no-such\/model/s],
  [`${CLIP}/config.json`, "file.kind", /config\.json is not a folder/],
  [
    new Map([["config.json", "{}"]]),
    "bad_source",
    /^memory has "config\.json" as String; expected a Uint8Array or a Blob/,
  ],
  [{ files: null }, "bad_source", /^`files` must be a list of File objects; found null\.$/],
];

const TENSORS: readonly (readonly [object, RegExp])[] = [
  [{ shape: [1n, 3, 32, 32] }, /"pixel_values" has the shape \[1n, 3, 32, 32\]; sizes are whole numbers from 0\.$/],
  [{ shape: ["1", 3, 32, 32] }, /has the shape \["1", 3, 32, 32\]; sizes are whole numbers/],
  [{ shape: [1.5, 3, 32, 32] }, /has the shape \[1\.5, 3, 32, 32\]; sizes are whole numbers/],
  [
    { data: new Float64Array(3072) },
    /has type f32 and its values in a Float64Array, expected f32 in a Float32Array; convert it first\.$/,
  ],
];

const ENCODE_OPTIONS: readonly (readonly [unknown, RegExp])[] = [
  [{ output: ["image_embeds"] }, /encode has no option "output".*Did you mean "outputs"/s],
  [{ outputs: "image_embeds" }, /"image_embeds"; expected a list of names/],
  [{ signal: {} }, /an object; expected an AbortSignal/],
];

test("load and encode refuse mistaken options and sources and stay usable", async () => {
  const runtime = await openRuntime({ threads: 0 });
  for (const [options, says] of LOAD_OPTIONS) {
    await assert.rejects(runtime.load(CLIP, options as LoadOptions), hasCode("invalid_options", says));
  }
  for (const [source, code, says] of SOURCES) {
    await assert.rejects(runtime.load(source as string), hasCode(code, says));
  }
  await assert.rejects(
    runtime.load(CLIP, { components: ["visoin" as "vision"] }),
    hasCode("no_component", /Did you mean "vision"/),
  );
  const encoder = await runtime.load(CLIP, { components: ["vision"] });
  const pixel_values = { dtype: "f32", shape: [1, 3, 32, 32], data: new Float32Array(3072) } as const;
  for (const [options, says] of ENCODE_OPTIONS) {
    await assert.rejects(encoder.encode({ pixel_values }, options as object), hasCode("invalid_options", says));
  }
  for (const [odd, says] of TENSORS) {
    const inputs = { pixel_values: { ...pixel_values, ...odd } as Tensor };
    await assert.rejects(encoder.encode(inputs), hasCode("invalid_input", says));
  }
  await assert.rejects(
    encoder.encode({ pixel_values }, { outputs: ["image_embed"] }),
    hasCode("invalid_input", /Did you mean "image_embeds"/),
  );
  await assert.rejects(encoder.encode(null as unknown as EncodeInputs), hasCode("invalid_input", /found null/));
  assert.ok((await encoder.encode({ pixel_values })).image_embeds);
  await runtime.close();
});

test("cacheMisses refuses options that it does not know", async () => {
  await using runtime = await openRuntime();
  const refused = (options: unknown, says: RegExp): Promise<void> =>
    assert.rejects(runtime.cacheMisses(CLIP, options as object), hasCode("invalid_options", says));
  await refused(
    { component: ["text"] },
    /^cacheMisses has no option "component"; it takes components, dtype, calibration\. Did you mean/,
  );
  await refused(null, /options of cacheMisses must be an object; found null/);
});

test("verifyCache refuses options that it does not know", async () => {
  await using runtime = await openRuntime({ threads: 0 });
  const refused = (options: unknown, says: RegExp): Promise<void> =>
    assert.rejects(runtime.verifyCache(options as object), hasCode("invalid_options", says));
  await refused({ ful: true }, /verifyCache has no option "ful".*Did you mean "full"/s);
  await refused({ full: "yes" }, /`full` of verifyCache is "yes"; expected true or false/);
  await refused(null, /options of verifyCache must be an object; found null/);
});

const LABELS: readonly (readonly [unknown, object, RegExp])[] = [
  [[], {}, /at least one text/],
  ["two", {}, /found "two"/],
  [["two", ""], {}, /none of them empty/],
  [["two", "one", "two"], {}, /"two" is given twice/],
  [["two"], { template: "a photo" }, /"a photo" has no \{\}/],
];

test("classifyImages refuses labels that cannot be told apart before it encodes anything", async () => {
  for (const [labels, options, says] of LABELS) {
    const encoder = { encode: () => assert.fail("encoded") } as unknown as Encoder;
    await assert.rejects(
      classifyImages(encoder, ["x.png"], labels as string[], options),
      hasCode("invalid_input", says),
    );
  }
});

test("null in the place of an encoder, of items or of a result is no error of the engine's", async () => {
  const nothing = null as unknown as Encoder;
  await assert.rejects(
    classifyImages(nothing, ["x.png"], ["a"]),
    hasCode("invalid_input", /^classifyImages takes an encoder that runtime\.load gave; found null\.$/),
  );
  assert.equal(deviceOf(nothing), undefined);
  await using runtime = await openRuntime({ threads: 0 });
  const encoder = await runtime.load(CLIP);
  const refused = (items: unknown, options: unknown, code: string, says: RegExp): Promise<void> =>
    assert.rejects(encoder.encodeItems(items as EncodeItem[], options as EncodeOptions), hasCode(code, says));
  const given = /^encodeItems takes a list of items that readItems gave; found (null|a list)\.$/;
  await refused(null, {}, "invalid_input", given);
  await refused([null], {}, "invalid_input", given);
  await refused([], null, "invalid_options", /options of encodeItems must be an object; found null/);
  await refused(
    [],
    { outputs: "text_embeds" },
    "invalid_options",
    /`outputs` of encodeItems is "text_embeds"; expected/,
  );
});

test("an input that no tower takes is refused with the names of all", async () => {
  const runtime = await openRuntime({ threads: 0 });
  const encoder = await runtime.load(CLIP);
  await assert.rejects(
    encoder.encode({ image: ["cat.png"] as unknown as Tensor }),
    hasCode(
      "invalid_input",
      /^There is no input "image"; this model takes images, texts, pixel_values, .* Did you mean "images"\?$/,
    ),
  );
  await runtime.close();
});

test("classifyImages takes the options of a call, and makes one call of pictures and labels", async () => {
  const runtime = await openRuntime({ threads: 0 });
  const encoder = await runtime.load(repositoryPath("examples/models/digits-clip"));
  const picture: PixelImage = { width: 8, height: 8, channels: 3, data: new Uint8Array(192).fill(200) };
  const spans: Span[] = [];
  const told: (readonly [number, number])[] = [];
  const found = await classifyImages(encoder, [picture], ["one", "two"], {
    requestId: "order 9",
    deadline: 600_000,
    trace: { span: (s) => spans.push(s) },
    onProgress: (done, total) => told.push([done, total]),
  });
  assert.equal(found.length, 1);
  assert.deepEqual(told, [
    [1, 2],
    [2, 2],
  ]);
  assert.ok(spans.every((s) => s.requestId === "order 9"));
  assert.deepEqual(
    spans.flatMap((s) => (s.kind === "prepare" || s.kind === "request" ? [s.name] : [])),
    ["vision", "text", "encode"],
  );
  const { encodes } = encoder.stats();
  assert.equal(encodes, 1);
  await assert.rejects(
    classifyImages(encoder, [picture], ["one", "two"], { requestId: "late", deadline: 0 }),
    hasCode("deadline_exceeded", /^Request late \(encode\) was stopped at its deadline of 0 ms/),
  );
  await assert.rejects(
    classifyImages(encoder, [picture], ["one", "two"], { signal: AbortSignal.abort(new Error("no longer wanted")) }),
    { message: "no longer wanted" },
  );
  await assert.rejects(
    classifyImages(encoder, [picture], ["one", "two"], { requestId: 7 as unknown as string }),
    hasCode("invalid_options", /`requestId` of classifyImages is 7; expected a text/),
  );
  await runtime.close();
});

test("values are named without their contents", () => {
  assert.equal(foundText(new Uint8Array(3)), "an object of type Uint8Array");
  assert.equal(foundText([1]), "a list");
  assert.equal(foundText(undefined), "undefined");
  assert.equal(didYouMean("xyz", ["threads"]), "");
});
