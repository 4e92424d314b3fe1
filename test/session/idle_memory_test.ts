/** What waits for the next run of its size is given up where another needs memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { withProcessor } from "../kit/byte_towers.ts";
import { noise } from "../media/media_kit.ts";

test("pictures take memory that only waits for the next run, so that they can be encoded again and again", async () => {
  const processor = { size: { shortest_edge: 32 }, crop_size: 32 };
  // As much as a run of the tower, about: both do not fit at once.
  const images = [noise(1, 400, 280), ...Array.from({ length: 39 }, (_, i) => noise(i + 2, 40, 33))];
  let room = 0;
  let expected: unknown;
  await withProcessor("clip", processor, async (encoder) => {
    const before = encoder.stats().device.bytesInUse;
    expected = (await encoder.encode({ images })).image_embeds;
    const { arenaBytes } = encoder.tower("vision").stats;
    const picture = 3 * 400 * 280;
    assert.ok(picture > arenaBytes / 2 && arenaBytes > picture / 2, `${picture} and ${arenaBytes} bytes`);
    room = before + Math.max(arenaBytes, picture) * 1.2;
  });
  const memory = Math.ceil(room);
  await withProcessor(
    "clip",
    processor,
    async (encoder) => {
      for (let i = 0; i < 3; i++) assert.deepEqual((await encoder.encode({ images })).image_embeds, expected);
      assert.ok(encoder.stats().device.bytesInUse <= memory);
    },
    { memory },
  );
});
