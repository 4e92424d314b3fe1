import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { createTensorSource, directoryFiles, openCheckpoint } from "../../runtime/exec/weights/checkpoint.ts";
import { encodeSafetensors, readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import {
  checkAll,
  INDEX,
  inMemory,
  json,
  ONE,
  PART_1,
  PART_2,
  pick,
  SINGLE,
  TWO,
  WEIGHTS,
} from "./small_checkpoint.ts";

async function refused(files: Record<string, Uint8Array>, code: string, message: RegExp): Promise<void> {
  await assert.rejects(openCheckpoint(inMemory(files)), { name: "FoveaError", code, exitCode: 2, message });
}

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "fovea-weights-"));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("checkpoint: one file, shards with an index and shards without give the same tensors", async () => {
  await checkAll(inMemory({ "model.safetensors": SINGLE, "other.safetensors": new Uint8Array(3) }));
  await checkAll(inMemory({ "model.safetensors.index.json": INDEX, [ONE]: PART_1, [TWO]: PART_2 }));
  await checkAll(inMemory({ [ONE]: PART_1, [TWO]: PART_2 }));
  await checkAll(inMemory({ "model_a.safetensors": PART_1, "model_b.safetensors": PART_2 }));
  await checkAll(inMemory({ "model.safetensors": SINGLE, "model.safetensors.index.json": INDEX }));
});

test("checkpoint: a folder of the host", () =>
  withFolder(async (folder) => {
    const host = await detectHost();
    await mkdir(join(folder, "onnx"));
    await writeFile(join(folder, ONE), PART_1);
    await writeFile(join(folder, TWO), PART_2);
    const files = directoryFiles(host, `${folder}/`);
    assert.equal(files.description, folder);
    assert.deepEqual(await files.list(), [ONE, TWO]);
    await checkAll(files);
    await assert.rejects(openCheckpoint(directoryFiles(host, join(folder, "none"))), { code: "file.not_found" });
    await assert.rejects(openCheckpoint(directoryFiles(host, join(folder, "onnx"))), {
      code: "no_checkpoint",
      message: new RegExp(`${folder}/onnx holds no weights: expected model.safetensors, .*; found no files`),
    });
  }));

test("checkpoint: a trained model of float16 weights", async () => {
  const folder = join(process.cwd(), "examples/models/digits-clip");
  const checkpoint = await openCheckpoint(directoryFiles(await detectHost(), folder), { sliceBytes: 10_000 });
  assert.equal(checkpoint.names.length, 110);
  const all = readAllTensors(await readFile(join(folder, "model.safetensors")), "model.safetensors");
  for (const name of checkpoint.names) {
    assert.deepEqual(await checkpoint.readTensor(name, all[name].shape), all[name].data, name);
  }
  await checkpoint.close();
});

test("checkpoint: missing files and tensors are named", async () => {
  await refused(
    { "config.json": json({}), "pytorch_model.bin": json({}) },
    "no_checkpoint",
    /found "config.json", "pytorch_model.bin"/,
  );
  await refused(
    { "model.safetensors.index.json": INDEX, [ONE]: PART_1 },
    "missing_shard",
    /in the model are incomplete: model\.safetensors\.index\.json names "model-00002-of-00002\.safetensors", which is not there/,
  );
  await refused({ [TWO]: PART_2 }, "missing_shard", /names call for "model-00001-of-00002\.safetensors"/);
  await refused(
    { "model.safetensors.index.json": INDEX, [ONE]: PART_1, [TWO]: pick("vision_model.norm.bias") },
    "missing_tensor",
    /do not hold: "text_model\.norm\.bias" \(expected in "model-00002-of-00002\.safetensors"\)/,
  );
  await refused(
    { "model_a.safetensors": SINGLE, "model_b.safetensors": PART_1 },
    "ambiguous_checkpoint",
    /Tensor "logit_scale" is in model_a\.safetensors and in model_b\.safetensors/,
  );
  await refused(
    { "model.safetensors": SINGLE.subarray(0, 100) },
    "invalid_safetensors",
    /^model\.safetensors is no valid/,
  );
});

test("checkpoint: a wrong index is refused", async () => {
  const index = (bytes: Uint8Array): Record<string, Uint8Array> => ({ "model.safetensors.index.json": bytes });
  await refused(index(Uint8Array.of(0x7b)), "invalid_index", /not valid JSON/);
  await refused(index(json(null)), "invalid_index", /needs an object "weight_map"/);
  await refused(index(json({ weight_map: ["a"] })), "invalid_index", /needs an object "weight_map"/);
  await refused(index(json({ weight_map: { a: 1 } })), "invalid_index", /places tensor "a" in 1/);
  await refused(
    index(json({ weight_map: { a: "../up.safetensors" } })),
    "invalid_index",
    /places tensor "a" in "\.\.\/up/,
  );
});

test("checkpoint: names are found with and without the outer model's prefix", async () => {
  const checkpoint = await openCheckpoint(inMemory({ "model.safetensors": SINGLE }));
  const source = createTensorSource(checkpoint, { prefixes: ["", "vision_model.", "text_model."] });
  assert.ok(source.has("embed.weight") && source.has("vision_model.embed.weight") && !source.has("embed.bias"));
  assert.deepEqual(source.shapeOf("embed.weight"), [7, 5]);
  assert.equal(source.shapeOf("embed.bias"), undefined);
  assert.deepEqual(await source.read("embed.weight", [7, 5]), WEIGHTS["vision_model.embed.weight"].data);
  assert.deepEqual(
    await source.read("norm.bias", [5]),
    WEIGHTS["vision_model.norm.bias"].data,
    "the first prefix wins",
  );
  assert.deepEqual(await source.read("logit_scale", []), WEIGHTS.logit_scale.data);
  const whole = createTensorSource(checkpoint, { prefixes: [""], optionalBeginnings: ["encoder.", "vision_model."] });
  assert.ok(whole.has("vision_model.embed.weight") && whole.has("encoder.logit_scale") && !whole.has("embed.weight"));
  assert.deepEqual(await whole.read("encoder.logit_scale", []), WEIGHTS.logit_scale.data);
  await assert.rejects(source.read("embed.wieght", [7, 5]), {
    code: "missing_tensor",
    message:
      /^Tensor "embed\.wieght" is not in the model \(tried "embed\.wieght", "vision_model\.embed\.wieght", "text_model\.embed\.wieght"\); the nearest name is "vision_model\.embed\.weight"\./,
  });
  await assert.rejects(checkpoint.readTensor("zzz", []), {
    code: "missing_tensor",
    message: /it holds 4 tensors, such as "logit_scale"/,
  });
  const empty = await openCheckpoint(inMemory({ "model.safetensors": encodeSafetensors({}) }));
  await assert.rejects(empty.readTensor("zzz", []), {
    code: "missing_tensor",
    message: /^Tensor "zzz" is not in the model; it holds no tensors\. /,
  });
});

test("checkpoint: a wrong shape names tensor, found and expected", async () => {
  const checkpoint = await openCheckpoint(inMemory({ "model.safetensors": SINGLE }));
  const wrong = (shape: readonly number[]): Promise<unknown> =>
    checkpoint.readTensor("vision_model.embed.weight", shape);
  await assert.rejects(wrong([5, 7]), {
    code: "wrong_shape",
    message: /^Tensor "vision_model\.embed\.weight" in model\.safetensors has the shape \[7, 5\]; expected \[5, 7\]\./,
  });
  await assert.rejects(wrong([35]), { code: "wrong_shape" });
  await assert.rejects(checkpoint.readTensor("logit_scale", [1]), { message: /has the shape \[\]; expected \[1\]/ });
});
