/** What every tower must say about inputs that it cannot take, whatever its family. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import { encoderFor } from "../../runtime/core/served_type.ts";
import { sliceRows } from "../../runtime/session/inputs/batching.ts";
import { firstPartyPlugins } from "../../runtime/session/registry/first_party.ts";
import { hasCode } from "../kit/assertions.ts";
import { FIXTURES, readJson } from "../kit/tower_fixtures.ts";

const FOLDERS = [
  "bert",
  "clip",
  "dinov2",
  "dinov3",
  "gemma3",
  "hubert",
  "internvl-projector",
  "llama4",
  "llava",
  "llava_next",
  "modernbert-long",
  "pixtral",
  "pixtral-merge",
  "qwen2_5_vl",
  "qwen2_audio",
  "qwen2_vl",
  "qwen3_vl",
  "siglip",
  "siglip2",
  "smolvlm",
  "vit",
  "voxtral",
  "wav2vec2",
  "whisper",
];

const encoders = (await firstPartyPlugins()).flatMap((plugin) => plugin.encoders ?? []);

const MODELS: readonly (readonly [name: string, towers: readonly TowerSpec[]])[] = FOLDERS.map((name) => {
  const config = readJson(join(FIXTURES, name, "config.json"));
  const encoder = encoderFor(config, encoders);
  assert.ok(encoder, name);
  return [name, encoder.open(config).towers];
});

const TOWERS: readonly (readonly [name: string, tower: TowerSpec])[] = MODELS.flatMap(([name, towers]) =>
  towers.map((tower) => [`${name} ${tower.modality}`, tower] as const),
);

function refuses(name: string, tower: TowerSpec, inputs: Tensors, says: RegExp): void {
  assert.throws(() => tower.prepare(inputs), hasCode("invalid_input", says), name);
}

const exampleOf = (tower: TowerSpec): Tensors => tower.example({ batch: 1, seed: 1 });

test("an empty batch is refused with the shape that was found and the one expected", () => {
  for (const [name, tower] of TOWERS) {
    const none = sliceRows(exampleOf(tower), 0, 0);
    refuses(name, tower, none, /has shape \[0, [\d, ]+\], expected \[\w+, [\w, ]+\]/);
  }
});

test("NaN and infinity in what a tower computes with are refused with their place", () => {
  let found = 0;
  for (const [name, tower] of TOWERS) {
    const example = exampleOf(tower);
    for (const [input, tensor] of Object.entries(example)) {
      if (!(tensor.data instanceof Float32Array)) continue;
      for (const value of [Number.NaN, Number.NEGATIVE_INFINITY]) {
        const data = tensor.data.slice();
        data[data.length - 2] = value;
        const says = new RegExp(`"${input}" holds ${value} at element ${data.length - 2}; expected finite numbers`);
        refuses(name, tower, { ...example, [input]: { ...tensor, data } }, says);
        found++;
      }
    }
  }
  assert.ok(found > 0);
});

test("more tokens than positions are refused with both numbers", () => {
  let found = 0;
  for (const [name, tower] of TOWERS) {
    if (tower.modality !== "text") continue;
    const most = tower.components[0].symbols.tokens.max;
    const ids: Tensor = { dtype: "i32", shape: [1, most + 1], data: new Int32Array(most + 1).fill(1) };
    const says = new RegExp(`has ${most + 1} tokens a text, but this model has ${most} positions; cut the texts`);
    refuses(name, tower, { input_ids: ids }, says);
    found++;
  }
  assert.ok(found >= 5, `${found} text towers`);
});

test("an input of another tower is refused with the names that this one takes", () => {
  for (const [name, tower] of TOWERS) {
    const stranger = tower.modality === "audio" ? "pixel_values" : "input_features";
    const inputs = {
      ...exampleOf(tower),
      [stranger]: { dtype: "f32", shape: [1], data: new Float32Array(1) },
    } as const;
    refuses(name, tower, inputs, new RegExp(`no input "${stranger}"; this tower takes ${tower.inputs[0]}`));
  }
});
