/** The option that lets JPEG files be read at a reduced size: asked for, shown, without effect where it cannot be. */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import sharp from "sharp";
import type { PixelImage, Tensor } from "../../mod.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { jpegReduction } from "../../runtime/media/jpeg_reduction.ts";
import { pixelCut } from "../../runtime/media/pixel_cut.ts";
import { createMediaReader } from "../../runtime/session/inputs/source.ts";
import { hasCode } from "../kit/assertions.ts";
import { apart, withProcessor } from "../kit/byte_towers.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { fixture } from "../media/media_kit.ts";
import { DIGITS } from "../server/served.ts";

const PHOTO = await fixture("astronaut.jpg");
const CLIP = { image_processor_type: "CLIPImageProcessor", size: { shortest_edge: 32 }, crop_size: 32 };
const QWEN = { min_pixels: 784, max_pixels: 784 * 4 };

/** The photograph, 4 wide for 3 high. */
const WIDE = new Uint8Array(await sharp(PHOTO).resize(480, 360, { fit: "fill" }).jpeg({ quality: 90 }).toBuffer());

for (const [folder, processor] of [
  ["clip", CLIP],
  ["qwen2_5_vl", QWEN],
] as const) {
  test(`${folder} reads JPEG files at a reduced size when asked, to results of the same sizes`, async () => {
    await withProcessor(folder, processor, async (exact, runtime, files) => {
      const shrinks = await runtime.load(files, { components: ["vision"], jpegShrinkOnLoad: true });
      assert.deepEqual([exact.jpegShrinkOnLoad, shrinks.jpegShrinkOnLoad], [false, true]);
      const images = [WIDE, await fixture("coffee.png"), PHOTO];
      const wanted = (await exact.encode({ images })) as Readonly<Record<string, Tensor>>;
      const found = (await shrinks.encode({ images })) as Readonly<Record<string, Tensor>>;
      assert.equal(shrinks.stats().reducedJpegs, 2);
      assert.equal(exact.stats().reducedJpegs, 0);
      let differs = false;
      for (const [name, { dtype, shape, data }] of Object.entries(wanted)) {
        assert.deepEqual([found[name].dtype, found[name].shape], [dtype, shape], name);
        if (dtype !== "f32") assert.deepEqual(found[name].data, data, name);
        else {
          const { difference, cosine } = apart(found[name], wanted[name]);
          differs ||= difference > 0;
          assert.ok(cosine > 0.995, `${name}: cosine ${cosine}`);
        }
      }
      assert.ok(differs, "other pixels give other results");
      // Items, as a server packs them, are the same pictures.
      const items = await shrinks.readItems({ images: [WIDE] });
      const [item] = await shrinks.encodeItems(items);
      const alone = (await shrinks.encode({ images: [WIDE] })) as Readonly<Record<string, Tensor>>;
      for (const name of Object.keys(item)) assert.deepEqual(item[name], alone[name], name);
      assert.deepEqual(await exact.encode({ images: [PHOTO] }), await exact.encode({ images: [PHOTO] }));
    });
  });
}

test("pixels that say of what they are a reduction are taken as that, and checked", async () => {
  await withProcessor("clip", CLIP, async (_, runtime, files) => {
    const encoder = await runtime.load(files, { components: ["vision"] });
    const host = await detectHost();
    const small = await createMediaReader(host).image(WIDE, { reduceJpeg: () => 2 });
    assert.deepEqual(small.reducedFrom, { width: 480, height: 360, reduction: 2 });
    const { reducedFrom: _from, ...plain } = small;
    const asReduced = await encoder.encode({ images: [small] });
    assert.deepEqual(asReduced, await encoder.encode({ images: [plain] }), "even sides: the same geometry");
    const odd: PixelImage = { ...plain, reducedFrom: { width: 480, height: 363, reduction: 2 } };
    await assert.rejects(
      encoder.encode({ images: [odd] }),
      hasCode("invalid_input", /240x180 pixels and says that they are a reduction of 480x363 by 2; expected/),
    );
  });
});

test("without sharp, or a place for its file, pictures are read whole and that is said once", async () => {
  const host = await detectHost();
  const cut = pixelCut({ width: 480, height: 360 }, { size: { width: 48, height: 36 }, ...LIKE_HF });
  const reduceJpeg = (size: { readonly width: number; readonly height: number }) => jpegReduction(size, [cut]);
  const exact = await createMediaReader(host).image(WIDE);
  const said: string[] = [];
  const onProblem = (sentence: string): void => void said.push(sentence);
  const without = createMediaReader(host, { onProblem, loadDecoder: async () => undefined });
  const { data } = exact;
  for (let i = 0; i < 2; i++) assert.deepEqual((await without.image(WIDE, { reduceJpeg })).data.length, data.length);
  assert.equal(said.length, 1);
  assert.match(said[0], /^jpegShrinkOnLoad has no effect: the optional package sharp is not installed/);
  const before = process.env.TMPDIR;
  process.env.TMPDIR = "/there/is/no/such/folder";
  try {
    const placeless = createMediaReader(host, { onProblem });
    for (let i = 0; i < 2; i++) assert.deepEqual(await placeless.image(WIDE, { reduceJpeg }), exact);
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
  assert.equal(said.length, 2);
  assert.match(said[1], /^jpegShrinkOnLoad has no effect: sharp did not read a JPEG file at a reduced size/);
});

const LIKE_HF = { filter: "bicubic", arithmetic: "torchvision" } as const;

test("the option is checked like any other", async () => {
  const runtime = await openRuntime({ threads: 0 });
  try {
    await assert.rejects(
      runtime.load(DIGITS, { jpegShrinkOnLoad: "yes" as unknown as boolean }),
      hasCode("invalid_options", /`jpegShrinkOnLoad`.*true or false/),
    );
  } finally {
    await runtime.close();
  }
});
