/** Towers of all families as their plugins make them, and what a request becomes: prepared inputs, constants, dims. */
import { join } from "node:path";
import fc from "fast-check";
import { bertPlugin } from "../../plugins/bert/plugin.ts";
import { clipPlugin } from "../../plugins/clip/plugin.ts";
import { decoderPlugin } from "../../plugins/decoder/plugin.ts";
import { dinoPlugin } from "../../plugins/dino/plugin.ts";
import { idefics3Plugin } from "../../plugins/idefics3/plugin.ts";
import { internVLPlugin } from "../../plugins/internvl/plugin.ts";
import { llama4Plugin } from "../../plugins/llama4/plugin.ts";
import { modernBertPlugin } from "../../plugins/modernbert/plugin.ts";
import { pixtralPlugin } from "../../plugins/pixtral/plugin.ts";
import { qwenVlPlugin } from "../../plugins/qwen_vl/plugin.ts";
import { siglipPlugin } from "../../plugins/siglip/plugin.ts";
import { vitPlugin } from "../../plugins/vit/plugin.ts";
import { wav2vec2Plugin } from "../../plugins/wav2vec2/plugin.ts";
import { whisperPlugin } from "../../plugins/whisper/plugin.ts";
import type { EncoderModel, Modality, Tensor, Tensors, TowerSpec } from "../../runtime/abi/encoder.ts";
import type { Bindings } from "../../runtime/core/dim.ts";
import { encoderFor } from "../../runtime/core/served_type.ts";
import { FIXTURES, readJson, towerOf } from "../kit/tower_fixtures.ts";

const PLUGINS = [
  bertPlugin,
  clipPlugin,
  dinoPlugin,
  idefics3Plugin,
  internVLPlugin,
  llama4Plugin,
  decoderPlugin,
  modernBertPlugin,
  pixtralPlugin,
  qwenVlPlugin,
  siglipPlugin,
  vitPlugin,
  wav2vec2Plugin,
  whisperPlugin,
];

/** The model of a configuration, by whichever plugin serves its `model_type`. */
export function openModelOfConfig(config: Readonly<Record<string, unknown>>): EncoderModel {
  const encoder = encoderFor(
    config,
    PLUGINS.flatMap((p) => p.encoders ?? []),
  );
  if (encoder === undefined) throw new Error(`no plugin serves ${String(config.model_type)}`);
  return encoder.open(config);
}

export function towerOfConfig(config: Readonly<Record<string, unknown>>, modality: Modality): TowerSpec {
  return towerOf(openModelOfConfig(config), modality);
}

/** The tower of a fixture folder. */
export function fixtureTower(name: string, modality: Modality = "vision"): TowerSpec {
  return towerOfConfig(readJson(join(FIXTURES, name, "config.json")), modality);
}

export interface Planned {
  /** Prepared inputs and constants by name. */
  readonly values: Tensors;
  /** Dims of the first call of a component, by the last part of its tag. */
  readonly dims: (part: string) => Bindings;
}

/** Prepares and plans a request for all outputs. */
export function planned(tower: TowerSpec, inputs: Tensors): Planned {
  const prepared = tower.prepare(inputs);
  const shapes = Object.fromEntries(Object.entries(prepared).map(([name, t]) => [name, t.shape]));
  const plan = tower.plan(shapes, tower.outputs);
  return {
    values: { ...prepared, ...plan.constants },
    dims: (part) => {
      const call = plan.calls.find((c) => c.tag.endsWith(`.${part}`));
      if (call === undefined) throw new Error(`no call of "${part}"`);
      return call.dims;
    },
  };
}

export const i32 = (shape: readonly number[], data: readonly number[]): Tensor => ({
  dtype: "i32",
  shape,
  data: Int32Array.from(data),
});

export const zeros = (shape: readonly number[]): Tensor => ({
  dtype: "f32",
  shape,
  data: new Float32Array(shape.reduce((a, d) => a * d, 1)),
});

/** Seeded property; `examples` are tried first. */
export function holds<T extends unknown[]>(
  arbitraries: { [K in keyof T]: fc.Arbitrary<T[K]> },
  check: (...values: T) => void,
  examples: T[] = [],
): void {
  const values = fc.tuple(...arbitraries) as fc.Arbitrary<T>;
  const property = fc.property(values, (own) => check(...own));
  fc.assert(property, { seed: 20261128, numRuns: 24, examples: examples.map((own): [T] => [own]) });
}

/** Sides of grids: small, prime and very long ones. */
export const side: fc.Arbitrary<number> = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 9 }) },
  { weight: 1, arbitrary: fc.constantFrom(16, 23, 37) },
);

/** Rows and columns. */
export const grid: fc.Arbitrary<[number, number]> = fc.tuple(side, side);
