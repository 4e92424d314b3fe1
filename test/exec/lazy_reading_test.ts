/** Loading an encoder out of a larger checkpoint reads its own tensors and nothing else. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { CheckpointFiles } from "../../runtime/exec/weights/checkpoint.ts";
import { memoryFiles } from "../../runtime/exec/weights/checkpoint.ts";
import { encodeSafetensors, readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const CLIP = repositoryPath("test/fixtures/clip");

/** Files whose reads are counted. */
function counting(files: CheckpointFiles, count: (bytes: number) => void): CheckpointFiles {
  return {
    ...files,
    list: () => files.list(),
    open: async (name) => {
      const source = await files.open(name);
      const read: typeof source.read = (into, position) => {
        if (name.endsWith(".safetensors")) count(into.length);
        return source.read(into, position);
      };
      return { name: source.name, size: source.size, read, close: () => source.close() };
    },
  };
}

test("a language model beside the encoder is never read", async () => {
  const own = readAllTensors(readFileSync(`${CLIP}/model.safetensors`), "model.safetensors");
  const vision = Object.entries(own).filter(
    ([name]) => name.startsWith("vision_model.") || name.startsWith("visual_projection"),
  );
  const needed = vision.reduce((sum, [, t]) => sum + t.data.length * 4, 0);
  const language = { dtype: "f32", shape: [1000, 1000], data: new Float32Array(1_000_000).fill(Number.NaN) } as const;
  const checkpoint = encodeSafetensors({ ...own, "language_model.embed_tokens.weight": language });
  const files = memoryFiles(
    new Map([
      ["config.json", new Uint8Array(readFileSync(`${CLIP}/config.json`))],
      ["model.safetensors", checkpoint],
    ]),
  );
  let read = 0;
  const runtime = await openRuntime({ threads: 0 });
  const counted = counting(files, (bytes) => {
    read += bytes;
  });
  const encoder = await runtime.load(counted, { components: ["vision"] });
  // The header, and one scalar for the scale of similarities, come on top.
  const header = Number(new DataView(checkpoint.buffer, checkpoint.byteOffset).getBigUint64(0, true));
  assert.ok(read >= needed, `${read} bytes were read of ${needed}`);
  assert.ok(read <= needed + header + 64, `${read} bytes were read; the tower has ${needed} and the header ${header}`);
  encoder.close();
  await runtime.close();
});
