import assert from "node:assert/strict";
import { test } from "node:test";
import { add, type Bindings, type Box, mul, symbol } from "../../runtime/core/dim.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { boxHolds, boxText, dispatch, intervalText, type RangeSpec, splitRanges } from "../../runtime/core/range.ts";
import { brokenRelation, type Relation } from "../../runtime/core/relation.ts";
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
      boxes = split({ ends: { t: ends } }, symbols);
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
  const boxes = split({ ends: { batch: [1] }, exact: [{ batch: 4, tokens: 64 }] });
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
  const odd = (spec: unknown): RangeSpec => spec as RangeSpec;
  refused(/they are "opne"; expected "open", or an object with `ends` or `boxes`, and `exact`\./, odd("opne"));
  refused(/they are \[\{"tokens":\[1,64\]\}\]; expected/, odd([{ tokens: [1, 64] }]));
  refused(/they have a field "end"; expected/, odd({ end: { tokens: [64] } }));
  refused(/`boxes` must be a list; found \{"tokens":1\}\./, odd({ boxes: { tokens: 1 } }));
  refused(/the ends of "tokens" must be a list; found 64\./, odd({ ends: { tokens: 64 } }));
  refused(/`boxes\[1\]` must be an object; found null\./, odd({ boxes: [{}, null] }));
  refused(/`exact\[0\]` must be an object; found 8\./, odd({ exact: [8] }));
  refused(/symbol "tokens" needs an interval \{ min, max \}; found 64\./, odd({ boxes: [{ tokens: 64 }] }));
  refused(/symbol "t" needs an interval \{ min, max \}; found null\./, {}, { t: null } as unknown as Box);
  refused(/symbol "t" needs whole bounds >= 0, found -1\.\.4\./, {}, { t: { min: -1, max: 4 } });
  refused(/symbol "t" needs whole bounds >= 0, found 1\.\.2\.5\./, {}, { t: { min: 1, max: 2.5 } });
  refused(/symbol "t" needs a whole `multipleOf` >= 1, found 0\./, {}, { t: { min: 1, max: 4, multipleOf: 0 } });
  refused(/no multiple of 16 lies in 17\.\.20 of "t"; widen/, {}, { t: { min: 17, max: 20, multipleOf: 16 } });
  refused(/no multiple of 16 lies in 33\.\.40 of "tokens"/, { ends: { tokens: [32, 40] } });
  refused(/ends are given for "rows"; its symbols are batch, tokens\./, { ends: { rows: [2] } });
  refused(/ends are given for "toString"; its symbols are batch, tokens\./, { ends: { toString: [2] } });
  refused(/end 2 of "batch" must lie in 5\.\.7; ends ascend and stay below 8\./, { ends: { batch: [4, 2] } });
  refused(/end 4 of "batch" must lie in 5\.\.7;/, { ends: { batch: [4, 4] } });
  refused(/end 8 of "batch" must lie in 1\.\.7;/, { ends: { batch: [8] } });
  refused(/end 0 of "batch" must lie in 1\.\.7;/, { ends: { batch: [0] } });
  refused(/end 2\.5 of "batch"/, { ends: { batch: [2.5] } });
  refused(/an exact size names "rows"; its symbols are batch, tokens\./, { exact: [{ rows: 1 }] });
  refused(/the exact size \{"batch":4\} lies outside of batch 1\.\.8, tokens 16\.\.96 step 16; give every symbol/, {
    exact: [{ batch: 4 }],
  });
  refused(/the exact size \{"batch":4,"tokens":20\} lies outside/, { exact: [{ batch: 4, tokens: 20 }] });
  const twice = { batch: 4, tokens: 32 };
  refused(/the exact size batch 4, tokens 32 is listed twice; drop one\./, { exact: [twice, { ...twice }] });
  const four: RangeSpec = { ends: { batch: [1, 2] }, exact: [{ batch: 4, tokens: 32 }] };
  refused(
    /are invalid: 3 ranges \+ 1 exact = 4 artifacts, over maxArtifacts 3; drop some or raise maxArtifacts to 4\./,
    four,
    SYMBOLS,
    3,
  );
  assert.equal(split(four, SYMBOLS, 4).length, 4);
  refused(
    /9 ranges = 9 artifacts, over maxArtifacts 8/,
    { ends: { t: [1, 2, 3, 4, 5, 6, 7, 8] } },
    { t: { min: 1, max: 9 } },
  );
});

test("ranges: what no range holds is named with the nearest range", () => {
  const boxes = split({ ends: { batch: [2] }, exact: [{ batch: 8, tokens: 96 }] });
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

test("ranges: ends of several symbols give their product, which is disjoint and covers everything", () => {
  for (let seed = 0; seed < 60; seed++) {
    const pick = (count: number, salt: number): number => hash32(seed, salt) % count;
    const symbols: Box = {
      a: { min: 1, max: 9 },
      b: { min: 2, max: 12, multipleOf: 1 + pick(2, 0) },
      c: { min: 0, max: 3 },
    };
    const ends = { a: [2 + pick(3, 1), 6], b: [3 + pick(7, 2)], ...(pick(2, 3) === 0 ? {} : { c: [1] }) };
    const relations: Relation[] = pick(2, 4) === 0 ? [] : [["b", "<=", add(symbol("a"), 1 + pick(3, 5))]];
    const boxes = splitRanges(symbols, { ends }, { tag: TAG, maxArtifacts: 12, relations });
    assert.ok(boxes.length <= 3 * 2 * ("c" in ends ? 2 : 1));
    for (const at of allBindings(symbols)) {
      if (relations.some((r) => brokenRelation([r], at))) continue;
      assert.equal(boxes.filter((box) => boxHolds(box, at)).length, 1, `seed ${seed}: ${JSON.stringify(at)}`);
      dispatch(TAG, boxes, at, relations);
    }
  }
});

const PATCHES: Box = { patches: { min: 4, max: 4096, multipleOf: 4 }, longest: { min: 4, max: 4096, multipleOf: 4 } };
const LONGEST: readonly Relation[] = [["longest", "<=", "patches"]];
const related = (spec: RangeSpec, maxArtifacts = 8): readonly Box[] =>
  splitRanges(PATCHES, spec, { tag: TAG, relations: LONGEST, maxArtifacts });

test("ranges: what relations rule out gets no artifact", () => {
  assert.deepEqual(related({ ends: { patches: [1024], longest: [64, 1024] } }).map(boxText), [
    "longest 4..64 step 4, patches 4..1024 step 4",
    "longest 65..1024 step 4, patches 4..1024 step 4",
    "longest 4..64 step 4, patches 1025..4096 step 4",
    "longest 65..1024 step 4, patches 1025..4096 step 4",
    "longest 1025..4096 step 4, patches 1025..4096 step 4",
  ]);
  const over = hasCode(
    "invalid_range",
    /: 2 x 3 ranges - 1 unreachable \+ 1 exact = 6 artifacts, over maxArtifacts 5; drop some or raise maxArtifacts to 6\./,
  );
  const spec = { ends: { patches: [1024], longest: [64, 1024] }, exact: [{ patches: 1024, longest: 64 }] };
  assert.throws(() => related(spec, 5), over);
  assert.equal(boxText(related(spec, 6)[0]), "longest 64, patches 1024");
});

test("ranges: a relation names symbols of its component, and is one", () => {
  const refused = (says: RegExp, relations: unknown): void => {
    const options = { tag: TAG, relations: relations as readonly Relation[] };
    assert.throws(() => splitRanges(SYMBOLS, {}, options), hasCode("invalid_range", says));
  };
  refused(/the relation row <= tokens names "row"; its symbols are batch, tokens\./, [["row", "<=", "tokens"]]);
  refused(/the relation batch <= toString names "toString"; its symbols/, [["batch", "<=", "toString"]]);
  refused(/the relation 2\*row <= tokens names "row"/, [[mul(2, symbol("row")), "<=", "tokens"]]);
  refused(/its relations are \[\["batch","<","tokens"\]\]; expected a list such as/, [["batch", "<", "tokens"]]);
  refused(/its relations are \["batch","<=","tokens"\]; expected a list such as/, ["batch", "<=", "tokens"]);
  refused(/its relations are "batch <= tokens"; expected a list such as/, "batch <= tokens");
});

test("ranges: sizes that break a relation are refused when they are bound, with both values", () => {
  const boxes = related({});
  assert.equal(dispatch(TAG, boxes, { patches: 8, longest: 8 }, LONGEST), 0);
  assert.throws(
    () => dispatch(TAG, boxes, { patches: 8, longest: 12 }, LONGEST),
    hasCode(
      "broken_relation",
      /Component "clip\/vision\.block" was asked for longest = 12 and patches = 8, and longest <= patches must hold; correct the sizes/,
    ),
  );
});

test("ranges: written boxes may leave no gap, not overlap, and must be reachable and inside", () => {
  const whole: Box = { a: { min: 1, max: 16 }, b: { min: 1, max: 8 } };
  const make = (boxes: readonly Box[], relations: readonly Relation[] = []): readonly Box[] =>
    splitRanges(whole, { boxes }, { tag: TAG, relations });
  const [low, high] = [{ a: { min: 1, max: 4 } }, { a: { min: 5, max: 16 }, b: { min: 1, max: 2 } }];
  const rest = { a: { min: 5, max: 16 }, b: { min: 3, max: 8 } };
  assert.deepEqual(make([low, high, rest]).map(boxText), ["a 1..4, b 1..8", "a 5..16, b 1..2", "a 5..16, b 3..8"]);
  const refused = (says: RegExp, boxes: readonly Box[], relations: readonly Relation[] = []): void => {
    assert.throws(() => make(boxes, relations), hasCode("invalid_range", says));
  };
  refused(/its boxes leave a gap at a 5\.\.16, b 3\.\.8; add a box for it or narrow the symbol's interval\./, [
    low,
    high,
  ]);
  refused(/the boxes a 1\.\.4, b 1\.\.8 and a 4\.\.16, b 1\.\.8 overlap in a 4, b 1\.\.8; cut one of them\./, [
    low,
    { a: { min: 4, max: 16 } },
  ]);
  refused(/the box a 0\.\.16 leaves the interval 1\.\.16 of "a"; cut it or widen the symbol\./, [
    { a: { min: 0, max: 16 } },
  ]);
  refused(/a box names "z"; its symbols are a, b\./, [{ z: { min: 1, max: 2 } }]);
  refused(/the interval of "a" is empty \(5\.\.4\)/, [{ a: { min: 5, max: 4 } }]);
  refused(/leave a gap at a 1\.\.16, b 1\.\.8/, []);
  // A gap that no size falls into is none, and a box that no size falls into is refused.
  const below: readonly Relation[] = [["a", "<=", 4]];
  assert.equal(make([low], below).length, 1);
  refused(/the box a 5\.\.16, b 1\.\.2 is unreachable, because a <= 4; drop it\./, [low, high], below);
  assert.throws(
    () => splitRanges(whole, { boxes: [low], ends: { a: [4] } }, { tag: TAG }),
    hasCode("invalid_range", /they give both ends and boxes; give one of them\./),
  );
});

test("ranges: unreachable ends and exact sizes are refused", () => {
  const refused = (says: RegExp, spec: RangeSpec): void => {
    assert.throws(
      () =>
        splitRanges({ a: { min: 1, max: 16 }, b: { min: 1, max: 8 } }, spec, {
          tag: TAG,
          relations: [["a", "<=", "b"]],
        }),
      hasCode("invalid_range", says),
    );
  };
  refused(/the range a 9\.\.16 is unreachable, because a <= b; drop the end that makes it\./, {
    ends: { a: [8], b: [4] },
  });
  refused(/the exact size \{"a":5,"b":4\} is unreachable, because a <= b; drop it or change it\./, {
    exact: [{ a: 5, b: 4 }],
  });
  refused(/the range a 1, b 1 is unreachable, because it is an exact size as well; drop the exact size\./, {
    ends: { a: [1], b: [1] },
    exact: [{ a: 1, b: 1 }],
  });
  assert.throws(
    () => splitRanges({ a: { min: 5, max: 9 } }, {}, { tag: TAG, relations: [["a", "<=", 4]] }),
    hasCode("invalid_range", /no size holds a <= 4 within a 5\.\.9; widen an interval\./),
  );
});

test("ranges: an open range holds every size of 32 bits", () => {
  const boxes = split("open");
  assert.deepEqual(boxes.map(boxText), ["batch 1..2147483647, tokens 16..2147483647 step 16"]);
  assert.equal(dispatch(TAG, boxes, { batch: 2 ** 31 - 1, tokens: 16 * 1000 }), 0);
  assert.throws(
    () => dispatch(TAG, boxes, { batch: 2 ** 31, tokens: 16 }),
    hasCode("outside_ranges", /batch = 2147483648/),
  );
});
