/** Encoders' own gates, tags that two plugins claim, and towers that compile without each other. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime, definePlugin, type Plugin, type Tensor } from "../../mod.ts";
import { clipPlugin } from "../../plugins/clip/plugin.ts";
import type { ComponentSpec, EncoderSpec, TowerSpec } from "../../runtime/abi/encoder.ts";
import { hasCode } from "../kit/assertions.ts";
import { loadedTower } from "../kit/loaded_tower.ts";
import { repositoryPath } from "../kit/run_cli.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");

type Part = Pick<ComponentSpec, "build"> & Partial<ComponentSpec>;

/** y = component(x), rows of four numbers. */
function tinyTower(part: Part): TowerSpec {
  const component: ComponentSpec = {
    tag: "tiny/vision.block",
    symbols: { rows: { min: 1, max: 16 } },
    instances: [""],
    ...part,
  };
  return {
    modality: "vision",
    components: [component],
    inputs: ["x"],
    outputs: ["y"],
    prepare: (inputs) => inputs,
    plan: ({ x }) => ({
      key: `tiny ${x[0]}`,
      calls: [{ tag: component.tag, instance: "", dims: { rows: x[0] }, inputs: { x: "x" }, outputs: { y: "y" } }],
      constants: {},
      results: { y: "y" },
    }),
    exampleSizes: [],
    example: ({ batch }) => ({ x: rowsOf(batch) }),
  };
}

type Tags = Pick<EncoderSpec, "families" | "reuses">;

/** Its tag is of the family "tiny". */
function tinyPlugin(name: string, modelType: string, part: Part, tags: Tags = {}): Plugin {
  const tower = tinyTower(part);
  const open = () => ({ towers: [tower], prefixes: [""], processors: () => ({}) });
  return definePlugin({
    name,
    version: "1.0.0",
    abi: 1,
    encoders: [{ name: modelType, modelTypes: [modelType], files: [], open, ...tags }],
  });
}

const modelOf = (modelType: string): Map<string, Uint8Array> =>
  new Map([["config.json", new TextEncoder().encode(JSON.stringify({ model_type: modelType }))]]);

const rowsOf = (rows: number): Tensor => ({
  dtype: "f32",
  shape: [rows, 4],
  data: Float32Array.from({ length: rows * 4 }, (_, i) => i / 8 - 1),
});

const SQUARE: Part["build"] = (b) => {
  const x = b.input("x", [b.dims.rows, 4]);
  b.output("y", b.unary("gelu", b.mul(b.add(x, x), x)));
};
const CUBE: Part["build"] = (b) => {
  const x = b.input("x", [b.dims.rows, 4]);
  b.output("y", b.mul(b.mul(x, x), x));
};

const runtimeWith = (...plugins: readonly Plugin[]) =>
  createRuntime({ threads: 0, target: "wasm-simd128", plugins: [wasmPlugin, ...plugins] });

const LOAD = { loadFormat: "dummy" } as const;

test("a gate's reason runs its component op by op, with the same numbers, shown in explain and stats", async () => {
  const seen: unknown[] = [];
  const gated = tinyPlugin("gated", "tiny", {
    build: SQUARE,
    maxArtifacts: 3,
    enableIf: (config, capabilities) => {
      seen.push([config, capabilities.simd128]);
      return capabilities.relaxedMadd === true || "it gains nothing without fused arithmetic";
    },
  });
  const closed = await runtimeWith(gated);
  const open = await runtimeWith(tinyPlugin("open", "tiny", { build: SQUARE }));
  const [a, b] = await Promise.all([closed, open].map((r) => r.load(modelOf("tiny"), LOAD)));
  const x = rowsOf(3);
  assert.deepEqual(((await a.encode({ x })) as { y?: Tensor }).y, ((await b.encode({ x })) as { y?: Tensor }).y);
  const steps = (e: typeof a) =>
    loadedTower(e, "vision").components.get("tiny/vision.block")?.artifacts[0].artifact.steps.length;
  assert.equal(steps(b), 1);
  assert.equal(steps(a), 3);
  assert.deepEqual(closed.stats().uncompiled, [
    { tag: "tiny/vision.block", reason: "enableIf: it gains nothing without fused arithmetic" },
  ]);
  assert.deepEqual(open.stats().uncompiled, []);
  assert.match(a.explain(), /tiny\/vision\.block \(1 instance\), op by op \(enableIf: it gains nothing/);
  assert.doesNotMatch(b.explain(), /op by op/);
  assert.deepEqual(seen, [
    [{ device: "wasm", target: "wasm-simd128", dtype: "f32", ranges: {}, lazy: false, maxArtifacts: 3 }, true],
  ]);
  await closed.close();
  await open.close();
});

test("a gate is not asked about what the configuration switched off, and must answer", async () => {
  let asked = 0;
  const plugin = tinyPlugin("odd", "tiny", {
    build: SQUARE,
    enableIf: () => {
      asked++;
      return "";
    },
  });
  const off = await createRuntime({ threads: 0, plugins: [wasmPlugin, plugin], compile: { enabled: false } });
  await off.load(modelOf("tiny"), LOAD);
  assert.equal(asked, 0);
  assert.deepEqual(off.stats().uncompiled, [{ tag: "tiny/vision.block", reason: "compile.enabled" }]);
  await off.close();
  const on = await runtimeWith(plugin);
  await assert.rejects(
    on.load(modelOf("tiny"), LOAD),
    hasCode(
      "invalid_plugin",
      /`enableIf` of component "tiny\/vision\.block" answered ""; expected true, or the reason/,
    ),
  );
  await on.close();
});

test("two plugins that serve one model_type are refused when they are registered, naming both", async () => {
  await assert.rejects(
    runtimeWith(tinyPlugin("first", "tiny", { build: SQUARE }), tinyPlugin("second", "tiny", { build: CUBE })),
    hasCode("invalid_plugin", /plugins "first" and "second" both serve the model_type "tiny"/),
  );
});

test("two plugins that own one family of tags are refused when they are registered, naming both", async () => {
  const first = tinyPlugin("first", "tiny", { build: SQUARE });
  const second = tinyPlugin("second", "small", { build: CUBE }, { families: ["small", "tiny"] });
  const refusal = hasCode(
    "tag_conflict",
    /plugins "first" and "second" both own the family "tiny" of component tags \("tiny\/…"\); .* `families`, or, .* `reuses`\./,
  );
  await assert.rejects(runtimeWith(first, second), refusal);
  await assert.rejects(runtimeWith(clipPlugin, tinyPlugin("own", "clip2", { build: CUBE }, { families: ["clip"] })), {
    message: /plugins "@fovea\/clip" and "own" both own the family "clip"/,
  });
  // Two encoders of one plugin.
  const [encoder] = first.encoders as readonly EncoderSpec[];
  const both = [encoder, { ...encoder, name: "little", modelTypes: ["little"], families: ["tiny"] }];
  const runtime = await runtimeWith(definePlugin({ name: "both", version: "1.0.0", abi: 1, encoders: both }));
  await runtime.load(modelOf("little"), LOAD);
  await runtime.close();
});

test("a plugin that is listed twice is refused, with both versions", async () => {
  const plugin = tinyPlugin("first", "tiny", { build: SQUARE });
  const newer = definePlugin({ name: "first", version: "1.1.0", abi: 1 });
  const says =
    /The plugin "first" is listed twice in `plugins` \(version 1\.0\.0 and 1\.1\.0\); leave one of them out\./;
  await assert.rejects(runtimeWith(plugin, newer), hasCode("invalid_plugin", says));
  await assert.rejects(runtimeWith(plugin, plugin), hasCode("invalid_plugin", /is listed twice/));
});

test("a component whose tag is of another family than its encoder lists is refused when the model opens", async () => {
  const runtime = await runtimeWith(tinyPlugin("second", "small", { build: CUBE }, { families: ["small", "wee"] }));
  await assert.rejects(
    runtime.load(modelOf("small"), LOAD),
    hasCode(
      "invalid_plugin",
      /encoder "small" of plugin "second" brings a component "tiny\/vision\.block", but its tags are of the family "small", "wee"\. Rename the component, or list "tiny" in the encoder's `families` or, where another plugin owns it, `reuses`\./,
    ),
  );
  assert.equal(runtime.stats().counters.compiled, 0);
  await runtime.close();
});

test("a tag that a plugin reuses must mean the same, else it is refused naming both; with one structure it is shared", async () => {
  const reuses = { reuses: ["tiny"] };
  const runtime = await runtimeWith(
    tinyPlugin("first", "tiny", { build: SQUARE }),
    tinyPlugin("second", "small", { build: CUBE }, reuses),
    tinyPlugin("third", "little", { build: SQUARE }, reuses),
    tinyPlugin("fourth", "wee", { build: SQUARE, ranges: { ends: { rows: [4] } } }, reuses),
  );
  await runtime.load(modelOf("tiny"), LOAD);
  const says = (other: string) =>
    new RegExp(`plugins "first" and "${other}" both bring a component "tiny/vision\\.block", with different graphs or`);
  await assert.rejects(runtime.load(modelOf("small"), LOAD), hasCode("tag_conflict", says("second")));
  await assert.rejects(runtime.load(modelOf("wee"), LOAD), hasCode("tag_conflict", says("fourth")));
  assert.equal(runtime.stats().counters.compiled, 1, "what was refused was compiled");
  await runtime.load(modelOf("little"), LOAD);
  assert.deepEqual([runtime.stats().counters.compiled, runtime.stats().counters.shared], [1, 1]);
  await runtime.close();
});

test("one plugin may have models whose components differ under one tag", async () => {
  const widths = definePlugin({
    name: "widths",
    version: "1.0.0",
    abi: 1,
    encoders: [
      {
        name: "widths",
        modelTypes: ["widths"],
        families: ["tiny"],
        files: [],
        open: (config) => ({
          towers: [tinyTower({ build: config.cube === true ? CUBE : SQUARE })],
          prefixes: [""],
          processors: () => ({}),
        }),
      },
    ],
  });
  const runtime = await runtimeWith(widths);
  for (const cube of [true, false]) {
    const config = JSON.stringify({ model_type: "widths", cube });
    await runtime.load(new Map([["config.json", new TextEncoder().encode(config)]]), LOAD);
  }
  assert.equal(runtime.stats().counters.compiled, 2);
  await runtime.close();
});

test("towers compile without each other, one after the other or at once, to the same artifacts", async () => {
  const artifactsOf = async (components: readonly ("vision" | "text")[][]) => {
    const compiled: string[] = [];
    const runtime = await createRuntime({
      threads: 0,
      plugins: [wasmPlugin, clipPlugin],
      onProgress: ({ phase, item }) => phase === "compile" && compiled.push(item),
    });
    const encoders = await Promise.all(components.map((c) => runtime.load(DIGITS, { components: c })));
    const digests = encoders.flatMap((encoder) =>
      encoder.modalities.flatMap((m) =>
        [...loadedTower(encoder, m).components.values()].flatMap((c) =>
          c.artifacts.map((a) => `${c.spec.tag} ${a.digest}`),
        ),
      ),
    );
    const { counters } = runtime.stats();
    await runtime.close();
    return { digests: digests.sort(), counters, compiled };
  };
  const vision = await artifactsOf([["vision"]]);
  const text = await artifactsOf([["text"]]);
  assert.ok(
    vision.compiled.every((tag) => tag.startsWith("clip/vision.")),
    vision.compiled.join(),
  );
  assert.ok(
    text.compiled.every((tag) => tag.startsWith("clip/text.")),
    text.compiled.join(),
  );
  // And the two components that resize pictures and order their samples.
  assert.equal(vision.counters.compiled, vision.digests.length + 2);
  const atOnce = await artifactsOf([["vision"], ["text"]]);
  assert.deepEqual(atOnce.digests, [...vision.digests, ...text.digests].sort());
  assert.equal(atOnce.counters.compiled, vision.counters.compiled + text.counters.compiled);
});
