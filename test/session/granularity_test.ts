/** One encoder cut in several ways: the same numbers, no more weights, structures shared; what is recommended. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { type CutReport, createRuntime, definePlugin, type Tensor, type TuneGranularityOptions } from "../../mod.ts";
import type { ComponentCall, ComponentSpec, Plan, TowerSpec } from "../../runtime/abi/encoder.ts";
import { tensorName } from "../../runtime/exec/instance_weights.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { checkConfig } from "../../runtime/session/config/config_schema.ts";
import { usualInstances } from "../../runtime/session/config/cut_component.ts";
import { cutTower, groupCalls } from "../../runtime/session/config/granularity.ts";
import { loadTower } from "../../runtime/session/towers/tower.ts";
import { applying, recommend } from "../../runtime/session/tune/tune_granularity.ts";
import { openArtifacts } from "../kit/artifacts.ts";
import { hasCode } from "../kit/assertions.ts";
import { callContext } from "../kit/call_context.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { BARE_HOST } from "../kit/run_graph.ts";

const callsOf = (text: string): readonly ComponentCall[] =>
  [...text].map((tag) => ({ tag, instance: "", dims: {}, inputs: {}, outputs: {} }));

test("calls that occur once stay alone, runs of the others are cut into groups", () => {
  const groups = (text: string, size: number | "tower", kindOf = (_: string) => ""): string =>
    groupCalls(callsOf(text), { sizeOf: (tag) => (tag === "x" ? undefined : size), kindOf })
      .map(([first, end]) => text.slice(first, end))
      .join("|");
  assert.equal(groups("ebbbbbp", 2), "e|bb|bb|b|p");
  assert.equal(groups("ebbbbbp", 9), "e|bbbbb|p");
  assert.equal(groups("ebsbsp", 4), "e|bsbs|p");
  assert.equal(groups("ebxbp", 2), "e|b|x|b|p");
  assert.equal(groups("ebbp", "tower"), "ebbp");
  assert.equal(groups("ebxbp", "tower"), "eb|x|bp");
  assert.equal(
    groups("ebbp", "tower", (tag) => (tag === "p" ? "on another device" : "")),
    "ebb|p",
  );
});

const MEASURED: Extract<CutReport, { ms: unknown }> = {
  cut: "block",
  ms: { median: 100, min: 99 },
  ratio: 1,
  compileMs: 50,
  artifacts: 4,
  artifactBytes: 1,
  steps: 1,
  weightBytes: 1,
  arenaBytes: 1,
  peakBytes: 1,
  difference: 0,
};

test("how a cut is taken is said, with the configuration", () => {
  const tags = ["clip/vision.embed", "clip/vision.block"];
  assert.deepEqual(applying("block", tags).config, {});
  assert.match(applying("block", tags).how, /without any setting\.$/);
  for (const granularity of ["op", 4, "tower"] as const) {
    const { how, config } = applying(granularity, tags);
    assert.match(how, /^This configuration takes it\.$/);
    assert.deepEqual(config, { compile: { components: { "clip/vision.*": { granularity } } } });
    assert.deepEqual(checkConfig(config, "the recommendation"), config);
  }
  assert.deepEqual(applying("tower", ["a/x", "a/y"]).config, {
    compile: { components: { "a/x": { granularity: "tower" }, "a/y": { granularity: "tower" } } },
  });
});

test("the cheapest to compile of the fastest is recommended, and never one with other results", () => {
  const cut = (name: string, ratio: number, compileMs: number, difference = 0): CutReport => ({
    ...MEASURED,
    cut: name,
    ratio,
    compileMs,
    difference,
  });
  const { recommended, why } = recommend([MEASURED, cut("tower", 0.98, 400), cut("op", 1.8, 60)]);
  assert.equal(recommended, "block");
  assert.match(why, /^"block" is as fast as "tower" within 3 % and compiles faster; "tower" takes 0\.98 times/);
  assert.equal(recommend([MEASURED, cut("tower", 0.8, 400)]).recommended, "tower");
  assert.equal(recommend([MEASURED, cut("tower", 0.8, 400, 0.5)]).recommended, "block");
  assert.equal(recommend([MEASURED, { cut: "tower", problem: "It is not." }]).recommended, "block");
});

/** Parts of 4 numbers a row: scale, then shifts that read the scaled value and the last, then a sum over what came before. */
const WIDTH = 4;
const component = (name: string, build: ComponentSpec["build"], instances: readonly string[]): ComponentSpec => ({
  tag: `skip/vision.${name}`,
  symbols: { rows: { min: 1, max: 64 } },
  ranges: { ends: { rows: [8] } },
  instances,
  build,
});

const COMPONENTS: readonly ComponentSpec[] = [
  component(
    "scale",
    (b) => {
      const x = b.input("x", [b.dims.rows, WIDTH]);
      b.output("scaled", b.mul(x, b.weight("w", [WIDTH])));
      b.output("unused", b.add(x, x));
    },
    ["s."],
  ),
  component(
    "shift",
    (b) => {
      // Flat, where the others have rows.
      const { rows } = b.dims;
      const x = b.reshape(b.input("x", [1, rows, WIDTH]), [rows, WIDTH]);
      const first = b.input("first", [rows, WIDTH]);
      b.output("y", b.add(b.mul(x, first), b.weight("w", [WIDTH])));
    },
    ["a.", "b.", "c.", "d."],
  ),
  component(
    "sum",
    (b) => {
      const [x, y] = ["x", "y"].map((name) => b.input(name, [b.dims.rows, WIDTH]));
      b.output("sum", b.add(b.add(x, y), b.weight("w", [WIDTH])));
    },
    ["s."],
  ),
];

const planOf = (rows: number): Plan => {
  const dims = { rows };
  const shift = (instance: string, from: string, to: string): ComponentCall => ({
    tag: "skip/vision.shift",
    instance,
    dims,
    inputs: { x: from, first: "v0" },
    outputs: { y: to },
  });
  return {
    key: `skip ${rows}`,
    calls: [
      { tag: "skip/vision.scale", instance: "s.", dims, inputs: { x: "x" }, outputs: { scaled: "v0" } },
      shift("a.", "v0", "v1"),
      shift("b.", "v1", "v2"),
      shift("c.", "v2", "v3"),
      shift("d.", "v3", "v4"),
      { tag: "skip/vision.sum", instance: "s.", dims, inputs: { x: "v4", y: "v2" }, outputs: { sum: "v5" } },
    ],
    constants: {},
    results: { last: "v5", early: "v1" },
  };
};

const TOWER: TowerSpec = {
  modality: "vision",
  components: COMPONENTS,
  inputs: ["x"],
  outputs: ["last", "early"],
  prepare: (inputs) => inputs,
  plan: ({ x }) => planOf(x[0]),
  exampleSizes: [],
  example: ({ batch }) => ({ x: rowsOf(batch) }),
};

const rowsOf = (rows: number): Tensor => ({
  dtype: "f32",
  shape: [rows, WIDTH],
  data: Float32Array.from({ length: rows * WIDTH }, (_, i) => Math.fround((i % 7) / 4 - 0.7)),
});

/** Checkpoint values that tell instances and positions apart. */
const tensor = (name: string): Float32Array =>
  Float32Array.from({ length: WIDTH }, (_, i) => Math.fround((name.charCodeAt(0) - 96) / 8 + i / 16));

/** The same by hand. */
function expected(rows: number): { readonly last: readonly number[]; readonly early: readonly number[] } {
  const all = [...rowsOf(rows).data].map((x, at) => {
    const w = (name: string): number => tensor(name)[at % WIDTH];
    const v0 = x * w("s");
    const v1 = v0 * v0 + w("a");
    const v2 = v1 * v0 + w("b");
    const v4 = (v2 * v0 + w("c")) * v0 + w("d");
    return { last: v4 + v2 + w("s"), early: v1 };
  });
  return { last: all.map((v) => v.last), early: all.map((v) => v.early) };
}

async function artifactsAlone() {
  const device = await wasmPlugin.devices?.[0].open(BARE_HOST, { threads: 0, target: "wasm-simd128" });
  assert.ok(device);
  const artifacts = await openArtifacts(device);
  return { device, artifacts };
}

test("composed calls compute what the calls compute, with skips, reshapes and one instance in two parts", async () => {
  const { device, artifacts } = await artifactsAlone();
  for (const size of [2, 3, 4, "tower"] as const) {
    const read: string[] = [];
    const spec = cutTower(TOWER, { sizeOf: () => size, example: planOf(5), ops: OP_TABLE });
    const tower = await loadTower(spec, {
      artifacts,
      reader: (instance) => async (name) => {
        read.push(tensorName(instance, name));
        return tensor(tensorName(instance, name));
      },
      progress: { compile: () => {}, weights: () => {} },
      now: () => performance.now(),
    });
    // Tensors of joined instances are read once for each component that reads them; in one component once altogether.
    const names = ["a.w", "b.w", "c.w", "d.w", "s.w", ...(size === "tower" ? [] : ["s.w"])];
    assert.deepEqual(read.sort(), names, String(size));
    assert.equal(tower.weightBytes, names.length * WIDTH * 4);
    // Both ranges of the parts, and sizes that the example did not have.
    for (const rows of [5, 8, 1, 9, 64]) {
      const found = await tower.run({ inputs: { x: rowsOf(rows) }, outputs: TOWER.outputs, context: callContext() });
      for (const [name, values] of Object.entries(expected(rows))) checkClose(found[name], values, `${size}: ${name}`);
    }
    assert.equal(tower.weightBytes, names.length * WIDTH * 4);
    const used = spec.components.filter((c) => usualInstances(c).length > 0);
    // Two pairs, but not of one structure: the first has a value that is a result.
    assert.equal(used.length, { 2: 4, 3: 4, 4: 3, tower: 1 }[size]);
    for (const { ranges } of used) assert.deepEqual(ranges, { ends: { rows: [8] } });
    tower.release();
  }
  await device.close();
});

/** @throws AssertionError beyond what fused and reordered sums lose */
function checkClose({ data }: Tensor, values: readonly number[], what: string): void {
  assert.equal(data.length, values.length);
  values.forEach((v, i) => {
    assert.ok(Math.abs(data[i] - v) < 1e-5 * Math.max(1, Math.abs(v)), `${what}[${i}]`);
  });
}

test("what a plan calls otherwise than the example is served by the encoder's own components, with weights read then", async () => {
  const { device, artifacts } = await artifactsAlone();
  const read: string[] = [];
  const spec = cutTower(TOWER, { sizeOf: () => "tower", example: planOf(5), ops: OP_TABLE });
  // The same without its last call.
  const short: TowerSpec = {
    ...TOWER,
    plan: ({ x }, outputs) => {
      const plan = planOf(x[0]);
      if (outputs.includes("last")) return plan;
      return { ...plan, calls: plan.calls.slice(0, -1), results: { early: "v1" } };
    },
  };
  const tower = await loadTower(cutTower(short, { sizeOf: () => "tower", example: planOf(5), ops: OP_TABLE }), {
    artifacts,
    reader: (instance) => async (name) => {
      read.push(tensorName(instance, name));
      return tensor(tensorName(instance, name));
    },
    progress: { compile: () => {}, weights: () => {} },
    now: () => performance.now(),
  });
  assert.equal(tower.complete, false);
  assert.deepEqual(spec.components.map((c) => c.tag).sort(), [...tower.components.keys()].sort());
  const inputs = { x: rowsOf(9) };
  const { early } = await tower.run({ inputs, outputs: ["early"], context: callContext() });
  checkClose(early, expected(9).early, "early");
  assert.deepEqual(read.slice(5).sort(), ["a.w", "b.w", "c.w", "d.w", "s.w"]);
  const { last } = await tower.run({ inputs, outputs: TOWER.outputs, context: callContext() });
  checkClose(last, expected(9).last, "last");
  tower.release();
  await device.close();
});

test("a component that compares a size which the one before it fixes is not joined, with a sentence", async () => {
  const asks: ComponentSpec = {
    tag: "skip/vision.asks",
    symbols: { rows: { min: 1, max: 64 }, width: { min: 1, max: 16 } },
    instances: ["s."],
    build: (b) => {
      const { rows, width } = b.dims;
      const x = b.input("x", [rows, width]);
      b.output("y", width.lessThan(8) ? b.add(x, x) : x);
    },
  };
  const plan: Plan = {
    key: "asks",
    calls: [
      planOf(5).calls[0],
      {
        tag: asks.tag,
        instance: "s.",
        dims: { rows: 5, width: WIDTH },
        inputs: { x: "v0" },
        outputs: { y: "v1" },
      },
    ],
    constants: {},
    results: { last: "v1" },
  };
  const tower: TowerSpec = { ...TOWER, components: [COMPONENTS[0], asks], outputs: ["last"], plan: () => plan };
  const { device, artifacts } = await artifactsAlone();
  const [joined] = cutTower(tower, { sizeOf: () => "tower", example: plan, ops: OP_TABLE }).components.slice(-1);
  assert.equal(joined.tag, "skip/vision.scale to skip/vision.asks (2)");
  await assert.rejects(
    artifacts.prepare(joined),
    hasCode("cannot_compose", /do not show that they fit together: .*lessThan.*\. Set another `granularity`/),
  );
  await device.close();
});

async function tune(fixture: string, options: TuneGranularityOptions) {
  // Without the tests' shared cache: what compiling costs is measured.
  const runtime = await createRuntime({ threads: 0, target: "wasm-simd128" });
  const report = await runtime.tuneGranularity(repositoryPath(`test/fixtures/${fixture}`), { runs: 1, ...options });
  await runtime.close();
  const cuts = report.cuts.map((c) => ("ms" in c ? c : assert.fail(`${c.cut}: ${c.problem}`)));
  return { ...report, cuts, by: Object.fromEntries(cuts.map((c) => [c.cut, c])) };
}

test("vit in four cuts: equal results, no more weights, one structure for equal groups", async () => {
  const { cuts, by } = await tune("vit", { cuts: ["op", "block", 2, "tower"] });
  assert.deepEqual(
    cuts.map((c) => c.cut),
    ["op", "block", "2 blocks", "tower"],
  );
  for (const c of cuts) {
    assert.ok(c.ms.median > 0 && c.compileMs > 0 && c.artifactBytes > 0 && c.arenaBytes > 0 && c.peakBytes > 0);
  }
  assert.equal(by.block.ratio, 1);
  assert.equal(by.tower.artifacts, 1);
  // Embedding, pairs of blocks, final norm, pooling.
  assert.equal(by["2 blocks"].artifacts, by.block.artifacts);
  assert.ok(by["2 blocks"].steps > by.block.steps);
  assert.ok(by.op.steps > by.block.steps, "op by op has no more steps than fused");
  checkEqual(cuts);
});

/** @throws AssertionError where a cut has other results or more weights than the plugin's own */
function checkEqual(cuts: readonly (typeof MEASURED)[]): void {
  const own = cuts.find((c) => c.cut === "block") ?? assert.fail();
  for (const c of cuts) {
    assert.ok(c.difference < 1e-5, `${c.cut} differs by ${c.difference}`);
    // Op by op merges no products, which packs them otherwise.
    if (c.cut !== "op") assert.ok(c.weightBytes <= own.weightBytes, `${c.cut} has more weights`);
  }
}

// Windows beside full attention and merging; sizes of one component that are products in the next; two kinds of blocks.
for (const [fixture, cut, example] of [
  ["qwen2_5_vl", "tower", { grid: [1, 8, 12] }],
  ["dinov2", "tower", { size: [28, 42] }],
  ["modernbert-long", 2, { tokens: 9 }],
] as const) {
  test(`${fixture} cut otherwise (${cut}): equal results and no more weights`, async () => {
    const { cuts } = await tune(fixture, { cuts: [cut], example });
    assert.equal(cuts.length, 2);
    checkEqual(cuts);
  });
}

test("a cut that cannot be composed is reported with its reason, and options are checked", async () => {
  // Half of the rows: no symbol of the second component says what it takes.
  const halves = component(
    "halves",
    (b) => b.output("y", b.add(b.input("x", [b.dims.rows, 2 * WIDTH]), b.weight("w", [2 * WIDTH]))),
    ["h."],
  );
  const tower: TowerSpec = {
    ...TOWER,
    components: [COMPONENTS[0], halves],
    plan: ({ x }) => ({
      key: `halves ${x[0]}`,
      calls: [
        planOf(x[0]).calls[0],
        { tag: halves.tag, instance: "h.", dims: { rows: x[0] / 2 }, inputs: { x: "v0" }, outputs: { y: "v1" } },
      ],
      constants: {},
      results: { last: "v1", early: "v0" },
    }),
  };
  const plugin = definePlugin({
    name: "halves",
    version: "1.0.0",
    abi: 1,
    encoders: [
      {
        name: "halves",
        families: ["skip"],
        modelTypes: ["halves"],
        files: [],
        open: () => ({ towers: [tower], prefixes: [""], processors: () => ({}) }),
      },
    ],
  });
  const runtime = await createRuntime({ threads: 0, plugins: [wasmPlugin, plugin] });
  const model = new Map([["config.json", new TextEncoder().encode('{"model_type":"halves"}')]]);
  const options = { loadFormat: "dummy", runs: 1, example: { batch: 4 } } as const;
  const { cuts, recommended } = await runtime.tuneGranularity(model, { ...options, cuts: ["tower"] });
  const [own, composed] = [...cuts].sort((a, b) => (a.cut < b.cut ? -1 : 1));
  assert.ok("ms" in own && own.cut === "block");
  assert.ok("problem" in composed && /reshape/.test(composed.problem), JSON.stringify(composed));
  assert.equal(recommended, "block");
  for (const [bad, says] of [
    [{ cuts: [1] }, /`cuts` of tuneGranularity is a list; expected a list of "op"/],
    [{ runs: 0 }, /`runs`.*is 0; expected a whole number from 1/],
    [{ component: "visoin" }, /expected "vision" or "text" or "audio"/],
  ] as const) {
    await assert.rejects(
      runtime.tuneGranularity(model, bad as unknown as TuneGranularityOptions),
      hasCode("invalid_options", says),
    );
  }
  await runtime.close();
});
