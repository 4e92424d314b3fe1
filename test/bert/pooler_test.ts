/** Checkpoints without the pooler whose configuration is that of those with it. */
import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type EncodeInputs, type EncodeResult, pullModel } from "../../mod.ts";
import { encodeSafetensors, readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { folderFiles, startHub } from "../hub/hub_server.ts";
import { hasCode } from "../kit/assertions.ts";
import { withFolder } from "../kit/folder.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { FIXTURES } from "../kit/tower_fixtures.ts";

const WEIGHTS = "model.safetensors";

/** A copy of a fixture whose checkpoint has no pooler. */
async function withoutPooler(name: string, work: (folder: string) => Promise<void>): Promise<void> {
  await withFolder(async (parent) => {
    const folder = join(parent, name);
    cpSync(join(FIXTURES, name), folder, { recursive: true });
    const tensors = readAllTensors(new Uint8Array(readFileSync(join(folder, WEIGHTS))));
    const kept = Object.entries(tensors).filter(([tensor]) => !tensor.includes("pooler."));
    assert.ok(kept.length < Object.keys(tensors).length);
    writeFileSync(join(folder, WEIGHTS), encodeSafetensors(Object.fromEntries(kept)));
    await work(folder);
  });
}

const CASES: readonly (readonly [string, "text" | "vision", EncodeInputs, readonly (keyof EncodeResult)[]])[] = [
  ["sentence-minilm", "text", { texts: ["a cat", "a dog"] }, ["sentence_embedding", "last_hidden_state"]],
  [
    "vit",
    "vision",
    {
      pixel_values: {
        dtype: "f32",
        shape: [1, 3, 32, 32],
        data: Float32Array.from({ length: 3072 }, (_, i) => Math.sin(i)),
      },
    },
    ["last_hidden_state"],
  ],
];

for (const [name, modality, inputs, outputs] of CASES) {
  test(`${name} without its pooler has its other results, to the bit, and says what it has`, () =>
    withoutPooler(name, async (folder) => {
      const runtime = await openRuntime({ threads: 0 });
      try {
        const whole = await runtime.load(join(FIXTURES, name));
        const bare = await runtime.load(folder);
        assert.ok(whole.tower(modality).spec.outputs.includes("pooler_output"));
        assert.deepEqual(bare.tower(modality).spec.outputs, outputs);
        const expected = await whole.encode(inputs, { outputs });
        const found = await bare.encode(inputs);
        assert.deepEqual(Object.keys(found).sort(), [...outputs].sort());
        for (const output of outputs) assert.deepEqual(found[output], expected[output]);
        const pooled = bare.encode(inputs, { outputs: ["pooler_output"] });
        await assert.rejects(pooled, hasCode("invalid_input", /^There is no output "pooler_output"/));
      } finally {
        await runtime.close();
      }
    }));
}

test("of the hub it is pulled and loaded as well", () =>
  withoutPooler("sentence-minilm", async (folder) => {
    const hub = await startHub({ "acme/model": { commit: "a".repeat(40), files: folderFiles(folder) } });
    try {
      await withFolder(async (kept) => {
        const settings = { endpoint: hub.url, folder: kept };
        const { folder: pulled } = await pullModel("hf:acme/model", { hub: settings });
        const runtime = await openRuntime({ threads: 0, hub: { ...settings, offline: true } });
        try {
          for (const source of ["hf:acme/model", pulled]) {
            const encoder = await runtime.load(source);
            assert.deepEqual(encoder.tower("text").spec.outputs, ["sentence_embedding", "last_hidden_state"]);
          }
        } finally {
          await runtime.close();
        }
      });
    } finally {
      await hub.close();
    }
  }));
