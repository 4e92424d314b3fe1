/** What memory holds is known before anything runs: it lowers the interval of a run, and `explain` says so. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Encoder, Tensor } from "../../mod.ts";
import type { ExampleOptions } from "../../runtime/abi/encoder.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import { limitRuns } from "../../runtime/session/towers/run_limit.ts";
import { FIXTURES } from "../clip/model_kit.ts";
import { withProcessor } from "../kit/byte_towers.ts";
import { callContext } from "../kit/call_context.ts";
import { loadedTower } from "../kit/loaded_tower.ts";
import { maxDifference } from "../kit/run_graph.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { asRef } from "../kit/tower_device.ts";

/** One for all, so that each structure is compiled once, and one range for each: there is no need of more here. */
const cache = createMemoryStore();

async function withEncoder(name: string, memory: number | undefined, work: (encoder: Encoder) => Promise<void>) {
  const runtime = await openRuntime({
    threads: 0,
    cache,
    compile: { base: { ranges: {} } },
    ...(memory === undefined ? {} : { memory }),
  });
  try {
    await work(await runtime.load(join(FIXTURES, name)));
  } finally {
    await runtime.close();
  }
}

const towerOf = (encoder: Encoder) => loadedTower(encoder, encoder.modalities[0]);

/** Bytes of the arena of one example. */
async function arenaOf(encoder: Encoder, sizes: Partial<ExampleOptions>): Promise<number> {
  const tower = towerOf(encoder);
  const inputs = tower.spec.example({ batch: 1, seed: 1, ...sizes });
  await tower.run({ inputs, outputs: tower.spec.outputs.slice(0, 1), context: callContext() });
  return tower.stats.arenaBytes;
}

/** Folder, symbol, size of an example, its options. */
const EXAMPLES: readonly (readonly [string, string, number, Partial<ExampleOptions>])[] = [
  ["qwen2_5_vl", "patches", 256, { grid: [1, 16, 16] }],
  ["pixtral", "patches", 256, { size: [128, 128] }],
  ["dinov2", "tokens", 257, { size: [224, 224] }],
  ["internvl", "tokens", 257, { size: [224, 224] }],
  ["smolvlm", "tokens", 324, { size: [144, 144] }],
  ["siglip2", "patches", 256, { grid: [1, 16, 16] }],
  ["clip", "batch", 40, { batch: 40 }],
];

for (const [name, symbol, size, options] of EXAMPLES) {
  test(`${name}: the largest run that the bytes of a run of ${size} ${symbol} allow is about that size`, async () => {
    await withEncoder(name, undefined, async (encoder) => {
      const bytes = await arenaOf(encoder, options);
      const { spec, components, limit } = towerOf(encoder);
      assert.equal(limit?.symbol, symbol);
      assert.equal(limit?.size, limit?.interval.max);
      const found = limitRuns(spec, components, bytes)?.size ?? 0;
      assert.ok(found >= 0.95 * size && found <= 1.05 * size, `${found} for ${size}`);
    });
  });
}

const grids = (sizes: readonly (readonly number[])[]): { hidden_states: Tensor; grid_thw: Tensor } => {
  const patches = sizes.reduce((n, [t, h, w]) => n + t * h * w, 0);
  const data = Float32Array.from({ length: patches * 1176 }, (_, i) => ((i * 7919) % 1000) / 500 - 1);
  return {
    hidden_states: { dtype: "f32", shape: [patches, 1176], data },
    grid_thw: { dtype: "i32", shape: [sizes.length, 3], data: Int32Array.from(sizes.flat()) },
  };
};

test("a memory budget lowers the patches of a run; explain says so, and larger requests run in packs", async () => {
  const request = grids([
    [1, 8, 10],
    [2, 12, 12],
    [1, 6, 14],
    [1, 16, 12],
  ]);
  let whole: Tensor | undefined;
  let weights = 0;
  let needed = 0;
  await withEncoder("qwen2_5_vl", undefined, async (encoder) => {
    weights = encoder.stats().device.bytesInUse;
    assert.match(encoder.explain(), /one run takes patches 4\.\.65536 \(.*\); the memory left .* holds the largest/);
    whole = (await encoder.encode(request)).pooler_output;
    needed = towerOf(encoder).stats.arenaBytes;
  });
  const sizes: number[] = [];
  for (const part of [0.9, 0.6, 0.45]) {
    const room = Math.ceil(part * needed);
    await withEncoder("qwen2_5_vl", weights + room, async (encoder) => {
      const { limit, stats } = towerOf(encoder);
      const size = limit?.size ?? 0;
      sizes.push(size);
      const text = new RegExp(
        `one run takes patches 4\\.\\.${size} of 4\\.\\.65536 .*: the memory left .* holds no more`,
      );
      assert.match(encoder.explain(), text);
      const { pooler_output } = await encoder.encode(request);
      assert.ok(stats.planned > 1);
      assert.ok(stats.arenaBytes <= room);
      assert.ok(maxDifference(asRef(pooler_output as Tensor), asRef(whole as Tensor)) < 1e-5);
    });
  }
  assert.ok(sizes[0] > sizes[1] && sizes[1] > sizes[2] && sizes[0] < 644, sizes.join());
});

test("the component of a second form that waits for its first use leaves the limit as it is", async () => {
  const sizes = {
    qwen2_5_vl: { min_pixels: 784, max_pixels: 784 * 4096 },
    clip: { size: { shortest_edge: 32 }, crop_size: 32 },
  };
  for (const [name, processor] of Object.entries(sizes)) {
    await withProcessor(name, processor, async (encoder) => {
      const { spec, components, limit } = loadedTower(encoder, "vision");
      const waiting = [...components.values()].filter((c) => c.artifacts.length === 0).map((c) => c.spec.tag);
      assert.ok(waiting.includes(`${name}/vision.embed`), waiting.join());
      assert.ok(limit !== undefined && limit.size > 1);
      const room = 1 << 19;
      const before = limitRuns(spec, components, room)?.size ?? 0;
      for (const { slots } of components.values()) {
        for (const slot of slots) await slot.obtain({ cause: "first use", dims: {} }, undefined);
      }
      const after = limitRuns(spec, components, room)?.size ?? 0;
      // Values of f32 take more room than bytes.
      assert.ok(after > 0 && after < before && before < limit.size, `${before}, then ${after}, of ${limit.size}`);
    });
  }
});

test("ranges that settings made lazy leave the limit unknown", async () => {
  const processor = { size: { shortest_edge: 32 }, crop_size: 32 };
  const lazy = { compile: { components: { "*": { lazy: true } } } };
  await withProcessor(
    "clip",
    processor,
    async (encoder) => assert.equal(encoder.tower("vision").limit, undefined),
    lazy,
  );
});

test("a memory budget lowers a batch before it is tried", async () => {
  let weights = 0;
  let needed = 0;
  await withEncoder("clip", undefined, async (encoder) => {
    weights = encoder.stats().device.bytesInUse;
    needed = await arenaOf(encoder, { batch: 40 });
  });
  await withEncoder("clip", weights + needed, async (encoder) => {
    const size = towerOf(encoder).limit?.size ?? 0;
    assert.ok(size >= 30 && size <= 50, String(size));
    assert.match(encoder.explain(), new RegExp(`one run takes batch 1\\.\\.${size} of 1\\.\\.64: `));
    assert.ok((await arenaOf(encoder, { batch: 64 })) <= needed);
  });
});
