/** Files for PyTorch: the bytes that `torch.load(weights_only=True)` of PyTorch 2.11 was seen to read, and what else they must be. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { encodeTorch } from "../../runtime/server/mod.ts";
import { hasCode } from "../kit/assertions.ts";
import { FIXTURES } from "../kit/tower_fixtures.ts";

const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(join(FIXTURES, "torch", name)));

test("tensors have the bytes that PyTorch has read", () => {
  const f32 = { dtype: "f32", shape: [2, 3], data: Float32Array.of(1, 2.5, -3, 4, 5, 6e-9) } as const;
  const bf16 = { dtype: "bf16", shape: [3], data: Uint16Array.of(0x3f80, 0xc000, 0x7f80) } as const;
  const i64 = { dtype: "i64", shape: [3], data: BigInt64Array.of(1n, 22n, 40n) } as const;
  for (const [name, tensor] of Object.entries({ f32, bf16, i64 })) {
    assert.deepEqual(encodeTorch(tensor), fixture(`${name}.pt`));
  }
});

/** Records of a zip file without compression, by its directory. */
function records(file: Uint8Array): ReadonlyMap<string, { readonly at: number; readonly bytes: Uint8Array }> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const end = file.length - 22;
  assert.equal(view.getUint32(end, true), 0x06054b50);
  const found = new Map<string, { at: number; bytes: Uint8Array }>();
  let entry = view.getUint32(end + 16, true);
  for (let i = 0; i < view.getUint16(end + 10, true); i++) {
    assert.equal(view.getUint32(entry, true), 0x02014b50);
    const [size, name] = [view.getUint32(entry + 24, true), view.getUint16(entry + 28, true)];
    const local = view.getUint32(entry + 42, true);
    const at = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    assert.equal(view.getUint32(local, true), 0x04034b50);
    const key = new TextDecoder().decode(file.subarray(entry + 46, entry + 46 + name));
    found.set(key, { at, bytes: file.subarray(at, at + size) });
    entry += 46 + name;
  }
  assert.equal(entry, end);
  return found;
}

test("numbers lie as they are, aligned to 64 bytes, whatever the size", () => {
  for (const count of [0, 1, 15, 16, 17, 300, 70_001]) {
    const data = Float32Array.from({ length: count }, (_, i) => Math.fround(i / 7 - 3));
    const found = records(encodeTorch({ dtype: "f32", shape: [count], data }));
    assert.deepEqual([...found.keys()], ["archive/data.pkl", "archive/byteorder", "archive/data/0", "archive/version"]);
    for (const { at } of found.values()) assert.equal(at % 64, 0);
    const stored = found.get("archive/data/0")?.bytes ?? new Uint8Array();
    assert.deepEqual(new Float32Array(stored.slice().buffer), data);
  }
});

test("a part of a larger array is written alone", () => {
  const data = Float32Array.of(9, 1, 2, 9).subarray(1, 3);
  const stored = records(encodeTorch({ dtype: "f32", shape: [2], data })).get("archive/data/0");
  assert.deepEqual(new Float32Array((stored?.bytes ?? new Uint8Array()).slice().buffer), Float32Array.of(1, 2));
});

test("a type that has no storage is refused", () => {
  assert.throws(
    () => encodeTorch({ dtype: "bool", shape: [1], data: Uint8Array.of(1) }),
    hasCode("unsupported_dtype", /bool is not written for PyTorch; expected one of f32, f16, bf16/),
  );
});
