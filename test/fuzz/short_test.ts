/** Some damaged inputs for each reader of strangers' bytes; `npm run soak -- fuzz` feeds 50,000. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { damaged } from "../kit/fuzz/mutate.ts";
import { type FuzzTargets, openFuzzTargets } from "../kit/fuzz/targets.ts";

const CASES = 300;

let opened: FuzzTargets;
before(async () => {
  opened = await openFuzzTargets();
});
after(() => opened.close());

test("damaged input is taken or refused in a sentence", async () => {
  const shares = opened.targets.reduce((sum, { share }) => sum + share, 0);
  for (const { name, files, share, feed } of opened.targets) {
    for (let i = 0; i < Math.ceil((CASES * share) / shares); i++) {
      await assert.doesNotReject(feed(damaged(files, i)), `${name}, case ${i}`);
    }
  }
});

test("a damaged file is the same for the same number, and differs from the good one", () => {
  const good = [new TextEncoder().encode('{"a": [1, 2, 3]}')];
  const texts = Array.from({ length: 200 }, (_, i) => new TextDecoder().decode(damaged(good, i)));
  assert.deepEqual(
    texts,
    Array.from({ length: 200 }, (_, i) => new TextDecoder().decode(damaged(good, i))),
  );
  assert.ok(new Set(texts).size > 150);
});
