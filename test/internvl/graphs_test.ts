import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { internVLPlugin } from "../../plugins/internvl/plugin.ts";
import type { Tensor, TowerSpec } from "../../runtime/abi/encoder.ts";
import { hash32 } from "../../runtime/core/random.ts";
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

const FOLDERS = ["internvl", "internvl-sizes", "internvl-placeless", "internvl-projector"];

for (const name of FOLDERS) {
  testTowerFixture(internVLPlugin, name, "vision");
  testTowerOnDevice(name);
}

const folderOf = (name: string): string => join(FIXTURES, name);
const open = (name: string): TowerSpec =>
  towerOf(openModelOf(internVLPlugin, readJson(join(folderOf(name), "config.json"))), "vision");

/** The top left `height` x `width` pixels of image `at` alone. */
function cut(t: Tensor, at: number, height: number, width: number): Tensor {
  const [, planes, rows, columns] = t.shape;
  const data = Float32Array.from({ length: planes * height * width }, (_, i) => {
    const [x, y, plane] = [i % width, Math.floor(i / width) % height, Math.floor(i / (width * height))];
    return t.data[((at * planes + plane) * rows + y) * columns + x];
  });
  return { dtype: "f32", shape: [1, planes, height, width], data };
}

test("internvl: images give together what each gives alone, without what fills no patch", () => {
  const tower = open("internvl-sizes");
  const checkpoint = checkpointOf(folderOf("internvl-sizes"));
  for (let seed = 0; seed < 4; seed++) {
    const [rows, columns] = [1 + (hash32(seed, 0) % 5), 1 + (hash32(seed, 1) % 9)];
    const size = [14 * rows + (hash32(seed, 2) % 14), 14 * columns + (hash32(seed, 3) % 14)] as const;
    const { pixel_values } = tower.example({ batch: 2, seed, size });
    const { last_hidden_state: all } = evaluateTower(tower, { pixel_values }, tower.outputs, checkpoint);
    const tokens = 1 + rows * columns;
    assert.deepEqual(all.shape, [2, tokens, 32]);
    for (let i = 0; i < 2; i++) {
      const inputs = { pixel_values: cut(pixel_values, i, 14 * rows, 14 * columns) };
      const { last_hidden_state: alone } = evaluateTower(tower, inputs, tower.outputs, checkpoint);
      const own = { ...all, shape: alone.shape, data: all.data.slice(i * tokens * 32, (i + 1) * tokens * 32) };
      assert.equal(maxDifference(own, alone), 0);
    }
  }
});

test("internvl on wasm: very wide and high images", async () => {
  const tower = open("internvl-sizes");
  await withModel(modelFiles(folderOf("internvl-sizes")), async (encoder) => {
    for (const [batch, height, width] of [
      [1, 14, 14],
      [2, 15, 400],
      [1, 300, 30],
    ]) {
      const inputs = tower.example({ batch, seed: 2, size: [height, width] });
      const wanted = evaluateTower(tower, inputs, tower.outputs, checkpointOf(folderOf("internvl-sizes")));
      const found = (await encoder.encode(inputs)) as Readonly<Record<string, Tensor>>;
      for (const [name, want] of Object.entries(wanted)) {
        const apart = maxDifference(asRef(found[name]), want) / deviation(want);
        assert.ok(apart < 2e-5, `${height}x${width} ${name}: ${apart} standard deviations`);
      }
    }
  });
});

test("internvl: three structures in the published sizes, blocks in two ranges", () => {
  const config = { model_type: "internvl", vision_config: { image_size: [448, 448] }, text_config: {} };
  const tower = towerOf(openModelOf(internVLPlugin, config), "vision");
  const ranges = tower.components.map((c) => {
    const boxes = splitRanges(c.symbols, c.ranges ?? {}, { tag: c.tag });
    for (const box of boxes) assert.equal(buildGraph(box, c.build).outputs.length, 1);
    return [c.tag, c.instances.length, boxes.map((b) => (b.tokens === undefined ? 0 : b.tokens.max))];
  });
  assert.deepEqual(ranges, [
    ["internvl/vision.embed", 1, [0]],
    ["internvl/vision.block", 24, [1025, 65537]],
    ["internvl/vision.project", 1, [0]],
  ]);
});
