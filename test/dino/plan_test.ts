import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { readDinoConfig } from "../../plugins/dino/config.ts";
import { positionWeights, rotaryTables } from "../../plugins/dino/geometry.ts";
import { dinoPlugin } from "../../plugins/dino/plugin.ts";
import type { Tensor, TowerSpec } from "../../runtime/abi/encoder.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { FIXTURES, type Json, openModelOf, readJson, towerOf } from "../kit/tower_fixtures.ts";

const open = (config: Json): TowerSpec => towerOf(openModelOf(dinoPlugin, config), "vision");
const V2 = open(readJson(join(FIXTURES, "dinov2-registers/config.json")));
const V3_CONFIG = readJson(join(FIXTURES, "dinov3/config.json"));
const V3 = open(V3_CONFIG);

const pixels = (shape: readonly number[]): Tensor => ({
  dtype: "f32",
  shape,
  data: new Float32Array(shape.reduce((a, d) => a * d, 1)),
});

test("dino plan: tokens, tables, calls and keys follow from the image", () => {
  const plan = V2.plan({ pixel_values: [2, 3, 42, 70] }, ["pooler_output"]);
  assert.deepEqual(
    plan.calls.map((c) => [c.tag, c.instance, c.dims]),
    [
      ["dinov2/vision.embed", "", { batch: 2, rows: 3, columns: 5 }],
      ["dinov2/vision.block", "encoder.layer.0.", { batch: 2, tokens: 20 }],
      ["dinov2/vision.block", "encoder.layer.1.", { batch: 2, tokens: 20 }],
      ["dinov2/vision.pool", "", { batch: 2, tokens: 20 }],
    ],
  );
  assert.deepEqual(
    Object.entries(plan.constants).map(([name, t]) => [name, t.shape]),
    [
      ["row_weights", [3, 4]],
      ["column_weights", [5, 4]],
    ],
  );
  const rotary = V3.plan({ pixel_values: [1, 3, 48, 80] }, ["last_hidden_state"]);
  assert.deepEqual(
    Object.entries(rotary.constants).map(([name, t]) => [name, t.shape]),
    [
      ["cos", [20, 8]],
      ["sin", [20, 8]],
    ],
  );
  assert.equal(rotary.calls[1].instance, "layer.0.");
  const key = (of: TowerSpec, shape: readonly number[], outputs = V2.outputs): string =>
    of.plan({ pixel_values: shape }, outputs).key;
  const keys = [
    key(V2, [1, 3, 42, 70]),
    key(V2, [1, 3, 70, 42]),
    key(V2, [2, 3, 42, 70]),
    key(V2, [1, 3, 42, 70], ["pooler_output"]),
    key(V3, [1, 3, 48, 80]),
  ];
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(key(V2, [1, 3, 42, 70]), key(V2, [1, 3, 42, 70], [...V2.outputs].reverse()));
  assert.throws(() => V2.plan({ pixel_values: [1, 3, 42, 70] }, ["image_embeds"]), {
    code: "invalid_input",
    message: /no output "image_embeds"; this tower gives pooler_output, last_hidden_state/,
  });
});

test("dino rotary tables: every patch turns by its place in -1..1, class and register tokens stay", () => {
  for (let seed = 0; seed < 25; seed++) {
    const [rows, columns] = [1 + (hash32(seed, 0) % 9), 1 + (hash32(seed, 1) % 30)];
    const [heads, quarter] = [1 + (hash32(seed, 2) % 3), 1 + (hash32(seed, 3) % 8)];
    const registers = hash32(seed, 4) % 5;
    const theta = [100, 10000, 7.5][seed % 3];
    const config = readDinoConfig({
      ...V3_CONFIG,
      hidden_size: heads * quarter * 4,
      num_attention_heads: heads,
      num_register_tokens: registers,
    });
    const tables = rotaryTables({ rows, columns }, config, theta);
    const tokens = 1 + registers + rows * columns;
    for (const [name, f, still] of [
      ["cos", Math.cos, 1],
      ["sin", Math.sin, 0],
    ] as const) {
      const { shape, data } = tables[name];
      assert.deepEqual(shape, [tokens, 2 * quarter]);
      for (let token = 0; token < tokens; token++) {
        for (let pair = 0; pair < 2 * quarter; pair++) {
          const patch = token - 1 - registers;
          const place =
            pair < quarter ? (Math.floor(patch / columns) + 0.5) / rows : ((patch % columns) + 0.5) / columns;
          const angle = (2 * Math.PI * (2 * place - 1)) / theta ** ((pair % quarter) / quarter);
          const expected = patch < 0 ? still : f(angle);
          const found = data[token * 2 * quarter + pair];
          assert.ok(
            Math.abs(found - expected) < 1e-6,
            `${name} of token ${token}, pair ${pair}: ${found}, ${expected}`,
          );
        }
      }
    }
  }
});

/** Sample of a 1-D bicubic resize with a = -3/4 at output `i`, by the four neighbours. */
function cubicSample(values: readonly number[], to: number, i: number): number {
  const x = ((i + 0.5) * values.length) / to - 0.5;
  const first = Math.floor(x);
  const t = x - first;
  const at = (k: number): number => values[Math.min(Math.max(first + k, 0), values.length - 1)];
  const [near, far] = [
    (d: number): number => 1.25 * d ** 3 - 2.25 * d ** 2 + 1,
    (d: number): number => -0.75 * d ** 3 + 3.75 * d ** 2 - 6 * d + 3,
  ];
  return at(-1) * far(1 + t) + at(0) * near(t) + at(1) * near(1 - t) + at(2) * far(2 - t);
}

test("dino position weights: rows and columns sample the table as a bicubic resize does", () => {
  for (let seed = 0; seed < 30; seed++) {
    const [rows, columns, side] = [0, 1, 2].map((i) => 1 + (hash32(seed, i) % 20));
    const { row_weights, column_weights } = positionWeights({ rows, columns }, side, false);
    const values = Array.from({ length: side }, (_, i) => (hash32(seed, 10 + i) % 1000) / 500 - 1);
    for (const [to, weights] of [
      [rows, row_weights],
      [columns, column_weights],
    ] as const) {
      assert.deepEqual(weights.shape, [to, side]);
      for (let i = 0; i < to; i++) {
        const sum = values.reduce((s, v, k) => s + v * weights.data[i * side + k], 0);
        assert.ok(Math.abs(sum - cubicSample(values, to, i)) < 1e-6);
      }
    }
  }
});

function refuses(of: TowerSpec, inputs: Readonly<Record<string, Tensor>>, pattern: RegExp): void {
  assert.throws(
    () => of.prepare(inputs),
    (e: FoveaError) => {
      assert.equal(e.code, "invalid_input");
      assert.match(e.message, pattern);
      return true;
    },
  );
}

test("dino prepare: images of whole patches pass untouched, others without their rest", () => {
  const whole = pixels([2, 3, 28, 42]);
  assert.equal(V2.prepare({ pixel_values: whole }).pixel_values, whole);
  const ragged = pixels([1, 3, 29, 55]);
  ragged.data.forEach((_, i) => {
    ragged.data[i] = i;
  });
  const { shape, data } = V2.prepare({ pixel_values: ragged }).pixel_values;
  assert.deepEqual(shape, [1, 3, 28, 42]);
  assert.deepEqual([data[0], data[41], data[42], data[28 * 42]], [0, 41, 55, 29 * 55]);
});

test("dino prepare: what is no image of the model is refused", () => {
  const good = pixels([1, 3, 28, 28]);
  refuses(V2, {}, /"pixel_values" is missing/);
  refuses(V2, { pixel_values: good, bool_masked_pos: good }, /no input "bool_masked_pos"/);
  refuses(V2, { pixel_values: pixels([3, 28, 28]) }, /shape \[3, 28, 28\], expected \[batch, 3, height, width\]/);
  refuses(V2, { pixel_values: pixels([0, 3, 28, 28]) }, /with at least one image/);
  refuses(V2, { pixel_values: pixels([1, 4, 28, 28]) }, /shape \[1, 4, 28, 28\]/);
  refuses(V2, { pixel_values: pixels([1, 3, 28, 13]) }, /28x13 pixels have no whole patch of 14x14/);
  refuses(V3, { pixel_values: pixels([1, 3, 0, 64]) }, /0x64 pixels have no whole patch of 16x16/);
  refuses(
    V2,
    { pixel_values: { ...good, shape: [1, 3, 14 * 300, 14 * 300] } },
    /have 300x300 patches of 14x14; at most 1024 along a side and 65536 in all/,
  );
  refuses(V2, { pixel_values: { ...good, shape: [1, 3, 14, 14 * 1025] } }, /have 1x1025 patches/);
  refuses(V2, { pixel_values: { ...good, shape: [1, 3, 28, 42] } }, /holds 2352 values, .* needs 3528/);
  refuses(V2, { pixel_values: { ...good, dtype: "u8", data: new Uint8Array(2352) } }, /type u8, expected f32/);
  const odd = pixels([1, 3, 28, 28]);
  odd.data[9] = Number.POSITIVE_INFINITY;
  refuses(V2, { pixel_values: odd }, /holds Infinity at element 9/);
});

test("dino example: seeded inputs that prepare takes", () => {
  const a = V2.example({ batch: 2, seed: 1 });
  assert.deepEqual(V2.prepare(a).pixel_values.shape, [2, 3, 56, 56]);
  assert.deepEqual(V2.example({ batch: 2, seed: 1 }), a);
  assert.notDeepEqual(V2.example({ batch: 2, seed: 2 }), a);
  assert.deepEqual(V3.example({ batch: 1, seed: 1, size: [48, 80] }).pixel_values.shape, [1, 3, 48, 80]);
  assert.throws(() => V3.example({ batch: 1, seed: 1, size: [8, 80] }), /8x80 pixels have no whole patch/);
});
