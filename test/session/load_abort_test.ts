/** Loading can be given up at any moment: nothing stays behind, and others who load the same model are not harmed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRuntime, type Encoder } from "../../mod.ts";
import { repositoryPath } from "../kit/run_cli.ts";

const CLIP = repositoryPath("test/fixtures/clip");
const reason = new Error("no longer wanted");

test("a load that is aborted at any of its steps rejects with the reason and leaves no memory behind", async () => {
  const steps: string[] = [];
  let stopAt = Number.POSITIVE_INFINITY;
  let controller = new AbortController();
  const onProgress = ({ phase, item }: { readonly phase: string; readonly item: string }): void => {
    steps.push(`${phase} ${item}`);
    if (steps.length === stopAt) controller.abort(reason);
  };
  const runtime = await createRuntime({ threads: 2, onProgress });
  const load = async (at: number): Promise<void> => {
    steps.length = 0;
    stopAt = at;
    controller = new AbortController();
    await assert.rejects(runtime.load(CLIP, { signal: controller.signal }), (error) => error === reason);
    assert.equal(runtime.stats().device.bytesInUse, 0);
  };
  await load(1);
  assert.equal(steps.length, 1);
  await load(2);
  stopAt = Number.POSITIVE_INFINITY;
  steps.length = 0;
  (await runtime.load(CLIP)).close();
  const all = [...steps];
  assert.ok(all.length > 4, all.join(", "));
  for (const at of [3, Math.ceil(all.length / 2), all.length - 1]) {
    await load(at);
    assert.deepEqual(steps, all.slice(0, at));
  }
  await runtime.close();
});

test("an abort while artifacts are proven ends one load, and the other one that waited for them goes on", async () => {
  const runtime = await createRuntime({ threads: 2 });
  const controller = new AbortController();
  const given = runtime.load(CLIP, { signal: controller.signal });
  const wanted: Promise<Encoder> = runtime.load(CLIP);
  while (runtime.stats().counters.compiled === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  controller.abort(reason);
  await assert.rejects(given, (error) => error === reason);
  const encoder = await wanted;
  const result = await encoder.encode({ input_ids: { dtype: "i32", shape: [1, 3], data: Int32Array.of(1, 2, 3) } });
  assert.equal(result.text_embeds?.shape[0], 1);
  encoder.close();
  assert.equal(runtime.stats().device.bytesInUse, 0);
  await runtime.close();
});

test("a load's signal has no power over the encoder that it made, lazy ranges included", async () => {
  const runtime = await createRuntime({ threads: 0, compile: { base: { lazy: true } } });
  const controller = new AbortController();
  const encoder = await runtime.load(CLIP, { signal: controller.signal });
  controller.abort(reason);
  const result = await encoder.encode({ input_ids: { dtype: "i32", shape: [1, 3], data: Int32Array.of(1, 2, 3) } });
  assert.equal(result.text_embeds?.shape[0], 1);
  await runtime.close();
});
