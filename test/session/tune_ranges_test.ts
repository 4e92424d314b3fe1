/** Ranges learnt from sizes: the best cuts by a cost, within a budget; recorded sizes; what a model would save. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RecordedSizes } from "../../mod.ts";
import type { Bindings, Box } from "../../runtime/core/dim.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { dispatch, splitRanges } from "../../runtime/core/range.ts";
import {
  type CallCost,
  type LearnOptions,
  learnRanges,
  secondsUnder,
} from "../../runtime/session/tune/learn_ranges.ts";
import { readSizes, writeSizes } from "../../runtime/session/tune/tune_ranges.ts";
import { hasCode } from "../kit/assertions.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const DIGITS = repositoryPath("examples/models/digits-clip");
const SYMBOLS: Box = { tokens: { min: 1, max: 512 } };

/** Every call costs what the largest size of its box does. */
const padded = async (box: Box): Promise<CallCost> => {
  const area = Object.values(box).reduce((n, i) => n * i.max, 1);
  return () => area;
};
const at = (tokens: number, count: number): { dims: Bindings; count: number } => ({ dims: { tokens }, count });
const learn = (samples: Parameters<typeof learnRanges>[0], rest: Partial<LearnOptions> = {}) =>
  learnRanges(samples, { symbols: SYMBOLS, budget: 8, cost: padded, ...rest });

test("ends lie at sizes that were seen, and the budget bounds the artifacts", async () => {
  const samples = [at(10, 100), at(12, 50), at(60, 10), at(300, 1)];
  const two = await learn(samples, { budget: 2 });
  assert.deepEqual(two, { ranges: { ends: { tokens: [12] } }, artifacts: 2, seconds: 150 * 12 + 11 * 512 });
  const wide = await learn([at(200, 1000), at(300, 900)], { budget: 2 });
  assert.deepEqual(wide.ranges, { ends: { tokens: [300] } }, "nothing larger was seen");
  const three = await learn(samples, { budget: 3 });
  assert.deepEqual(three.ranges, { ends: { tokens: [12, 60] } });
  assert.equal((await learn(samples, { budget: 1 })).artifacts, 1);
  for (let budget = 1; budget < 8; budget++) assert.ok((await learn(samples, { budget })).artifacts <= budget);
});

test("an exact tuple is taken where it saves more than an end", async () => {
  const cost = async (box: Box): Promise<CallCost> => {
    const isPoint = Object.values(box).every((i) => i.min === i.max);
    return () => (isPoint ? 1 : 10);
  };
  const learned = await learn([at(77, 90), at(5, 10)], { cost, budget: 2 });
  assert.deepEqual(learned, { ranges: { exact: [{ tokens: 77 }] }, artifacts: 2, seconds: 90 + 100 });
});

test("an artifact that saves nothing is not proposed", async () => {
  const learned = await learn([at(3, 5), at(300, 5)], { cost: async () => () => 1 });
  assert.deepEqual(learned, { ranges: {}, artifacts: 1, seconds: 10 });
});

test("the symbol whose ends save most is cut, and the others stay whole", async () => {
  const symbols: Box = { batch: { min: 1, max: 64 }, tokens: { min: 1, max: 512 } };
  const cost =
    async ({ tokens }: Box): Promise<CallCost> =>
    () =>
      tokens.max;
  const samples = [8, 64, 500].map((tokens, i) => ({ dims: { batch: 1 + 20 * i, tokens }, count: 4 - i }));
  assert.deepEqual((await learn(samples, { symbols, cost, budget: 2 })).ranges, { ends: { tokens: [64] } });
});

test("what is learnt is a valid division, no worse than one range or any pair of ends", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const pick = (of: number, index: number): number => 1 + (hash32(seed, index) % of);
    const samples = Array.from({ length: pick(seed < 4 ? 40 : 6, 0) }, (_, i) =>
      at(pick(500, 2 * i + 1), pick(50, 2 * i + 2)),
    );
    const distinct = [...new Map(samples.map((s) => [s.dims.tokens, s])).values()];
    const learned = await learn(distinct, { budget: 3 });
    const boxes = splitRanges(SYMBOLS, learned.ranges, { tag: "t", maxArtifacts: 3 });
    for (const { dims } of distinct) dispatch("t", boxes, dims);
    assert.equal(boxes.length, learned.artifacts);
    assert.equal(await secondsUnder(boxes, distinct, padded), learned.seconds);
    if (distinct.length > 8) continue;
    const values = distinct.map((s) => s.dims.tokens).filter((v) => v < 512);
    for (const a of values) {
      for (const b of values) {
        if (a >= b) continue;
        const rival = splitRanges(SYMBOLS, { ends: { tokens: [a, b] } }, { tag: "t" });
        const seconds = await secondsUnder(rival, distinct, padded);
        assert.ok(learned.seconds <= seconds * 1.01, `seed ${seed}: ${learned.seconds} and ${seconds} with ${a}, ${b}`);
      }
    }
  }
});

test("sizes are read from JSON lines, and a wrong line is named", () => {
  const sizes: readonly RecordedSizes[] = [
    { tag: "a/b", dims: { tokens: 3 } },
    { tag: "a/c", dims: {} },
  ];
  assert.deepEqual(readSizes(`${writeSizes(sizes)}\n`, "x"), sizes);
  for (const wrong of ["{", "3", '{"tag":"a"}', '{"tag":1,"dims":{}}', '{"tag":"a","dims":{"t":1.5}}']) {
    assert.throws(
      () => readSizes(`${writeSizes(sizes)}${wrong}\n`, "sizes.jsonl"),
      hasCode("invalid_sizes", /^Line 3 of sizes\.jsonl is not of the form .*; record sizes with --record\.$/),
    );
  }
});

test("a runtime tells the sizes of each call once, and learns from them for the model", async () => {
  const sizes: RecordedSizes[] = [];
  const runtime = await openRuntime({ threads: 0, onSizes: (one) => sizes.push(one) });
  const encoder = await runtime.load(DIGITS, { components: ["text"] });
  const input_ids = { dtype: "i32", shape: [1, 3], data: Int32Array.of(1, 2, 3) } as const;
  await encoder.encode({ input_ids });
  const block = sizes.filter((s) => s.tag === "clip/text.block");
  assert.deepEqual(block, [{ tag: "clip/text.block", dims: { batch: 1, tokens: 3 } }]);
  await encoder.encode({ input_ids });
  assert.equal(sizes.filter((s) => s.tag === "clip/text.block").length, 2);

  const tuned = await runtime.tuneRanges(DIGITS, [
    ...sizes,
    { tag: "clip/text.block", dims: { batch: 1, tokens: 9999 } },
  ]);
  const own = tuned.find((t) => t.tag === "clip/text.block");
  assert.ok(own !== undefined);
  assert.deepEqual([own.calls, own.outside], [3, 1]);
  assert.deepEqual(own.leftOut, [{ dims: { batch: 1, tokens: 9999 }, calls: 1, takes: "tokens 1..12" }]);
  assert.ok(own.seconds.now > 0 && own.seconds.tuned <= own.seconds.now * 1.003);
  assert.ok(own.artifacts.tuned <= 8);
  assert.equal(own.measured, undefined);
  await assert.rejects(
    runtime.tuneRanges(DIGITS, sizes, { measured: true } as object),
    hasCode("invalid_options", /tuneRanges.*"measured".*Did you mean "measure"\?/),
  );
  await assert.rejects(
    runtime.tuneRanges(DIGITS, [{ tag: "vit/vision.block", dims: { batch: 1 } }]),
    hasCode("no_sizes", /there are vit\/vision\.block, and the model has clip\/vision/),
  );
  await runtime.close();
});

test("measuring runs the recorded sizes with both divisions: packed segments and tables of indices included", async () => {
  const runtime = await openRuntime({ threads: 0 });
  const model = repositoryPath("test/fixtures/qwen2_5_vl");
  const calls = (tag: string, count: number, dims: Bindings): readonly RecordedSizes[] =>
    Array.from({ length: count }, () => ({ tag: `qwen2_5_vl/vision.${tag}`, dims }));
  const { compiled } = runtime.stats().counters;
  const tuned = await runtime.tuneRanges(
    model,
    [
      ...calls("block", 3, { patches: 64, segments: 4, longest_segment: 16 }),
      ...calls("block", 1, { patches: 64, segments: 1, longest_segment: 64 }),
      ...calls("embed", 2, { patches: 64 }),
      // Outside of what the component takes.
      ...calls("embed", 1, { patches: 63 }),
    ],
    { measure: true, budget: 2 },
  );
  assert.deepEqual(
    tuned.map(({ tag, measured }) => [tag, measured?.calls]),
    [
      ["qwen2_5_vl/vision.embed", 2],
      ["qwen2_5_vl/vision.block", 4],
    ],
  );
  for (const { measured } of tuned)
    assert.ok(measured !== undefined && measured.seconds.now > 0 && measured.seconds.tuned > 0);
  const { counters, device } = runtime.stats();
  assert.ok(counters.compiled + counters.cacheHits > compiled);
  assert.equal(device.bytesInUse, 0);
  await runtime.close();
});

test("sizes that break a relation are left out with the relation, and a size that is missing with its interval", async () => {
  const runtime = await openRuntime({ threads: 0 });
  const tag = "qwen2_5_vl/vision.block";
  const [own] = await runtime.tuneRanges(repositoryPath("test/fixtures/qwen2_5_vl"), [
    { tag, dims: { patches: 16, segments: 1, longest_segment: 64 } },
    { tag, dims: { patches: 16, segments: 1 } },
  ]);
  assert.deepEqual(
    own.leftOut.map(({ takes }) => takes),
    ["longest_segment <= patches", "longest_segment 4..65536 step 4"],
  );
  assert.equal(own.outside, 2);
  await runtime.close();
});
