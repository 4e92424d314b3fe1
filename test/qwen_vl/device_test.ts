/** Towers, made up and in memory, on the WebAssembly device: grids and sizes that the fixtures do not reach. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Encoder, RuntimeOptions, Tensor } from "../../mod.ts";
import type { Tensors } from "../../runtime/abi/encoder.ts";
import { normal } from "../../runtime/core/random.ts";
import { type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { deviation, type Json } from "../clip/model_kit.ts";
import { evaluateTower } from "../kit/plan_evaluator.ts";
import { maxDifference } from "../kit/run_graph.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { noise } from "../media/media_kit.ts";
import {
  FAMILIES,
  f32,
  filesOf,
  gridSamples,
  gridTensor,
  qwenTowerOf,
  randomCheckpoint,
  smallConfig,
} from "./model_kit.ts";

const asRef = (t: Tensor): RefTensor => refTensor(t.dtype, t.shape, t.data);

async function withModel<T>(
  files: ReadonlyMap<string, Uint8Array>,
  options: RuntimeOptions,
  work: (e: Encoder) => Promise<T>,
): Promise<T> {
  const runtime = await openRuntime({ threads: 0, ...options });
  try {
    return await work(await runtime.load(files));
  } finally {
    await runtime.close();
  }
}

function inputsOf(sizes: readonly (readonly number[])[]): Record<"hidden_states" | "grid_thw", Tensor> {
  const patches = sizes.reduce((n, [t, h, w]) => n + t * h * w, 0);
  return { hidden_states: f32([patches, 4], (i) => normal(3, i)), grid_thw: gridTensor(sizes) };
}

async function equalsEvaluator(encoder: Encoder, config: Json, inputs: Tensors): Promise<void> {
  const tower = qwenTowerOf(config);
  const wanted = evaluateTower(tower, inputs, tower.outputs, randomCheckpoint);
  const found = (await encoder.encode(inputs)) as Readonly<Record<string, Tensor>>;
  assert.deepEqual(Object.keys(found).sort(), [...tower.outputs].sort());
  for (const [name, want] of Object.entries(wanted)) {
    const apart = maxDifference(asRef(found[name]), want) / deviation(want);
    assert.ok(apart < 2e-5, `${name}: ${apart} standard deviations`);
  }
}

for (const family of FAMILIES) {
  test(`${family} on wasm equals the evaluator on images and videos of many grids`, async () => {
    const config = smallConfig(family);
    await withModel(filesOf(config), {}, async (encoder) => {
      for (const sizes of gridSamples(2, 2)) await equalsEvaluator(encoder, config, inputsOf(sizes));
    });
  });
}

const LONG = [
  [1, 6, 8],
  [3, 4, 4],
  [1, 2, 2],
  [1, 10, 6],
  [4, 2, 6],
];

test("qwen_vl on wasm: a request larger than one run is encoded in packs", async () => {
  for (const family of FAMILIES) {
    const config = smallConfig(family);
    const processor = { patch_size: 2, size: { shortest_edge: 16, longest_edge: 16 } };
    await withModel(filesOf(config, processor), {}, async (encoder) => {
      assert.equal(encoder.tower("vision").spec.components[0].symbols.patches.max, 64);
      await equalsEvaluator(encoder, config, inputsOf(LONG));
      const wide = inputsOf([[1, 2, 40]]);
      await assert.rejects(encoder.encode(wide), /A frame of 2x40 = 80 patches is larger than .* 64 patches/);
    });
  }
});

test("qwen_vl on wasm: a request that memory does not hold is encoded in packs, a frame that it does not hold is refused", async () => {
  const config = smallConfig("qwen2_5_vl", { intermediate_size: 4000 });
  const files = filesOf(config);
  const { weights, arena } = await withModel(files, {}, async (encoder) => {
    const before = encoder.stats().device.bytesInUse;
    await encoder.encode(inputsOf([[1, 6, 8]]));
    return { weights: before, arena: encoder.stats().towers.vision?.arenaBytes ?? 0 };
  });
  await withModel(files, { memory: weights + Math.ceil(1.6 * arena) }, async (encoder) => {
    await equalsEvaluator(encoder, config, inputsOf(LONG));
    const inUse = encoder.stats().device.bytesInUse;
    await assert.rejects(encoder.encode(inputsOf([[1, 40, 40]])), { code: "out_of_memory" });
    assert.ok(encoder.stats().device.bytesInUse <= inUse);
    await equalsEvaluator(encoder, config, inputsOf([[2, 4, 4]]));
  });
});

test("qwen_vl on wasm: pictures of several sizes", async () => {
  const config = smallConfig("qwen3_vl", { in_channels: 3, temporal_patch_size: 2 });
  const processor = { patch_size: 2, min_pixels: 16, max_pixels: 400 };
  await withModel(filesOf(config, processor), {}, async (encoder) => {
    const images = [noise(1, 30, 9), noise(2, 4, 4), noise(3, 7, 40)];
    const { pooler_output: all } = await encoder.encode({ images });
    const alone: Tensor[] = [];
    for (const image of images) alone.push((await encoder.encode({ images: [image] })).pooler_output as Tensor);
    const rows = alone.reduce((n, t) => n + t.shape[0], 0);
    assert.deepEqual(all?.shape, [rows, 12]);
    const joined = Float32Array.from(alone.flatMap((t) => [...t.data]));
    assert.ok(maxDifference(asRef(all as Tensor), refTensor("f32", [rows, 12], joined)) < 1e-5);
    // Blocks of 4x4 pixels: 8x2, 1x1 and 2x10 of them.
    assert.deepEqual(
      alone.map((t) => t.shape[0]),
      [16, 1, 20],
    );
  });
});
