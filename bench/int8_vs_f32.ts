/** SigLIP base's vision tower with made-up weights: products of integers against those of f32, of one runtime. */
import { fileURLToPath } from "node:url";
import { createRuntime, type WeightDType } from "../mod.ts";
import { fillNormal } from "../runtime/core/random.ts";
import type { BenchOptions, BenchResult } from "./benchmark.ts";
import { type Contender, interleave, rowsOf } from "./interleave.ts";

const MODEL = new URL("../test/fixtures/configs/siglip-base-patch16-224/", import.meta.url);
const OUTPUT = "last_hidden_state";
const SIDE = 224;
/** Of one picture: 12 layers of 768 and 3072 over 196 patches, their attention, and the patch embedding. */
const FLOPS = 12 * (2 * 196 * 768 * (4 * 768 + 2 * 3072) + 4 * 196 * 196 * 768) + 2 * 196 * 768 * 768;

/** Largest difference over the standard deviation of what is expected. */
function differenceOf(found: Float32Array, expected: Float32Array): number {
  let [sum, squares, worst] = [0, 0, 0];
  for (let i = 0; i < found.length; i++) {
    sum += expected[i];
    squares += expected[i] ** 2;
    worst = Math.max(worst, Math.abs(found[i] - expected[i]));
  }
  return worst / Math.sqrt(squares / found.length - (sum / found.length) ** 2);
}

/** f32 first; `ratio` is how many times as fast the other is. */
export async function int8VsF32({ batch, threads, rounds, runs }: BenchOptions): Promise<BenchResult> {
  const runtime = await createRuntime({ device: "wasm", threads });
  const shape = [batch, 3, SIDE, SIDE];
  const data = new Float32Array(shape.reduce((a, b) => a * b));
  fillNormal(data, 7, 0, 1);
  try {
    const contenders: Contender[] = [];
    for (const dtype of ["f32", "int8"] as const satisfies readonly WeightDType[]) {
      const encoder = await runtime.load(fileURLToPath(MODEL), {
        ...{ dtype, loadFormat: "dummy", components: ["vision"] },
      });
      const run = async (): Promise<Float32Array> => {
        const found = await encoder.encode({ pixel_values: { dtype: "f32", shape, data } }, { outputs: [OUTPUT] });
        return found[OUTPUT]?.data as Float32Array;
      };
      contenders.push({ name: dtype, run });
    }
    const results = [];
    for (const { run } of contenders) results.push((await run()) as Float32Array);
    const times = await interleave(contenders, { rounds, runs, warmUp: 1 });
    return {
      settings: {
        ...{ model: "siglip-base-patch16-224 vision, made-up weights", target: runtime.target },
        ...{ threads, batch },
      },
      difference: differenceOf(results[1], results[0]),
      rows: rowsOf(contenders, times, batch * FLOPS),
    };
  } finally {
    await runtime.close();
  }
}
