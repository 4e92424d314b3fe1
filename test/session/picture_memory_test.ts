/** Memory of decoded pictures: given back where nobody else can see the pixels, and left alone everywhere else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import sharp from "sharp";
import { detectHost } from "../../runtime/host/mod.ts";
import { createMediaReader } from "../../runtime/session/inputs/source.ts";
import { withProcessor } from "../kit/byte_towers.ts";
import { fixture } from "../media/media_kit.ts";

const LARGE = sharp(await fixture("astronaut.jpg")).resize(800, 600, { fit: "fill" });
const COLOURED = new Uint8Array(await LARGE.clone().jpeg().toBuffer());
const PNG = new Uint8Array(await LARGE.clone().png().toBuffer());

test("a picture that the native decoder read gives its memory back, once", async () => {
  const { image, release } = createMediaReader(await detectHost());
  const read = await image(COLOURED);
  assert.equal(read.data.length, 3 * 800 * 600);
  await release?.(read);
  assert.equal(read.data.length, 0);
  await release?.(read);
  const reduced = await image(COLOURED, { reduceJpeg: () => 2 });
  await release?.(reduced);
  assert.equal(reduced.data.length, 3 * 400 * 300, "so small that allocators keep it");
});

test("pixels of callers and pixels of other decoders stay", async () => {
  const { image, release } = createMediaReader(await detectHost());
  const read = await image(COLOURED);
  const given = await image({ ...read });
  assert.equal(given.data, read.data);
  await release?.(given);
  const other = await image(PNG);
  await release?.(other);
  assert.deepEqual([read.data.length, other.data.length], [3 * 800 * 600, 3 * 800 * 600]);
});

test("files, pixels and items give the same results as often as they are encoded", async () => {
  const config = { image_processor_type: "CLIPImageProcessor", size: { shortest_edge: 32 }, crop_size: 32 };
  await withProcessor("clip", config, async (encoder) => {
    const { image } = createMediaReader(await detectHost());
    const read = await image(COLOURED);
    const first = await encoder.encode({ images: [COLOURED, COLOURED] });
    const items = await encoder.readItems({ images: [COLOURED] });
    const [one] = await encoder.encodeItems(items);
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(await encoder.encode({ images: [COLOURED, COLOURED] }), first);
      assert.deepEqual(await encoder.encode({ images: [read, read] }), first);
      assert.deepEqual(await encoder.encodeItems(items), [one]);
    }
  });
});
