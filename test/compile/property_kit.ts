/** Properties of compiled graphs over random intervals and ranges; failures print fast-check's seed, path and smallest case. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { BUILD_EFFORT, type ExpectationEffort } from "../../runtime/compile/expect.ts";
import { add, type Bindings, type Box, type Interval, symbol } from "../../runtime/core/dim.ts";
import { dispatch, type RangeList, splitRanges } from "../../runtime/core/range.ts";
import { brokenRelation, type Relation } from "../../runtime/core/relation.ts";
import { evaluateGraph } from "../../runtime/ir/evaluate/mod.ts";
import { judges, limitFor } from "../kit/noise.ts";
import { GROWTHS, type GraphRecipe, growGraph, randomInputs, randomWeights } from "../kit/random_graph.ts";
import { BARE_HOST, buildGraph, maxDifference, openGraph } from "../kit/run_graph.ts";

export const SEED = 20261128;

/** Recipes; smaller ones have fewer and simpler growths. */
export const recipes: fc.Arbitrary<GraphRecipe> = fc.record(
  {
    steps: fc.array(
      fc.record({
        growth: fc.nat(GROWTHS.length - 1),
        x: fc.nat(2),
        y: fc.nat(2),
        salt: fc.nat(63),
      }),
      { maxLength: 6 },
    ),
    other: fc.nat(6),
    integers: fc.boolean(),
  },
  { requiredKeys: ["steps"] },
);

/** Intervals of the random graphs' symbols and how they are divided. */
export interface Division {
  readonly symbols: Box;
  readonly spec: RangeList;
  readonly relations: readonly Relation[];
  /** Of row blocks: 1 cuts rows wherever their number allows it. */
  readonly blockBytes: number;
}

const valuesOf = ({ min, max, multipleOf = 1 }: Interval): readonly number[] =>
  Array.from({ length: max - min + 1 }, (_, i) => min + i).filter((v) => v % multipleOf === 0);

const interval = (least: number, widest: number): fc.Arbitrary<Interval> =>
  fc
    .record({
      min: fc.integer({ min: least, max: least + 5 }),
      width: fc.nat(widest),
      multipleOf: fc.integer({ min: 1, max: 4 }),
    })
    .map(({ min, width, multipleOf }): Interval => {
      // Wide enough for one multiple.
      const max = Math.max(min + width, Math.ceil(min / multipleOf) * multipleOf);
      return multipleOf === 1 ? { min, max } : { min, max, multipleOf };
    });

/** Ends behind some of the values, anywhere before the next one. */
function endsOf(of: Interval, cuts: readonly number[], late: boolean): readonly number[] {
  const values = valuesOf(of);
  const at = [...new Set(cuts.map((c) => c % values.length))]
    .sort((a, b) => a - b)
    .filter((i) => i < values.length - 1);
  return at.map((i) => (late ? values[i + 1] - 1 : values[i]));
}

const isOne = (box: Box, at: Bindings): boolean =>
  Object.entries(box).every(([name, i]) => valuesOf(i).length === 1 && valuesOf(i)[0] === at[name]);

export const divisions: fc.Arbitrary<Division> = fc
  .record({
    tokens: interval(2, 14),
    batch: interval(1, 3),
    cuts: fc.array(fc.nat(40), { maxLength: 2 }),
    batchCuts: fc.array(fc.nat(40), { maxLength: 1 }),
    late: fc.boolean(),
    exact: fc.array(fc.tuple(fc.nat(40), fc.nat(40)), { maxLength: 1 }),
    written: fc.boolean(),
    related: fc.boolean(),
    blockBytes: fc.constantFrom(2 ** 24, 1, 200),
  })
  .map(({ tokens, batch, cuts, batchCuts, late, exact, written, related, blockBytes }): Division => {
    const symbols: Box = { batch, tokens };
    const [t, b] = [valuesOf(tokens), valuesOf(batch)];
    // Holds at least for the smallest batch, so that no end of the tokens is unreachable.
    const relations: readonly Relation[] = related
      ? [["batch", "<=", add(symbol("tokens"), Math.max(0, b[0] - t[0]))]]
      : [];
    const batchEnds = related ? [] : endsOf(batch, batchCuts, late);
    const ends = { tokens: endsOf(tokens, cuts, late), batch: batchEnds };
    const boxes = splitRanges(symbols, { ends }, { tag: "test/graph", relations });
    // A range of one size is no exact size as well.
    const tuples = exact
      .map(([i, j]) => ({ tokens: t[i % t.length], batch: b[j % b.length] }))
      .filter((at) => brokenRelation(relations, at) === undefined && !boxes.some((box) => isOne(box, at)));
    return {
      symbols,
      relations,
      blockBytes,
      spec: written ? { boxes: [...boxes].reverse(), exact: tuples } : { ends, exact: tuples },
    };
  });

/** The boxes of a division. */
export function boxesOf({ symbols, spec, relations }: Division): readonly Box[] {
  return splitRanges(symbols, spec, { tag: "test/graph", relations });
}

/** Corners and middle of every box, which hold each end and what follows it, where relations allow them. */
export function pointsOf(boxes: readonly Box[], relations: readonly Relation[]): readonly Bindings[] {
  const points = boxes.flatMap((box) => {
    const at = (pick: (values: readonly number[]) => number): Bindings =>
      Object.fromEntries(Object.entries(box).map(([name, i]) => [name, pick(valuesOf(i))]));
    return [at((v) => v[0]), at((v) => v[v.length >> 1]), at((v) => v[v.length - 1])];
  });
  const possible = points.filter((p) => brokenRelation(relations, p) === undefined);
  return [...new Map(possible.map((p) => [`${p.batch} ${p.tokens}`, p])).values()];
}

/** Share of 1 + the largest magnitude of a result. */
const TOLERANCE = 5e-6;

/** Expectations are others' to test. */
const LITTLE: ExpectationEffort = { ...BUILD_EFFORT, samples: [1, 1], interior: 0 };

export interface Compared {
  /** Sizes at which a graph was looked at. */
  tried: number;
  /** Sizes at which results were compared. */
  points: number;
  /** Ranges that were compiled. */
  ranges: number;
}

/** Compiles a graph for every range and compares its results with the evaluator's at the points of all ranges. */
export async function compareEverywhere(
  device: Device,
  recipe: GraphRecipe,
  division: Division,
  enabled: boolean,
  compared: Compared,
): Promise<void> {
  const build = (b: Parameters<typeof growGraph>[0]): void => growGraph(b, recipe);
  const boxes = boxesOf(division);
  const points = pointsOf(boxes, division.relations);
  const weights = randomWeights(7);
  for (const [i, box] of boxes.entries()) {
    const own = points.filter((at) => dispatch("test/graph", boxes, at) === i);
    const graph = buildGraph(box, build);
    const cases = own.map((at) => {
      const inputs = randomInputs(11, at);
      return { at, inputs, expected: evaluateGraph(graph, at, inputs, weights) };
    });
    for (const own of cases) {
      compared.tried++;
      fc.pre(judges({ graph, weights, ...own }, TOLERANCE));
    }
    const opened = await openGraph({
      device,
      plugins: [wasmPlugin],
      symbols: box,
      build,
      weights,
      enabled,
      effort: LITTLE,
      blockBytes: division.blockBytes,
    });
    try {
      compared.ranges++;
      for (const { at, inputs, expected } of cases) {
        const outputs = await opened.run(at, inputs);
        compared.points++;
        for (const [name, value] of Object.entries(expected)) {
          const difference = maxDifference(outputs[name], value);
          const limit = limitFor(value, TOLERANCE);
          assert.ok(difference <= limit, `${name} at ${JSON.stringify(at)} is off by ${difference}, over ${limit}`);
        }
      }
    } finally {
      opened.release();
    }
  }
}

export function openWasm(target: string): Promise<Device> {
  const options = { target, threads: 0, memory: 64 * 2 ** 20 };
  return wasmPlugin.devices?.[0].open(BARE_HOST, options) as Promise<Device>;
}

/** Random graphs over random ranges agree with the evaluator on a target, in `runs` cases. */
export async function checkRanges(target: string, enabled: boolean, runs: number): Promise<Compared> {
  const device = await openWasm(target);
  const compared: Compared = { tried: 0, points: 0, ranges: 0 };
  try {
    const property = fc.asyncProperty(recipes, divisions, (recipe, division) =>
      compareEverywhere(device, recipe, division, enabled, compared),
    );
    await fc.assert(property, { seed: SEED, numRuns: runs });
    assert.equal(device.stats().bytesInUse, 0);
  } finally {
    await device.close();
  }
  return compared;
}
