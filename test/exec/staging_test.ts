import assert from "node:assert/strict";
import { test } from "node:test";
import { runOverlapped } from "../../runtime/exec/overlapped.ts";
import { Staging } from "../../runtime/exec/staging.ts";
import { createFakeDevice } from "./fake_device.ts";

test("staging: memory is taken again where it is large enough, and given back where it is not", () => {
  const device = createFakeDevice({});
  const staging = new Staging(device);
  const [large, small] = [staging.take(400), staging.take(100)];
  staging.give(large);
  staging.give(small);
  assert.equal(staging.take(90), small);
  assert.equal(staging.take(90), large);
  staging.give(small);
  const larger = staging.take(500);
  assert.deepEqual([...device.live.keys()], [large, larger]);
  staging.give(large);
  staging.release();
  assert.deepEqual([...device.live.keys()], [larger]);
  const array = staging.takeArray(10);
  staging.giveArray(array);
  assert.equal(staging.takeArray(8), array);
  assert.notEqual(staging.takeArray(8), array);
  const scarce = new Staging(device, false);
  scarce.give(scarce.take(100));
  scarce.give(larger);
  assert.equal(device.live.size, 0);
});

test("overlapped: jobs begin in order, as many as asked for at a time", async () => {
  const log: string[] = [];
  const job = (name: string, turns: number) => async (): Promise<void> => {
    log.push(`${name} begins`);
    for (let i = 0; i < turns; i++) await Promise.resolve();
    log.push(`${name} ends`);
  };
  await runOverlapped([job("a", 9), job("b", 1), job("c", 1)], 2);
  assert.deepEqual(log, ["a begins", "b begins", "b ends", "c begins", "c ends", "a ends"]);
  log.length = 0;
  await runOverlapped([job("a", 9), job("b", 1)], 1);
  assert.deepEqual(log, ["a begins", "a ends", "b begins", "b ends"]);
});

test("overlapped: after a failure nothing begins, and what was under way ends first", async () => {
  const log: string[] = [];
  const slow = async (): Promise<void> => {
    for (let i = 0; i < 9; i++) await Promise.resolve();
    log.push("slow ended");
    throw new Error("later");
  };
  const failing = (): Promise<void> => Promise.reject(new Error("first"));
  const never = async (): Promise<void> => {
    log.push("begun");
  };
  await assert.rejects(runOverlapped([slow, failing, never], 2), /first/);
  assert.deepEqual(log, ["slow ended"]);
});
