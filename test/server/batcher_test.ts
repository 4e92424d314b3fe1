/** Packing by measured times, order, cancellation, and what one bad input does to its neighbours. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EncodeItem } from "../../mod.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { Batcher, type BatchReport } from "../../runtime/session/inputs/batcher.ts";
import { createCostCurve } from "../../runtime/session/inputs/cost_curve.ts";
import { createRoom } from "../../runtime/session/inputs/room.ts";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const item = (id: number, form = "a", rows = 1): EncodeItem & { id: number } => ({
  ...{ id, form, rows },
  modality: "vision",
  tokens: 0,
  bytes: 100,
});

interface Fake {
  readonly batcher: Batcher;
  /** Ids of each call. */
  readonly calls: number[][];
  readonly reports: BatchReport[];
  submit(id: number, form?: string, rows?: number, signal?: AbortSignal): Promise<number>;
}

/** A device that takes so long for a call, and gives each item its own number. */
function fake(
  cost: (rows: number) => number,
  maxWait = 1,
  batchMs = 1000,
  onRun?: (ids: number[], s: AbortSignal) => void,
  lastsMs = 2,
): Fake {
  const calls: number[][] = [];
  const reports: BatchReport[] = [];
  /** Milliseconds that calls are said to have taken. */
  let clock = 0;
  const batcher = new Batcher({
    maxWait,
    batchMs,
    now: () => clock + performance.now(),
    onBatch: (r) => reports.push(r),
  });
  const submit: Fake["submit"] = async (id, form = "a", rows = 1, signal = new AbortController().signal) => {
    const found = await batcher.submit({
      item: item(id, form, rows),
      lane: "model#1 vision [y]",
      signal,
      run: async (items, stop) => {
        const ids = items.map((one) => (one as EncodeItem & { id: number }).id);
        calls.push(ids);
        onRun?.(ids, stop);
        await sleep(lastsMs);
        stop.throwIfAborted();
        clock += cost(items.reduce((n, one) => n + one.rows, 0));
        return ids.map((own) => ({ y: { dtype: "f32", shape: [1], data: Float32Array.of(own) } }));
      },
    });
    return found.y.data[0];
  };
  return { batcher, calls, reports, submit };
}

test("packs double until they are known, then fill up to the predicted time", async () => {
  const { calls, submit } = fake((rows) => 10_000 + 1000 * rows, 0, 34_000);
  const ids = Array.from({ length: 60 }, (_, i) => i);
  assert.deepEqual(await Promise.all(ids.map((id) => submit(id))), ids);
  const sizes = calls.map((c) => c.length);
  // 1 is unknown, 2 and 4 double; a line of 10 + rows seconds says 24 rows for 34.
  assert.deepEqual(sizes.slice(0, 5), [1, 2, 4, 8, 16]);
  assert.ok(
    sizes.slice(5).every((n) => n <= 26),
    String(sizes),
  );
  assert.deepEqual(calls.flat(), ids);
});

test("the oldest input is next, whatever its form, and nothing of another form goes with it", async () => {
  const { calls, submit } = fake(() => 1, 0);
  await Promise.all([submit(0), submit(1), submit(2, "b"), submit(3), submit(4, "b"), submit(5, "c")]);
  for (const call of calls)
    assert.equal(new Set(call.map((id) => (id === 2 || id === 4 ? "b" : id === 5 ? "c" : "a"))).size, 1);
  const firsts = calls.map((call) => call[0]);
  // A call's first input is the oldest of all that wait: b is not passed over for the many of a.
  assert.deepEqual(firsts.slice(0, 3), [0, 1, 2]);
  assert.deepEqual([...calls.flat()].sort(), [0, 1, 2, 3, 4, 5]);
});

test("a steady stream of one form does not starve another", async () => {
  const { calls, submit } = fake((rows) => rows, 0, 8);
  let open = true;
  let id = 100;
  const stream = Array.from({ length: 8 }, async () => {
    while (open) await submit(id++);
  });
  await sleep(20);
  const before = calls.length;
  await submit(1, "rare");
  const at = calls.findIndex((call) => call.includes(1));
  open = false;
  await Promise.all(stream);
  assert.ok(at - before <= 9, `it came ${at - before} calls later`);
});

test("an input waits for others at most so long, and not where its pack is full", async () => {
  const { calls, submit, reports } = fake(() => 1, 30);
  await submit(0);
  await Promise.all([submit(1), submit(2)]);
  assert.deepEqual(calls, [[0], [1, 2]]);
  assert.ok(reports[1].waitedMs < 30, "two rows are all that one measured row allows, so that nothing waits");
  const late = submit(3);
  await sleep(3);
  assert.deepEqual(calls.length, 2);
  await late;
  assert.ok(reports[2].waitedMs >= 30, `${reports[2].waitedMs}`);
});

test("what waits leaves the queue on abort, and what runs is stopped when nobody wants it", async () => {
  let stop: AbortSignal | undefined;
  const { batcher, calls, submit } = fake(
    () => 1,
    0,
    1000,
    (_, signal) => {
      stop = signal;
    },
    // Long beside any pause of this process.
    250,
  );
  const [a, b] = [new AbortController(), new AbortController()];
  const running = submit(0, "a", 1, a.signal);
  const waiting = submit(1, "a", 1, b.signal);
  await sleep(0);
  assert.equal(batcher.waiting, 1);
  b.abort(new Error("left"));
  await assert.rejects(waiting, /left/);
  assert.equal(batcher.waiting, 0);
  assert.equal(stop?.aborted, false);
  a.abort(new Error("gone"));
  await assert.rejects(running, /gone/);
  assert.equal(stop?.aborted, true);
  assert.equal(await submit(2), 2);
  assert.deepEqual(calls, [[0], [2]]);
});

test("a pack goes on for the others when one client leaves", async () => {
  const controller = new AbortController();
  const { calls, submit } = fake(
    () => 1,
    5,
    1000,
    (ids) => {
      if (ids.length === 2) controller.abort(new Error("left"));
    },
  );
  await submit(0);
  const [left, stays] = await Promise.allSettled([submit(1, "a", 1, controller.signal), submit(2)]);
  assert.equal(left.status, "rejected");
  assert.deepEqual(stays, { status: "fulfilled", value: 2 });
  assert.deepEqual(calls, [[0], [1, 2]]);
});

test("an input that breaks its call fails alone", async () => {
  const { calls, submit } = fake(
    () => 1,
    5,
    1000,
    (ids) => {
      if (ids.includes(13)) throw new FoveaError("invalid_input", "Thirteen is refused.");
    },
  );
  await Promise.all([0, 1].map((id) => submit(id)));
  const settled = await Promise.allSettled([submit(12), submit(13), submit(14)]);
  assert.deepEqual(
    settled.map((s) => s.status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.ok(calls.some((call) => call.length > 1 && call.includes(13)));
});

test("a signal that fired already never waits", async () => {
  const { batcher, submit } = fake(() => 1);
  await assert.rejects(submit(0, "a", 1, AbortSignal.abort(new Error("over"))), /over/);
  assert.equal(batcher.waiting, 0);
});

test("a curve follows a line through measured times, and forgets", () => {
  const curve = createCostCurve();
  assert.equal(curve.predict(4), undefined);
  curve.add(2, 20);
  assert.equal(curve.predict(4), 40);
  curve.add(10, 60);
  assert.ok(Math.abs((curve.predict(4) as number) - 30) < 1e-9);
  assert.equal(curve.largest, 10);
  for (let i = 0; i < 80; i++) curve.add(4, 300);
  assert.ok(Math.abs((curve.predict(4) as number) - 300) < 1);
});

test("times that fall with rows are no reason for longer calls", () => {
  const curve = createCostCurve();
  curve.add(1, 50);
  curve.add(8, 10);
  assert.ok((curve.predict(100) as number) >= (curve.predict(1) as number));
});

test("inputs are read one at a time, and none while too much waits", async () => {
  let waiting = 0;
  const room = createRoom({ waiting: () => waiting, most: 10 });
  const order: string[] = [];
  waiting = 11;
  const first = room(async () => {
    order.push("first begins");
    await sleep(3);
    order.push("first ends");
  });
  const second = room(async () => order.push("second"));
  await sleep(10);
  assert.deepEqual(order, []);
  waiting = 10;
  await Promise.all([first, second]);
  assert.deepEqual(order, ["first begins", "first ends", "second"]);
  await assert.rejects(
    room(() => Promise.reject(new Error("bad"))),
    /bad/,
  );
  assert.equal(await room(async () => 7), 7);
});
