import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeviceBuffer, Launch } from "../../runtime/abi/device.ts";
import type { Tensor } from "../../runtime/abi/encoder.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import type { Span } from "../../runtime/core/trace.ts";
import type { LinkedProgram } from "../../runtime/exec/linker.ts";
import { createProgramRunner, type ProgramRunner } from "../../runtime/exec/program_runner.ts";
import { createRunnerMemory } from "../../runtime/exec/runner_memory.ts";
import { hasCode } from "../kit/assertions.ts";
import { callContext } from "../kit/call_context.ts";
import { createFakeDevice, type FakeCode, type FakeDevice, floats } from "./fake_device.ts";

const CONTEXT = callContext();
const RESULTS = { y: "y", whole: "i" };

/** y [4] = x [4] + 1; i is an i32 that nobody changes. */
function program(key: string, arenaBytes = 192, code = "increment"): LinkedProgram {
  return {
    key,
    calls: [{ tag: "test/increment", instance: "layers.0.", dims: { rows: 4 }, launches: 1, flops: 4 }],
    arenaBytes,
    flops: 4,
    values: {
      x: { offset: 0, bytes: 16, dtype: "f32", shape: [4] },
      y: { offset: 64, bytes: 16, dtype: "f32", shape: [2, 2] },
      i: { offset: 128, bytes: 8, dtype: "i32", shape: [2] },
    },
    launches: (buffer): readonly Launch[] => [
      {
        kernel: "k",
        code,
        args: [
          { buffer, offset: 64 },
          { buffer, offset: 0 },
        ],
        grid: 1,
        flops: 4,
        workerScratch: 0,
      },
    ],
  };
}

const x = (value: number): Tensor => ({ dtype: "f32", shape: [4], data: new Float32Array(4).fill(value) });
const inputs = (value: number): Record<string, Tensor> => ({
  x: x(value),
  i: { dtype: "i32", shape: [2], data: Int32Array.of(7, -7) },
  unread: x(9),
});

const increment: FakeCode = ([to, from]) => floats(to, 4).set(floats(from, 4).map((v) => v + 1));

/** A device whose program `slow` waits until it is let go. */
function devices(budget?: number): { device: FakeDevice; letGo: () => void } {
  const waiting: (() => void)[] = [];
  const slow: FakeCode = async (args, launch) => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    await increment(args, launch);
  };
  const failing: FakeCode = () => {
    throw new FoveaError("lost", "The device is lost.");
  };
  return {
    device: createFakeDevice({ increment, slow, failing }, budget),
    letGo: () => {
      for (const resolve of waiting.splice(0)) resolve();
    },
  };
}

const runOf = (runner: ProgramRunner, p: LinkedProgram, value = 1): Promise<unknown> =>
  runner.run(p, inputs(value), RESULTS, CONTEXT);

test("runner: results have their own memory, shape and type", async () => {
  const { device } = devices();
  const runner = createProgramRunner(device);
  const one = await runner.run(program("a"), inputs(1), RESULTS, CONTEXT);
  const two = await runner.run(program("a"), inputs(2), RESULTS, CONTEXT);
  assert.deepEqual(one.y, { dtype: "f32", shape: [2, 2], data: Float32Array.of(2, 2, 2, 2) });
  assert.deepEqual(two.y.data, Float32Array.of(3, 3, 3, 3));
  assert.deepEqual(one.whole, { dtype: "i32", shape: [2], data: Int32Array.of(7, -7) });
  runner.release();
  assert.deepEqual([device.live.size, device.bound.size], [0, 0]);
});

test("runner: what new memory held is not in results, and memory that was given is used instead", async () => {
  const asked: number[] = [];
  const memory = createRunnerMemory((bytes) => {
    asked.push(bytes);
    return new Uint8Array(bytes).fill(0xff).buffer;
  });
  const runner = createProgramRunner(devices().device, memory);
  const { y, whole } = await runner.run(program("a"), inputs(1), RESULTS, CONTEXT);
  assert.deepEqual([y.data, whole.data], [Float32Array.of(2, 2, 2, 2), Int32Array.of(7, -7)]);
  assert.deepEqual(asked, [16, 8]);
  const into = { y: new Float32Array(4) };
  const again = await runner.run(program("a"), inputs(2), RESULTS, CONTEXT, { into });
  assert.equal(again.y.data, into.y);
  assert.deepEqual(asked, [16, 8, 8]);
  runner.release();
});

test("runner: work beside a run is done when results are asked for and have not come; what it throws is told when they have", async () => {
  const { device } = devices();
  const events: string[] = [];
  const told: typeof device = {
    ...device,
    run: async (program, options) => {
      await device.run(program, options);
      events.push("ran");
    },
    read: async (buffer, offset, into) => {
      events.push("asked");
      await new Promise((resolve) => setTimeout(resolve, 1));
      await device.read(buffer, offset, into);
      events.push("came");
    },
  };
  const runner = createProgramRunner(told);
  const meanwhile = (): void => void events.push("beside");
  await runner.run(program("a"), inputs(1), RESULTS, CONTEXT, { meanwhile });
  assert.deepEqual(events.splice(0), ["ran", "asked", "asked", "beside", "came", "came"]);
  const refuse = (): never => {
    throw new FoveaError("invalid_input", "No such number.");
  };
  await assert.rejects(
    runner.run(program("a"), inputs(1), RESULTS, CONTEXT, { meanwhile: refuse }),
    hasCode("invalid_input", /^No such number\.$/),
  );
  assert.deepEqual(events, ["ran", "asked", "asked", "came", "came"]);
  assert.equal(device.allocations.length, 1);
  runner.release();
  assert.deepEqual([device.live.size, device.bound.size], [0, 0]);
});

test("runner: arenas are used again by what fits, with what was bound in them", async () => {
  const { device } = devices();
  const runner = createProgramRunner(device);
  for (let i = 0; i < 3; i++) await runOf(runner, program("a"));
  assert.equal(device.allocations.length, 1);
  // A larger program needs a larger arena; the one that is almost as large makes room.
  await runOf(runner, program("b", 1000));
  await runOf(runner, program("c", 1100));
  assert.deepEqual([device.allocations, device.live.size], [[192, 1000, 1100], 2]);
  const bound = device.bound.size;
  for (const key of ["d", "e", "a", "d", "e", "a"]) await runOf(runner, program(key));
  assert.deepEqual([device.allocations.length, device.bound.size], [3, bound + 2]);
  for (let i = 0; i < 20; i++) await runOf(runner, program(`x${i}`));
  assert.deepEqual([device.allocations.length, device.bound.size], [3, 16]);
  runner.release();
  assert.deepEqual([device.live.size, device.bound.size], [0, 0]);
});

test("runner: four idle arenas stay at most", async () => {
  const { device, letGo } = devices();
  const runner = createProgramRunner(device);
  const runs = Array.from({ length: 6 }, () => runOf(runner, program("a", 192, "slow")));
  assert.equal(device.live.size, 6);
  letGo();
  await Promise.all(runs);
  assert.deepEqual([device.live.size, device.bound.size], [4, 4]);
  runner.release();
  assert.deepEqual([device.live.size, device.bound.size], [0, 0]);
});

test("runner: runs at the same time have arenas of their own", async () => {
  const { device, letGo } = devices();
  const runner = createProgramRunner(device);
  const both = [1, 2].map((v) => runner.run(program("a", 192, "slow"), inputs(v), RESULTS, CONTEXT));
  assert.equal(device.live.size, 2);
  letGo();
  const [one, two] = await Promise.all(both);
  assert.deepEqual([one.y.data[0], two.y.data[0]], [2, 3]);
  runner.release();
  assert.equal(device.live.size, 0);
});

test("runner: failures and aborts give the arena back", async () => {
  const { device, letGo } = devices();
  const runner = createProgramRunner(device);
  await assert.rejects(runOf(runner, program("a", 192, "failing")), /The device is lost/);
  const wrong = { ...inputs(1), x: { ...x(1), data: new Float32Array(3) } };
  await assert.rejects(
    runner.run(program("a"), wrong, RESULTS, CONTEXT),
    /internal: input "x" has 12 bytes, its place 16/,
  );
  const reason = new Error("no longer wanted");
  await assert.rejects(
    runner.run(program("a"), inputs(1), RESULTS, callContext("test", { signal: AbortSignal.abort(reason) })),
    reason,
  );
  assert.ok(device.live.size <= 1);
  const controller = new AbortController();
  const twice = { ...program("b", 192, "slow") };
  const launches = twice.launches;
  const context = callContext("test", { signal: controller.signal });
  const doubled = { ...twice, launches: (a: DeviceBuffer) => [...launches(a), ...launches(a)] };
  const running = runner.run(doubled, inputs(1), RESULTS, context);
  controller.abort(reason);
  letGo();
  await assert.rejects(running, reason);
  runner.release();
  assert.deepEqual([device.live.size, device.bound.size], [0, 0]);
});

test("runner: what a device loses and goes on from is begun again, with its inputs, and not for ever", async () => {
  let left = 2;
  const losing: FakeCode = async (args, launch) => {
    // What the lost run wrote over its own input does not stay.
    floats(args[1] as Uint8Array, 4).set([5, 5, 5, 5]);
    if (left-- > 0) throw new FoveaError("run_lost", "The run is lost.");
    floats(args[1] as Uint8Array, 4).set([1, 1, 1, 1]);
    await increment(args, launch);
  };
  const checking: FakeCode = async (args, launch) => {
    assert.deepEqual([...floats(args[1] as Uint8Array, 4)], [1, 1, 1, 1]);
    await losing(args, launch);
  };
  const runner = createProgramRunner(createFakeDevice({ checking }));
  const { y } = await runner.run(program("a", 192, "checking"), inputs(1), RESULTS, CONTEXT);
  assert.deepEqual([...(y.data as Float32Array)], [2, 2, 2, 2]);
  left = 3;
  await assert.rejects(
    runner.run(program("a", 192, "checking"), inputs(1), RESULTS, CONTEXT),
    hasCode("run_lost", /^The run is lost/),
  );
  runner.release();
});

test("runner: idle arenas are given up before a request is refused", async () => {
  const { device } = devices(1000);
  const runner = createProgramRunner(device);
  await runOf(runner, program("a", 500));
  await runOf(runner, program("b", 400));
  await runOf(runner, program("c", 900));
  assert.equal(device.live.size, 1);
  await assert.rejects(runOf(runner, program("d", 2000)), (e: FoveaError) => e.code === "out_of_memory");
  // What could not be had leaves nothing behind.
  assert.deepEqual([device.live.size, device.bound.size], [0, 0]);
  await runOf(runner, program("a", 500));
  runner.release();
  assert.equal(device.live.size, 0);
});

test("runner: a bind that fails gives its memory back", async () => {
  const { device } = devices();
  const runner = createProgramRunner(device);
  const broken = { ...program("a"), launches: () => assert.fail("no launches") };
  await assert.rejects(runOf(runner, broken), /no launches/);
  assert.equal(device.live.size, 0);
});

test("runner: a run that outlives the runner takes its memory along", async () => {
  const { device, letGo } = devices();
  const runner = createProgramRunner(device);
  const running = runOf(runner, program("a", 192, "slow"));
  runner.release();
  letGo();
  await running;
  assert.deepEqual([device.live.size, device.bound.size], [0, 0]);
});

test("runner: with a trace sink every component call has a span with its dims, and the results are the same", async () => {
  const { device } = devices();
  const runner = createProgramRunner(device);
  const one = program("a");
  const call = { ...one.calls[0], instance: "", dims: { rows: 2 } };
  const two = {
    ...one,
    calls: [one.calls[0], call],
    launches: (b: DeviceBuffer) => [...one.launches(b), ...one.launches(b)],
  };
  const spans: Span[] = [];
  const traced = callContext("vision", { requestId: "r", trace: { span: (s) => spans.push(s) } });
  const found = await runner.run(two, inputs(1), RESULTS, traced);
  assert.deepEqual(found, await runner.run(two, inputs(1), RESULTS, CONTEXT));
  assert.deepEqual(
    spans.map(({ kind, name, tag, dims, figures }) => ({ kind, name, tag, dims, figures })),
    [
      { kind: "write", name: "vision", tag: undefined, dims: undefined, figures: { bytes: 24 } },
      ...[
        { name: "test/increment layers.0.", rows: 4 },
        { name: "test/increment", rows: 2 },
      ].flatMap(({ name, rows }, i) => [
        { kind: "wait" as const, name, tag: "test/increment", dims: undefined, figures: undefined },
        {
          ...{ kind: "launches" as const, name, tag: "test/increment", dims: { rows } },
          figures: { call: i, launches: 1, flops: 4 },
        },
      ]),
      { kind: "read", name: "vision", tag: undefined, dims: undefined, figures: { bytes: 24 } },
    ],
  );
  assert.ok(spans.every((s) => s.requestId === "r" && s.begin <= s.end));
  runner.release();
  assert.deepEqual([device.live.size, device.bound.size], [0, 0]);
});

test("runner: failures name the request, the component and its dims", async () => {
  const { device } = devices();
  const runner = createProgramRunner(device);
  const sinks = [undefined, { span: () => {} }];
  for (const trace of sinks) {
    const context = callContext("vision", { requestId: "r", ...(trace === undefined ? {} : { trace }) });
    await assert.rejects(
      runner.run(program("a", 192, "failing"), inputs(1), RESULTS, context),
      hasCode(
        "lost",
        /^The device is lost\. This was request r \(vision\), component "test\/increment" \("layers\.0\."\) at rows 4, call 1 of 1\.$/,
      ),
    );
  }
  runner.release();
  assert.deepEqual([device.live.size, device.bound.size], [0, 0]);
});

test("runner: a call whose deadline passed is not written to the device", async () => {
  const { device } = devices();
  const runner = createProgramRunner(device);
  await assert.rejects(
    runner.run(program("a"), inputs(1), RESULTS, callContext("vision", { deadline: 0 })),
    hasCode("deadline_exceeded", /Request 1 /),
  );
  assert.equal(device.live.size, 0);
  runner.release();
});
