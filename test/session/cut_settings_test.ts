/** `granularity` as a setting: what it says of components, from packs and sealed, and what it cannot join. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type CompileConfig, createRuntime, type Runtime, SealedError, type Tensors } from "../../mod.ts";
import { tracedModel } from "../../runtime/session/models/prepared_model.ts";
import { hasCode } from "../kit/assertions.ts";
import { withFolder } from "../kit/folder.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const fixture = (name: string): string => repositoryPath(`test/fixtures/${name}`);

const tagged = (granularity: string | number, tag = "*"): CompileConfig =>
  ({ components: { [tag]: { granularity } } }) as CompileConfig;

test("op is op by op, block the components as they are, and what differs in a setting is not joined", async () => {
  const runtime = await openRuntime({
    threads: 0,
    compile: {
      base: { granularity: "op" },
      components: { "clip/vision.*": { granularity: 4 }, "clip/vision.pool": { granularity: "block" } },
    },
  });
  const { towers } = tracedModel(await runtime.prepare(DIGITS, { compile: false }));
  const settings = [...towers.values()].flatMap((t) => [...t.components].map(([tag, c]) => [tag, c.settings] as const));
  const of = Object.fromEntries(settings);
  assert.deepEqual(of["clip/text.block"].enabled, { value: false, from: "compile.base" });
  assert.deepEqual(of["clip/vision.pool"].granularity, {
    value: "block",
    from: 'compile.components["clip/vision.pool"]',
  });
  const joined = of["clip/vision.block x 4"];
  assert.deepEqual(joined.granularity, { value: 4, from: 'compile.components["clip/vision.*"]' });
  assert.deepEqual(
    [joined.ranges.value, joined.lazy.value, joined.enabled.value],
    [{ ends: { batch: [1, 8] } }, false, true],
  );
  // Larger components make its calls.
  assert.deepEqual(of["clip/vision.block"].lazy, { value: true, from: 'compile.components["clip/vision.*"]' });
  await runtime.close();

  const apart = await openRuntime({
    threads: 0,
    compile: { base: { granularity: "tower" }, components: { "clip/vision.pool": { dtype: "f16" } } },
  });
  const { towers: parts } = tracedModel(await apart.prepare(DIGITS, { components: ["vision"], compile: false }));
  assert.deepEqual(
    [...(parts.get("vision")?.components.keys() ?? [])].filter((tag) => tag.includes(" ")),
    ["clip/vision.embed_u8 to clip/vision.block (5)"],
  );
  await apart.close();
});

test("equal groups of blocks share one structure, and their settings follow the blocks'", async () => {
  const runtime = await openRuntime({
    threads: 0,
    compile: { components: { "clip/vision.block": { granularity: 2, ranges: { ends: { batch: [4] } }, lazy: true } } },
  });
  const { towers } = tracedModel(await runtime.prepare(DIGITS, { components: ["vision"], compile: false }));
  const pairs = towers.get("vision")?.components.get("clip/vision.block x 2") ?? assert.fail();
  assert.equal(pairs.spec.instances.length, 2);
  assert.deepEqual(
    pairs.boxes.map(({ batch }) => [batch.min, batch.max]),
    [
      [1, 4],
      [5, 64],
    ],
  );
  assert.equal(pairs.settings.lazy.value, true);
  await runtime.close();
});

test("nothing is joined where compiling is switched off", async () => {
  const runtime = await openRuntime({ threads: 0, compile: { enabled: false, ...tagged(2) } });
  const { towers } = tracedModel(await runtime.prepare(DIGITS, { components: ["vision"], compile: false }));
  const tags = [...(towers.get("vision")?.components.keys() ?? [])];
  assert.ok(tags.length > 0 && tags.every((tag) => !tag.includes(" x ")), tags.join());
  await runtime.close();
});

test("joined components come from packs, what a plan calls otherwise as well at its first use, which a sealed runtime refuses", () =>
  withFolder(async (folder) => {
    const compile = tagged("tower", "clip/vision.*");
    const builder = await createRuntime({ threads: 0, target: "wasm-simd128", compile });
    await builder.buildPack(DIGITS, folder, { components: ["vision"] });
    await builder.close();
    const inputsOf = (encoder: Awaited<ReturnType<Runtime["load"]>>): Tensors =>
      encoder.tower("vision").spec.example({ batch: 2, seed: 5 });
    const runtime = await createRuntime({ threads: 0, target: "wasm-simd128", compile, packs: [folder] });
    const encoder = await runtime.load(DIGITS, { components: ["vision"] });
    assert.ok(encoder.explain().includes("called inside of larger components (compile.components["));
    const whole = (await encoder.encode(inputsOf(encoder))) as Tensors;
    const { compiled, packHits } = runtime.stats().counters;
    assert.deepEqual([compiled, packHits > 0], [0, true]);
    // Without the head the tower is another one.
    const { last_hidden_state } = await encoder.encode(inputsOf(encoder), { outputs: ["last_hidden_state"] });
    assert.deepEqual(last_hidden_state, whole.last_hidden_state);
    const { counters, recompiles } = runtime.stats();
    assert.deepEqual([counters.compiled, counters.packHits > packHits, recompiles], [0, true, []]);
    await runtime.close();

    const sealed = await openRuntime({ threads: 0, target: "wasm-simd128", compile });
    const served = await sealed.load(DIGITS, { components: ["vision"] });
    sealed.seal();
    assert.deepEqual(await served.encode(inputsOf(served)), whole);
    await assert.rejects(
      served.encode(inputsOf(served), { outputs: ["last_hidden_state"] }),
      (error: unknown) => error instanceof SealedError && /clip\/vision\.embed_u8/.test(error.message),
    );
    await sealed.close();
  }));

test("sizes are recorded for the encoder's own components, and parts that do not fit are refused", async () => {
  const recorded = async (compile: CompileConfig): Promise<readonly string[]> => {
    const seen = new Set<string>();
    const onSizes = (sizes: unknown): void => void seen.add(JSON.stringify(sizes));
    const runtime = await openRuntime({ threads: 0, compile, onSizes });
    const encoder = await runtime.load(fixture("qwen2_5_vl"), { components: ["vision"] });
    await encoder.encode(encoder.tower("vision").spec.example({ batch: 1, seed: 1, grid: [1, 8, 12] }));
    await runtime.close();
    return [...seen].sort();
  };
  assert.deepEqual(await recorded(tagged("tower")), await recorded({}));

  const runtime = await openRuntime({ threads: 0, compile: tagged("tower") });
  await assert.rejects(
    runtime.load(fixture("internvl-projector")),
    hasCode(
      "cannot_compose",
      /^"internvl\/vision\.embed to internvl\/vision\.project \(4\)" joins components whose sizes do not show that they fit together: .* Set another `granularity` for one of them\.$/,
    ),
  );
  await runtime.close();
});
