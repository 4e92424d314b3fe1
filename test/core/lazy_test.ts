/** What is loaded when it is first needed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { lazy } from "../../runtime/core/lazy.ts";

test("what was loaded is not loaded again, and a failure is not kept", async () => {
  let calls = 0;
  const load = lazy(async () => {
    if (++calls === 1) throw new Error("not yet");
    return calls;
  });
  await assert.rejects(load(), /not yet/);
  assert.deepEqual([await load(), await load(), calls], [2, 2, 2]);
});
