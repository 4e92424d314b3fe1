/** Model folders of test/fixtures with int8 weights on the WebAssembly device. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { EncodeInputs, LoadOptions, Tensor } from "../../mod.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { FIXTURES, readCase } from "../kit/tower_fixtures.ts";

/** Folders by the test file that runs them. */
export type Group = "dino" | "vision" | "siglip" | "text" | "sentence" | "pixtral" | "qwen" | "internvl";

export const FOLDERS: Readonly<Record<Group, readonly string[]>> = {
  dino: ["dinov2", "dinov2-outliers", "dinov2-ragged", "dinov2-registers", "dinov2-registers-ragged"],
  vision: [
    "dinov3",
    "dinov3-gated",
    "vit",
    "vit-classifier",
    "vit-nobias",
    "vit-deit",
    "vit-msn",
    "vit-ijepa",
    "clip",
    "clip-eos2",
    "metaclip_2",
    "llava",
    "llava_next",
  ],
  siglip: [
    "siglip",
    "siglip2",
    "gemma3",
    "paligemma",
    "llava-siglip",
    "smolvlm",
    "idefics3-tower",
    "whisper",
    "qwen2_audio",
    "voxtral",
    "wav2vec2",
    "hubert",
  ],
  text: ["bert", "bert-legacy", "distilbert", "modernbert-long", "mpnet", "nomic_bert", "roberta"],
  sentence: [
    "sentence-dense",
    "sentence-gemma",
    "sentence-minilm",
    "sentence-modernbert",
    "sentence-mpnet",
    "sentence-qwen3",
    "sentence-unigram",
    "sentence-xlm-roberta",
  ],
  pixtral: ["pixtral", "pixtral-llava", "pixtral-merge", "llama4"],
  qwen: ["qwen2_5_vl", "qwen2_vl", "qwen3_vl"],
  internvl: ["internvl", "internvl-placeless", "internvl-projector", "internvl-sizes"],
};

/** Least cosine to the reference implementation's f32, of every row. */
export const LEAST_COSINE = 0.998;

/** Most that a calibration may take from the cosine of a row. */
const MOST_LOST = 0.0003;

export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return ab / Math.sqrt(aa * bb);
}

/** The least cosine of rows of equal length; NaN where one has none. */
export function leastCosine(a: Tensor["data"], b: Float64Array | Int32Array, width: number): number {
  let least = 1;
  for (let i = 0; i < b.length; i += width) {
    const own = cosine(a.subarray(i, i + width), b.subarray(i, i + width));
    least = own >= least ? least : own;
  }
  return least;
}

/** One test for each folder: every row of every output of every case, also with a calibration made of these cases. */
export function testInt8(group: Group): void {
  for (const name of FOLDERS[group]) {
    test(`${name} with int8 weights stays near f32`, async () => {
      const folder = join(FIXTURES, name);
      // Ranges that no case runs in are not compiled.
      const runtime = await openRuntime({ threads: 0, compile: { base: { lazy: true } } });
      try {
        const cases = readdirSync(folder)
          .filter((f) => f.startsWith("case-"))
          .map((file) => ({ file, ...readCase(join(folder, file)) }));
        assert.ok(cases.length > 0);
        /** Least cosines by case and output. */
        const leastOf = async (options: LoadOptions): Promise<ReadonlyMap<string, number>> => {
          const encoder = await runtime.load(folder, { dtype: "int8", ...options });
          const all = new Map<string, number>();
          for (const { file, inputs, outputs } of cases) {
            const found = (await encoder.encode(inputs, { outputs: [...outputs.keys()] })) as Record<string, Tensor>;
            for (const [key, want] of outputs) {
              assert.deepEqual(found[key].shape, want.shape);
              const least = leastCosine(found[key].data, want.data, want.shape[want.shape.length - 1]);
              assert.ok(least >= LEAST_COSINE, `${file}, ${key}: cosine ${least}`);
              all.set(`${file}, ${key}`, least);
              // Products of integers cannot give the bits of f32.
              assert.ok(found[key].data.some((v, i) => Math.abs(v - want.data[i]) > 1e-5));
            }
          }
          encoder.close();
          return all;
        };
        const plain = await leastOf({});
        const calibration = await runtime.calibrate(
          folder,
          cases.map(({ inputs }) => inputs as EncodeInputs),
        );
        for (const [what, least] of await leastOf({ calibration })) {
          const without = plain.get(what) ?? 1;
          assert.ok(least >= without - MOST_LOST, `${what}: cosine ${least} calibrated, ${without} without`);
        }
      } finally {
        await runtime.close();
      }
    });
  }
}
