/** Recordings through a model whose processor cuts them: how the rows of results belong to the recordings. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Tensor } from "../../mod.ts";
import type { AudioClip } from "../../runtime/abi/encoder.ts";
import { normal } from "../../runtime/core/random.ts";
import { modelFiles, withModel } from "../kit/tower_device.ts";
import { FIXTURES } from "../kit/tower_fixtures.ts";

type Results = Readonly<Record<string, Tensor>>;

const noise = (seconds: number, seed: number): AudioClip => ({
  sampleRate: 4000,
  channels: [Float32Array.from({ length: 4000 * seconds }, (_, i) => normal(seed, i) / 4)],
});

test("num_chunks tells how many chunks each recording took, over batches of recordings too", async () => {
  const files = modelFiles(join(FIXTURES, "voxtral"));
  // 40 frames a chunk, as the model takes them.
  const processor = { feature_size: 20, sampling_rate: 4000, hop_length: 100, chunk_length: 1 };
  files.set("preprocessor_config.json", new TextEncoder().encode(JSON.stringify(processor)));
  await withModel(files, async (encoder) => {
    const audio = [noise(2.5, 1), noise(1, 2), noise(18, 3)];
    const all = (await encoder.encode({ audio })) as Results;
    assert.deepEqual([...all.num_chunks.data], [3, 1, 18]);
    assert.deepEqual(all.projected.shape, [22, 5, 12]);
    assert.deepEqual(all.last_hidden_state.shape, [22, 20, 16]);
    // As recordings of several callers share a call.
    const items = await encoder.encodeItems(await encoder.readItems({ audio }));
    let row = 0;
    for (const [i, clip] of audio.entries()) {
      const { projected, num_chunks } = (await encoder.encode({ audio: [clip] })) as Results;
      assert.deepEqual([items[i].projected.shape, items[i].num_chunks], [projected.shape, num_chunks]);
      const count = all.num_chunks.data[i];
      const own = all.projected.data.subarray(row * 60, (row + count) * 60);
      assert.equal(projected.data.length, own.length);
      assert.ok(own.every((v, k) => Math.abs(v - projected.data[k]) < 1e-4));
      row += count;
    }
    const many = Array.from({ length: 33 }, (_, i) => audio[i % 2]);
    const counts = (await encoder.encode({ audio: many }, { outputs: ["num_chunks"] })) as Results;
    assert.deepEqual(
      [...counts.num_chunks.data],
      many.map((_, i) => [3, 1][i % 2]),
    );
    assert.deepEqual(Object.keys(counts), ["num_chunks"]);
  });
});
