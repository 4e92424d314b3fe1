import assert from "node:assert/strict";
import { test } from "node:test";
import { openEdgeDevice } from "../../kernels/wasm/edge.ts";

/** `f(args, begin, end, scratch)` that stores `end - begin` where the first argument points; memory imported. */
const CODE = Uint8Array.from([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x08, 0x01, 0x60, 0x04, 0x7f, 0x7f, 0x7f, 0x7f, 0x00],
  ...[0x02, 0x0b, 0x01, 0x01, 0x65, 0x01, 0x6d, 0x02, 0x01, 0x00, 0x80, 0x80, 0x04],
  ...[0x03, 0x02, 0x01, 0x00],
  ...[0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00],
  ...[0x0a, 0x11, 0x01, 0x0f, 0x00, 0x20, 0x00, 0x28, 0x02, 0x00, 0x20, 0x02, 0x20, 0x01, 0x6b, 0x36, 0x02, 0x00, 0x0b],
]);

async function open() {
  const module = await WebAssembly.compile(CODE);
  return openEdgeDevice({
    ...{ target: "wasm-simd128", memory: 1 << 22, sliceMs: Number.POSITIVE_INFINITY },
    code: new Map([["stored", { module }]]),
  });
}

test("code that was compiled elsewhere runs, over memory that is not shared", async () => {
  const device = await open();
  assert.equal(device.threads, 0);
  assert.ok(device.has("stored"));
  const buffer = device.allocate(4);
  const launch = { kernel: "test/store", code: "stored", grid: 7, flops: 1, workerScratch: 0 };
  const bound = device.bind([{ ...launch, args: [{ buffer, offset: 0 }] }]);
  await device.run(bound, {});
  const found = new Uint8Array(4);
  await device.read(buffer, 0, found);
  assert.deepEqual([...found], [7, 0, 0, 0]);
  bound.release();
  await device.close();
});

test("code that did not come along is refused", async () => {
  const device = await open();
  await assert.rejects(device.load(new Map([["other", CODE]])), {
    code: "no_compiler",
    message: /The code other was not frozen, and no code is made here/,
  });
  await device.close();
});

test("its memory has the bound that the place gives", async () => {
  const device = await open();
  assert.throws(() => device.allocate(1 << 23), { code: "out_of_memory" });
  await device.close();
});
