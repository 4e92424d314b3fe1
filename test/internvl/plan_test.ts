import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { internVLPlugin } from "../../plugins/internvl/plugin.ts";
import type { Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import { FIXTURES, openModelOf, readJson, towerOf } from "../kit/tower_fixtures.ts";

const open = (name: string): TowerSpec =>
  towerOf(openModelOf(internVLPlugin, readJson(join(FIXTURES, `${name}/config.json`))), "vision");
const tower = open("internvl");
const whole = open("internvl-projector");

const pixels = (shape: readonly number[]): Tensor => ({
  dtype: "f32",
  shape,
  data: new Float32Array(shape.reduce((a, d) => a * d, 1)),
});

test("internvl plan: calls, tables and keys follow from the image", () => {
  const plan = whole.plan({ pixel_values: [2, 3, 60, 57] }, ["projected"]);
  assert.deepEqual(
    plan.calls.map((c) => [c.tag, c.instance, c.dims]),
    [
      ["internvl/vision.embed", "vision_tower.", { batch: 2, height: 60, width: 57 }],
      ["internvl/vision.block", "vision_tower.encoder.layer.0.", { batch: 2, tokens: 17 }],
      ["internvl/vision.block", "vision_tower.encoder.layer.1.", { batch: 2, tokens: 17 }],
      ["internvl/vision.project", "multi_modal_projector.", { batch: 2, squares: 2 }],
    ],
  );
  // As many patches as the table: its positions are taken as they are.
  const identity = Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0));
  assert.deepEqual([...plan.constants.row_weights.data], identity);
  assert.deepEqual([...plan.constants.column_weights.data], identity);
  const final = open("internvl-sizes").plan({ pixel_values: [1, 3, 31, 45] }, ["last_hidden_state"]);
  assert.deepEqual([final.calls.at(-1)?.tag, final.calls.length], ["internvl/vision.final", 4]);
  assert.deepEqual(final.constants.row_weights.shape, [2, 4]);
  assert.deepEqual(final.constants.column_weights.shape, [3, 4]);
  assert.deepEqual(
    open("internvl-placeless").plan({ pixel_values: [1, 3, 28, 28] }, ["last_hidden_state"]).constants,
    {},
  );
  const key = (shape: readonly number[], outputs: readonly string[]): string =>
    whole.plan({ pixel_values: shape }, outputs).key;
  const keys = [
    key([1, 3, 56, 56], ["projected"]),
    key([1, 3, 56, 56], ["last_hidden_state"]),
    key([2, 3, 56, 56], ["projected"]),
    key([1, 3, 56, 57], ["projected"]),
  ];
  assert.equal(new Set(keys).size, keys.length);
});

test("internvl plan: the projector takes squares alone", () => {
  const refuses = (shape: readonly number[], outputs: readonly string[], message: RegExp): void =>
    assert.throws(() => whole.plan({ pixel_values: shape }, outputs), { code: "invalid_input", message });
  refuses([1, 3, 56, 84], ["projected"], /"projected" needs images of as many rows .* found 4x6 patches/);
  refuses([1, 3, 42, 42], ["projected"], /a multiple of 2; found 3x3 patches/);
  assert.equal(whole.plan({ pixel_values: [1, 3, 42, 84] }, ["last_hidden_state"]).calls.length, 3);
  assert.throws(() => tower.plan({ pixel_values: [1, 3, 56, 56] }, ["projected"]), {
    code: "invalid_input",
    message: /no output "projected"; this tower gives last_hidden_state/,
  });
});

function refuses(inputs: Tensors, pattern: RegExp): void {
  assert.throws(
    () => tower.prepare(inputs),
    (e: FoveaError) => {
      assert.equal(e.code, "invalid_input");
      assert.match(e.message, pattern);
      return true;
    },
  );
}

test("internvl prepare: what is no image of the model is refused", () => {
  const good = pixels([1, 3, 28, 28]);
  assert.equal(tower.prepare({ pixel_values: good }).pixel_values, good);
  refuses({}, /"pixel_values" is missing/);
  refuses({ pixel_values: good, bool_masked_pos: good }, /no input "bool_masked_pos"/);
  refuses({ pixel_values: pixels([3, 28, 28]) }, /shape \[3, 28, 28\], expected \[batch, 3, height, width\]/);
  refuses({ pixel_values: pixels([0, 3, 28, 28]) }, /with at least one image/);
  refuses({ pixel_values: pixels([1, 4, 28, 28]) }, /shape \[1, 4, 28, 28\]/);
  refuses({ pixel_values: pixels([1, 3, 28, 13]) }, /28x13 pixels have no whole patch of 14x14/);
  refuses({ pixel_values: { ...good, shape: [1, 3, 14, 14 * 1025] } }, /sides of at most 14336 pixels/);
  refuses({ pixel_values: { ...good, shape: [1, 3, 4200, 4200] } }, /have 300x300 patches .* 65536 patches in all/);
  refuses({ pixel_values: { ...good, shape: [1, 3, 28, 42] } }, /holds 2352 values, .* needs 3528/);
  refuses({ pixel_values: { ...good, dtype: "u8", data: new Uint8Array(2352) } }, /type u8, expected f32/);
  good.data[9] = Number.NaN;
  refuses({ pixel_values: good }, /holds NaN at element 9/);
});

test("internvl example: seeded inputs that prepare takes", () => {
  const a = tower.example({ batch: 2, seed: 1 });
  assert.deepEqual(tower.prepare(a).pixel_values.shape, [2, 3, 56, 56]);
  assert.deepEqual(tower.example({ batch: 2, seed: 1 }), a);
  assert.notDeepEqual(tower.example({ batch: 2, seed: 2 }), a);
  assert.deepEqual(tower.example({ batch: 1, seed: 1, size: [30, 45] }).pixel_values.shape, [1, 3, 30, 45]);
  assert.throws(() => tower.example({ batch: 1, seed: 1, size: [8, 80] }), /8x80 pixels have no whole patch/);
});
