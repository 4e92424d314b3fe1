import assert from "node:assert/strict";
import { test } from "node:test";
import { LinearMemory, MEMORY_LIMIT } from "../../kernels/wasm/device/memory.ts";
import { withSharedMemory } from "../../kernels/wasm/device/shared_import.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { hasCode } from "../kit/assertions.ts";
import { CODE } from "./device_kit.ts";

const MIB = 1 << 20;

/** Numbers below `limit`, the same ones for the same seed. */
function sequence(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * limit);
  };
}

test("allocations are aligned and never overlap, whatever the order of releases", () => {
  const memory = new LinearMemory(64 * MIB, false);
  const random = sequence(7);
  const live: { address: number; bytes: number }[] = [];
  for (let round = 0; round < 5000; round++) {
    if (live.length > 40 || (live.length > 0 && random(3) === 0)) {
      const [gone] = live.splice(random(live.length), 1);
      memory.release(gone.address);
      continue;
    }
    const bytes = random(round % 10 === 0 ? 3 * MIB : 5000);
    const address = memory.allocate(bytes);
    assert.equal(address % 64, 0);
    assert.ok(address > 0);
    assert.ok(address + bytes + 64 <= memory.memory.buffer.byteLength, "64 readable bytes follow");
    for (const other of live) assert.ok(address + bytes <= other.address || other.address + other.bytes <= address);
    live.push({ address, bytes });
  }
  for (const { address } of live) memory.release(address);
  assert.equal(memory.bytesInUse, 0);
  const size = memory.memory.buffer.byteLength;
  memory.allocate(size - 2048);
  assert.equal(memory.memory.buffer.byteLength, size, "free neighbours merge into one piece");
});

test("the same allocations, repeated, need no more memory", () => {
  const memory = new LinearMemory(64 * MIB, true);
  const round = (): void => {
    const addresses = [100, 3 * MIB, 70_000, MIB].map((bytes) => memory.allocate(bytes));
    for (const address of addresses) memory.release(address);
  };
  round();
  const size = memory.memory.buffer.byteLength;
  const peak = memory.peakBytes;
  for (let i = 0; i < 1000; i++) round();
  assert.equal(memory.memory.buffer.byteLength, size);
  assert.equal(memory.peakBytes, peak);
  assert.equal(memory.bytesInUse, 0);
});

test("out of memory says how much was asked for, is in use and is the limit, and leaves the memory usable", () => {
  const memory = new LinearMemory(8 * MIB, false);
  const first = memory.allocate(5 * MIB);
  assert.throws(
    () => memory.allocate(4 * MIB),
    (error: unknown) => {
      assert.ok(error instanceof FoveaError);
      assert.equal(error.code, "out_of_memory");
      assert.match(error.message, /cannot allocate 4 MiB: 5 MiB are in use/);
      assert.match(error.message, /limit is 8 MiB/);
      return true;
    },
  );
  memory.release(first);
  memory.allocate(7 * MIB);
});

test("a machine that gives less memory than the limit allows is told", () => {
  const memory = new LinearMemory(64 * MIB, false);
  Object.defineProperty(memory.memory, "grow", {
    value: () => {
      throw new RangeError("no more pages");
    },
  });
  assert.throws(
    () => memory.allocate(40 * MIB),
    hasCode("out_of_memory", /The limit is 64 MiB, but the machine gave no more\./),
  );
});

test("a request beyond 32 bits is refused by name of its size", () => {
  const memory = new LinearMemory(MEMORY_LIMIT, false);
  assert.throws(() => memory.allocate(5 * 1024 * MIB), /cannot allocate 5 GiB/);
  assert.throws(() => memory.release(64), /^Error: internal:/);
});

test("a kernel module links to shared memory once patched, and only then", () => {
  const code = CODE.get("counter") as Uint8Array<ArrayBuffer>;
  const before = code.slice();
  const shared = new WebAssembly.Memory({ initial: 1, maximum: 100, shared: true });
  const unshared = new WebAssembly.Memory({ initial: 1, maximum: 100 });
  const link = (bytes: Uint8Array<ArrayBuffer>, m: WebAssembly.Memory): WebAssembly.Instance =>
    new WebAssembly.Instance(new WebAssembly.Module(bytes), { e: { m } });
  link(code, unshared);
  link(withSharedMemory(code), shared);
  assert.throws(() => link(code, shared), WebAssembly.LinkError);
  assert.throws(() => link(withSharedMemory(code), unshared), WebAssembly.LinkError);
  assert.deepEqual(code, before);
  assert.throws(() => withSharedMemory(Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])), /no imports/);
  // Module, then an import section with that many imports, of that kind.
  const importing = (count: number, kind: number): Uint8Array =>
    Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 2, 6, count, 1, 0x65, 1, 0x6d, kind]);
  assert.throws(() => withSharedMemory(importing(2, 2)), /it has several imports or none/);
  assert.throws(() => withSharedMemory(importing(1, 0)), /its import is not a memory/);
});
