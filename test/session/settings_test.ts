/** Settings of components: inheritance by tag, lazy ranges, sealed runtimes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRuntime, SealedError } from "../../mod.ts";
import type { ComponentSpec } from "../../runtime/abi/encoder.ts";
import { resolveSettings, tagMatches } from "../../runtime/session/config/settings.ts";

const SQUARE: ComponentSpec = {
  tag: "example/vision.square",
  symbols: { rows: { min: 1, max: 64 } },
  ranges: { ends: { rows: [8] } },
  instances: [""],
  build: (b) => {
    const x = b.input("x", [b.dims.rows, 4]);
    b.output("y", b.mul(b.mul(x, x), b.weight("w", [4])));
  },
};
const HOME = { device: "wasm", target: "wasm-simd128" };
const WEIGHTS = { w: { dtype: "f32", shape: [4], data: Float32Array.of(1, 2, 3, 4) } } as const;
const rowsOf = (rows: number) =>
  ({ x: { dtype: "f32", shape: [rows, 4], data: new Float32Array(rows * 4).fill(2) } }) as const;

test("a star in a pattern stands for any text, everything else for itself", () => {
  assert.ok(tagMatches("qwen2_5_vl/vision.*", "qwen2_5_vl/vision.block"));
  assert.ok(tagMatches("*", "clip/text.embed"));
  assert.ok(tagMatches("*/vision.block", "clip/vision.block"));
  assert.ok(!tagMatches("qwen2.5_vl/*", "qwen2_5_vl/vision.block"));
  assert.ok(!tagMatches("clip/vision", "clip/vision.block"));
});

test("the most specific pattern wins for each setting by itself, then the base, then the component", () => {
  const settings = resolveSettings(
    SQUARE,
    [
      {
        config: {
          enabled: false,
          base: { lazy: true, maxArtifacts: 3 },
          components: {
            "*": { lazy: false },
            "example/vision.*": { enabled: true },
            "example/*": { enabled: false, lazy: true },
          },
        },
      },
    ],
    HOME,
  );
  assert.deepEqual(settings.enabled, { value: true, from: 'compile.components["example/vision.*"]' });
  assert.deepEqual(settings.lazy, { value: true, from: 'compile.components["example/*"]' });
  assert.deepEqual(settings.maxArtifacts, { value: 3, from: "compile.base" });
  assert.deepEqual(settings.ranges, { value: SQUARE.ranges, from: 'component "example/vision.square"' });
  const lazy = { ...SQUARE, lazy: true };
  assert.deepEqual(resolveSettings(lazy, [], HOME).lazy, { value: true, from: 'component "example/vision.square"' });
  assert.deepEqual(resolveSettings({ ...SQUARE, ranges: undefined } as ComponentSpec, [], HOME).enabled, {
    value: true,
    from: "default",
  });
});

test("a lazy range compiles on its first use, which is recorded with its dims", async () => {
  const runtime = await createRuntime({ threads: 0, compile: { components: { "example/*": { lazy: true } } } });
  const square = await runtime.compile(SQUARE, WEIGHTS);
  assert.equal(runtime.stats().counters.compiled, 0);
  // Overlapping calls share one compile and one copy of the weights.
  const [a, b] = await Promise.all([square.run(rowsOf(3)), square.run(rowsOf(5))]);
  assert.deepEqual([...a.y.data.slice(0, 4)], [4, 8, 12, 16]);
  assert.equal(b.y.data.length, 20);
  assert.equal(runtime.stats().counters.compiled, 1);
  await square.run(rowsOf(9));
  assert.equal(runtime.stats().counters.compiled, 2);
  assert.deepEqual(
    runtime.stats().recompiles.map(({ tag, cause, dims }) => [tag, cause, dims]),
    [
      ["example/vision.square", "first use", { rows: 3 }],
      ["example/vision.square", "first use", { rows: 9 }],
    ],
  );
  await runtime.close();
});

test("a sealed runtime runs what is there and refuses to compile, naming component and range", async () => {
  const runtime = await createRuntime({ threads: 0, compile: { base: { lazy: true } } });
  const square = await runtime.compile(SQUARE, WEIGHTS);
  await square.run(rowsOf(2));
  runtime.seal();
  assert.ok(runtime.sealed);
  await square.run(rowsOf(8));
  const { compiled } = runtime.stats().counters;
  await assert.rejects(square.run(rowsOf(9), { requestId: "order 7" }), (error: unknown) => {
    assert.ok(error instanceof SealedError);
    assert.match(error.message, /"example\/vision\.square" has no artifact for rows 9\.\.64.*sealed/);
    assert.match(
      error.message,
      / This was request order 7 \(example\/vision\.square\), compiling and loading component "example\/vision\.square" at rows 9\.$/,
    );
    return true;
  });
  await assert.rejects(
    runtime
      .compile({ ...SQUARE, tag: "example/other", symbols: { rows: { min: 1, max: 2 } }, ranges: {} }, WEIGHTS)
      .then((c) => c.run(rowsOf(1))),
    SealedError,
  );
  assert.equal(runtime.stats().counters.compiled, compiled);
  await runtime.close();
});
