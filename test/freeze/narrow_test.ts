import assert from "node:assert/strict";
import { test } from "node:test";
import type { ComponentSpec, TowerSpec } from "../../runtime/abi/encoder.ts";
import { splitRanges } from "../../runtime/core/range.ts";
import { narrowTowers } from "../../runtime/freeze/narrow.ts";

const component = (more: Partial<ComponentSpec>): ComponentSpec => ({
  tag: "test/vision.block",
  symbols: { batch: { min: 1, max: 64 }, patches: { min: 16, max: 4096, multipleOf: 4 } },
  instances: [""],
  build: () => assert.fail("nothing is traced"),
  ...more,
});

const narrow = (spec: ComponentSpec, ranges: Parameters<typeof narrowTowers>[1]): ComponentSpec =>
  narrowTowers([{ components: [spec] } as unknown as TowerSpec], ranges)[0].components[0];

const boxes = (spec: ComponentSpec) => splitRanges(spec.symbols, spec.ranges ?? {}, { tag: spec.tag });

test("an interval takes the place of the component's own, and cuts what divided that", () => {
  const spec = component({
    ranges: {
      ends: { batch: [1, 8] },
      exact: [
        { batch: 2, patches: 64 },
        { batch: 32, patches: 64 },
      ],
    },
  });
  const found = narrow(spec, { batch: [[1, 4]] });
  assert.deepEqual(found.symbols.batch, { min: 1, max: 4 });
  assert.deepEqual(found.symbols.patches, spec.symbols.patches);
  assert.deepEqual(found.ranges, { ends: { batch: [1] }, exact: [{ batch: 2, patches: 64 }] });
  assert.equal(boxes(found).length, 3);
});

test("several intervals are ranges of their own", () => {
  const found = narrow(component({ ranges: { ends: { patches: [1024] } } }), {
    batch: [
      [1, 1],
      [2, 8],
    ],
  });
  assert.deepEqual(found.ranges, { ends: { patches: [1024], batch: [1] } });
  assert.equal(boxes(found).length, 4);
});

test("boxes are cut to the intervals, and those outside go", () => {
  const whole = { min: 16, max: 4096, multipleOf: 4 };
  const spec = component({
    ranges: {
      boxes: [
        { batch: { min: 1, max: 4 }, patches: whole },
        { batch: { min: 5, max: 64 }, patches: whole },
      ],
    },
  });
  assert.deepEqual(narrow(spec, { batch: [[1, 2]] }).ranges, {
    ends: {},
    boxes: [{ batch: { min: 1, max: 2 }, patches: whole }],
  });
});

test("components without the symbol stay what they are", () => {
  const spec = component({});
  const [tower] = narrowTowers(
    [{ components: [spec, component({ tag: "test/vision.head", symbols: {} })] } as unknown as TowerSpec],
    { batch: [[1, 1]] },
  );
  assert.deepEqual(tower.components[1].symbols, {});
});

test("ranges that make no sense are refused in words", () => {
  const refused = (ranges: Parameters<typeof narrowTowers>[1], message: RegExp): void =>
    assert.throws(() => narrow(component({}), ranges), { code: "invalid_range", message });
  refused({ bacth: [[1, 4]] }, /no component has a symbol "bacth"; test\/vision\.block has batch 1\.\.64, patches/);
  refused({ batch: [[1, 128]] }, /"batch" is 1\.\.128, and its encoder takes 1\.\.64/);
  refused({ batch: [[4, 1]] }, /4\.\.1 of "batch" is empty/);
  refused(
    {
      batch: [
        [1, 2],
        [4, 8],
      ],
    },
    /4\.\.8 of "batch" does not follow 1\.\.2/,
  );
  refused({ batch: [] }, /"batch" has no interval/);
});

test("ends that cannot occur any more go with the sizes that made them", () => {
  const relations = [["longest", "<=", "patches"]] as const;
  const spec = component({
    symbols: { longest: { min: 1, max: 65536 }, patches: { min: 4, max: 65536, multipleOf: 4 } },
    ranges: { ends: { longest: [64, 1024], patches: [64, 4096] } },
    relations,
  });
  const split = (to: number): readonly unknown[] => {
    const found = narrow(spec, { patches: [[4, to]] });
    return splitRanges(found.symbols, found.ranges ?? {}, { tag: found.tag, relations });
  };
  assert.deepEqual(narrow(spec, { patches: [[4, 64]] }).ranges, { ends: { longest: [], patches: [] } });
  assert.deepEqual([split(16).length, split(64).length, split(68).length], [1, 1, 3]);
  assert.deepEqual(narrow(spec, { patches: [[4, 2048]] }).ranges, { ends: { longest: [64, 1024], patches: [64] } });
});

test("intervals are of sizes that a symbol has, and follow each other by its step", () => {
  const refusal = (...patches: [number, number][]): string => {
    try {
      narrow(component({}), { patches });
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };
  assert.match(refusal([18, 64]), /"patches" is 16\.\.4096 step 4, and none of its sizes is 18\.$/);
  assert.match(refusal([16, 63]), /none of its sizes is 63\.$/);
  assert.match(refusal([16, 64], [72, 128]), /72\.\.128 of "patches" does not follow 16\.\.64; begin it with 68\.$/);
  assert.equal(refusal([16, 64], [68, 128]), "");
  assert.equal(refusal([16, 64], [65, 128]), "");
});
