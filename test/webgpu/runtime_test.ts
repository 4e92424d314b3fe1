/** Models and components on WebGPU through the public API: counters, memory, neighbours, errors. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { openGpuDevice } from "../../kernels/webgpu/device/adapter.ts";
import { encodeCode } from "../../kernels/webgpu/device/code.ts";
import { WebGpuDevice } from "../../kernels/webgpu/device/device.ts";
import { Ledger } from "../../kernels/webgpu/device/ledger.ts";
import { createRuntime, type Runtime, type Span } from "../../mod.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import type { GraphBuilder } from "../../runtime/ir/builder.ts";
import { evaluateGraph, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { hasCode } from "../kit/assertions.ts";
import { buildGraph } from "../kit/run_graph.ts";
import { assertNear, normals, openGpu } from "./gpu_kit.ts";

const WIDTH = 20;
const SYMBOLS = { tokens: { min: 1, max: 400 } };

/** A residual step: two results, one of bytes that were moved. */
function build(b: GraphBuilder): void {
  const { tokens } = b.dims;
  const x = b.input("x", [tokens, WIDTH]);
  const bytes = b.input("bytes", [tokens, 3], "u8");
  const normed = b.rmsNorm(x, b.weight("norm", [WIDTH]), 1e-6);
  const hidden = b.unary("gelu", b.matmul(normed, b.weight("up", [WIDTH, WIDTH]), { transposeB: true }));
  b.output("y", b.add(x, hidden));
  b.output("turned", b.op("contiguous", [b.transpose(bytes, [1, 0])]));
}

let opened: Promise<Runtime> | undefined;
const runtime = (): Promise<Runtime> => {
  // The device's own reason comes first.
  opened ??= openGpu().then(async (device) => {
    await device.close();
    return createRuntime({ device: ["webgpu", "wasm"] });
  });
  return opened;
};
after(async () => (await opened)?.close());

const shapeOf = (name: string): number[] => (name === "up" ? [WIDTH, WIDTH] : [WIDTH]);
const tensors = {
  norm: { dtype: "f32" as const, shape: shapeOf("norm"), data: normals(1, WIDTH) },
  up: { dtype: "f32" as const, shape: shapeOf("up"), data: normals(2, WIDTH * WIDTH) },
};

const inputsOf = (tokens: number) => ({
  x: { dtype: "f32" as const, shape: [tokens, WIDTH], data: normals(tokens, tokens * WIDTH) },
  bytes: {
    dtype: "u8" as const,
    shape: [tokens, 3],
    data: Uint8Array.from({ length: tokens * 3 }, (_, i) => (i * 37) % 256),
  },
});

const details = (r: Runtime): Readonly<Record<string, number>> => r.stats().device.details ?? {};

/** By how much a call raises each of the device's counters. */
async function counted(r: Runtime, call: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = details(r);
  await call();
  return Object.fromEntries(Object.entries(details(r)).map(([name, value]) => [name, value - before[name]]));
}

test("sizes of a range on WebGPU have the evaluator's values", async () => {
  const r = await runtime();
  assert.deepEqual([r.device, r.target], ["webgpu", "webgpu-core"]);
  const component = await r.compile({ tag: "test/step", symbols: SYMBOLS, build }, tensors);
  for (const tokens of [1, 33, 150]) {
    const inputs = inputsOf(tokens);
    const found = await component.run(inputs);
    const given = Object.fromEntries(Object.entries(inputs).map(([n, t]) => [n, refTensor(t.dtype, t.shape, t.data)]));
    const expected = evaluateGraph(buildGraph(SYMBOLS, build), { tokens }, given, (name) =>
      refTensor("f32", shapeOf(name), tensors[name as keyof typeof tensors].data),
    );
    assertNear(found.y.data, expected.y.data, 5e-6, `y of ${tokens}`);
    assert.deepEqual([...found.turned.data], [...expected.turned.data]);
  }
  component.close();
});

test("a new size compiles nothing, binds nothing anew within a size class, and costs one submit and one read-back", async () => {
  const r = await runtime();
  const component = await r.compile({ tag: "test/step", symbols: SYMBOLS, build }, tensors);
  await component.run(inputsOf(400));
  const first = await counted(r, () => component.run(inputsOf(399)));
  const { pipelines, bindGroups, buffers } = details(r);
  assert.deepEqual([first.submits, first.readBacks], [1, 1]);
  for (const tokens of [398, 351, 1, 77]) {
    const counts = await counted(r, () => component.run(inputsOf(tokens)));
    assert.deepEqual(counts, { pipelines: 0, bindGroups: 0, buffers: 0, submits: 1, readBacks: 1 }, `${tokens} tokens`);
  }
  assert.ok(pipelines > 0 && bindGroups > 0 && buffers > 0);
  component.close();
});

test("many calls of changing sizes leave buffers and bytes as they are", async () => {
  const r = await runtime();
  const component = await r.compile({ tag: "test/step", symbols: SYMBOLS, build }, tensors);
  for (const tokens of [400, 399, 398]) await component.run(inputsOf(tokens));
  const { bytesInUse } = r.stats().device;
  const { buffers, bindGroups } = details(r);
  for (let i = 0; i < 200; i++) await component.run(inputsOf(1 + (hash32(5, i) % 40)));
  assert.equal(r.stats().device.bytesInUse, bytesInUse);
  assert.deepEqual([details(r).buffers, details(r).bindGroups], [buffers, bindGroups]);
  component.close();
});

test("calls at the same time, and closing one component, leave others on the device alone", async () => {
  const r = await runtime();
  const [one, other] = await Promise.all(
    ["test/one", "test/other"].map((tag) => r.compile({ tag, symbols: SYMBOLS, build }, tensors)),
  );
  const alone = await other.run(inputsOf(50));
  const together = await Promise.all([other.run(inputsOf(50)), one.run(inputsOf(9)), other.run(inputsOf(50))]);
  for (const at of [0, 2]) assert.deepEqual(together[at].y.data, alone.y.data);
  const before = other.run(inputsOf(50));
  one.close();
  assert.deepEqual((await before).y.data, alone.y.data);
  assert.deepEqual((await other.run(inputsOf(50))).y.data, alone.y.data);
  other.close();
  assert.equal(r.stats().device.bytesInUse, 0);
});

test("a call that is aborted when the device has it ends at once, and its memory goes to the next call", async () => {
  const r = await runtime();
  const component = await r.compile({ tag: "test/step", symbols: SYMBOLS, build }, tensors);
  const { y } = await component.run(inputsOf(400));
  const { bytesInUse } = r.stats().device;
  const { submits } = details(r);
  const stop = new AbortController();
  const reason = new Error("no longer wanted");
  const aborted = component.run(inputsOf(400), { signal: stop.signal });
  // It is given to the device within the turn that asks for it; where the device lives in a worker, there.
  await new Promise((resolve) => setImmediate(resolve));
  stop.abort(reason);
  await assert.rejects(aborted, (error) => error === reason);
  const again = await component.run(inputsOf(400));
  assert.deepEqual(again.y.data, y.data);
  assert.equal(r.stats().device.bytesInUse, bytesInUse);
  assert.equal(details(r).submits, submits + 2);
  component.close();
});

test("a traced call holds the device's own time where the adapter has a clock", async () => {
  const r = await runtime();
  const gpu = await (await detectHost()).gpu();
  if ("unavailable" in gpu) throw new Error(gpu.unavailable);
  const hasClock = (await gpu.requestAdapter())?.features.has("timestamp-query");
  const component = await r.compile({ tag: "test/step", symbols: SYMBOLS, build }, tensors);
  const spans: Span[] = [];
  const inputs = inputsOf(400);
  const { y } = await component.run(inputs, { trace: { span: (span) => spans.push(span) } });
  const of = (kind: string): readonly Span[] => spans.filter((span) => span.kind === kind);
  assert.deepEqual(
    of("device").map(({ tag, begin, end }) => [tag, end >= begin]),
    hasClock ? [["test/step", true]] : [],
  );
  assert.equal(of("launches").length, 1);
  assert.deepEqual(y.data, (await component.run(inputs)).y.data);
  component.close();
});

test("a lost device says so in whatever it is asked, and others go on", async () => {
  const host = await detectHost();
  const found = await openGpuDevice(() => host.gpu());
  if ("unavailable" in found) throw new Error(found.unavailable);
  const lost = new WebGpuDevice(found, "webgpu-core", 100_000);
  const other = await openGpu();
  const buffer = lost.allocate(64);
  found.gpu.destroy();
  await found.gpu.lost;
  const isLost = hasCode("device_lost", /`reopen\(\)` of the runtime/);
  await assert.rejects(lost.read(buffer, 0, new Uint8Array(4)), isLost);
  assert.throws(() => lost.allocate(4), isLost);
  await assert.rejects(lost.load(new Map()), isLost);
  await lost.close();
  const own = other.allocate(8);
  const back = new Uint8Array(8);
  other.write(own, 0, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  await other.read(own, 0, back);
  assert.deepEqual([...back], [1, 2, 3, 4, 5, 6, 7, 8]);
  await other.close();
});

test("a weight without room, or beyond what indices reach, is refused with its tensor, its size and the limit", async () => {
  await runtime();
  const own = await createRuntime({ device: "webgpu", memory: 100_000 });
  const large = {
    tag: "test/large",
    symbols: { rows: { min: 1, max: 2 } },
    build: (b: GraphBuilder) =>
      b.output("y", b.matmul(b.input("x", [b.dims.rows, 200]), b.weight("table", [200, 200]), { transposeB: true })),
  };
  const table = { dtype: "f32" as const, shape: [200, 200], data: new Float32Array(40_000) };
  await assert.rejects(
    own.compile(large, { table }),
    hasCode("out_of_memory", /156\.3 KiB: .* of 97\.7 KiB are left\. It was for the weight "table" \[200, 200\]\./),
  );
  assert.equal(own.stats().device.bytesInUse, 0);
  await own.close();
  assert.throws(
    () => new Ledger(2 ** 40).take(2 ** 34),
    hasCode("out_of_memory", /no room for 16 GiB: indices of shaders reach 8 GiB of one weight\./),
  );
});

test("what the device refuses is told with its kernel, and the device goes on", async () => {
  const device = await openGpu({ memory: 100_000 });
  const broken = encodeCode({ name: "wrong", args: ["write"], element: "f32", workgroup: 1, wgsl: "fn run( {" });
  await assert.rejects(device.load(new Map([["abc", broken]])), hasCode("invalid_code", /kernel wrong .*abc/));
  await assert.rejects(device.load(new Map([["def", Uint8Array.of(1)]])), hasCode("invalid_code", /def/));
  assert.throws(
    () => device.allocate(200_000),
    hasCode("out_of_memory", /195\.3 KiB: 97\.7 KiB of 97\.7 KiB are left/),
  );
  const buffer = device.allocate(64);
  const text = Uint8Array.from({ length: 13 }, (_, i) => i + 1);
  device.write(buffer, 0, new Uint8Array(64).fill(0xee));
  device.write(buffer, 3, text);
  const found = new Uint8Array(18);
  await device.read(buffer, 1, found);
  assert.deepEqual([...found], [0xee, 0xee, ...text, 0xee, 0xee, 0xee]);
  device.release(buffer);
  assert.equal(device.stats().bytesInUse, 0);
  await device.close();
  assert.throws(() => device.allocate(4), hasCode("device_closed", /open it again/));
});
