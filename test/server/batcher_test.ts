/** Packing by measured times, order, cancellation, and what one bad input does to its neighbours. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EncodeItem } from "../../mod.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { Batcher, type BatchReport } from "../../runtime/session/inputs/batcher.ts";
import { type Arrivals, createArrivals, waitsUntil } from "../../runtime/session/inputs/company.ts";
import { type CostCurve, createCostCurve } from "../../runtime/session/inputs/cost_curve.ts";
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
  readonly clock: { pass(ms: number): void };
}

/** A device that takes so long for a call, and gives each item its own number. */
function fake(
  cost: (rows: number) => number,
  maxWait = 1,
  batchMs = 1000,
  onRun?: (ids: number[], s: AbortSignal) => void,
  lastsMs = 2,
  ticks = true,
): Fake {
  const calls: number[][] = [];
  const reports: BatchReport[] = [];
  /** Milliseconds that calls are said to have taken. */
  let clock = 0;
  const batcher = new Batcher({
    maxWait,
    batchMs,
    now: () => clock + (ticks ? performance.now() : 0),
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
  const pass = (ms: number): void => {
    clock += ms;
  };
  return { batcher, calls, reports, submit, clock: { pass } };
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

/** Calls of 1, 2 and 4 items that come together: a curve of them is known then. */
async function measured(submit: Fake["submit"]): Promise<void> {
  for (const count of [1, 2, 4]) await Promise.all(Array.from({ length: count }, (_, i) => submit(i)));
}

test("items of one turn go together at once, where a call costs little beside them", async () => {
  const { calls, submit, reports } = fake((rows) => 100 * rows, 20_000, 60_000);
  await measured(submit);
  await Promise.all([submit(10), submit(11)]);
  assert.deepEqual(calls[calls.length - 1], [10, 11]);
  assert.ok(reports.every(({ waitedMs }) => waitedMs < 5000));
});

test("an item waits for the next where that saves more than it takes, and no longer than items are apart, or allowed", async () => {
  // Calls of 100 ms, whatever they hold, on a clock that stands still otherwise.
  const known = async (maxWait: number) => {
    const { clock, ...batching } = fake(() => 100, maxWait, 60_000, undefined, 0, false);
    await measured(batching.submit);
    const together = Array.from({ length: 8 }, (_, i) => {
      clock.pass(1);
      return batching.submit(10 + i);
    });
    await Promise.all(together);
    const waits = batching.submit(50);
    await sleep(0);
    assert.equal(batching.batcher.waiting, 1, "one is worth waiting for");
    return { ...batching, clock, waits };
  };
  const company = await known(20_000);
  company.clock.pass(1);
  const second = company.submit(51);
  await sleep(0);
  assert.equal(company.batcher.waiting, 2);
  // The next one would have to come within twice the usual gap.
  company.clock.pass(5000);
  await Promise.all([company.waits, second]);
  assert.deepEqual(company.calls[company.calls.length - 1], [50, 51]);
  const hasty = await known(5);
  hasty.clock.pass(6);
  await hasty.waits;
  assert.deepEqual(hasty.calls[hasty.calls.length - 1], [50]);
  const [report] = hasty.reports.slice(-1);
  assert.equal(report.waitedMs, 6);
});

test("what a call of one more saves is weighed against how soon it comes", () => {
  const line = (fixed: number, perRow: number): CostCurve => {
    const curve = createCostCurve();
    for (const rows of [1, 2, 4, 8]) curve.add(rows, fixed + perRow * rows);
    return curve;
  };
  const every = (gap: number): Arrivals => {
    const arrivals = createArrivals();
    for (let i = 0; i < 40; i++) arrivals.note(i * gap);
    return arrivals;
  };
  const [gpu, processor] = [line(5, 0.5), line(0.4, 1)];
  const one = { inputs: 1, rows: 1, nextRows: 1 };
  // 5 ms are saved, where two would wait for 2 ms and one runs 0.5 longer: until two gaps have passed.
  assert.ok(Math.abs(waitsUntil(one, gpu, every(2)) - (39 * 2 + 4)) < 1e-6);
  // 2.3 ms apart they would lose more.
  assert.equal(waitsUntil(one, gpu, every(2.3)), 39 * 2.3);
  assert.equal(waitsUntil({ ...one, inputs: 3, rows: 3 }, gpu, every(2)), 39 * 2);
  assert.equal(waitsUntil(one, processor, every(0.01)), 39 * 0.01);
  // Nothing is known of the gaps, or of the times.
  const first = createArrivals();
  first.note(7);
  assert.equal(waitsUntil(one, gpu, first), 7);
  assert.equal(waitsUntil(one, createCostCurve(), every(2)), 78);
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

test("between slices of reading the rest of the process has its turn", async () => {
  for (const [sliceMs, turns] of [
    [1, 2],
    [1000, 0],
  ]) {
    const room = createRoom({ waiting: () => 0, most: 1, sliceMs });
    let [between, reads] = [0, 0];
    const read = async (): Promise<void> => {
      reads++;
      const end = performance.now() + 3;
      while (performance.now() < end);
    };
    const tick = (): void => {
      if (reads > 0 && reads < 3) between++;
      if (reads < 3) timer = setTimeout(tick, 0);
    };
    let timer = setTimeout(tick, 0);
    await Promise.all([room(read), room(read), room(read)]);
    clearTimeout(timer);
    assert.ok(turns === 0 ? between === 0 : between >= 1, `${between} turns within slices of ${sliceMs} ms`);
  }
});
