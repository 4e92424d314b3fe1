/** What loading, encoding, new geometries and lazy ranges cost, by exact counts. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createRuntime } from "../../mod.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import { tracedModel } from "../../runtime/session/models/prepared_model.ts";
import { assertCounterDeltas } from "../kit/counter_deltas.ts";
import { loadedTower } from "../kit/loaded_tower.ts";
import { repositoryPath } from "../kit/run_cli.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const TEXT = { components: ["text"], loadFormat: "dummy" } as const;
/** Seven ranges: four components with one each, and the projection's three. */
const RANGES = 7;

const inputs = (batch: number, tokens: number) => ({
  input_ids: {
    dtype: "i32" as const,
    shape: [batch, tokens],
    data: Int32Array.from({ length: batch * tokens }, (_, i) => (i % tokens === tokens - 1 ? 2 : 1)),
  },
});

test("a load compiles each structure once, a second load nothing, another runtime takes all from the store", async () => {
  const cache = createMemoryStore();
  const runtime = await createRuntime({ threads: 0, cache, target: "wasm-simd128" });
  const before = runtime.stats().device.modulesCompiled;
  const blobs = new Set<string>();
  const { towers } = tracedModel(await runtime.prepare(DIGITS, { components: ["text"], compile: false }));
  assert.equal(
    [...(towers.get("text")?.components.values() ?? [])].reduce((n, c) => n + c.slots.length, 0),
    RANGES,
  );
  const encoder = await runtime.load(DIGITS, TEXT);
  for (const { artifacts } of loadedTower(encoder, "text").components.values()) {
    for (const { blobs: own } of artifacts) for (const digest of own.keys()) blobs.add(digest);
  }
  const { counters, device } = runtime.stats();
  assert.deepEqual([counters.compiled, counters.cacheHits, counters.proven], [RANGES, 0, RANGES]);
  assert.equal(device.modulesCompiled - before, blobs.size);
  await assertCounterDeltas({ runtime }, { shared: RANGES }, () => runtime.load(DIGITS, TEXT));
  await runtime.close();

  const second = await createRuntime({ threads: 0, cache, target: "wasm-simd128" });
  const hits = { cacheHits: RANGES, modulesCompiled: blobs.size };
  await assertCounterDeltas({ runtime: second }, hits, () => second.load(DIGITS, TEXT));
  await second.close();
});

test("encoding plans each geometry once and compiles nothing", async () => {
  const runtime = await createRuntime({ threads: 0 });
  const encoder = await runtime.load(DIGITS, TEXT);
  const counted = { runtime, encoders: [encoder] };
  await assertCounterDeltas(counted, { encodes: 1, planned: 1 }, () => encoder.encode(inputs(1, 4)));
  await assertCounterDeltas(counted, { encodes: 1 }, () => encoder.encode(inputs(1, 4)));
  await assertCounterDeltas(counted, { encodes: 2, planned: 1 }, async () => {
    await encoder.encode(inputs(3, 4));
    await encoder.encode(inputs(3, 4));
  });
  await runtime.close();
});

test("the work of a call that is cut into parts is that of all of them", async () => {
  const runtime = await createRuntime({ threads: 0 });
  const encoder = await runtime.load(DIGITS, TEXT);
  const { stats } = encoder.tower("text");
  await encoder.encode(inputs(64, 4));
  const work = stats.flops;
  await encoder.encode(inputs(65, 4));
  assert.ok(stats.flops > work && stats.flops < 1.1 * work, `${stats.flops} after ${work}`);
  await runtime.close();
});

test("a lazy range compiles at its first use and is counted as a recompile", async () => {
  const components = { "clip/text.project": { lazy: true } };
  const runtime = await createRuntime({ threads: 0, compile: { components } });
  const encoder = await runtime.load(DIGITS, TEXT);
  const counted = { runtime, encoders: [encoder] };
  const first = { encodes: 1, planned: 1, compiled: 1, proven: 1, recompiles: 1 };
  await assertCounterDeltas(counted, { ...first, modulesCompiled: 1 }, () => encoder.encode(inputs(1, 4)));
  await assertCounterDeltas(counted, { encodes: 1, planned: 1 }, () => encoder.encode(inputs(1, 5)));
  await assert.rejects(
    assertCounterDeltas(counted, {}, () => encoder.encode(inputs(1, 5))),
    /encodes/,
  );
  await runtime.close();
});
