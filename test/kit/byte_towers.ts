/** Model folders of test/fixtures with a processor's configuration beside them: bytes against normalised values. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Encoder, Runtime, RuntimeOptions, Tensor } from "../../mod.ts";
import type { Tensors } from "../../runtime/abi/encoder.ts";
import { hash32 } from "../../runtime/core/random.ts";
import type { ValueSteps } from "../../runtime/core/value_steps.ts";
import { valueTable, writeValues } from "../../runtime/media/pixels.ts";
import { openRuntime } from "./test_runtime.ts";
import { FIXTURES } from "./tower_fixtures.ts";

/** As `fovea verify` asks for, in standard deviations. */
export const TOLERANCE = 2e-5;

export const STEPS: ValueSteps = {
  rescaleFactor: 1 / 255,
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};
export const PROCESSOR: Readonly<Record<string, unknown>> = {
  rescale_factor: 1 / 255,
  image_mean: STEPS.mean,
  image_std: STEPS.std,
};

/** Of Qwen2.5-VL, for pictures of some hundred pixels. */
export const QWEN_PROCESSOR: Readonly<Record<string, unknown>> = {
  ...PROCESSOR,
  image_processor_type: "Qwen2VLImageProcessor",
  patch_size: 14,
  temporal_patch_size: 2,
  merge_size: 2,
  min_pixels: 56 * 56,
  max_pixels: 28 * 28 * 24,
};

/** Samples of a shape. */
export const noise = (...shape: readonly number[]): Tensor => ({
  dtype: "u8",
  shape,
  data: Uint8Array.from({ length: shape.reduce((a, d) => a * d, 1) }, (_, i) => hash32(shape.length, i)),
});
export const i32 = (shape: readonly number[], ...data: readonly number[]): Tensor => ({
  dtype: "i32",
  shape,
  data: Int32Array.from(data),
});

/** Two still images of Qwen-VL, 32 patches. */
export const GRID: Tensors = { image_grid_thw: i32([2, 3], 1, 4, 6, 2, 2, 2) };

/** How far apart two results are. */
export interface Apart {
  /** Largest absolute difference in standard deviations of the second. */
  readonly difference: number;
  readonly cosine: number;
}

export function apart(found: Tensor, wanted: Tensor): Apart {
  const [a, b] = [found.data, wanted.data];
  const n = b.length;
  let [mean, dot, aa, bb, worst] = [0, 0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    mean += b[i] / n;
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
    // NaN must not pass.
    const difference = Math.abs(a[i] - b[i]);
    if (!(difference <= worst)) worst = difference;
  }
  let variance = 0;
  for (let i = 0; i < n; i++) variance += (b[i] - mean) ** 2 / n;
  return { difference: worst / Math.sqrt(variance), cosine: dot / Math.sqrt(aa * bb) };
}

/** A model in the caller's thread, closed after `work`. */
export async function withProcessor(
  folder: string,
  processor: unknown,
  work: (encoder: Encoder, runtime: Runtime, files: ReadonlyMap<string, Uint8Array>) => Promise<void>,
  options: Pick<RuntimeOptions, "target" | "compile" | "memory"> = {},
): Promise<void> {
  const path = join(FIXTURES, folder);
  const names = readdirSync(path).filter((f) => /^(config|model).*\.(json|safetensors)$/.test(f));
  const files = new Map(names.map((f) => [f, new Uint8Array(readFileSync(join(path, f)))]));
  files.set("preprocessor_config.json", new TextEncoder().encode(JSON.stringify(processor)));
  const runtime = await openRuntime({ threads: 0, ...options });
  try {
    await work(await runtime.load(files, { components: ["vision"] }), runtime, files);
  } finally {
    await runtime.close();
  }
}

/** Normalised samples. @param run as in {@link writeValues} */
export function normalized({ shape, data }: Tensor, run: number, steps: ValueSteps): Tensor {
  const values = new Float32Array(data.length);
  writeValues(data as Uint8Array, run, valueTable(steps), values);
  return { dtype: "f32", shape, data: values };
}

/** Every result for bytes, compared with that for values. */
export async function compareForms(
  encoder: Encoder,
  bytes: Tensors,
  values: Tensors,
): Promise<Readonly<Record<string, Apart>>> {
  const found = (await encoder.encode(bytes)) as Readonly<Record<string, Tensor>>;
  const wanted = (await encoder.encode(values)) as Readonly<Record<string, Tensor>>;
  return Object.fromEntries(Object.keys(wanted).map((name) => [name, apart(found[name], wanted[name])]));
}
