/** Digests that must be the same on every engine for the pinned portable target. */

import { readFileSync } from "node:fs";
import type { Tensor } from "../../mod.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
import type { WeightDType } from "../../runtime/core/dtype.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { loadedTower } from "../kit/loaded_tower.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const FOLDER = repositoryPath("test/fixtures/clip");
const CASES = ["case-image-b1", "case-image-b3", "case-text-b2"];

export interface BitDigests {
  /** By component and range. */
  readonly artifacts: Readonly<Record<string, readonly string[]>>;
  /** By case and output. */
  readonly outputs: Readonly<Record<string, string>>;
}

const bytesOf = ({ data }: Tensor): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

const PROCESSOR = { image_mean: [0.48, 0.46, 0.41], image_std: [0.27, 0.26, 0.28] };

/** The fixture with a processor, so that its vision tower takes bytes as well. */
function modelFiles(): ReadonlyMap<string, Uint8Array> {
  const own = ["config.json", "model.safetensors"].map(
    (f) => [f, new Uint8Array(readFileSync(`${FOLDER}/${f}`))] as const,
  );
  return new Map([...own, ["preprocessor_config.json", new TextEncoder().encode(JSON.stringify(PROCESSOR))]]);
}

/** Two pictures of 32x32 pixels. */
function samples(): Tensor {
  const shape = [2, 3, 32, 32];
  return { dtype: "u8", shape, data: Uint8Array.from({ length: 2 * 3 * 32 * 32 }, (_, i) => hash32(1, i)) };
}

/** Golden file of weights that are kept as `dtype`. */
export const goldenName = (dtype: WeightDType): string => `clip_wasm_simd128${dtype === "f32" ? "" : `_${dtype}`}.json`;

/** Loads and runs the CLIP fixture with target `wasm-simd128`. */
export async function bitDigests(threads: number, dtype: WeightDType): Promise<BitDigests> {
  const runtime = await openRuntime({ target: "wasm-simd128", threads });
  try {
    const encoder = await runtime.load(modelFiles(), { dtype });
    const outputs: Record<string, string> = {};
    const run = async (name: string, inputs: Readonly<Record<string, Tensor>>): Promise<void> => {
      for (const [output, tensor] of Object.entries(await encoder.encode(inputs)))
        outputs[`${name} ${output}`] = digestBytes(bytesOf(tensor as Tensor));
    };
    for (const name of CASES) {
      const tensors = Object.entries(readAllTensors(readFileSync(`${FOLDER}/${name}.safetensors`)));
      const inputs = tensors.filter(([n]) => n.startsWith("input.")).map(([n, t]) => [n.slice(6), t] as const);
      await run(name, Object.fromEntries(inputs));
    }
    await run("bytes", { pixel_values: samples() });
    const components = encoder.modalities.flatMap((m) => [...loadedTower(encoder, m).components.values()]);
    const artifacts = components.map((c) => [c.spec.tag, c.artifacts.map((a) => a.digest)] as const);
    return { artifacts: Object.fromEntries(artifacts), outputs };
  } finally {
    await runtime.close();
  }
}
