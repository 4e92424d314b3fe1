import assert from "node:assert/strict";
import { test } from "node:test";
import { axisPlaces, positionIds } from "../../plugins/idefics3/positions.ts";

const identity = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Places that are not the patch's own number, as in `5->4`. */
const shifted = (side: number): string =>
  [...axisPlaces(side, side)].flatMap((place, i) => (place === i ? [] : [`${i}->${place}`])).join(" ");

test("idefics3 positions: each patch of a picture of the trained size has its own, in published models", () => {
  // Idefics3-8B, SmolVLM 2.2B, SmolVLM 256M and 500M.
  for (const side of [26, 27, 32]) assert.deepEqual([...axisPlaces(side, side)], identity(side));
});

test("idefics3 positions: where i / side rounds below its place, they are the reference's of the place before", () => {
  // By torch 2.13 on an x86 CPU.
  assert.equal(shifted(19), "12->11");
  assert.equal(shifted(25), "5->4 9->8 10->9 11->10 12->11 13->12 15->14 18->17 20->19 23->22");
  assert.equal(shifted(29), "3->2 6->5 24->23");
});

test("idefics3 positions: other sizes share positions of the table, or leave some out", () => {
  assert.deepEqual([...axisPlaces(9, 6)], [0, 0, 1, 2, 2, 3, 4, 4, 5]);
  assert.deepEqual([...axisPlaces(3, 5)], [0, 1, 3]);
  assert.deepEqual([...axisPlaces(4, 1)], [0, 0, 0, 0]);
  assert.deepEqual([...axisPlaces(1, 7)], [0]);
  assert.deepEqual([...positionIds({ rows: 2, columns: 3 }, 6)], [0, 2, 4, 18, 20, 22]);
});
