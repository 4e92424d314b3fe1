import assert from "node:assert/strict";
import { test } from "node:test";
import { WASM_DEVICE } from "../../kernels/wasm/device/device.ts";
import { divide } from "../../kernels/wasm/device/launch_table.ts";
import { relaxedMultiplyAdd } from "../../kernels/wasm/device/probe.ts";
import type { Launch } from "../../runtime/abi/device.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import {
  CODE,
  counterLaunch,
  createHost,
  delay,
  openDevice,
  partsLaunch,
  readWords,
  trapLaunch,
  zeroWords,
} from "./device_kit.ts";

test("the probe names a target with its documented capabilities, relaxed only where madd is fused", async () => {
  const found = await WASM_DEVICE.probe(createHost());
  assert.ok(!("unavailable" in found));
  assert.equal(found.target, relaxedMultiplyAdd() === "fused" ? "wasm-relaxed" : "wasm-simd128");
  assert.deepEqual(found.capabilities, WASM_DEVICE.targetCapabilities(found.target));
  assert.equal(WASM_DEVICE.targetCapabilities("wasm-simd128").relaxedMadd, false);
  assert.throws(() => WASM_DEVICE.targetCapabilities("wasm-gpu"), /no target "wasm-gpu"; expected one of wasm-relaxed/);
});

test("threads without workers are refused; without a wish a host without workers runs inline", async () => {
  const bare = { name: "bare", cores: 4 };
  await assert.rejects(WASM_DEVICE.open(bare, { threads: 2 }), /bare has no workers; use threads: 0/);
  await assert.rejects(WASM_DEVICE.open(bare, { threads: 1.5 }), /threads` is 1\.5/);
  const device = await WASM_DEVICE.open(bare, { memory: 1 << 21 });
  assert.equal(device.threads, 0);
  await device.close();
});

test("chunks are at most 200 us of estimated work, and short launches stay whole", () => {
  assert.deepEqual(divide(100, 1e5, 2), { chunk: 100, shared: false });
  assert.deepEqual(divide(1000, 1e9, 2), { chunk: 4, shared: true });
  assert.deepEqual(divide(10, 1e9, 2), { chunk: 1, shared: true });
  assert.deepEqual(divide(1000, 1e6, 1), { chunk: 1000, shared: false });
  assert.equal(divide(640, 0, 2).chunk, 20);
});

for (const threads of [0, 1, 2, 3]) {
  test(`${threads} threads: every grid item is visited once, with private scratch, over random launches`, async () => {
    const device = await openDevice({ threads });
    assert.equal(device.threads, threads);
    assert.equal(await device.load(CODE), CODE.size);
    assert.equal(await device.load(CODE), 0);
    let state = 11 + threads;
    const random = (limit: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 4294967296) * limit);
    };
    const counts = zeroWords(device, 6000);
    const expected = new Int32Array(6000);
    for (let round = 0; round < 12; round++) {
      const launches: Launch[] = [];
      for (let i = 0; i < 60; i++) {
        const grid = random(4) === 0 ? random(4) : random(800);
        const offset = random(5000);
        const launch = counterLaunch(counts, grid, random(3) === 0 ? 200 : random(20), offset * 4);
        launches.push(random(3) === 0 ? { ...launch, flops: 0 } : launch);
        for (let item = 0; item < grid; item++) expected[offset + item]++;
      }
      const program = device.bind(launches);
      await device.run(program, {});
      program.release();
    }
    assert.deepEqual(await readWords(device, counts), expected);
    device.release(counts);
    assert.equal(device.stats().bytesInUse, 0);
    assert.equal(device.stats().runs, 12);
    assert.equal(device.stats().modulesCompiled, CODE.size);
    await device.close();
  });

  test(`${threads} threads: the parts of an item run one at a time, in order, on one scratch`, async () => {
    const device = await openDevice({ threads });
    await device.load(CODE);
    const counts = zeroWords(device, 700);
    const program = device.bind([partsLaunch(counts, 100, 7), partsLaunch(counts, 100, 7, 90)]);
    await device.run(program, {});
    const words = await readWords(device, counts);
    // What lies before the first item may be computed as well.
    assert.ok(words.subarray(0, 630).every((n) => n === 1 || n === 2));
    assert.ok(words.subarray(630).every((n) => n === 2));
    program.release();
    device.release(counts);
    assert.equal(device.stats().bytesInUse, 0);
    await device.close();
  });

  test(`${threads} threads: a run is told when its turn comes, and what it throws then is its rejection`, async () => {
    const device = await openDevice({ threads });
    await device.load(CODE);
    const counts = zeroWords(device, 200);
    const long = device.bind([counterLaunch(counts, 200, 20_000), counterLaunch(counts, 200, 20_000)]);
    const brief = device.bind([counterLaunch(counts, 1, 0)]);
    const told: string[] = [];
    const expired = new Error("its time is over");
    const runs = await Promise.allSettled([
      device.run(long, { onStart: () => told.push("first") }),
      device.run(brief, {
        onStart: () => {
          told.push("second");
          throw expired;
        },
      }),
      device.run(brief, { onStart: () => told.push("third") }),
    ]);
    assert.deepEqual(told, ["first", "second", "third"]);
    assert.deepEqual(
      runs.map((r) => (r.status === "rejected" ? r.reason : "done")),
      ["done", expired, "done"],
    );
    assert.equal((await readWords(device, counts))[0], 3);
    assert.equal(long.position, 1);
    // Nothing is left that would keep the device busy.
    await device.run(brief, {});
    long.release();
    brief.release();
    device.release(counts);
    assert.equal(device.stats().bytesInUse, 0);
    await device.close();
  });

  test(`${threads} threads: 200 interleaved runs end in order with exact counts`, async () => {
    const device = await openDevice({ threads });
    await device.load(CODE);
    const counts = zeroWords(device, 300);
    const long = device.bind([counterLaunch(counts, 300, 300), counterLaunch(counts, 300, 300)]);
    const short = device.bind([counterLaunch(counts, 100, 5)]);
    const order: number[] = [];
    const runs = Array.from({ length: 200 }, (_, i) =>
      device.run(i % 3 === 0 ? long : short, {}).then(() => order.push(i)),
    );
    // Released while runs wait: the memory stays until they are done.
    long.release();
    await Promise.all(runs);
    short.release();
    assert.deepEqual(
      order,
      Array.from({ length: 200 }, (_, i) => i),
    );
    const words = await readWords(device, counts);
    assert.equal(words[0], 67 * 2 + 133);
    assert.equal(words[299], 67 * 2);
    device.release(counts);
    assert.equal(device.stats().bytesInUse, 0);
    await device.close();
  });

  test(`${threads} threads: an abort ends the running and the queued run, and the device goes on`, async () => {
    const device = await openDevice({ threads });
    await device.load(CODE);
    const counts = zeroWords(device, 2000);
    // Seconds of work: only an abort ends it in time.
    const endless = device.bind(Array.from({ length: 50 }, () => counterLaunch(counts, 2000, 200_000)));
    const brief = device.bind([counterLaunch(counts, 1, 0)]);
    const running = new AbortController();
    const queued = new AbortController();
    const waits: number[] = [];
    const first = device.run(endless, { signal: running.signal }).catch((reason: unknown) => reason);
    const second = device.run(endless, { signal: queued.signal }).catch((reason: unknown) => reason);
    const third = device.run(brief, {});
    await delay(30);
    queued.abort(new Error("second is not wanted"));
    assert.equal(((await second) as Error).message, "second is not wanted");
    const begin = performance.now();
    running.abort(new Error("first is not wanted"));
    assert.equal(((await first) as Error).message, "first is not wanted");
    waits.push(performance.now() - begin);
    await third;
    for (let i = 0; i < 4; i++) {
      const again = new AbortController();
      const run = device.run(endless, { signal: again.signal }).catch((reason: unknown) => reason);
      await delay(10);
      const from = performance.now();
      again.abort();
      assert.equal(((await run) as Error).name, "AbortError");
      waits.push(performance.now() - from);
    }
    waits.sort((a, b) => a - b);
    // Other programs may hold the processors for a while; a run that cannot be stopped takes seconds each time.
    assert.ok(waits[0] < 20 && waits[4] < 1000, `aborts took ${waits.map((ms) => ms.toFixed(1)).join(", ")} ms`);
    const before = (await readWords(device, counts))[0];
    await device.run(brief, {});
    assert.equal((await readWords(device, counts))[0], before + 1);
    await assert.rejects(device.run(brief, { signal: AbortSignal.abort(new Error("too late")) }), /too late/);
    await device.close();
  });

  test(`${threads} threads: a trap rejects its run by the kernel's name and spoils no other`, async () => {
    const device = await openDevice({ threads });
    await device.load(CODE);
    const counts = zeroWords(device, 500);
    const good = device.bind([counterLaunch(counts, 500, 10)]);
    const bad = device.bind([counterLaunch(counts, 500, 10), trapLaunch(300, 250), counterLaunch(counts, 500, 10)]);
    const results = await Promise.allSettled([good, bad, good].map((program) => device.run(program, {})));
    assert.deepEqual(
      results.map((result) => result.status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    const { reason } = results[1] as PromiseRejectedResult;
    assert.ok(reason instanceof FoveaError);
    assert.equal(reason.code, "kernel_failed");
    assert.match(reason.message, /The kernel test\/trap failed/);
    assert.deepEqual(await readWords(device, counts), new Int32Array(500).fill(3));
    await device.close();
  });

  test(`${threads} threads: programs that need more scratch can be bound while others run`, async () => {
    const device = await openDevice({ threads });
    await device.load(CODE);
    const counts = zeroWords(device, 1000);
    const first = device.bind([counterLaunch(counts, 1000, 5000)]);
    const run = device.run(first, {});
    const second = device.bind([{ ...counterLaunch(counts, 1000, 100), workerScratch: 100_000 }]);
    const again = device.run(second, {});
    first.release();
    second.release();
    await Promise.all([run, again]);
    assert.deepEqual(await readWords(device, counts), new Int32Array(1000).fill(2));
    device.release(counts);
    assert.equal(device.stats().bytesInUse, 0);
    await device.close();
  });

  test(`${threads} threads: tables above the memory that workers first saw are read, and memory is reused`, async () => {
    const device = await openDevice({ threads });
    await device.load(CODE);
    const low = device.allocate(20 << 20);
    const counts = zeroWords(device, 400);
    assert.ok(counts.address > 20 << 20);
    let peak = 0;
    for (let i = 0; i < 1000; i++) {
      const program = device.bind([counterLaunch(counts, 400, i % 100 === 0 ? 100 : 1)]);
      if (i % 10 === 0) await device.run(program, {});
      program.release();
      if (i === 0) peak = device.stats().peakBytes;
    }
    assert.deepEqual(await readWords(device, counts), new Int32Array(400).fill(100));
    assert.equal(device.stats().peakBytes, peak);
    device.release(low);
    await device.close();
  });
}

test("inline: timers fire during a long run, and a short run needs no turn of the event loop", async () => {
  const device = await openDevice({ threads: 0 });
  await device.load(CODE);
  const counts = zeroWords(device, 1000);
  const long = device.bind([counterLaunch(counts, 1000, 300_000)]);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  const begin = performance.now();
  await device.run(long, {});
  const took = performance.now() - begin;
  clearInterval(timer);
  assert.ok(ticks >= took / 40, `${ticks} ticks in ${took.toFixed(0)} ms`);
  const short = device.bind([counterLaunch(counts, 10, 1)]);
  let turned = false;
  await delay(1);
  setTimeout(() => {
    turned = true;
  }, 0);
  await device.run(short, {});
  assert.equal(turned, false);
  await device.close();
});

test("inline: many short runs in a row let timers through too", async () => {
  const device = await openDevice({ threads: 0 });
  await device.load(CODE);
  const counts = zeroWords(device, 100);
  const short = device.bind([counterLaunch(counts, 100, 2000)]);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  const begin = performance.now();
  while (performance.now() - begin < 100) await device.run(short, {});
  clearInterval(timer);
  assert.ok(ticks >= 2, `${ticks} ticks`);
  await device.close();
});
