/** Kernels of one form as functions of one module. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { get, i32 } from "../../kernels/wasm/asm/code.ts";
import { kernelModule } from "../../kernels/wasm/asm/module.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
import { mergeCode } from "../../runtime/freeze/merge_code.ts";

/** Writes a number where its scratch lies; the longer ones have bodies whose size takes two bytes. */
const writer = (value: number): Uint8Array =>
  kernelModule(({ scratch }) =>
    Array.from({ length: value % 3 === 0 ? 40 : 1 }, () => i32.store(get(scratch), i32.of(value))),
  ).bytes;

const byDigest = (blobs: readonly Uint8Array[]): Map<string, Uint8Array> =>
  new Map(blobs.map((bytes) => [digestBytes(bytes), bytes]));

const written = (exported: WebAssembly.ExportValue, memory: WebAssembly.Memory): number => {
  (exported as (...given: number[]) => void)(0, 0, 0, 64);
  return new Int32Array(memory.buffer)[16];
};

/** Sections of a module after its magic. */
const withSection = (code: Uint8Array, id: number, content: readonly number[]): Uint8Array =>
  Uint8Array.from([...code, id, content.length, ...content]);

test("each function does what its kernel did, of one module", () => {
  for (const count of [1, 2, 11, 300]) {
    const blobs = Array.from({ length: count }, (_, i) => writer(1000 + i));
    const { modules, functions } = mergeCode(byDigest(blobs));
    assert.equal(modules.size, 1);
    const [[digest, bytes]] = modules;
    assert.equal(digestBytes(bytes), digest);
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(bytes)), { e: { m: memory } });
    for (const [i, blob] of blobs.entries()) {
      const [module, name] = functions[digestBytes(blob)];
      assert.equal(module, digest);
      assert.equal(written(exports[name], memory), 1000 + i);
    }
  }
});

test("modules of another form stay as they are", () => {
  const plain = [writer(1), writer(2)];
  const custom = withSection(writer(3), 0, [1, 0x78, 7]);
  const data = withSection(writer(4), 11, [1, 0, 0x41, 0, 0x0b, 1, 9]);
  // Another bound of the memory that it imports: a group of its own.
  const at = writer(5).findIndex((byte, i, all) => byte === 2 && all[i + 1] === 1 && all[i + 2] === 1);
  const bounded = Uint8Array.from(writer(5));
  assert.deepEqual([...bounded.subarray(at + 3, at + 6)], [0x80, 0x80, 0x04]);
  bounded[at + 5] = 0x02;
  const others = [custom, data];
  const { modules, functions } = mergeCode(byDigest([...plain, ...others, bounded]));
  for (const bytes of others) {
    assert.equal(modules.get(digestBytes(bytes)), bytes);
    assert.equal(functions[digestBytes(bytes)], undefined);
  }
  const homes = [...plain, bounded].map((bytes) => functions[digestBytes(bytes)][0]);
  assert.equal(homes[0], homes[1]);
  assert.notEqual(homes[0], homes[2]);
  assert.equal(modules.size, 4);
});
