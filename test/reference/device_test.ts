import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCode, type ReferenceCode } from "../../kernels/reference/code.ts";
import { referencePlugin } from "../../kernels/reference/plugin.ts";
import type { Address, Device, DeviceSpec, Launch, OpenOptions } from "../../runtime/abi/device.ts";
import type { FoveaError } from "../../runtime/core/diagnostics.ts";
import { BARE_HOST } from "../kit/run_graph.ts";

const SPEC = referencePlugin.devices?.[0] as DeviceSpec;
const open = (options: OpenOptions = {}): Promise<Device> => SPEC.open(BARE_HOST, options);

const coded =
  (code: string, ...patterns: readonly RegExp[]) =>
  (e: FoveaError): boolean => {
    assert.equal(e.code, code);
    for (const pattern of patterns) assert.match(e.message, pattern);
    return true;
  };

const bytes = (values: ArrayLike<number>): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

async function floats(device: Device, at: Address, count: number): Promise<number[]> {
  const into = new Float32Array(count);
  await device.read(at.buffer, at.offset, new Uint8Array(into.buffer));
  return [...into];
}

const ADD: ReferenceCode = {
  op: "add",
  attributes: {},
  operands: [{ dtype: "f32", rank: 2 }, { constant: 10 }],
  output: { dtype: "f32", rank: 2 },
};

const launchOf = (args: Launch["args"], flops = 1): Launch => ({
  kernel: "reference/add",
  code: "add",
  args,
  grid: 1,
  flops,
  workerScratch: 0,
});

/** A device with 8 floats and the code of `x[2, 2] + 10`, which reads them with strides and writes the next buffer. */
async function ready(): Promise<{ device: Device; x: Address; y: Address; launch: (flops?: number) => Launch }> {
  const device = await open();
  assert.equal(await device.load(new Map([["add", encodeCode(ADD)]])), 1);
  const x = { buffer: device.allocate(32), offset: 0 };
  const y = { buffer: device.allocate(16), offset: 0 };
  device.write(x.buffer, 0, bytes([0, 1, 2, 3, 4, 5, 6, 7]));
  const launch = (flops = 1): Launch => launchOf([{ ...x, offset: 4 }, 2, 2, 1, 4, y, 2, 2], flops);
  return { device, x, y, launch };
}

test("reference device: always there, one target, on the caller's thread", async () => {
  const probed = await SPEC.probe(BARE_HOST);
  assert.ok(!("unavailable" in probed));
  assert.deepEqual(probed, { target: "reference", capabilities: SPEC.targetCapabilities("reference") });
  const device = await open({ target: "reference", threads: 0, memory: 1000 });
  assert.deepEqual([device.kind, device.target, device.threads], ["reference", "reference", 0]);
  await assert.rejects(
    open({ target: "wasm-simd128" }),
    coded("unknown_target", /no target "wasm-simd128"; expected "reference"/),
  );
  await assert.rejects(open({ threads: 2 }), coded("invalid_options", /found `threads` 2, expected 0/));
  await assert.rejects(open({ memory: 0 }), coded("invalid_options", /`memory` is 0/));
});

test("reference device: a launch reads through offsets and strides and writes dense", async () => {
  const { device, y, launch } = await ready();
  const program = device.bind([launch()]);
  assert.equal(program.launches, 1);
  await device.run(program, {});
  assert.deepEqual(await floats(device, y, 4), [11, 15, 12, 16]);
  assert.deepEqual(device.stats(), { modulesCompiled: 1, bytesInUse: 48, peakBytes: 48, limitBytes: 2 ** 32, runs: 1 });
  program.release();
  await assert.rejects(device.run(program, {}), /internal: a released program/);
});

test("reference device: fresh memory is poison, for floats and for indices", async () => {
  const device = await open();
  const buffer = device.allocate(8);
  assert.deepEqual(await floats(device, { buffer, offset: 0 }, 2), [NaN, NaN]);
  const indices = new Int32Array(2);
  await device.read(buffer, 0, new Uint8Array(indices.buffer));
  assert.deepEqual([...indices], [-1, -1]);
});

test("reference device: the budget is kept, and what was asked for and what is left are told", async () => {
  const device = await open({ memory: 100 });
  const first = device.allocate(60);
  assert.throws(
    () => device.allocate(41),
    coded("out_of_memory", /cannot allocate 41 bytes: 40 bytes of 100 bytes are left/),
  );
  device.allocate(40);
  device.release(first);
  assert.deepEqual(device.stats(), { modulesCompiled: 0, bytesInUse: 40, peakBytes: 100, limitBytes: 100, runs: 0 });
  device.allocate(60);
  assert.throws(() => device.release(first), /internal: a buffer is released/);
});

test("reference device: code is loaded once and checked", async () => {
  const { device } = await ready();
  assert.ok(device.has("add") && !device.has("other"));
  assert.equal(await device.load(new Map([["add", encodeCode(ADD)]])), 0);
  const load = (code: Uint8Array): Promise<number> => device.load(new Map([["bad", code]]));
  await assert.rejects(load(Uint8Array.of(0xff)), coded("invalid_code", /bad as JSON/));
  for (const odd of [
    { ...ADD, op: "toString" },
    { ...ADD, op: "input" },
    { ...ADD, output: { dtype: "i64", rank: 1 } },
  ]) {
    await assert.rejects(load(encodeCode(odd as ReferenceCode)), coded("invalid_code", /not for the reference device/));
  }
  assert.ok(!device.has("bad"));
  assert.throws(
    () => device.bind([{ ...launchOf([]), code: "bad" }]),
    /internal: code bad is bound before it is loaded/,
  );
});

test("reference device: launches out of bounds or with wrong arguments are our own errors", async () => {
  const { device, x, y, launch } = await ready();
  const run = (args: Launch["args"]): Promise<void> => device.run(device.bind([launchOf(args)]), {});
  await assert.rejects(run([{ ...x, offset: 8 }, 2, 3, 1, 4, y, 2, 2]), /internal: bytes 8 to/);
  await assert.rejects(run([x, 2, 2, 2, 1, { ...y, offset: 4 }, 2, 2]), /internal: bytes 4 to 20 of a buffer of 16/);
  await assert.rejects(
    run([x, 2, 2, 2, 1, y, 2, 3]),
    /internal: reference\/add computed 4 values for an output of \[2, 3\]/,
  );
  await assert.rejects(run([x, 2, 2]), /internal: reference\/add takes 8 arguments, found 3/);
  await assert.rejects(run([x, x, 2, 2, 1, y, 2, 2]), /argument 1 must be a size/);
  await assert.rejects(run([1, 2, 2, 2, 1, y, 2, 2]), /argument 0 must be an address/);
  await device.run(device.bind([launch()]), {});
});

test("reference device: an abort stops between launches, turns of the event loop happen, the device stays usable", async () => {
  const { device, y, launch } = await ready();
  const controller = new AbortController();
  const reason = new Error("enough");
  await assert.rejects(device.run(device.bind([launch()]), { signal: AbortSignal.abort(reason) }), reason);
  assert.deepEqual(await floats(device, y, 1), [NaN]);
  // The timer can fire only if the run gives the event loop a turn between heavy launches.
  setTimeout(() => controller.abort(reason), 0);
  const heavy = device.bind(Array.from({ length: 1000 }, () => launch(1e9)));
  await assert.rejects(device.run(heavy, { signal: controller.signal }), reason);
  assert.equal(device.stats().runs, 0);
  await device.run(device.bind([launch()]), {});
  assert.deepEqual(await floats(device, y, 4), [11, 15, 12, 16]);
});

test("reference device: closing gives memory back and ends a run under way", async () => {
  const { device, y, launch } = await ready();
  const running = device.run(device.bind(Array.from({ length: 1000 }, () => launch(1e9))), {});
  await device.close();
  await assert.rejects(running, coded("device_closed"));
  assert.equal(device.stats().bytesInUse, 0);
  device.release(y.buffer);
  assert.throws(() => device.allocate(4), coded("device_closed", /open it again/));
  await assert.rejects(device.load(new Map()), coded("device_closed"));
});
