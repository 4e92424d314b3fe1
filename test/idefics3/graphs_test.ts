import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { idefics3Plugin } from "../../plugins/idefics3/plugin.ts";
import type { Tensor, TowerSpec } from "../../runtime/abi/encoder.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import { evaluateTower } from "../kit/plan_evaluator.ts";
import { buildGraph, maxDifference } from "../kit/run_graph.ts";
import { asRef, modelFiles, testTowerOnDevice, withModel } from "../kit/tower_device.ts";
import {
  checkpointOf,
  deviation,
  FIXTURES,
  openModelOf,
  readJson,
  testTowerFixture,
  towerOf,
} from "../kit/tower_fixtures.ts";

for (const name of ["smolvlm", "idefics3-tower"]) {
  testTowerFixture(idefics3Plugin, name, "vision");
  testTowerOnDevice(name);
}

const open = (config: Readonly<Record<string, unknown>>): TowerSpec =>
  towerOf(openModelOf(idefics3Plugin, config), "vision");

test("idefics3 on wasm: very wide and high pictures", async () => {
  const folder = join(FIXTURES, "idefics3-tower");
  const config = readJson(join(folder, "config.json"));
  const tower = open(config);
  const checkpoint = checkpointOf(folder, openModelOf(idefics3Plugin, config));
  await withModel(modelFiles(folder), async (encoder) => {
    for (const [batch, height, width] of [
      [1, 8, 8],
      [2, 9, 400],
      [1, 300, 30],
    ]) {
      const inputs = tower.example({ batch, seed: 2, size: [height, width] });
      const { last_hidden_state: want } = evaluateTower(tower, inputs, tower.outputs, checkpoint);
      const found = (await encoder.encode(inputs)) as Readonly<Record<string, Tensor>>;
      const apart = maxDifference(asRef(found.last_hidden_state), want) / deviation(want);
      assert.ok(apart < 2e-5, `${height}x${width}: ${apart} standard deviations`);
    }
  });
});

test("idefics3: four structures in the published sizes, blocks in two ranges", () => {
  const vision_config = { hidden_size: 768, image_size: 512, num_attention_heads: 12, patch_size: 16 };
  const tower = open({ model_type: "smolvlm", vision_config, scale_factor: 4 });
  const ranges = tower.components.map((c) => {
    const boxes = splitRanges(c.symbols, c.ranges ?? {}, { tag: c.tag });
    for (const box of boxes) assert.equal(buildGraph(box, c.build).outputs.length, 1);
    return [c.tag, c.instances.length, boxes.map((b) => (b.tokens === undefined ? 0 : b.tokens.max))];
  });
  assert.deepEqual(ranges, [
    ["idefics3/vision.embed", 1, [0]],
    ["idefics3/vision.block", 12, [1024, 65536]],
    ["idefics3/vision.final", 1, [65536]],
    ["idefics3/vision.project", 1, [0]],
  ]);
});
