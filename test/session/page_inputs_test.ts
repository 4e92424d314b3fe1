/** What pages give a runtime: relative addresses, `ImageData`, blob and data addresses, lists of files. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { type AudioInput, createRuntime } from "../../mod.ts";
import type { DeviceHost } from "../../runtime/abi/device.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { openDevice } from "../../runtime/session/artifacts/devices.ts";
import { addressOf, createMediaReader } from "../../runtime/session/inputs/source.ts";
import { devicePlugins } from "../../runtime/session/registry/first_party.ts";
import { hasCode } from "../kit/assertions.ts";
import { repositoryPath } from "../kit/run_cli.ts";

const PNG = repositoryPath("examples/models/digits-clip/images/006-1.png");
const base = new URL("https://example.org/shop/index.html?a=1");

test("texts are addresses relative to the page where there are no paths", () => {
  const of = (text: string): string | undefined => addressOf(text, { base })?.href;
  assert.equal(of("models/clip/"), "https://example.org/shop/models/clip/");
  assert.equal(of("/models/clip"), "https://example.org/models/clip");
  assert.equal(of("https://cdn.example/clip"), "https://cdn.example/clip");
  assert.equal(of("data:image/png;base64,AAAA"), "data:image/png;base64,AAAA");
  assert.throws(() => of("https://[/"), hasCode("bad_source", /"https:\/\/\[\/" is not a valid address/));
  assert.equal(addressOf("models/clip/", {}), undefined);
  assert.equal(addressOf("C:/models/clip", {}), undefined);
});

test("pictures come from data and blob addresses", async () => {
  const bytes = new Uint8Array(await readFile(PNG));
  const { image } = createMediaReader({ ...(await detectHost()), base });
  const expected = await image(bytes);
  const text = btoa(String.fromCharCode(...bytes));
  assert.deepEqual(await image(`data:image/png;base64,${text}`), expected);
  const server = createMediaReader(await detectHost());
  assert.deepEqual(await server.image(`data:image/png;base64,${text}`), expected);
  // What an address holds is no part of a message.
  const refused = (place: string, code: string, says: RegExp): Promise<void> =>
    assert.rejects(server.image(place, { name: "Picture 3" }), hasCode(code, says));
  await refused(
    "data:image/png;base64,AAAA",
    "image.unknown",
    /^Picture 3 is not an image: it begins with the bytes 00/,
  );
  for (const text of ["AA", "AA A", "A A=="])
    await refused(`data:image/png;base64,${text}`, "image.unknown", /bytes 00/);
  await refused("data:image/png;base64,A", "bad_source", /^Picture 3 is no valid data URI; expected data:image\/png/);
  const address = URL.createObjectURL(new Blob([bytes]));
  assert.deepEqual(await image(new URL(address)), expected);
  URL.revokeObjectURL(address);
});

test("the pixels of a canvas lose their alpha, as those of files do", async () => {
  const { image } = createMediaReader(await detectHost());
  const data = Uint8ClampedArray.from({ length: 2 * 3 * 4 }, (_, i) => i);
  const { width, height, channels, data: rgb } = await image({ width: 2, height: 3, data });
  assert.deepEqual([width, height, channels], [2, 3, 3]);
  assert.deepEqual(
    [...rgb],
    [...data].filter((_, i) => i % 4 !== 3),
  );
  await assert.rejects(image({ width: 2, height: 4, data }), hasCode("invalid_input", /found 24 values/));
  const half = { width: 1.5, height: 4, channels: 3, data: new Uint8Array(18) } as const;
  await assert.rejects(image(half), hasCode("invalid_input", /found 18 values .* for 1\.5x4 with 3 channels/));
});

test("samples that are none are refused with the part that is wrong", async () => {
  const { audio } = createMediaReader(await detectHost());
  const refused = (clip: object, found: string): Promise<void> =>
    assert.rejects(audio(clip as AudioInput, { name: "Recording 2" }), {
      code: "invalid_input",
      message: `Recording 2 must be a path, a URL, bytes, a blob, or samples { sampleRate, channels: Float32Array[] }; found ${found}.`,
    });
  const channels = [new Float32Array(4)];
  await refused({ channels }, "`sampleRate` undefined and `channels` a list");
  await refused({ sampleRate: 16000, channels: [] }, "`sampleRate` 16000 and `channels` an empty list");
  await refused(
    { sampleRate: 16000, channels: [...channels, new Int16Array(4)] },
    "`sampleRate` 16000 and `channels` a list with an object of type Int16Array",
  );
  await refused({ samples: channels }, "an object");
});

test("a model is loaded from a list of files", async () => {
  const folder = "examples/models/digits-clip";
  const names = [
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
  ];
  const files = await Promise.all(
    names.map(async (name) => new File([await readFile(repositoryPath(`${folder}/${name}`))], name)),
  );
  await using runtime = await createRuntime({ threads: 0, compile: { base: { lazy: true } } });
  await using given = await runtime.load({ files }, { components: ["vision"] });
  await using local = await runtime.load(repositoryPath(folder), { components: ["vision"] });
  const images = [PNG];
  const [a, b] = [await given.encode({ images }), await local.encode({ images })];
  assert.deepEqual(a.image_embeds, b.image_embeds);
  await assert.rejects(
    runtime.load({ files: files.slice(1) }),
    hasCode("no_config", /^the list of files has no config/),
  );
});

test("where workers share no memory the caller's thread computes, and threads are refused with the reason", async () => {
  const workers = (): never => assert.fail("a worker was started");
  const host: DeviceHost = {
    name: "page",
    cores: 4,
    spawnWorker: workers,
    unshared: "the page is not isolated (so it is)",
  };
  const plugins = await devicePlugins(["wasm"]);
  const device = await openDevice("wasm", plugins, host, {});
  assert.equal(device.threads, 0);
  await device.close();
  await assert.rejects(
    openDevice("wasm", plugins, host, { threads: 2 }),
    hasCode("no_workers", /^2 threads were asked for, but the page is not isolated \(so it is\); use threads: 0\.$/),
  );
});
