import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeFromF32 } from "../../runtime/core/dtype.ts";
import { type ByteSource, type CheckpointFiles, openCheckpoint } from "../../runtime/exec/weights/checkpoint.ts";
import { encodeSafetensors, type RawTensor } from "../../runtime/exec/weights/writer.ts";
import { inMemory, normalTensor, PART_1 } from "./small_checkpoint.ts";

/** Every type with the f32 values that it stands for. */
const TYPED: Readonly<Record<string, { readonly stored: RawTensor; readonly values: readonly number[] }>> = {
  f16: {
    stored: { dtype: "f16", shape: [5], data: encodeFromF32("f16", Float32Array.of(1, -0.5, 65504, 2 ** -24, -0)) },
    values: [1, -0.5, 65504, 2 ** -24, -0],
  },
  bf16: {
    stored: { dtype: "bf16", shape: [3], data: Uint16Array.of(0x3f80, 0xc049, 0x0001) },
    values: [1, -3.140625, 2 ** -133],
  },
  i64: { stored: { dtype: "i64", shape: [3], data: BigInt64Array.of(-3n, 0n, 1n << 40n) }, values: [-3, 0, 2 ** 40] },
  i32: { stored: { dtype: "i32", shape: [2], data: Int32Array.of(-9, 16777217) }, values: [-9, 16777216] },
  u8: { stored: { dtype: "u8", shape: [3], data: Uint8Array.of(0, 1, 255) }, values: [0, 1, 255] },
  i8: { stored: { dtype: "i8", shape: [2], data: Int8Array.of(-128, 127) }, values: [-128, 127] },
  bool: { stored: { dtype: "bool", shape: [2, 1], data: Uint8Array.of(1, 0) }, values: [1, 0] },
  empty: { stored: { dtype: "f16", shape: [0], data: new Uint16Array(0) }, values: [] },
};

test("checkpoint: all types become f32, whatever the slices", async () => {
  const stored = Object.fromEntries(Object.entries(TYPED).map(([name, t]) => [name, t.stored]));
  const files = inMemory({ "model.safetensors": encodeSafetensors(stored) });
  for (const sliceBytes of [8, 12, 1 << 20]) {
    const checkpoint = await openCheckpoint(files, { sliceBytes });
    for (const [name, { stored, values }] of Object.entries(TYPED)) {
      const expected = Float32Array.from(values);
      assert.deepEqual(await checkpoint.readTensor(name, stored.shape), expected, name);
      const around = new Float32Array(values.length + 2).fill(7);
      const into = around.subarray(1, 1 + values.length);
      assert.equal(await checkpoint.readTensor(name, stored.shape, { into }), into, name);
      assert.deepEqual([around[0], around.at(-1)], [7, 7], `${name} beside its place`);
      assert.deepEqual(into, expected, `${name} in place`);
    }
  }
});

/** Counts what is read, and how much at a time. */
function counting(files: CheckpointFiles): CheckpointFiles & { total: number; longest: number; open_: number } {
  const counted = {
    description: files.description,
    total: 0,
    longest: 0,
    open_: 0,
    list: () => files.list(),
    open: async (name: string): Promise<ByteSource> => {
      const source = await files.open(name);
      counted.open_++;
      return {
        ...source,
        read: (into, position) => {
          counted.total += into.length;
          counted.longest = Math.max(counted.longest, into.length);
          return source.read(into, position);
        },
        close: async () => {
          counted.open_--;
          await source.close();
        },
      };
    },
  };
  return counted;
}

test("checkpoint: tensors are read when they are asked for, in slices, by reads at the same time as well", async () => {
  const half = (seed: number): RawTensor => {
    const { data } = normalTensor(seed, [50_000]);
    return { dtype: "f16", shape: [50_000], data: encodeFromF32("f16", data) };
  };
  const bytes = encodeSafetensors({ a: half(1), b: half(2), c: normalTensor(3, [50_000]) });
  const files = counting(inMemory({ "model.safetensors": bytes }));
  const checkpoint = await openCheckpoint(files, { sliceBytes: 4096 });
  assert.ok(files.total < 1000, `${files.total} bytes for the header`);
  files.longest = 0;
  const before = files.total;
  const a = await checkpoint.readTensor("a", [50_000]);
  assert.equal(files.total - before, 100_000);
  assert.equal(files.longest, 4096);
  const [again, b, c] = await Promise.all(["a", "b", "c"].map((n) => checkpoint.readTensor(n, [50_000])));
  assert.deepEqual(again, a);
  assert.notDeepEqual(b, a);
  assert.deepEqual(c, normalTensor(3, [50_000]).data);
  assert.equal(files.longest, 4096);
  assert.equal(files.open_, 1);
  await checkpoint.close();
  await checkpoint.close();
  assert.equal(files.open_, 0);
  await assert.rejects(checkpoint.readTensor("a", [50_000]), { code: "closed" });
});

test("checkpoint: failing to open closes what was opened", async () => {
  const files = counting(inMemory({ "model_a.safetensors": PART_1, "model_b.safetensors": Uint8Array.of(1) }));
  await assert.rejects(openCheckpoint(files), { code: "invalid_safetensors" });
  assert.equal(files.open_, 0);
});

test("checkpoint: an abort ends a read between slices", async () => {
  const bytes = encodeSafetensors({ a: normalTensor(1, [100]) });
  const control = new AbortController();
  let slices = 0;
  const files = inMemory({ "model.safetensors": bytes });
  const open = async (name: string): Promise<ByteSource> => {
    const source = await files.open(name);
    const read = (into: Uint8Array, position: number): Promise<number> => {
      if (into.length === 40 && ++slices === 3) control.abort(new Error("enough"));
      return source.read(into, position);
    };
    return { ...source, read };
  };
  const checkpoint = await openCheckpoint({ ...files, open }, { sliceBytes: 40 });
  await assert.rejects(checkpoint.readTensor("a", [100], { signal: control.signal }), { message: "enough" });
  assert.equal(slices, 3);
  await assert.rejects(checkpoint.readTensor("a", [100], { signal: control.signal }), { message: "enough" });
  assert.equal(slices, 3);
  assert.equal((await checkpoint.readTensor("a", [100])).length, 100);
});

test("checkpoint: weights that are not finite are refused, with count and first index", async () => {
  const data = normalTensor(1, [3, 10]).data;
  data[17] = Number.NaN;
  data[18] = Number.NEGATIVE_INFINITY;
  const half = encodeFromF32("f16", data);
  const bytes = encodeSafetensors({
    a: { dtype: "f32", shape: [3, 10], data },
    h: { dtype: "f16", shape: [3, 10], data: half },
  });
  for (const sliceBytes of [24, 1 << 20]) {
    const checkpoint = await openCheckpoint(inMemory({ "model.safetensors": bytes }), { sliceBytes });
    for (const name of ["a", "h"]) {
      const refusal = {
        code: "non_finite_weights",
        message: new RegExp(
          `^Tensor "${name}" in model.safetensors holds 2 of 30 values .* first at index 17\\..* use another one\\.$`,
        ),
      };
      await assert.rejects(checkpoint.readTensor(name, [3, 10]), refusal);
    }
  }
});

test("checkpoint: types that fovea cannot read are an error when they are read, not before", async () => {
  const header =
    '{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}}';
  const bytes = new Uint8Array(8 + header.length + 9);
  bytes[0] = header.length;
  bytes.set(new TextEncoder().encode(header), 8);
  const checkpoint = await openCheckpoint(inMemory({ "model.safetensors": bytes }));
  assert.deepEqual(await checkpoint.readTensor("b", [1]), Float32Array.of(0));
  await assert.rejects(checkpoint.readTensor("a", [1]), {
    code: "unsupported_dtype",
    message: /"a" in model\.safetensors has the type F64/,
  });
});

test("checkpoint: a file that shrinks while it is read is an error", async () => {
  const whole = inMemory({ "model.safetensors": encodeSafetensors({ a: normalTensor(1, [100]) }) });
  const files: CheckpointFiles = {
    ...whole,
    open: async (name) => {
      const source = await whole.open(name);
      return {
        ...source,
        read: async (into, position) => Math.min(await source.read(into, position), source.size - 40 - position),
      };
    },
  };
  const checkpoint = await openCheckpoint(files);
  await assert.rejects(checkpoint.readTensor("a", [100]), {
    code: "invalid_safetensors",
    message: /ended at byte \d+ while tensor "a" was read/,
  });
});
