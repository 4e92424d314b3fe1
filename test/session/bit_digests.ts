/** Digests that must be the same on every engine for the pinned portable target. */
import { readFileSync } from "node:fs";
import { createRuntime, type Tensor } from "../../mod.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
import type { WeightDType } from "../../runtime/core/dtype.ts";
import { readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { repositoryPath } from "../kit/run_cli.ts";

const FOLDER = repositoryPath("test/fixtures/clip");
const CASES = ["case-image-b1", "case-image-b3", "case-text-b2"];

export interface BitDigests {
  /** By component and range. */
  readonly artifacts: Readonly<Record<string, readonly string[]>>;
  /** By case and output. */
  readonly outputs: Readonly<Record<string, string>>;
}

const bytesOf = ({ data }: Tensor): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Golden file of weights that are kept as `dtype`. */
export const goldenName = (dtype: WeightDType): string => `clip_wasm_simd128${dtype === "f32" ? "" : `_${dtype}`}.json`;

/** Loads and runs the CLIP fixture with target `wasm-simd128`. */
export async function bitDigests(threads: number, dtype: WeightDType): Promise<BitDigests> {
  const runtime = await createRuntime({ target: "wasm-simd128", threads });
  try {
    const encoder = await runtime.load(FOLDER, { dtype });
    const components = encoder.modalities.flatMap((m) => [...encoder.tower(m).components.values()]);
    const artifacts = components.map((c) => [c.spec.tag, c.artifacts.map((a) => a.digest)] as const);
    const outputs: Record<string, string> = {};
    for (const name of CASES) {
      const tensors = Object.entries(readAllTensors(readFileSync(`${FOLDER}/${name}.safetensors`)));
      const inputs = tensors.filter(([n]) => n.startsWith("input.")).map(([n, t]) => [n.slice(6), t] as const);
      const found = await encoder.encode(Object.fromEntries(inputs));
      for (const [output, tensor] of Object.entries(found))
        outputs[`${name} ${output}`] = digestBytes(bytesOf(tensor as Tensor));
    }
    return { artifacts: Object.fromEntries(artifacts), outputs };
  } finally {
    await runtime.close();
  }
}
