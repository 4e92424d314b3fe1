import assert from "node:assert/strict";
import { test } from "node:test";
import { digestBytes } from "../../runtime/core/digest.ts";
import { bytesOf } from "../../runtime/core/dtype.ts";
import { createDummySource } from "../../runtime/exec/weights/dummy.ts";

test("dummy: seeded by name, the same everywhere, about normal with standard deviation 0.02", async () => {
  const source = createDummySource(0);
  assert.ok(source.has("anything"));
  assert.equal(source.shapeOf("anything"), undefined);
  const a = await source.read("block.0.weight", [300, 100]);
  // Computed by another implementation of the generator.
  assert.deepEqual(
    Array.from(a.subarray(0, 4)),
    [0.0432928130030632, -0.01415378600358963, 0.01632307842373848, -0.017026618123054504],
  );
  assert.equal(digestBytes(bytesOf(a)), "e15491c0b7d2aac1675c6b370863cd78032d5bf76614d82275ac52eb353f41db");
  assert.deepEqual(await createDummySource(0).read("block.0.weight", [100, 300]), a);
  assert.notDeepEqual(await source.read("block.1.weight", [300, 100]), a);
  assert.notDeepEqual(await createDummySource(1).read("block.0.weight", [300, 100]), a);
  assert.equal((await source.read("logit_scale", [])).length, 1);
  const mean = a.reduce((s, v) => s + v, 0) / a.length;
  const std = Math.sqrt(a.reduce((s, v) => s + (v - mean) ** 2, 0) / a.length);
  assert.ok(Math.abs(mean) < 5e-4 && Math.abs(std - 0.02) < 4e-4, `mean ${mean}, std ${std}`);
  const aborted = { signal: AbortSignal.abort(new Error("stop")) };
  await assert.rejects(source.read("x", [2], aborted), { message: "stop" });
});
