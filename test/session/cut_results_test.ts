/** Components that `granularity` joined give the same results for all sizes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Granularity, Tensors } from "../../mod.ts";
import type { ExampleOptions } from "../../runtime/abi/encoder.ts";
import { loadedTower } from "../kit/loaded_tower.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

/** Results of one tower for several sizes, the components that were called, and what was compiled after loading. */
async function results(name: string, granularity: Granularity, sizes: readonly Partial<ExampleOptions>[]) {
  const compile = { base: { granularity } };
  const runtime = await openRuntime({ threads: 0, target: "wasm-simd128", compile });
  const encoder = await runtime.load(repositoryPath(`test/fixtures/${name}`));
  const tower = loadedTower(encoder, encoder.modalities[0]);
  const values: Tensors[] = [];
  for (const more of sizes) {
    values.push((await encoder.encode(tower.spec.example({ batch: 1, seed: 3, ...more }))) as Tensors);
  }
  const tags = [...tower.components.keys()];
  const { weightBytes } = tower;
  const { recompiles } = runtime.stats();
  await runtime.close();
  return { values, tags, weightBytes, recompiles };
}

// Windows beside frames; blocks whose values others read; packed pictures; another number of tokens.
for (const [name, granularity, joined, sizes] of [
  ["vit", 2, "vit/vision.block x 2", [{}, { batch: 3 }]],
  ["qwen2_5_vl", 2, "qwen2_5_vl/vision.block x 2", [{ grid: [1, 4, 4] }, { grid: [1, 8, 12] }, { grid: [1, 12, 4] }]],
  [
    "qwen3_vl",
    "tower",
    "qwen3_vl/vision.embed to qwen3_vl/vision.merge (8)",
    [{ grid: [1, 4, 4] }, { grid: [1, 6, 8] }],
  ],
  ["bert", "tower", "bert/text.embed to bert/text.pool (4)", [{ tokens: 3 }, { tokens: 17, batch: 5 }]],
] as const) {
  test(`${name} with granularity ${granularity}: equal bits for all sizes, no more weights, nothing compiled later`, async () => {
    const plain = await results(name, "block", sizes);
    const cut = await results(name, granularity, sizes);
    assert.deepEqual(cut.values, plain.values);
    assert.equal(cut.weightBytes, plain.weightBytes);
    assert.deepEqual(cut.recompiles, []);
    assert.deepEqual(
      cut.tags.filter((tag) => !plain.tags.includes(tag)),
      [joined],
    );
  });
}
