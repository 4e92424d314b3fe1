import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import { hash32, normal } from "../../runtime/core/random.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import type { RefTensor } from "../../runtime/ir/evaluate/mod.ts";
import { deviation, FIXTURES, type Json, readJson } from "../clip/model_kit.ts";
import { evaluateTower } from "../kit/plan_evaluator.ts";
import { readSafetensors } from "../kit/read_safetensors.ts";
import { maxDifference, tensorOf } from "../kit/run_graph.ts";
import {
  checkpointOf,
  FAMILIES,
  f32,
  gridSamples,
  gridTensor,
  qwenTowerOf,
  randomCheckpoint,
  rowsOf,
  smallConfig,
  stacked,
} from "./model_kit.ts";

const TOLERANCE = 2e-5;

const configOf = (family: string): Json => readJson(join(FIXTURES, family, "config.json"));

function near(name: string, found: RefTensor, expected: RefTensor): void {
  const apart = maxDifference(found, expected) / deviation(expected);
  assert.ok(apart <= TOLERANCE, `${name}: ${apart} standard deviations`);
}

for (const family of FAMILIES) {
  test(`${family} equals every reference case`, () => {
    const tower = qwenTowerOf(configOf(family));
    const files = readdirSync(join(FIXTURES, family)).filter((file) => /^case-.*\.safetensors$/.test(file));
    assert.ok(files.length >= 2);
    for (const file of files) {
      const tensors = readSafetensors(join(FIXTURES, family, file));
      const get = (name: string): Tensor => tensorOf(tensors.get(name) as RefTensor);
      const inputs = { hidden_states: get("input.hidden_states"), grid_thw: get("input.grid_thw") };
      const names = [...tensors.keys()].filter((n) => n.startsWith("output.")).map((n) => n.slice(7));
      assert.deepEqual([...names].sort(), [...tower.outputs].sort());
      const found = evaluateTower(tower, inputs, names, checkpointOf(family));
      for (const name of names) near(`${file} ${name}`, found[name], tensors.get(`output.${name}`) as RefTensor);
    }
  });

  test(`${family} equals the reference on other grids, with frequencies in f32`, () => {
    const { dtype: _, ...config } = configOf(family);
    const tower = qwenTowerOf(config);
    const folder = join(FIXTURES, "qwen_vl_grids");
    const expected = readSafetensors(join(folder, `${family}.safetensors.br`));
    const grids = JSON.parse(readFileSync(join(folder, "grids.json"), "utf8")) as Record<
      string,
      { case: string; grid_thw: number[][] }
    >;
    let compared = 0;
    for (const [name, { case: file, grid_thw }] of Object.entries(grids)) {
      const tensors = readSafetensors(join(FIXTURES, family, `case-${file}.safetensors`));
      const pixel_values = tensorOf(tensors.get("input.hidden_states") as RefTensor);
      const inputs = { pixel_values, image_grid_thw: gridTensor(grid_thw) };
      const found = evaluateTower(tower, inputs, tower.outputs, checkpointOf(family));
      for (const output of tower.outputs) {
        near(`${name} ${output}`, found[output], expected.get(`${name}.${output}`) as RefTensor);
        compared++;
      }
    }
    assert.equal(compared, expected.size);
  });
}

function inputsOf(sizes: readonly (readonly number[])[], seed = 1): { hidden_states: Tensor; grid_thw: Tensor } {
  const patches = sizes.reduce((n, [t, h, w]) => n + t * h * w, 0);
  return { hidden_states: f32([patches, 4], (i) => normal(seed, i)), grid_thw: gridTensor(sizes) };
}

for (const family of FAMILIES) {
  test(`${family}: a batch of images and videos gives what each gives alone, and each frame alone`, () => {
    const tower = qwenTowerOf(smallConfig(family));
    for (const sizes of [...gridSamples(2, 1), ...gridSamples(2, 3).slice(-2)]) {
      const inputs = inputsOf(sizes);
      const all = evaluateTower(tower, inputs, tower.outputs, randomCheckpoint);
      let from = 0;
      const frames = sizes.flatMap(([t, h, w]) => Array.from({ length: t }, () => [1, h, w]));
      const singles = frames.map(([t, h, w]) => {
        const hidden_states = rowsOf(inputs.hidden_states, from, from + t * h * w);
        from += t * h * w;
        return evaluateTower(
          tower,
          { hidden_states, grid_thw: gridTensor([[t, h, w]]) },
          tower.outputs,
          randomCheckpoint,
        );
      });
      for (const name of tower.outputs) {
        const joined = stacked(singles.map((s) => s[name]));
        assert.ok(maxDifference(all[name], joined) < 1e-6, `${name} of ${JSON.stringify(sizes)}`);
      }
    }
  });
}

test("qwen_vl: patches see neither other images nor, in windowed layers, other windows", () => {
  const seen = (tower: TowerSpec, sizes: readonly (readonly number[])[], patch: number): number[] => {
    const inputs = inputsOf(sizes);
    const before = evaluateTower(tower, inputs, ["pooler_output"], randomCheckpoint).pooler_output;
    const data = Float32Array.from(inputs.hidden_states.data);
    for (let i = 0; i < 4; i++) data[4 * patch + i] += 1;
    const changed = { ...inputs, hidden_states: { ...inputs.hidden_states, data } };
    const after = evaluateTower(tower, changed, ["pooler_output"], randomCheckpoint).pooler_output;
    const [units, width] = before.shape;
    return Array.from({ length: units }, (_, u) => u).filter((u) =>
      Array.from({ length: width }, (_, i) => u * width + i).some((i) => before.data[i] !== after.data[i]),
    );
  };
  const sizes = [
    [1, 6, 6],
    [2, 4, 2],
  ];
  const whole = [0, 1, 2, 3, 4, 5, 6, 7, 8];
  assert.deepEqual(seen(qwenTowerOf(smallConfig("qwen2_vl")), sizes, 5), whole);
  assert.deepEqual(seen(qwenTowerOf(smallConfig("qwen3_vl")), sizes, 36), [9, 10]);
  assert.deepEqual(seen(qwenTowerOf(smallConfig("qwen2_5_vl")), sizes, 44), [11, 12]);
  const windowed = qwenTowerOf(smallConfig("qwen2_5_vl", { fullatt_block_indexes: [] }));
  // Units in rows of 3, windows of 2x2: the first, the right edge, the corner.
  assert.deepEqual(seen(windowed, sizes, 0), [0, 1, 3, 4]);
  assert.deepEqual(seen(windowed, sizes, 4 * 5), [2, 5]);
  assert.deepEqual(seen(windowed, sizes, 35), [8]);
});

test("qwen_vl plan: only the calls that the wanted outputs need, with their segments", () => {
  const tower = qwenTowerOf(smallConfig("qwen2_5_vl"));
  const shapesOf = (t: TowerSpec, sizes: readonly (readonly number[])[]): Record<string, readonly number[]> =>
    Object.fromEntries(Object.entries(t.prepare(inputsOf(sizes))).map(([name, { shape }]) => [name, shape]));
  const shapes = shapesOf(tower, [
    [2, 6, 4],
    [1, 2, 2],
  ]);
  const plan = tower.plan(shapes, ["last_hidden_state"]);
  const calls = plan.calls.map(({ tag, instance, dims }) => [tag, instance, dims]);
  const block = "qwen2_5_vl/vision.block";
  assert.deepEqual(calls, [
    ["qwen2_5_vl/vision.embed", "", { patches: 52 }],
    [block, "blocks.0.", { patches: 52, segments: 5, longest_segment: 16 }],
    [block, "blocks.1.", { patches: 52, segments: 3, longest_segment: 24 }],
  ]);
  assert.deepEqual(plan.results, { last_hidden_state: "hidden_states.2" });
  const tags = (t: TowerSpec, wanted: readonly string[]): string[] =>
    t.plan(shapesOf(t, [[1, 4, 4]]), wanted).calls.map((c) => `${c.tag.replace(/^.*\./, "")} ${c.instance}`);
  assert.deepEqual(tags(tower, ["pooler_output"]).slice(3), ["merge merger."]);
  const deep = qwenTowerOf(smallConfig("qwen3_vl"));
  assert.deepEqual(deep.outputs, [
    "pooler_output",
    "deepstack_features.0",
    "deepstack_features.1",
    "last_hidden_state",
  ]);
  assert.deepEqual(tags(deep, ["deepstack_features.1"]).slice(3), ["deepstack deepstack_merger_list.0."]);
  const { calls: all } = deep.plan(shapesOf(deep, [[1, 4, 4]]), deep.outputs);
  const merged = all.filter((c) => c.tag.endsWith("deepstack")).map((c) => [c.instance, c.inputs.hidden_states]);
  assert.deepEqual(merged, [
    ["deepstack_merger_list.1.", "hidden_states.1"],
    ["deepstack_merger_list.0.", "hidden_states.2"],
  ]);
  const key = (sizes: readonly (readonly number[])[], wanted: readonly string[]): string =>
    tower.plan(shapesOf(tower, sizes), wanted).key;
  const keys = [
    key([[1, 4, 4]], ["pooler_output"]),
    key([[1, 2, 8]], ["pooler_output"]),
    key([[2, 2, 4]], ["pooler_output"]),
    key([[1, 4, 4]], ["last_hidden_state"]),
  ];
  assert.equal(new Set(keys).size, 4);
  assert.throws(
    () => tower.plan(shapes, ["deepstack_features.0"]),
    (e: FoveaError) =>
      e.code === "invalid_input" && /this tower gives pooler_output, last_hidden_state/.test(e.message),
  );
});

test("qwen_vl plan: every component's ranges are valid; blocks split at the window", () => {
  const ranges = (tower: TowerSpec, tag: string): readonly string[] =>
    tower.components
      .filter((c) => c.tag === tag)
      .flatMap((c) => splitRanges(c.symbols, c.ranges ?? {}, { tag }))
      .map((box) => `${box.longest_segment.min}..${box.longest_segment.max}`);
  const large = qwenTowerOf(readJson(join(FIXTURES, "configs/qwen2.5-vl-7b/config.json")));
  assert.deepEqual(ranges(large, "qwen2_5_vl/vision.block"), ["4..64", "65..65536"]);
  assert.deepEqual(ranges(qwenTowerOf({ model_type: "qwen3_vl" }), "qwen3_vl/vision.block"), ["4..65536"]);
  const wide = { model_type: "qwen2_5_vl", vision_config: { window_size: 1 << 16 } };
  assert.deepEqual(ranges(qwenTowerOf(wide), "qwen2_5_vl/vision.block"), ["4..65536"]);
  // A merge block of 9 patches does not divide 65,536.
  const third = qwenTowerOf({ model_type: "qwen2_vl", vision_config: { spatial_merge_size: 3 } });
  assert.deepEqual(ranges(third, "qwen2_vl/vision.block"), ["9..65529"]);
});

function refuses(inputs: Tensors, pattern: RegExp, tower = qwenTowerOf(smallConfig("qwen2_5_vl"))): void {
  const check = (e: FoveaError): boolean => {
    assert.equal(e.code, "invalid_input", e.message);
    assert.match(e.message, pattern);
    return true;
  };
  assert.throws(() => tower.prepare(inputs), check);
}

test("qwen_vl prepare: grids and patches that do not fit are refused with found and expected", () => {
  const { hidden_states, grid_thw } = inputsOf([[1, 4, 4]]);
  const withGrid = (...sizes: number[][]): Tensors => ({ hidden_states, grid_thw: gridTensor(sizes) });
  refuses({ grid_thw }, /"hidden_states" \(or pixel_values, pixel_values_videos\) is missing/);
  refuses({ hidden_states }, /"grid_thw" \(or image_grid_thw, video_grid_thw\) is missing/);
  refuses({ hidden_states, grid_thw, mask: grid_thw }, /no input "mask"; this tower takes hidden_states, /);
  refuses({ pixel_values: hidden_states, pixel_values_videos: hidden_states, grid_thw }, /calls of their own/);
  refuses({ hidden_states, grid_thw, video_grid_thw: grid_thw }, /grid_thw and video_grid_thw are given at once/);
  refuses(withGrid([1, 4, 6]), /holds 16 patches, but "grid_thw" tells of 1x4x6 = 24; give a row for each/);
  refuses(withGrid([1, 4, 4], [2, 2, 2]), /tells of 1x4x4 \+ 2x2x2 = 24/);
  refuses(withGrid(...Array.from({ length: 5 }, () => [1, 2, 2])), /1x2x2 \+ 1x2x2 \+ 1x2x2 \+ 1x2x2 \+ \.\.\. = 20/);
  refuses(withGrid([1, 4, 4], [1, 3, 4]), /Image 1 has a grid of 1x3x4 patches .* must be multiples of 2/);
  refuses(withGrid([1, 16, 1]), /Image 0 has a grid of 1x16x1 patches .* multiples of 2/);
  refuses(
    withGrid([0, 4, 4]),
    /Image 0 has a grid of 0x4x4 patches in "grid_thw"; frames, rows and columns must be at least 1\./,
  );
  refuses(withGrid([1, -4, -4]), /grid of 1x-4x-4 patches .* at least 1/);
  refuses(
    { hidden_states, grid_thw: gridTensor([]) },
    /shape \[0, 3\], expected \[images, 3\] with at least one image: its frames, rows and columns of patches\./,
  );
  refuses({ hidden_states, grid_thw: { ...grid_thw, shape: [3] } }, /shape \[3\], expected \[images, 3\]/);
  refuses({ hidden_states, grid_thw: { ...grid_thw, shape: [2, 3] } }, /holds 3 values, .* needs 6/);
  refuses({ hidden_states, grid_thw: f32([1, 3], () => 4) }, /"grid_thw" has type f32, expected i32/);
  refuses(
    { hidden_states: f32([16, 5], () => 0), grid_thw },
    /shape \[16, 5\], expected \[patches, 4\]: a row for each patch of 1 channels/,
  );
  refuses({ hidden_states: f32([1, 16, 4], () => 0), grid_thw }, /shape \[1, 16, 4\], expected \[patches, 4\]/);
  refuses({ hidden_states: { ...hidden_states, shape: [15, 4] }, grid_thw }, /holds 15 patches, but .* = 16/);
  refuses(
    { hidden_states: { ...hidden_states, data: new Float32Array(60) }, grid_thw },
    /holds 60 values, .* needs 64/,
  );
  const wide = { dtype: "i64", shape: [1, 3], data: BigInt64Array.of(1n, 4n, 2n ** 32n + 4n) } as unknown as Tensor;
  refuses(
    { hidden_states, grid_thw: wide },
    /"grid_thw" holds 4294967300 at element 2; whole numbers must fit 32 bits/,
  );
  refuses({ hidden_states: f32([16, 4], (i) => (i === 9 ? NaN : 0)), grid_thw }, /holds NaN at element 9/);
  refuses(
    { hidden_states: { ...hidden_states, dtype: "u8", data: new Uint8Array(64) }, grid_thw },
    /type u8, expected f32/,
  );
  const small = qwenTowerOf(smallConfig("qwen2_5_vl"), {
    "preprocessor_config.json": { min_pixels: 1, max_pixels: 1, patch_size: 2, merge_size: 1 },
  });
  refuses({ hidden_states, grid_thw }, /A frame of 4x4 = 16 patches is larger than .* at once, 8 patches/, small);
});

test("qwen_vl prepare: 64-bit grids and the names of whole models are taken", () => {
  const tower = qwenTowerOf(smallConfig("qwen3_vl"));
  const { hidden_states, grid_thw } = inputsOf([[2, 4, 2]]);
  const wide = { dtype: "i64", shape: [1, 3], data: BigInt64Array.from([2n, 4n, 2n]) } as unknown as Tensor;
  const expected = tower.prepare({ hidden_states, grid_thw });
  assert.deepEqual(tower.prepare({ pixel_values_videos: hidden_states, video_grid_thw: wide }), expected);
  assert.deepEqual(tower.prepare({ pixel_values: hidden_states, image_grid_thw: grid_thw }), expected);
});

test("qwen_vl split: packs hold whole frames, as many as fit, and join to the whole", () => {
  const tower = qwenTowerOf(smallConfig("qwen2_5_vl"));
  const split = tower.split as NonNullable<TowerSpec["split"]>;
  const cut = (sizes: readonly (readonly number[])[], limit: number): number[][] =>
    split(inputsOf(sizes), limit).map((pack) => [...pack.grid_thw.data]);
  const one = inputsOf([[1, 4, 4]]);
  assert.deepEqual(split(one, 16), [one]);
  assert.deepEqual(
    split(one, 4),
    [one].map((pack) => ({ ...pack, grid_thw: gridTensor([[1, 4, 4]]) })),
  );
  const sizes = [
    [1, 2, 4],
    [5, 2, 2],
    [1, 6, 6],
    [1, 2, 2],
  ];
  assert.deepEqual(cut(sizes, 16), [
    [1, 2, 4, 2, 2, 2],
    [3, 2, 2],
    [1, 6, 6],
    [1, 2, 2],
  ]);
  const samples = gridSamples(2, 30);
  for (let seed = 0; seed < 30; seed++) {
    const grids = samples[hash32(seed, 9) % samples.length];
    const limit = 4 * (1 + (hash32(seed, 10) % 60));
    const inputs = inputsOf(grids, seed);
    const packs = split(inputs, limit);
    const frames = (thw: Tensor): string[] =>
      Array.from({ length: thw.shape[0] }, (_, i) => [...thw.data.subarray(3 * i, 3 * i + 3)]).flatMap(([t, h, w]) =>
        Array.from({ length: t }, () => `${h}x${w}`),
      );
    assert.deepEqual(
      packs.flatMap((p) => frames(p.grid_thw)),
      frames(inputs.grid_thw),
    );
    assert.deepEqual(
      packs.flatMap((p) => [...p.hidden_states.data]),
      [...inputs.hidden_states.data],
    );
    for (const [i, pack] of packs.entries()) {
      const [rows] = pack.hidden_states.shape;
      assert.ok(rows <= limit || frames(pack.grid_thw).length === 1);
      tower.prepare(pack);
      const next = packs[i + 1];
      if (next === undefined) continue;
      const [h, w] = frames(next.grid_thw)[0].split("x").map(Number);
      assert.ok(rows + h * w > limit, "the next frame would have fitted");
    }
  }
});

test("qwen_vl example: no larger than what a processor of small images lets the model take", () => {
  const tower = qwenTowerOf(smallConfig("qwen2_vl"), {
    "preprocessor_config.json": { min_pixels: 1, max_pixels: 200, patch_size: 2 },
  });
  assert.deepEqual(tower.prepare(tower.example({ batch: 1, seed: 1 })).cos.shape[0], 196);
});

test("qwen_vl example: seeded images that prepare takes", () => {
  const tower = qwenTowerOf(smallConfig("qwen3_vl"));
  const patches = (options: Parameters<TowerSpec["example"]>[0]): readonly number[] =>
    tower.prepare(tower.example(options)).pixel_values.shape;
  assert.deepEqual(patches({ batch: 2, seed: 1 }), [2048, 4]);
  assert.deepEqual(patches({ batch: 1, seed: 1, grid: [3, 4, 6] }), [72, 4]);
  assert.deepEqual(patches({ batch: 1, seed: 1, size: [12, 8] }), [24, 4]);
  assert.deepEqual(tower.example({ batch: 1, seed: 1 }), tower.example({ batch: 1, seed: 1 }));
  assert.notDeepEqual(tower.example({ batch: 1, seed: 1 }), tower.example({ batch: 1, seed: 2 }));
  assert.throws(() => tower.example({ batch: 1, seed: 1, size: [12, 9] }), /12x9 pixels are no whole blocks of 4x4/);
});
