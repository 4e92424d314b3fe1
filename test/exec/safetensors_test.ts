import assert from "node:assert/strict";
import { test } from "node:test";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import { DTYPE_BYTES } from "../../runtime/core/dtype.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { memorySource } from "../../runtime/exec/weights/byte_source.ts";
import { parseSafetensors, readSafetensorsHeader } from "../../runtime/exec/weights/safetensors.ts";
import { encodeNpy, encodeSafetensors, readAllTensors } from "../../runtime/exec/weights/writer.ts";

/** A file with this header text and `data` bytes of tensor data. */
function file(header: string | Uint8Array, data: number): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setUint32(0, text.length, true);
  bytes.set(text, 8);
  return bytes;
}

const ONE = '"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}';

const entry = (dtype: string, shape: string, offsets: string): string =>
  `{"w":{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}}}`;

async function refused(bytes: Uint8Array, message: RegExp): Promise<void> {
  const expected = { name: "FoveaError", code: "invalid_safetensors", exitCode: 2, message };
  assert.throws(() => parseSafetensors("m.safetensors", bytes), expected);
  await assert.rejects(readSafetensorsHeader(memorySource("m.safetensors", bytes)), expected);
}

test("safetensors: names, types, shapes, places and metadata are read", async () => {
  const header = `{"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[],"data_offsets":[8,10]},${ONE},"e":{"dtype":"I64","shape":[0,3],"data_offsets":[10,10]}}   `;
  const bytes = file(header, 10);
  const read = await readSafetensorsHeader(memorySource("m", bytes));
  assert.deepEqual(read, parseSafetensors("m", bytes));
  assert.deepEqual(read.metadata, { format: "pt" });
  const start = 8 + header.length;
  assert.deepEqual(Object.fromEntries(read.tensors), {
    b: { name: "b", dtype: "BF16", shape: [], offset: start + 8, bytes: 2 },
    a: { name: "a", dtype: "F32", shape: [2], offset: start, bytes: 8 },
    e: { name: "e", dtype: "I64", shape: [0, 3], offset: start + 10, bytes: 0 },
  });
  assert.equal(parseSafetensors("m", file("{}", 0)).tensors.size, 0);
});

test("safetensors: a header that is short, too long, no UTF-8 or no JSON is refused", async () => {
  await refused(new Uint8Array(0), /m\.safetensors is no valid safetensors file: it has 0 bytes, fewer than the 8/);
  await refused(new Uint8Array(7), /it has 7 bytes/);
  await refused(
    new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\noid sha256:00\n"),
    /^m\.safetensors is a pointer of Git LFS \(57 bytes\) and not the weights; fetch them with `git lfs pull`/,
  );
  const beyond = file("{}", 0);
  beyond[0] = 3;
  await refused(beyond, /its header claims 3 bytes, but only 2 follow \(10 bytes in all\)/);
  const huge = file("{}", 0);
  huge[4] = 1;
  await refused(huge, /its header claims 4294967298 bytes; the most that is allowed is 100000000/);
  await refused(file(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d), 0), /not valid UTF-8/);
  await refused(file("\uFEFF{}", 0), /not valid JSON/);
  await refused(file("", 0), /not valid JSON/);
  await refused(file("{nothing}", 0), /not valid JSON/);
  await refused(file("[".repeat(100_000), 0), /not valid JSON/);
  await refused(file(entry('"F32"', `${"[".repeat(50_000)}${"]".repeat(50_000)}`, "[0,8]"), 8), /m\.safetensors/);
  await refused(file("[]", 0), /must be a JSON object/);
  await refused(file("null", 0), /must be a JSON object/);
});

test("safetensors: a file that ends inside of its header is refused", async () => {
  const bytes = file(`{${ONE}}`, 8);
  const source = { ...memorySource("m", bytes.subarray(0, 20)), size: bytes.length };
  await assert.rejects(readSafetensorsHeader(source), { code: "invalid_safetensors", message: /ended after 20 bytes/ });
});

test("safetensors: duplicate names are refused, also when they are spelled differently", async () => {
  await refused(file(`{${ONE},${ONE}}`, 8), /the name "a" twice/);
  await refused(file(`{${ONE},${ONE.replace('"a"', '"\\u0061"')}}`, 8), /the name "a" twice/);
  await refused(file(`{"__metadata__":{"k\\"":"1","k\\"":"2"},${ONE}}`, 8), /the name "k"" twice/);
  await refused(file(entry('"F32","dtype":"F32"', "[2]", "[0,8]"), 8), /the name "dtype" twice/);
  const alike = `{"x{\\"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`;
  assert.deepEqual([...parseSafetensors("m", file(alike, 2)).tensors.keys()], ['x{"', "x"]);
});

test("safetensors: wrong entries name tensor, found and expected", async () => {
  await refused(file('{"w":7}', 0), /the entry of tensor "w" must be an object, found 7/);
  await refused(file('{"__metadata__":{"k":1}}', 0), /__metadata__ must be an object of strings/);
  await refused(
    file(entry('"F31"', "[2]", "[0,8]"), 8),
    /tensor "w" has the unknown dtype "F31"; known are F32, F16, BF16, I64/,
  );
  await refused(file(entry('"constructor"', "[2]", "[0,8]"), 8), /unknown dtype "constructor"/);
  await refused(file(entry("4", "[2]", "[0,8]"), 8), /unknown dtype 4/);
  await refused(file(entry('"F32"', "[-2]", "[0,8]"), 8), /has the shape \[-2\]; expected a list of whole sizes >= 0/);
  await refused(file(entry('"F32"', "[0.5]", "[0,8]"), 8), /has the shape \[0\.5\]/);
  await refused(file(entry('"F32"', '"2"', "[0,8]"), 8), /has the shape "2"/);
  await refused(file(entry('"F32"', "[[2]]", "[0,8]"), 8), /has the shape a list of lists/);
  await refused(file(entry('"F32"', "[2]", "[0]"), 8), /has the data_offsets \[0\]; expected \[begin, end\]/);
  await refused(file(entry('"F32"', "[2]", "null"), 8), /has the data_offsets null/);
  await refused(file(entry('"F32"', "[2]", "[8,0]"), 8), /lies at bytes 8\.\.0 of the data, outside of 0\.\.8/);
  await refused(file(entry('"F32"', "[2]", "[4,12]"), 8), /lies at bytes 4\.\.12 of the data, outside of 0\.\.8/);
  await refused(
    file(entry('"F32"', "[3]", "[0,8]"), 8),
    /tensor "w" has 8 bytes of data; F32 with the shape \[3\] needs 12/,
  );
  await refused(file(entry('"F32"', "[4294967296,4294967296]", "[0,0]"), 0), /tensor "w" has 0 bytes of data/);
});

test("safetensors: overlaps, gaps and a rest are refused", async () => {
  const two = (from: number, to: number): string =>
    `{${ONE},"b":{"dtype":"U8","shape":[${to - from}],"data_offsets":[${from},${to}]}}`;
  await refused(file(two(4, 12), 12), /the tensors "a" and "b" overlap by 4 bytes/);
  await refused(file(two(0, 8), 8), /overlap by 8 bytes/);
  await refused(file(two(10, 12), 12), /2 bytes before the data of tensor "b" belong to no tensor/);
  await refused(file(two(8, 12), 13), /1 bytes after the last tensor belong to no tensor/);
  assert.equal(parseSafetensors("m", file(two(8, 12), 12)).tensors.size, 2);
});

test("safetensors: any damage to a header ends in a FoveaError or a sound header", () => {
  const good = encodeSafetensors(
    {
      "block.0.weight": { dtype: "f32", shape: [2, 3], data: new Float32Array(6) },
      "block.0.bias": { dtype: "f16", shape: [3], data: new Uint16Array(3) },
      ids: { dtype: "i64", shape: [], data: new BigInt64Array(1) },
    },
    { format: "pt" },
  );
  const length = 8 + new DataView(good.buffer).getUint32(0, true);
  const alphabet = new TextEncoder().encode('{}[]",:0-9e.\\ \u00ff');
  let refusals = 0;
  for (let round = 0; round < 3000; round++) {
    const bytes = good.slice(0, round % 10 === 0 ? hash32(round, 9) % good.length : good.length);
    for (let i = 0; i <= hash32(round, 0) % 3; i++) {
      const at = hash32(round, 2 * i + 1) % Math.max(1, Math.min(length, bytes.length));
      const value = hash32(round, 2 * i + 2);
      bytes[at] = value & 256 ? value : alphabet[value % alphabet.length];
    }
    try {
      for (const tensor of parseSafetensors("m", bytes).tensors.values()) {
        assert.ok(tensor.offset + tensor.bytes <= bytes.length);
      }
    } catch (error) {
      if (!(error instanceof FoveaError)) throw error;
      assert.equal(error.code, "invalid_safetensors");
      refusals++;
    }
  }
  assert.ok(refusals > 2000, `${refusals} refusals`);
});

test("writer: what is written is read back, aligned and in a fixed order", () => {
  const f16 = Uint16Array.of(0x3c00, 0xc000, 0x0001);
  const tensors = {
    flags: { dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) },
    half: { dtype: "f16", shape: [3], data: f16 },
    brain: { dtype: "bf16", shape: [1, 1], data: Uint16Array.of(0xc040) },
    wide: { dtype: "i64", shape: [2], data: BigInt64Array.of(-5n, 2147483647n) },
    int: { dtype: "i32", shape: [1], data: Int32Array.of(-7) },
    small: { dtype: "i8", shape: [2], data: Int8Array.of(-128, 127) },
    pixels: { dtype: "u8", shape: [2], data: Uint8Array.of(0, 255) },
    scalar: { dtype: "f32", shape: [], data: Float32Array.of(0.1) },
    "": { dtype: "f32", shape: [0, 4], data: new Float32Array(0) },
  } as const;
  const bytes = encodeSafetensors(tensors, { b: "2", a: "1" });
  const reversed = Object.fromEntries(Object.entries(tensors).reverse());
  assert.deepEqual(encodeSafetensors(reversed, { a: "1", b: "2" }), bytes);
  const header = parseSafetensors("m", bytes);
  assert.deepEqual(header.metadata, { a: "1", b: "2" });
  for (const { offset, name } of header.tensors.values()) {
    assert.equal(offset % DTYPE_BYTES[tensors[name as keyof typeof tensors].dtype], 0, name);
  }
  const read = readAllTensors(bytes, "m");
  assert.deepEqual(read.half, { dtype: "f32", shape: [3], data: Float32Array.of(1, -2, 2 ** -24) });
  assert.deepEqual(read.brain, { dtype: "f32", shape: [1, 1], data: Float32Array.of(-3) });
  assert.deepEqual(read.wide, { dtype: "i32", shape: [2], data: Int32Array.of(-5, 2147483647) });
  assert.deepEqual(read.int, { dtype: "i32", shape: [1], data: Int32Array.of(-7) });
  assert.deepEqual(read.small, { dtype: "i32", shape: [2], data: Int32Array.of(-128, 127) });
  assert.deepEqual(read.pixels, { dtype: "u8", shape: [2], data: Uint8Array.of(0, 255) });
  assert.deepEqual(read.flags, { dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) });
  assert.deepEqual(read.scalar, { dtype: "f32", shape: [], data: Float32Array.of(0.1) });
  assert.deepEqual(read[""], { dtype: "f32", shape: [0, 4], data: new Float32Array(0) });
  assert.deepEqual(encodeSafetensors({}), file("{}      ", 0));
});

test("writer: data at odd addresses and unreadable types", () => {
  const header = '{"f":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
  const bytes = file(header, 4);
  new DataView(bytes.buffer).setFloat32(8 + header.length, 1.5, true);
  assert.equal(header.length % 4, 2);
  assert.deepEqual(readAllTensors(bytes).f.data, Float32Array.of(1.5));
  assert.throws(() => readAllTensors(file(entry('"F64"', "[1]", "[0,8]"), 8), "m"), {
    code: "unsupported_dtype",
    message: /Tensor "w" in m has the type F64, .* reads F32, F16, BF16, I64, I32, U8, I8, BOOL/,
  });
  const wide = encodeSafetensors({ w: { dtype: "i64", shape: [1], data: BigInt64Array.of(2147483648n) } });
  assert.throws(() => readAllTensors(wide, "m"), {
    code: "invalid_tensor",
    message: /"w" in m holds 2147483648 at index 0; whole numbers must fit 32 bits\./,
  });
  assert.throws(
    () => encodeSafetensors({ w: { dtype: "f32", shape: [2], data: new Float32Array(3) } }),
    /internal: tensor "w", f32 \[2\], has 12 bytes instead of 8/,
  );
});

test("writer: npy files have NumPy's header", () => {
  const headerOf = (bytes: Uint8Array): string => new TextDecoder("latin1").decode(bytes.subarray(10, 128));
  const data = Float32Array.of(1, 2, 3, 4, 5, 6);
  const bytes = encodeNpy({ dtype: "f32", shape: [2, 3], data });
  assert.deepEqual(Array.from(bytes.subarray(0, 10)), [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0]);
  assert.equal(headerOf(bytes).trimEnd(), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
  assert.equal(bytes[127], 0x0a);
  assert.deepEqual(new Float32Array(bytes.slice(128).buffer), data);
  assert.match(headerOf(encodeNpy({ dtype: "i32", shape: [1], data: new Int32Array(1) })), /'<i4'.*\(1,\)/);
  assert.match(headerOf(encodeNpy({ dtype: "bool", shape: [], data: new Uint8Array(1) })), /'\|b1'.*\(\)/);
  assert.throws(() => encodeNpy({ dtype: "bf16", shape: [], data: new Uint16Array(1) }), {
    code: "unsupported_dtype",
    message: "An .npy file cannot hold bf16; write a .safetensors file.",
  });
});
