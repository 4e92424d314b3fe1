import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pixtralPlugin } from "../../plugins/pixtral/plugin.ts";
import type { Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { hash32, normal } from "../../runtime/core/random.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import type { RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import { evaluateTower } from "../kit/plan_evaluator.ts";
import { buildGraph, maxDifference } from "../kit/run_graph.ts";
import { asRef, modelFiles, testTowerOnDevice, withModel } from "../kit/tower_device.ts";
import { checkpointOf, FIXTURES, openModelOf, readJson, testTowerFixture, towerOf } from "../kit/tower_fixtures.ts";

const FOLDERS = ["pixtral", "pixtral-merge", "pixtral-llava"];

for (const name of FOLDERS) {
  testTowerFixture(pixtralPlugin, name, "vision");
  testTowerOnDevice(name);
}

const folderOf = (name: string): string => join(FIXTURES, name);
const open = (name: string): TowerSpec =>
  towerOf(openModelOf(pixtralPlugin, readJson(join(folderOf(name), "config.json"))), "vision");
const checkpoint = (name: string): ReturnType<typeof checkpointOf> =>
  checkpointOf(folderOf(name), { prefixes: ["", "model."] });

const f32 = (shape: readonly number[], at: (i: number) => number): Tensor => ({
  dtype: "f32",
  shape,
  data: Float32Array.from({ length: shape.reduce((a, d) => a * d, 1) }, (_, i) => at(i)),
});
const i32 = (shape: readonly number[], data: readonly number[]): Tensor => ({
  dtype: "i32",
  shape,
  data: Int32Array.from(data),
});

type Size = readonly [height: number, width: number];

/** Images of these sizes in one padded batch; `padding` fills what is not theirs. */
function packed(sizes: readonly Size[], padding: number, seed = 3): Tensors {
  const [height, width] = [0, 1].map((axis) => Math.max(...sizes.map((s) => s[axis])));
  const pixel_values = f32([sizes.length, 3, height, width], (i) => {
    const [x, y] = [i % width, Math.floor(i / width) % height];
    const image = Math.floor(i / (3 * width * height));
    const plane = Math.floor(i / (width * height));
    return y < sizes[image][0] && x < sizes[image][1] ? normal(seed + plane, y * 1024 + x) : padding;
  });
  return { pixel_values, image_sizes: i32([sizes.length, 2], sizes.flat()) };
}

/** Image `at` of a batch, cut to its size. */
function single({ pixel_values, image_sizes }: Tensors, at: number): Tensors {
  const [height, width] = image_sizes.data.subarray(2 * at, 2 * at + 2);
  const [, , rows, columns] = pixel_values.shape;
  return {
    pixel_values: f32([1, 3, height, width], (i) => {
      const [x, y] = [i % width, Math.floor(i / width) % height];
      const plane = 3 * at + Math.floor(i / (width * height));
      return pixel_values.data[(plane * rows + y) * columns + x];
    }),
  };
}

/** Values of both along the rows that hold patches or tokens. */
function joined(parts: readonly RefTensor[], like: RefTensor): RefTensor {
  const data = Float64Array.from(parts.flatMap((p) => [...p.data]));
  return { ...like, data };
}

test("pixtral: packed images give what each gives alone, whatever lies in their padding", () => {
  for (const name of ["pixtral-merge", "pixtral-llava"]) {
    const tower = open(name);
    const step = name === "pixtral-merge" ? 16 : 8;
    for (let seed = 0; seed < 3; seed++) {
      const side = (i: number): number => step * (1 + (hash32(seed, i) % 4));
      const sizes: Size[] = [
        [side(1), side(2)],
        [step, 5 * step],
        [side(3), side(4)],
      ];
      const inputs = packed(sizes, 0, seed);
      const all = evaluateTower(tower, inputs, tower.outputs, checkpoint(name));
      const loud = evaluateTower(tower, packed(sizes, 1e6, seed), tower.outputs, checkpoint(name));
      const alone = sizes.map((_, i) => evaluateTower(tower, single(inputs, i), tower.outputs, checkpoint(name)));
      for (const output of tower.outputs) {
        assert.equal(maxDifference(all[output], loud[output]), 0);
        const own = joined(
          alone.map((r) => r[output]),
          all[output],
        );
        assert.ok(maxDifference(own, all[output]) < 1e-12, `${name}, ${output}`);
      }
    }
  }
});

test("pixtral: the parts of a split request hold its images in order", () => {
  const tower = open("pixtral-llava");
  const inputs = packed(
    [
      [16, 24],
      [8, 8],
      [24, 8],
      [8, 40],
      [16, 16],
    ],
    0,
  );
  assert.ok(tower.split !== undefined);
  // 6, 1, 3, 5 and 4 patches.
  const parts = tower.split(inputs, 8);
  assert.deepEqual(
    parts.map((p) => [p.pixel_values.shape[0], [...p.image_sizes.data]]),
    [
      [2, [16, 24, 8, 8]],
      [2, [24, 8, 8, 40]],
      [1, [16, 16]],
    ],
  );
  const whole = evaluateTower(tower, inputs, tower.outputs, checkpoint("pixtral-llava"));
  const each = parts.map((p) => evaluateTower(tower, p, tower.outputs, checkpoint("pixtral-llava")));
  for (const output of tower.outputs) {
    const own = joined(
      each.map((r) => r[output]),
      whole[output],
    );
    assert.ok(maxDifference(own, whole[output]) < 1e-12);
  }
  assert.deepEqual(tower.joinAxes, { last_hidden_state: 1 });
  assert.deepEqual(tower.split(inputs, Number.POSITIVE_INFINITY), [inputs]);
  assert.throws(() => tower.split?.({ pixel_values: f32([1, 3, 4, 8], () => 0) }, 1), /no whole patch of 8x8/);
});

test("pixtral: requests are split at the images and the patches that components take", () => {
  const tower = open("pixtral");
  const counts = (images: number, height: number, width: number): readonly number[] => {
    // Shapes and sizes are all that splitting reads.
    const pixel_values: Tensor = {
      dtype: "f32",
      shape: [images, 3, height, width],
      data: new Float32Array(3 * height * width * images),
    };
    return (tower.split?.({ pixel_values }, Number.POSITIVE_INFINITY) ?? []).map((p) => p.pixel_values.shape[0]);
  };
  assert.deepEqual(counts(256, 8, 8), [256]);
  assert.deepEqual(counts(300, 8, 8), [256, 44]);
  // 256 x 100 patches each: two images are within 65,536, three are not.
  assert.deepEqual(counts(3, 2048, 800), [2, 1]);
});

test("pixtral on wasm: more images than one run takes give what each gives alone", async () => {
  await withModel(modelFiles(folderOf("pixtral-merge")), async (encoder) => {
    const sizes: Size[] = Array.from({ length: 260 }, (_, i) => [16 * (1 + (i % 2)), 16 * (1 + (i % 3))]);
    const inputs = packed(sizes, 0);
    const all = await encoder.encode(inputs);
    const tokens = sizes.map(([h, w]) => (h * w) / 256);
    const total = tokens.reduce((a, b) => a + b, 0);
    const { projected, last_hidden_state } = all as Readonly<Record<string, Tensor>>;
    assert.deepEqual(
      [projected.shape, last_hidden_state.shape],
      [
        [total, 24],
        [1, 4 * total, 32],
      ],
    );
    for (const i of [0, 254, 255, 256, 259]) {
      const alone = (await encoder.encode(single(inputs, i))) as Readonly<Record<string, Tensor>>;
      const from = tokens.slice(0, i).reduce((a, b) => a + b, 0);
      const part = (t: Tensor, width: number): RefTensor => ({
        ...asRef(t),
        shape: [tokens[i] * width],
        data: asRef(t).data.slice(from * width, (from + tokens[i]) * width),
      });
      const flat = (t: Tensor): RefTensor => ({ ...asRef(t), shape: [t.data.length] });
      assert.ok(maxDifference(part(projected, 24), flat(alone.projected)) < 1e-5);
      assert.ok(maxDifference(part(last_hidden_state, 4 * 32), flat(alone.last_hidden_state)) < 1e-5);
    }
  });
});

test("pixtral: three structures in the published sizes, blocks in three ranges", () => {
  const config = { model_type: "mistral3", vision_config: { patch_size: 14, image_size: 1540 }, text_config: {} };
  const tower = towerOf(openModelOf(pixtralPlugin, config), "vision");
  const ranges = tower.components.map((c) => {
    const boxes = splitRanges(c.symbols, c.ranges ?? {}, { tag: c.tag });
    for (const box of boxes) assert.equal(buildGraph(box, c.build).outputs.length, 1);
    return [c.tag, c.instances.length, boxes.length];
  });
  assert.deepEqual(ranges, [
    ["pixtral/vision.embed", 1, 1],
    ["pixtral/vision.block", 24, 3],
    ["pixtral/vision.project", 1, 1],
  ]);
});
