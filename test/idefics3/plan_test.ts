import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { idefics3Plugin } from "../../plugins/idefics3/plugin.ts";
import type { Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { FIXTURES, openModelOf, readJson, towerOf } from "../kit/tower_fixtures.ts";

const open = (name: string): TowerSpec =>
  towerOf(openModelOf(idefics3Plugin, readJson(join(FIXTURES, `${name}/config.json`))), "vision");
const whole = open("smolvlm");
const alone = open("idefics3-tower");

const pixels = (shape: readonly number[]): Tensor => ({
  dtype: "f32",
  shape,
  data: new Float32Array(shape.reduce((a, d) => a * d, 1)),
});

test("idefics3 plan: calls, positions and keys follow from the tiles", () => {
  const plan = whole.plan({ pixel_values: [2, 3, 48, 53] }, ["projected"]);
  assert.deepEqual(
    plan.calls.map((c) => [c.tag, c.instance, c.dims]),
    [
      ["idefics3/vision.embed", "vision_model.", { batch: 2, height: 48, width: 53 }],
      ["idefics3/vision.block", "vision_model.encoder.layers.0.", { batch: 2, tokens: 36 }],
      ["idefics3/vision.block", "vision_model.encoder.layers.1.", { batch: 2, tokens: 36 }],
      ["idefics3/vision.final", "vision_model.", { batch: 2, tokens: 36 }],
      ["idefics3/vision.project", "connector.", { batch: 2, squares: 2 }],
    ],
  );
  const { position_ids } = plan.constants;
  assert.deepEqual([position_ids.dtype, position_ids.shape], ["i32", [36]]);
  assert.deepEqual(
    [...position_ids.data],
    Array.from({ length: 36 }, (_, i) => i),
  );
  const wide = alone.plan({ pixel_values: [1, 3, 16, 80] }, ["last_hidden_state"]);
  assert.deepEqual([wide.calls.at(-1)?.tag, wide.calls.length], ["idefics3/vision.final", 4]);
  const across = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4];
  // Its second row lies in the middle of the table: 2 of 5 places before it.
  assert.deepEqual([...wide.constants.position_ids.data], [...across, ...across.map((place) => 2 * 5 + place)]);
  const key = (shape: readonly number[], outputs: readonly string[]): string =>
    whole.plan({ pixel_values: shape }, outputs).key;
  const keys = [
    key([1, 3, 48, 48], ["projected"]),
    key([1, 3, 48, 48], ["last_hidden_state"]),
    key([2, 3, 48, 48], ["projected"]),
    key([1, 3, 48, 49], ["projected"]),
  ];
  assert.equal(new Set(keys).size, keys.length);
});

test("idefics3 plan: the connector takes squares alone", () => {
  const refuses = (shape: readonly number[], message: RegExp): void =>
    assert.throws(() => whole.plan({ pixel_values: shape }, ["projected"]), { code: "invalid_input", message });
  refuses([1, 3, 24, 48], /"projected" needs images of as many rows .* multiple of 3; found 3x6 patches\. Resize/);
  refuses([1, 3, 32, 32], /multiple of 3; found 4x4 patches/);
  assert.equal(whole.plan({ pixel_values: [1, 3, 24, 48] }, ["last_hidden_state"]).calls.length, 4);
  assert.throws(() => alone.plan({ pixel_values: [1, 3, 42, 42] }, ["projected"]), {
    code: "invalid_input",
    message: /no output "projected"; this tower gives last_hidden_state/,
  });
});

test("idefics3 prepare: what are no tiles of the model is refused", () => {
  const refuses = (inputs: Tensors, message: RegExp): void =>
    assert.throws(() => whole.prepare(inputs), { code: "invalid_input", message });
  const good = pixels([2, 3, 48, 48]);
  assert.equal(whole.prepare({ pixel_values: good }).pixel_values, good);
  refuses({}, /"pixel_values" is missing/);
  refuses(
    { pixel_values: good, pixel_attention_mask: pixels([2, 48, 48]) },
    /no input "pixel_attention_mask"; this tower takes pixel_values/,
  );
  refuses({ pixel_values: good, rows: pixels([1]) }, /no input "rows"; this tower takes pixel_values/);
  // As the reference's processor stacks the tiles of each sample.
  refuses(
    { pixel_values: pixels([1, 2, 3, 48, 48]) },
    /shape \[1, 2, 3, 48, 48\], expected \[batch, 3, height, width\]/,
  );
  refuses({ pixel_values: pixels([1, 3, 7, 48]) }, /7x48 pixels have no whole patch of 8x8/);
});

test("idefics3 example: tiles of the trained size, or as asked for", () => {
  const a = whole.example({ batch: 2, seed: 1 });
  assert.deepEqual(whole.prepare(a).pixel_values.shape, [2, 3, 48, 48]);
  assert.deepEqual(whole.example({ batch: 2, seed: 1 }), a);
  assert.deepEqual(whole.example({ batch: 1, seed: 1, size: [24, 40] }).pixel_values.shape, [1, 3, 24, 40]);
  assert.throws(() => whole.example({ batch: 1, seed: 1, size: [5, 80] }), /5x80 pixels have no whole patch/);
});
