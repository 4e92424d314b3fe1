/** The conformance check of encoders on fovea's own, on the example from outside, and on wrong ones. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { patchMlpPlugin } from "../../examples/encoder-plugin/patch_mlp.ts";
import { clipPlugin } from "../../plugins/clip/plugin.ts";
import { dinoPlugin } from "../../plugins/dino/plugin.ts";
import type { EncoderModel, Plugin, TowerSpec } from "../../runtime/abi/mod.ts";
import { checkEncoder } from "../kit/check_encoder.ts";
import { FIXTURES } from "../kit/tower_fixtures.ts";

const configOf = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(FIXTURES, name, "config.json"), "utf8"));

test("clip passes the check of encoders", async () => {
  const found = await checkEncoder({ plugin: clipPlugin, config: configOf("clip") });
  assert.equal(found.encoder, "clip");
  assert.ok(found.compared >= 8 && found.worst > 0 && found.worst < 1, JSON.stringify(found));
});

test("dino passes the check of encoders, with pictures of several sizes", async () => {
  const found = await checkEncoder({
    plugin: dinoPlugin,
    config: configOf("dinov2"),
    sizes: (draw) => ({ size: [14 * draw(2, 4), 14 * draw(2, 4)] }),
  });
  assert.ok(found.compared >= 4 && found.worst < 1, JSON.stringify(found));
});

const SMALL = { model_type: "patch_mlp", image_size: 8, patch_size: 4, hidden_size: 6 };

test("the example of an encoder plugin passes the check of encoders", async () => {
  const found = await checkEncoder({ plugin: patchMlpPlugin, config: SMALL });
  assert.deepEqual(found.components, ["patch_mlp/vision"]);
});

/** The example with something else in its tower. */
function spoiled(change: (tower: TowerSpec) => Partial<TowerSpec>): Plugin {
  const encoders = (patchMlpPlugin.encoders ?? []).map((encoder) => ({
    ...encoder,
    open: (config: Readonly<Record<string, unknown>>): EncoderModel => {
      const model = encoder.open(config);
      return { ...model, towers: model.towers.map((tower) => ({ ...tower, ...change(tower) })) };
    },
  }));
  return { ...patchMlpPlugin, encoders };
}

let turn = 0;
const WRONG: readonly (readonly [string, Plugin, RegExp])[] = [
  [
    "a plan with a state",
    spoiled(({ plan }) => ({ plan: (s, o) => ({ ...plan(s, o), key: `${++turn}` }) })),
    /is another the second time/,
  ],
  [
    "one key for all geometries",
    spoiled(({ plan }) => ({ plan: (s, o) => ({ ...plan(s, o), key: "all" }) })),
    /have one plan key, "all"/,
  ],
  [
    "a call outside of its ranges",
    spoiled(({ plan }) => ({
      plan: (s, o) => ({ ...plan(s, o), calls: plan(s, o).calls.map((c) => ({ ...c, dims: { batch: 65 } })) }),
    })),
    /has \{"batch":65\}, outside of the ranges of "patch_mlp\/vision"/,
  ],
  [
    "results that depend on their neighbours",
    spoiled(({ components }) => ({
      components: components.map((c) => ({
        ...c,
        build: (b) => {
          const { batch } = b.dims;
          const pixels = b.reshape(b.input("pixel_values", [batch, 3, 8, 8]), [batch, 192]);
          const sum = b.unary("reduce_sum", b.transpose(pixels, [1, 0]));
          b.output("pooled", b.add(b.slice(pixels, 1, 0, 6), b.reshape(b.slice(sum, 0, 0, 6), [6])));
        },
      })),
    })),
    /is off the results of its items alone by/,
  ],
  [
    "inputs that nobody checks",
    spoiled(() => ({ prepare: (inputs) => inputs })),
    /An input "nonsense" is answered with/,
  ],
];

for (const [what, plugin, says] of WRONG) {
  test(`the check of encoders finds ${what}`, async () => {
    await assert.rejects(checkEncoder({ plugin, config: SMALL }), says);
  });
}
