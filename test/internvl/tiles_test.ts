/** Pictures through a model with its tiling processor: how the rows of results belong to the pictures. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Tensor } from "../../mod.ts";
import { modelFiles, withModel } from "../kit/tower_device.ts";
import { FIXTURES } from "../kit/tower_fixtures.ts";
import { noise } from "../media/media_kit.ts";

type Results = Readonly<Record<string, Tensor>>;

test("num_patches tells how many tiles each picture took, over batches of pictures too", async () => {
  const files = modelFiles(join(FIXTURES, "internvl-projector"));
  const { vision_config } = JSON.parse(new TextDecoder().decode(files.get("config.json")));
  const [side] = [vision_config.image_size].flat() as number[];
  const processor = {
    image_processor_type: "GotOcr2ImageProcessor",
    processor_class: "InternVLProcessor",
    size: { height: side, width: side },
    max_patches: 4,
  };
  files.set("preprocessor_config.json", new TextEncoder().encode(JSON.stringify(processor)));
  await withModel(files, async (encoder) => {
    const images = [noise(1, 4 * side, side), noise(2, 9, 8), noise(3, side, 3 * side)];
    const all = (await encoder.encode({ images })) as Results;
    assert.deepEqual([...all.num_patches.data], [5, 1, 4]);
    assert.equal(all.projected.shape[0], 10);
    let row = 0;
    for (const [i, image] of images.entries()) {
      const alone = (await encoder.encode({ images: [image] })) as Results;
      const size = all.projected.data.length / 10;
      const count = all.num_patches.data[i];
      const own = all.projected.data.subarray(row * size, (row + count) * size);
      assert.equal(alone.projected.data.length, own.length);
      assert.ok(own.every((v, k) => Math.abs(v - alone.projected.data[k]) < 1e-4));
      row += count;
    }
    // More pictures than are decoded at once.
    const many = Array.from({ length: 33 }, (_, i) => images[i % 3]);
    const counts = (await encoder.encode({ images: many }, { outputs: ["num_patches"] })) as Results;
    assert.deepEqual(
      [...counts.num_patches.data],
      many.map((_, i) => [5, 1, 4][i % 3]),
    );
    assert.deepEqual(Object.keys(counts), ["num_patches"]);
  });
});
