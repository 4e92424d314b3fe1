import assert from "node:assert/strict";
import { test } from "node:test";
import { uniform } from "../../runtime/core/random.ts";
import { memorySource } from "../../runtime/exec/weights/byte_source.ts";
import { readAhead } from "../../runtime/exec/weights/read_ahead.ts";

const MIB = 1 << 20;

/** A source that counts its reads, over bytes that are told apart by their positions. */
function counted(size: number): { bytes: Uint8Array; reads: number[]; source: ReturnType<typeof memorySource> } {
  const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 255);
  const reads: number[] = [];
  const memory = memorySource("far", bytes);
  const read: typeof memory.read = (into, position) => {
    reads.push(into.length);
    return memory.read(into, position);
  };
  return { bytes, reads, source: { ...memory, read } };
}

test("read ahead: any read gives the source's bytes", async () => {
  const { bytes, source } = counted(3 * MIB + 1234);
  const near = readAhead(source);
  for (let i = 0; i < 60; i++) {
    const position = Math.floor(uniform(7, 2 * i) * (bytes.length + 100));
    const into = new Uint8Array(Math.floor(uniform(7, 2 * i + 1) ** 4 * 2 * MIB)).fill(77);
    const expected = bytes.subarray(position, position + into.length);
    assert.equal(await near.read(into, position), expected.length);
    const wrong = into.findIndex((b, j) => b !== (j < expected.length ? expected[j] : 77));
    assert.equal(wrong, -1, `byte of a read of ${into.length} at ${position}`);
  }
});

test("read ahead: small reads that lie close are one, also those that overlap in time; large ones go through", async () => {
  const { reads, source } = counted(8 * MIB);
  const near = readAhead(source);
  await Promise.all(Array.from({ length: 20 }, (_, i) => near.read(new Uint8Array(1000), i * 1000)));
  assert.deepEqual(reads, [MIB]);
  await near.read(new Uint8Array(2 * MIB), 5);
  assert.deepEqual(reads, [MIB, 2 * MIB]);
  await near.read(new Uint8Array(10), MIB - 5);
  assert.deepEqual(reads, [MIB, 2 * MIB, MIB], "the first block is kept");
  for (let i = 2; i < 6; i++) await near.read(new Uint8Array(10), i * MIB);
  await near.read(new Uint8Array(10), 0);
  assert.equal(reads.length, 8, "five blocks later it is not");
});

test("read ahead: a read that failed is tried again", async () => {
  const { bytes, source } = counted(100);
  let failing = true;
  const flaky = readAhead({
    ...source,
    read: (into, at) => (failing ? Promise.reject(new Error("broke off")) : source.read(into, at)),
  });
  await assert.rejects(flaky.read(new Uint8Array(10), 0), /broke off/);
  failing = false;
  const into = new Uint8Array(10);
  assert.equal(await flaky.read(into, 90), 10);
  assert.deepEqual(into, bytes.subarray(90));
});
