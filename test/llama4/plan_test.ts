import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { type Llama4Config, readLlama4Config } from "../../plugins/llama4/config.ts";
import { tileRotary } from "../../plugins/llama4/plan.ts";
import { llama4Plugin } from "../../plugins/llama4/plugin.ts";
import type { Tensor } from "../../runtime/abi/encoder.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { FIXTURES, type Json, openModelOf, readJson, towerOf } from "../kit/tower_fixtures.ts";

const WHOLE = readJson(join(FIXTURES, "llama4/config.json"));
const tower = towerOf(openModelOf(llama4Plugin, WHOLE), "vision");
const alone = towerOf(openModelOf(llama4Plugin, WHOLE.vision_config as Json), "vision");

const pixels = (shape: readonly number[]): Tensor => ({
  dtype: "f32",
  shape,
  data: new Float32Array(shape.reduce((a, d) => a * d, 1)),
});
const ratios = (shape: readonly number[], values: readonly number[]): Tensor => ({
  dtype: "i32",
  shape,
  data: Int32Array.from(values),
});

test("llama4 plan: calls, instances, tables and keys follow from tiles and wanted outputs", () => {
  const plan = tower.plan({ pixel_values: [5, 3, 56, 56] }, ["projected"]);
  assert.deepEqual(
    plan.calls.map((c) => [c.tag, c.instance, c.dims]),
    [
      ["llama4/vision.embed", "vision_model.", { batch: 5 }],
      ["llama4/vision.block", "vision_model.model.layers.0.", { batch: 5 }],
      ["llama4/vision.block", "vision_model.model.layers.1.", { batch: 5 }],
      ["llama4/vision.adapt", "vision_model.", { batch: 5 }],
      ["llama4/vision.project", "multi_modal_projector.", { batch: 5 }],
    ],
  );
  assert.deepEqual(plan.constants.cos.shape, [17, 8]);
  const own = alone.plan({ pixel_values: [1, 3, 56, 56] }, ["last_hidden_state"]);
  assert.deepEqual(
    own.calls.map((c) => c.instance),
    ["", "model.layers.0.", "model.layers.1.", ""],
  );
  const keys = [
    plan.key,
    tower.plan({ pixel_values: [4, 3, 56, 56] }, ["projected"]).key,
    tower.plan({ pixel_values: [5, 3, 56, 56] }, ["last_hidden_state"]).key,
  ];
  assert.equal(new Set(keys).size, 3);
  assert.throws(() => alone.plan({ pixel_values: [1, 3, 56, 56] }, ["projected"]), {
    code: "invalid_input",
    message: /no output "projected"; this tower gives last_hidden_state/,
  });
});

test("llama4 rotary tables: half of the pairs turns by the column, half by the row, both from 1; the token stays", () => {
  for (let seed = 0; seed < 20; seed++) {
    const [side, quarter] = [1 + (hash32(seed, 0) % 9), 1 + (hash32(seed, 1) % 12)];
    const theta = [10000, 500, 77][seed % 3];
    const config: Llama4Config = {
      ...readLlama4Config(WHOLE),
      hiddenSize: 8 * quarter,
      heads: 2,
      imageSize: 14 * side,
      theta,
    };
    const { cos, sin } = tileRotary(config);
    const pairs = 2 * quarter;
    assert.deepEqual(cos.shape, [side * side + 1, pairs]);
    for (let token = 0; token <= side * side; token++) {
      for (let pair = 0; pair < pairs; pair++) {
        const place = 1 + (pair < quarter ? token % side : Math.floor(token / side));
        const angle = token === side * side ? 0 : place / theta ** ((pair % quarter) / quarter);
        const at = token * pairs + pair;
        assert.ok(Math.abs(cos.data[at] - Math.cos(angle)) < 1e-6);
        assert.ok(Math.abs(sin.data[at] - Math.sin(angle)) < 1e-6);
      }
    }
  }
});

function refuses(inputs: Readonly<Record<string, Tensor>>, pattern: RegExp): void {
  assert.throws(
    () => tower.prepare(inputs),
    (e: FoveaError) => {
      assert.equal(e.code, "invalid_input");
      assert.match(e.message, pattern);
      return true;
    },
  );
}

test("llama4 prepare: tiles pass untouched, aspect ratios are checked and left out", () => {
  const six = pixels([6, 3, 56, 56]);
  assert.deepEqual(Object.keys(tower.prepare({ pixel_values: six })), ["pixel_values"]);
  // 2x2 tiles and an overview, and a picture of a single tile.
  const given = { pixel_values: six, aspect_ratios: ratios([2, 2], [2, 2, 1, 1]) };
  assert.deepEqual(tower.prepare(given), { pixel_values: six });
  refuses(
    { ...given, aspect_ratios: ratios([1, 2], [2, 2]) },
    /tells of 5 tiles, overviews included, but "pixel_values" has 6; give the tiles of the same images\./,
  );
  refuses({ ...given, aspect_ratios: ratios([2], [2, 2]) }, /"aspect_ratios" has shape \[2\], expected \[images, 2\]/);
  refuses(
    { ...given, aspect_ratios: ratios([1, 2], [6, 0]) },
    /"aspect_ratios" holds 0 at element 1; expected whole numbers from 1\./,
  );
});

test("llama4 prepare: what is no batch of tiles is refused", () => {
  const good = pixels([1, 3, 56, 56]);
  refuses({}, /"pixel_values" is missing/);
  refuses({ pixel_values: good, image_sizes: good }, /no input "image_sizes"/);
  refuses({ pixel_values: pixels([3, 56, 56]) }, /shape \[3, 56, 56\], expected \[tiles, 3, 56, 56\]/);
  refuses({ pixel_values: pixels([0, 3, 56, 56]) }, /shape \[0, 3, 56, 56\]/);
  refuses({ pixel_values: pixels([1, 3, 56, 112]) }, /cut images into tiles of 56x56 pixels first/);
  refuses({ pixel_values: { ...good, shape: [2, 3, 56, 56] } }, /holds 9408 values, .* needs 18816/);
  refuses({ pixel_values: { ...good, dtype: "u8", data: new Uint8Array(9408) } }, /type u8, expected f32/);
  good.data[3] = Number.NaN;
  refuses({ pixel_values: good }, /holds NaN at element 3/);
});

test("llama4 example: seeded inputs that prepare takes", () => {
  const a = tower.example({ batch: 2, seed: 1 });
  assert.deepEqual(tower.prepare(a).pixel_values.shape, [2, 3, 56, 56]);
  assert.deepEqual(tower.example({ batch: 2, seed: 1 }), a);
  assert.notDeepEqual(tower.example({ batch: 2, seed: 2 }), a);
  assert.throws(
    () => tower.example({ batch: 1, seed: 1, size: [56, 112] }),
    /takes tiles of 56x56 pixels, found 56x112; leave the size out/,
  );
});
