import assert from "node:assert/strict";
import { test } from "node:test";
import type { Bindings, Box } from "../../runtime/core/dim.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { boxHolds, boxText, dispatch, intervalText, type RangeSpec, splitRanges } from "../../runtime/core/range.ts";
import { hasCode } from "../kit/assertions.ts";

const TAG = "clip/vision.block";
const SYMBOLS: Box = { batch: { min: 1, max: 8 }, tokens: { min: 16, max: 96, multipleOf: 16 } };
const split = (spec: RangeSpec, symbols: Box = SYMBOLS, maxArtifacts?: number): readonly Box[] =>
  splitRanges(symbols, spec, { tag: TAG, ...(maxArtifacts === undefined ? {} : { maxArtifacts }) });

/** Every value that the symbols may have. */
function allBindings(symbols: Box): readonly Bindings[] {
  return Object.entries(symbols).reduce<readonly Bindings[]>(
    (list, [name, { min, max, multipleOf = 1 }]) =>
      list.flatMap((at) =>
        Array.from({ length: max - min + 1 }, (_, i) => min + i)
          .filter((v) => v % multipleOf === 0)
          .map((v) => ({ ...at, [name]: v })),
      ),
    [{}],
  );
}

test("ranges: boxes are disjoint and cover the whole interval", () => {
  for (let seed = 0; seed < 200; seed++) {
    const pick = (count: number, salt: number): number => hash32(seed, salt) % count;
    const multipleOf = 1 + pick(4, 0);
    const max = 12 + pick(40, 1);
    const symbols: Box = { b: { min: 1, max: 3 }, t: { min: 1 + pick(4, 2), max, multipleOf } };
    const ends = [8, 20, 33].filter((end, i) => end < max && pick(3, 3 + i) > 0);
    let boxes: readonly Box[];
    try {
      boxes = split({ axis: "t", ends }, symbols);
    } catch (error) {
      // Between some ends lies no multiple.
      assert.match(String(error), /no multiple of/);
      continue;
    }
    assert.equal(boxes.length, ends.length + 1);
    for (const at of allBindings(symbols)) {
      const holding = boxes.filter((b) => boxHolds(b, at));
      assert.equal(holding.length, 1, `seed ${seed}: ${JSON.stringify(at)} in ${boxes.map(boxText).join(" | ")}`);
      assert.equal(boxes[dispatch(TAG, boxes, at)], holding[0]);
    }
  }
});

test("ranges: without ends one box is the whole interval", () => {
  assert.deepEqual(split({}), [SYMBOLS]);
  assert.deepEqual(split({}, {}), [{}]);
  assert.equal(dispatch(TAG, split({}, {}), {}), 0);
});

test("ranges: an exact tuple beats the box that holds it", () => {
  const boxes = split({ axis: "batch", ends: [1], exact: [{ batch: 4, tokens: 64 }] });
  assert.deepEqual(boxes.map(boxText), [
    "batch 4, tokens 64",
    "batch 1, tokens 16..96 step 16",
    "batch 2..8, tokens 16..96 step 16",
  ]);
  assert.equal(dispatch(TAG, boxes, { batch: 4, tokens: 64 }), 0);
  assert.equal(dispatch(TAG, boxes, { batch: 4, tokens: 48 }), 2);
  assert.equal(dispatch(TAG, boxes, { batch: 1, tokens: 64 }), 1);
  assert.equal(intervalText({ min: 3, max: 3, multipleOf: 3 }), "3");
});

test("ranges: every mistake has its sentence", () => {
  const refused = (says: RegExp, spec: RangeSpec, symbols: Box = SYMBOLS, limit?: number): void => {
    assert.throws(() => split(spec, symbols, limit), hasCode("invalid_range", says));
  };
  refused(
    /of component "clip\/vision\.block" are invalid: the interval of "t" is empty \(5\.\.2\); swap/,
    {},
    {
      t: { min: 5, max: 2 },
    },
  );
  refused(/symbol "t" needs whole bounds >= 0, found -1\.\.4\./, {}, { t: { min: -1, max: 4 } });
  refused(/symbol "t" needs whole bounds >= 0, found 1\.\.2\.5\./, {}, { t: { min: 1, max: 2.5 } });
  refused(/symbol "t" needs a whole `multipleOf` >= 1, found 0\./, {}, { t: { min: 1, max: 4, multipleOf: 0 } });
  refused(/no multiple of 16 lies in 17\.\.20 of "t"; widen/, {}, { t: { min: 17, max: 20, multipleOf: 16 } });
  refused(/no multiple of 16 lies in 33\.\.40 of "tokens"/, { axis: "tokens", ends: [32, 40] });
  refused(/ends need an axis out of batch, tokens, found none\./, { ends: [2] });
  refused(/ends need an axis out of batch, tokens, found toString\./, { axis: "toString", ends: [2] });
  refused(/end 2 of "batch" must lie in 5\.\.7; ends ascend and stay below 8\./, { axis: "batch", ends: [4, 2] });
  refused(/end 4 of "batch" must lie in 5\.\.7;/, { axis: "batch", ends: [4, 4] });
  refused(/end 8 of "batch" must lie in 1\.\.7;/, { axis: "batch", ends: [8] });
  refused(/end 0 of "batch" must lie in 1\.\.7;/, { axis: "batch", ends: [0] });
  refused(/end 2\.5 of "batch"/, { axis: "batch", ends: [2.5] });
  refused(/an exact size names "rows"; its symbols are batch, tokens\./, { exact: [{ rows: 1 }] });
  refused(/the exact size \{"batch":4\} lies outside of batch 1\.\.8, tokens 16\.\.96 step 16; give every symbol/, {
    exact: [{ batch: 4 }],
  });
  refused(/the exact size \{"batch":4,"tokens":20\} lies outside/, { exact: [{ batch: 4, tokens: 20 }] });
  const twice = { batch: 4, tokens: 32 };
  refused(/the exact size batch 4, tokens 32 is listed twice; drop one\./, { exact: [twice, { ...twice }] });
  const four: RangeSpec = { axis: "batch", ends: [1, 2], exact: [{ batch: 4, tokens: 32 }] };
  refused(
    /3 ranges and 1 exact sizes make 4 artifacts, over maxArtifacts 3; drop some or raise it\./,
    four,
    SYMBOLS,
    3,
  );
  assert.equal(split(four, SYMBOLS, 4).length, 4);
  refused(
    /make 9 artifacts, over maxArtifacts 8/,
    { axis: "t", ends: [1, 2, 3, 4, 5, 6, 7, 8] },
    { t: { min: 1, max: 9 } },
  );
});

test("ranges: what no range holds is named with the nearest range", () => {
  const boxes = split({ axis: "batch", ends: [2], exact: [{ batch: 8, tokens: 96 }] });
  const outside = (at: Bindings, says: RegExp): void => {
    assert.throws(() => dispatch(TAG, boxes, at), hasCode("outside_ranges", says));
  };
  outside(
    { batch: 9, tokens: 16 },
    /Component "clip\/vision\.block" was asked for batch = 9, which lies outside of its compile ranges; the nearest is batch 3\.\.8, tokens 16\.\.96 step 16\./,
  );
  // The exact size is as near as the box, which holds more.
  outside({ batch: 9, tokens: 96 }, /the nearest is batch 3\.\.8/);
  outside({ batch: 0, tokens: 16 }, /batch = 0, .* the nearest is batch 1\.\.2, /);
  outside({ batch: 2, tokens: 112 }, /tokens = 112, .* the nearest is batch 1\.\.2, tokens 16\.\.96/);
  outside({ batch: 2, tokens: 20 }, /tokens = 20, .* step 16/);
  outside({ batch: 2 }, /tokens = undefined; give it a whole number\./);
  outside({ batch: 2.5, tokens: 16 }, /batch = 2\.5; give it a whole number\./);
  outside({ batch: Number.NaN, tokens: 16 }, /batch = NaN; give it a whole number\./);
});
