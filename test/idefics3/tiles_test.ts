/** Pictures through a model with its tiling processor: how the rows of results belong to the pictures. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Tensor } from "../../mod.ts";
import { modelFiles, withModel } from "../kit/tower_device.ts";
import { FIXTURES } from "../kit/tower_fixtures.ts";
import { noise } from "../media/media_kit.ts";

type Results = Readonly<Record<string, Tensor>>;

test("smolvlm: rows and cols tell which tiles are each picture's", async () => {
  const files = modelFiles(join(FIXTURES, "smolvlm"));
  const processor = {
    image_processor_type: "SmolVLMImageProcessor",
    size: { longest_edge: 144 },
    max_image_size: { longest_edge: 48 },
  };
  files.set("preprocessor_config.json", new TextEncoder().encode(JSON.stringify(processor)));
  await withModel(files, async (encoder) => {
    const images = [noise(1, 200, 90), noise(2, 9, 8), noise(3, 48, 480)];
    const all = (await encoder.encode({ images })) as Results;
    assert.deepEqual([...all.rows.data], [2, 3, 3]);
    assert.deepEqual([...all.cols.data], [3, 3, 1]);
    assert.deepEqual(all.projected.shape, [7 + 10 + 4, 4, 24]);
    let row = 0;
    for (const [i, image] of images.entries()) {
      const alone = (await encoder.encode({ images: [image] })) as Results;
      const size = all.projected.data.length / 21;
      const count = all.rows.data[i] * all.cols.data[i] + 1;
      const own = all.projected.data.subarray(row * size, (row + count) * size);
      assert.equal(alone.projected.data.length, own.length);
      assert.ok(own.every((v, k) => Math.abs(v - alone.projected.data[k]) < 1e-4));
      row += count;
    }
    const counts = (await encoder.encode({ images }, { outputs: ["cols"] })) as Results;
    assert.deepEqual(Object.keys(counts), ["cols"]);
  });
});
