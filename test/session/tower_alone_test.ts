/** Towers that were saved alone, as transformers 5 writes them: tensors lack the beginning that the whole model gives them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { encodeSafetensors, readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { tensorOf } from "../kit/run_graph.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { FIXTURES, readCase, readJson } from "../kit/tower_fixtures.ts";

/** The folder that a tower of a fixture makes when it is saved alone. */
function alone(name: string, part: string): ReadonlyMap<string, Uint8Array> {
  const folder = join(FIXTURES, name);
  const own = readJson(join(folder, "config.json"))[`${part}_config`] as object;
  const config = { ...own, model_type: `${name}_${part}_model` };
  const beginning = `${part}_model.`;
  const tensors = Object.entries(readAllTensors(readFileSync(join(folder, "model.safetensors"))))
    .filter(([tensor]) => tensor.startsWith(beginning))
    .map(([tensor, value]) => [tensor.slice(beginning.length), value] as const);
  return new Map([
    ["config.json", new TextEncoder().encode(JSON.stringify(config))],
    ["model.safetensors", encodeSafetensors(Object.fromEntries(tensors))],
  ]);
}

for (const name of ["clip", "siglip"]) {
  for (const [part, file] of [
    ["vision", "case-image-b1.safetensors"],
    ["text", "case-text-b2.safetensors"],
  ]) {
    test(`${name}: a ${part} tower that was saved alone gives what the whole model's does`, async () => {
      const { inputs, outputs } = readCase(join(FIXTURES, name, file));
      const expected = outputs.get("last_hidden_state");
      assert.ok(expected !== undefined);
      const runtime = await openRuntime({ threads: 0 });
      try {
        const encoder = await runtime.load(alone(name, part));
        const { last_hidden_state: found } = await encoder.encode(inputs, { outputs: ["last_hidden_state"] });
        const { shape, data } = tensorOf(expected);
        assert.deepEqual(found?.shape, shape);
        assert.ok(found.data.every((v, i) => Math.abs(Number(v) - Number(data[i])) < 2e-5));
      } finally {
        await runtime.close();
      }
    });
  }
}
