/** Where pictures and models may come from, and what ends a download. */
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import type { EncodeInputs, Encoder, ImageInput } from "../../mod.ts";
import type { PixelImage } from "../../runtime/abi/encoder.ts";
import { hasCode } from "../kit/assertions.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { noise } from "../media/media_kit.ts";
import { writePng } from "../media/png_writer.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const PICTURE = join(DIGITS, "images", "000-2.png");

async function withDigits(work: (encoder: Encoder) => Promise<void>): Promise<void> {
  const runtime = await openRuntime({ threads: 0 });
  try {
    await work(await runtime.load(DIGITS, { components: ["vision"] }));
  } finally {
    await runtime.close();
  }
}

test("a picture is the same as path, URL, text of a URL, bytes, buffer and blob", () =>
  withDigits(async (encoder) => {
    const folder = mkdtempSync(join(tmpdir(), "fovea pictures ä-"));
    try {
      const path = join(folder, "ein bild ö.png");
      copyFileSync(PICTURE, path);
      const bytes = new Uint8Array(readFileSync(path));
      const url = pathToFileURL(path);
      const images: ImageInput[] = [path, url, url.href, bytes, bytes.buffer, new Blob([bytes])];
      const { image_embeds } = await encoder.encode({ images });
      assert.deepEqual(image_embeds?.shape, [images.length, 64]);
      const rows = images.map((_, i) => [...(image_embeds?.data.subarray(64 * i, 64 * (i + 1)) ?? [])]);
      for (const row of rows) assert.deepEqual(row, rows[0]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }));

const BAD_PICTURES: readonly (readonly [unknown, RegExp])[] = [
  [PICTURE, /`images` must be a list of at least one picture; found ".*000-2\.png"/],
  [[], /found an empty list/],
  [[PICTURE, 3], /picture at position 1 of `images` must be a path.*found 3/],
  [[undefined], /position 0.*found undefined/],
  [[new Float32Array(4)], /found an object of type Float32Array/],
  [[{ width: 2, height: 2, channels: 4, data: new Uint8Array(16) }], /not RGB.*16 values.*2x2 with 4 channels/],
  [
    [{ width: 65536, height: 1, channels: 3, data: new Uint8Array(3 * 65536) }],
    /position 0 of `images` is 65536x1 pixels; a side has 65535 at most/,
  ],
];

test("what is no picture is named with its position", () =>
  withDigits(async (encoder) => {
    for (const [images, says] of BAD_PICTURES) {
      await assert.rejects(encoder.encode({ images: images as string[] }), hasCode("invalid_input", says));
    }
    await assert.rejects(encoder.encode({ images: [new Uint8Array(9)] }), (e: Error) =>
      /position 0 of `images` is not an image/.test(e.message),
    );
    const pixel_values = { dtype: "f32", shape: [1, 3, 32, 32], data: new Float32Array(3072) } as const;
    await assert.rejects(encoder.encode({ images: [PICTURE], pixel_values }), hasCode("invalid_input", /not both/));
  }));

/** A Qwen-VL of random weights, whose processor refuses what is more than 200 times as long as wide. */
async function withQwen(work: (encoder: Encoder, folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "fovea-named-"));
  const runtime = await openRuntime({ threads: 0 });
  try {
    const fixture = repositoryPath("test/fixtures/qwen2_5_vl");
    for (const name of readdirSync(fixture).filter((f) => /^(config|model).*\.(json|safetensors)$/.test(f)))
      copyFileSync(join(fixture, name), join(folder, name));
    const processor = "test/fixtures/preprocess/qwen2_vl/preprocessor_config.json";
    copyFileSync(repositoryPath(processor), join(folder, "preprocessor_config.json"));
    await work(await runtime.load(folder), folder);
  } finally {
    await runtime.close();
    rmSync(folder, { recursive: true });
  }
}

test("a picture that a processor does not take is named, by its path or its position in the whole call", () =>
  withQwen(async (encoder, folder) => {
    const [fine, long] = [noise(1, 30, 20), noise(2, 402, 2)];
    const says = (name: string): RegExp => new RegExp(`^${name} cannot be prepared: An image of 402x2 pixels is more`);
    const refused = (inputs: EncodeInputs, name: string): Promise<void> =>
      assert.rejects(encoder.encode(inputs), hasCode("image.shape", says(name)));
    await refused({ images: [fine, long] }, "The picture at position 1 of `images`");
    await refused({ images: [...Array<PixelImage>(33).fill(fine), long] }, "The picture at position 33 of `images`");
    await refused({ videos: [[long, long]] }, "The video at position 0 of `videos`");
    const path = join(folder, "long.png");
    writeFileSync(
      path,
      writePng({ width: 402, height: 2, colorType: 0, depth: 8 }, () => 7),
    );
    await refused({ images: [fine, path] }, path);
    await assert.rejects(
      encoder.readItems({ images: [long] }, {}, "mine.png"),
      hasCode("image.shape", says("mine\\.png")),
    );
  }));

test("a server that never answers is left when the caller aborts", async () => {
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/model`;
  const reason = new Error("no patience");
  const impatient = (): AbortSignal => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 20);
    return controller.signal;
  };
  try {
    await withDigits(async (encoder) => {
      await assert.rejects(encoder.encode({ images: [`${address}.png`] }, { signal: impatient() }), reason);
      assert.ok((await encoder.encode({ images: [PICTURE] })).image_embeds);
    });
    const runtime = await openRuntime({ threads: 0 });
    await assert.rejects(runtime.load(address, { signal: impatient() }), reason);
    await runtime.close();
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

test("loading and closing again and again gives all device memory back", async () => {
  const runtime = await openRuntime({ threads: 0 });
  for (let round = 0; round < 5; round++) {
    const encoder = await runtime.load(DIGITS);
    await encoder.encode({ images: [PICTURE], texts: ["a"] });
    encoder.close();
    assert.equal(runtime.stats().device.bytesInUse, 0);
  }
  await runtime.close();
});
