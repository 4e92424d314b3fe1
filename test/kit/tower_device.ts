/** Model folders of test/fixtures on the WebAssembly device. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Encoder, Tensor } from "../../mod.ts";
import { type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { maxDifference } from "./run_graph.ts";
import { openRuntime } from "./test_runtime.ts";
import { deviation, FIXTURES, readCase } from "./tower_fixtures.ts";

export const asRef = (t: Tensor): RefTensor => refTensor(t.dtype, t.shape, t.data);

/** Loads a model in the caller's thread, and closes it after `work`. */
export async function withModel(
  files: ReadonlyMap<string, Uint8Array>,
  work: (encoder: Encoder) => Promise<void>,
): Promise<void> {
  const runtime = await openRuntime({ threads: 0 });
  try {
    await work(await runtime.load(files));
  } finally {
    await runtime.close();
  }
}

/** Configuration and weights of a folder. */
export function modelFiles(folder: string): Map<string, Uint8Array> {
  return new Map(["config.json", "model.safetensors"].map((f) => [f, new Uint8Array(readFileSync(join(folder, f)))]));
}

/** One test for a folder: every output of every case within 2e-5 standard deviations. */
export function testTowerOnDevice(name: string): void {
  test(`${name} on wasm gives the outputs of its cases`, async () => {
    const folder = join(FIXTURES, name);
    await withModel(modelFiles(folder), async (encoder) => {
      for (const file of readdirSync(folder).filter((f) => f.startsWith("case-"))) {
        const { inputs, outputs } = readCase(join(folder, file));
        const found = (await encoder.encode(inputs, { outputs: [...outputs.keys()] })) as Readonly<
          Record<string, Tensor>
        >;
        for (const [key, want] of outputs) {
          assert.deepEqual(found[key].shape, want.shape);
          const apart = maxDifference(asRef(found[key]), want) / deviation(want);
          assert.ok(apart <= 2e-5, `${file}, ${key}: ${apart} standard deviations`);
        }
      }
    });
  });
}
