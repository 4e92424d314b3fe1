/** Inputs that are looked at while the device computes: what is wrong with them is the call's outcome all the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Encoder, Tensor } from "../../mod.ts";
import { finiteFloats } from "../../runtime/abi/inputs.ts";
import { createLateChecks } from "../../runtime/session/towers/late_checks.ts";
import { hasCode } from "../kit/assertions.ts";
import { loadedTower } from "../kit/loaded_tower.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";

const limited = (encoder: Encoder): number =>
  [...loadedTower(encoder, "vision").components.values()][0].spec.symbols.batch.max;

test("numbers that are not finite are refused, in the last row of a call that is cut too, and the next call is right", async () => {
  const runtime = await openRuntime({ threads: 2 });
  try {
    const encoder = await runtime.load(repositoryPath("test/fixtures/clip"), { components: ["vision"] });
    const { pixel_values } = encoder.tower("vision").spec.example({ batch: limited(encoder) + 2, seed: 3 });
    const { data, shape } = pixel_values as Tensor & { readonly data: Float32Array };
    const encode = (pixels: Float32Array): Promise<unknown> =>
      encoder.encode({ pixel_values: { dtype: "f32", shape, data: pixels } });
    const expected = await encode(data);
    for (const [at, value] of [
      [5, Number.NaN],
      [data.length - 1, Number.POSITIVE_INFINITY],
    ]) {
      const wrong = data.slice();
      wrong[at] = value;
      const says = new RegExp(`^The input "pixel_values" holds ${value} at element ${at}; expected finite numbers\\.$`);
      await assert.rejects(encode(wrong), hasCode("invalid_input", says));
      assert.deepEqual(await encode(data), expected);
    }
  } finally {
    await runtime.close();
  }
});

test("numbers are seen one by one: the largest of f32 are finite however many there are, and no two infinities cancel", () => {
  const largest = (2 - 2 ** -23) * 2 ** 127;
  const tensor = (data: Float32Array): Tensor => ({ dtype: "f32", shape: [data.length], data });
  for (const count of [1, 7, 8, 29, 4096]) {
    const data = new Float32Array(count).fill(largest);
    assert.equal(finiteFloats("x", tensor(data)), data);
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const at of [0, count >> 1, count - 1]) {
        const wrong = data.slice();
        wrong[at] = value;
        if (at > 0) wrong[0] = -value;
        const first = at > 0 ? 0 : at;
        const says = new RegExp(
          `^The input "x" holds ${wrong[first]} at element ${first}; expected finite numbers\\.$`,
        );
        assert.throws(() => finiteFloats("x", tensor(wrong)), hasCode("invalid_input", says));
      }
    }
  }
});

test("a check is made once, and one that throws again when it is asked for again", () => {
  const { add, make } = createLateChecks();
  const made: number[] = [];
  let isWrong = true;
  for (const i of [1, 2, 3]) {
    add(() => {
      made.push(i);
      if (i === 2 && isWrong) throw new Error("wrong");
    });
  }
  assert.throws(make, /^Error: wrong$/);
  assert.throws(make, /^Error: wrong$/);
  isWrong = false;
  make();
  make();
  assert.deepEqual(made, [1, 2, 2, 2, 3]);
});
