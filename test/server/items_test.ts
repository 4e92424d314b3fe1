/** Inputs of several callers in one call give what each gives alone; and embeddings in the forms of language models. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { EncodeItem, Encoder, Tensor } from "../../mod.ts";
import { createApp, encodeTorch } from "../../runtime/server/mod.ts";
import { embedsOutputs, embedsPart } from "../../runtime/server/vllm.ts";
import { hasCode } from "../kit/assertions.ts";
import { apart, PROCESSOR, QWEN_PROCESSOR, TOLERANCE, withProcessor } from "../kit/byte_towers.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { DIGITS, dataUri, TWO } from "./served.ts";

/** RGB noise of a size. */
const picture = (width: number, height: number, seed: number) => ({
  ...{ width, height },
  channels: 3 as const,
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 7919 + seed * 104729) % 251),
});

type Results = Readonly<Record<string, Tensor>>;

/** Items together against each by itself, in every result. */
async function compare(encoder: Encoder, items: readonly EncodeItem[], alone: readonly Results[]): Promise<void> {
  const together = await encoder.encodeItems(items);
  assert.equal(together.length, alone.length);
  for (const [i, wanted] of alone.entries()) {
    assert.deepEqual(Object.keys(together[i]).sort(), Object.keys(wanted).sort());
    for (const [name, tensor] of Object.entries(wanted)) {
      const found = together[i][name];
      assert.deepEqual(found.shape, tensor.shape, `${name} of item ${i}`);
      if (tensor.dtype === "f32") assert.ok(apart(found, tensor).difference <= TOLERANCE, `${name} of item ${i}`);
      else assert.deepEqual(found.data, tensor.data);
    }
  }
}

test("pictures of any size and texts of one length share a call with the results of their own", async () => {
  const runtime = await openRuntime({ threads: 0 });
  try {
    const encoder = await runtime.load(DIGITS);
    const images = [picture(32, 32, 1), picture(50, 40, 2), picture(7, 90, 3)];
    const texts = ["a photo of two", "a photo of six", "seven"];
    const items = await encoder.readItems({ images, texts });
    assert.deepEqual(
      items.map(({ modality, rows }) => [modality, rows]),
      [...images.map(() => ["vision", 1]), ...texts.map(() => ["text", 1])],
    );
    assert.equal(new Set(items.slice(0, 3).map((i) => i.form)).size, 1);
    assert.deepEqual([items[3].form === items[4].form, items[3].form === items[5].form], [true, false]);
    const pictures: Results[] = [];
    for (const image of images) pictures.push((await encoder.encode({ images: [image] })) as Results);
    await compare(encoder, items.slice(0, 3), pictures);
    const two: Results[] = [];
    for (const text of texts.slice(0, 2)) two.push((await encoder.encode({ texts: [text] })) as Results);
    await compare(encoder, items.slice(3, 5), two);
    await assert.rejects(
      encoder.encodeItems(items),
      hasCode("invalid_input", /Items of one call have one form; found vision/),
    );
    await assert.rejects(
      encoder.readItems({ videos: [[picture(8, 8, 1)]] }),
      hasCode("invalid_input", /takes no `videos`|Videos cannot share a call/),
    );
    assert.deepEqual(await encoder.encodeItems([]), []);
  } finally {
    await runtime.close();
  }
});

/** Pictures alone, all in one call, and those that are cut as they are read in one. */
async function compareSizes(encoder: Encoder, sides: readonly (readonly [number, number])[]): Promise<void> {
  const images = sides.map(([width, height], i) => picture(width, height, i + 1));
  const items = await encoder.readItems({ images });
  assert.equal(new Set(items.map(({ form }) => form)).size, 1);
  const alone: Results[] = [];
  for (const image of images) alone.push((await encoder.encode({ images: [image] })) as Results);
  await compare(encoder, items, alone);
  await compare(encoder, items.slice(0, -1), alone.slice(0, -1));
  for (const [i, { bytes }] of items.entries()) assert.ok(bytes >= images[i].data.length, "bytes that it holds");
}

test("pictures that are cut as they are read share calls with larger ones", async () => {
  const runtime = await openRuntime({ threads: 0 });
  try {
    // More than one run takes, the last one too large to be cut at once.
    const sides = Array.from({ length: 40 }, (_, i) => [5 + i, 60 - i] as const);
    await compareSizes(await runtime.load(DIGITS), [...sides, [300, 200]]);
  } finally {
    await runtime.close();
  }
  const small = [
    [28, 28],
    [30, 28],
    [80, 60],
  ] as const;
  await withProcessor("qwen2_5_vl", QWEN_PROCESSOR, (encoder) => compareSizes(encoder, small));
});

test("pictures whose results have other shares of the rows than their tiles share a call", () => {
  const config = JSON.parse(readFileSync(repositoryPath("test/fixtures/llava_next/config.json"), "utf8"));
  const { image_grid_pinpoints } = config;
  const processor = { ...PROCESSOR, size: { shortest_edge: 24 }, crop_size: 24, image_grid_pinpoints };
  const sides = [
    [48, 48],
    [7, 90],
    [90, 40],
    [60, 50],
  ] as const;
  return withProcessor("llava_next", processor, (encoder) => compareSizes(encoder, sides));
});

test("what a processor tells beside a tower's inputs stays with its picture", async () => {
  const folder = repositoryPath("test/fixtures/preprocess/internvl");
  const processor = JSON.parse(readFileSync(join(folder, "preprocessor_config.json"), "utf8"));
  // A tile each, cut as it is read; several tiles; both in turns.
  await withProcessor("internvl", processor, async (encoder) => {
    for (const sizes of [
      [[1, 1]],
      [
        [20, 20],
        [30, 30],
      ],
      [[90, 60]],
    ] as const) {
      const images = sizes.map(([width, height], i) => picture(width, height, i + 1));
      const items = await encoder.readItems({ images });
      const alone: Results[] = [];
      for (const image of images) alone.push((await encoder.encode({ images: [image] })) as Results);
      await compare(encoder, items, alone);
      const [{ num_patches: count, ...others }] = await encoder.encodeItems([items[0]], { outputs: ["num_patches"] });
      assert.deepEqual([count, others], [alone[0].num_patches, {}]);
    }
  });
});

test("packed patches are shared out by picture, with grids, as vLLM takes them", () =>
  withProcessor("qwen2_5_vl", QWEN_PROCESSOR, async (encoder) => {
    const images = [picture(80, 60, 1), picture(60, 112, 2), picture(56, 56, 3)];
    const items = await encoder.readItems({ images });
    assert.equal(new Set(items.map(({ form }) => form)).size, 1);
    assert.equal(new Set(items.map(({ rows }) => rows)).size > 1, true);
    const alone: Results[] = [];
    for (const image of images) alone.push((await encoder.encode({ images: [image] })) as Results);
    await compare(encoder, items, alone);
    await assert.rejects(
      encoder.readItems({ videos: [[picture(56, 56, 1), picture(56, 56, 2)]] }),
      hasCode("invalid_input", /Videos cannot share a call with others' inputs/),
    );
    // The content part: tokens of the language model's width, and the grid as [3] of i64.
    assert.deepEqual(embedsOutputs(encoder.modelType), ["pooler_output", "image_grid_thw"]);
    const { image_embeds: part } = embedsPart(encoder.modelType, alone[0], "f32") as {
      image_embeds: { image_embeds: string; image_grid_thw: string };
    };
    const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));
    const { pooler_output, image_grid_thw } = alone[0];
    assert.equal(pooler_output.shape[1], 48);
    assert.equal(
      pooler_output.shape[0] * 4,
      Array.from(image_grid_thw.data).reduce((a, b) => a * b, 1),
    );
    assert.deepEqual(bytes(part.image_embeds), encodeTorch(pooler_output));
    const grid = BigInt64Array.from(image_grid_thw.data, BigInt);
    assert.deepEqual(bytes(part.image_grid_thw), encodeTorch({ dtype: "i64", shape: [3], data: grid }));
  }));

test("what tells of videos is no result of pictures, and what tells of pictures none of videos", () =>
  withProcessor("qwen2_5_vl", QWEN_PROCESSOR, async (encoder) => {
    const images = [picture(56, 56, 1)];
    const none = hasCode(
      "invalid_input",
      /^There is no output "video_grid_thw"; these inputs give pooler_output, last_hidden_state, image_grid_thw\./,
    );
    for (const outputs of [["video_grid_thw"], ["pooler_output", "video_grid_thw"]]) {
      await assert.rejects(encoder.encode({ images }, { outputs }), none);
      await assert.rejects(encoder.encodeItems(await encoder.readItems({ images }), { outputs }), none);
    }
    const whole = await encoder.encode({ images });
    assert.deepEqual(Object.keys(whole).sort(), ["image_grid_thw", "last_hidden_state", "pooler_output"]);
    const [item] = await encoder.encodeItems(await encoder.readItems({ images }));
    assert.deepEqual(Object.keys(item).sort(), ["image_grid_thw", "last_hidden_state", "pooler_output"]);
    const runtime = await openRuntime({ threads: 0 });
    const app = createApp({ runtime, models: { qwen: { encoder } } });
    await app.ready;
    const uri = dataUri(TWO);
    const ask = (more: object): Promise<Response> =>
      Promise.resolve(
        app.request("/v1/encode", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ images: [uri], ...more }),
        }),
      );
    const refused = await ask({ outputs: ["video_grid_thw"], format: "safetensors" });
    assert.equal(refused.status, 400);
    assert.match(await refused.text(), /There is no output \\"video_grid_thw\\"/);
    const { data } = (await (await ask({})).json()) as { data: { outputs: object }[] };
    assert.deepEqual(Object.keys(data[0].outputs).sort(), ["image_grid_thw", "last_hidden_state", "pooler_output"]);
    app.close();
    await runtime.close();
  }));

test("tiles are shared out by picture, and are one list of tokens for a language model", () =>
  withProcessor(
    "llama4",
    {
      ...PROCESSOR,
      image_processor_type: "Llama4ImageProcessor",
      size: { height: 56, width: 56 },
      max_patches: 4,
      resize_to_max_canvas: false,
    },
    async (encoder) => {
      const images = [picture(56, 56, 1), picture(112, 56, 2)];
      const items = await encoder.readItems({ images });
      const alone: Results[] = [];
      for (const image of images) alone.push((await encoder.encode({ images: [image] })) as Results);
      await compare(encoder, items, alone);
      assert.deepEqual(embedsOutputs(encoder.modelType), ["projected"]);
      const { projected } = alone[1];
      assert.ok(items[1].rows > items[0].rows);
      assert.equal(projected.shape.at(-1), 48);
      const part = embedsPart(encoder.modelType, alone[1], "f32");
      const flat = { ...projected, shape: [projected.data.length / 48, 48] };
      assert.ok(part.image_embeds === Buffer.from(encodeTorch(flat)).toString("base64"));
    },
  ));

test("what cannot be read is said before anything is shared", async () => {
  const runtime = await openRuntime({ threads: 0 });
  try {
    const encoder = await runtime.load(DIGITS, { components: ["vision"] });
    const bad = new Uint8Array(readFileSync(join(DIGITS, "config.json")));
    await assert.rejects(
      encoder.readItems({ images: [bad] }),
      hasCode("image.unknown", /The picture at position 0 of `images` is not an image/),
    );
    await assert.rejects(
      encoder.readItems({ images: [bad] }, {}, "The input"),
      hasCode("image.unknown", /^The input is not/),
    );
    await assert.rejects(encoder.readItems({ texts: ["x"] }), hasCode("no_component", /"text" component/));
    const tensor = { dtype: "f32", shape: [1, 3, 5, 5], data: new Float32Array(75) } as const;
    await assert.rejects(encoder.readItems({ pixel_values: tensor }), hasCode("invalid_input", /pixel_values/));
  } finally {
    await runtime.close();
  }
});
