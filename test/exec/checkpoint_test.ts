import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { digestBytes } from "../../runtime/core/digest.ts";
import { bytesOf, encodeFromF32 } from "../../runtime/core/dtype.ts";
import { fillNormal } from "../../runtime/core/random.ts";
import {
  type ByteSource,
  type CheckpointFiles,
  createTensorSource,
  directoryFiles,
  httpFiles,
  memoryFiles,
  openCheckpoint,
} from "../../runtime/exec/weights/checkpoint.ts";
import { createDummySource } from "../../runtime/exec/weights/dummy.ts";
import { encodeSafetensors, type RawTensor, readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { detectHost } from "../../runtime/host/mod.ts";

function normalTensor(seed: number, shape: readonly number[]): RawTensor & { readonly data: Float32Array } {
  const data = new Float32Array(shape.reduce((n, d) => n * d, 1));
  fillNormal(data, seed, 0, 1);
  return { dtype: "f32", shape, data };
}

const WEIGHTS: Readonly<Record<string, ReturnType<typeof normalTensor>>> = {
  "vision_model.embed.weight": normalTensor(1, [7, 5]),
  "vision_model.norm.bias": normalTensor(2, [5]),
  "text_model.norm.bias": normalTensor(3, [3]),
  logit_scale: normalTensor(4, []),
};

const pick = (...names: string[]): Uint8Array =>
  encodeSafetensors(Object.fromEntries(names.map((n) => [n, WEIGHTS[n]])));

const SINGLE = pick(...Object.keys(WEIGHTS));
const PART_1 = pick("vision_model.embed.weight", "logit_scale");
const PART_2 = pick("vision_model.norm.bias", "text_model.norm.bias");
const ONE = "model-00001-of-00002.safetensors";
const TWO = "model-00002-of-00002.safetensors";

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

const INDEX = json({
  metadata: { total_size: 1 },
  weight_map: {
    "vision_model.embed.weight": ONE,
    "vision_model.norm.bias": TWO,
    "text_model.norm.bias": TWO,
    logit_scale: ONE,
  },
});

const inMemory = (files: Record<string, Uint8Array>): CheckpointFiles =>
  memoryFiles(new Map(Object.entries(files)), "the model");

async function checkAll(files: CheckpointFiles): Promise<void> {
  const checkpoint = await openCheckpoint(files);
  assert.deepEqual(checkpoint.names, Object.keys(WEIGHTS).sort());
  for (const [name, { shape, data }] of Object.entries(WEIGHTS)) {
    assert.deepEqual(checkpoint.shapeOf(name), shape);
    assert.deepEqual(await checkpoint.readTensor(name, shape), data);
  }
  await checkpoint.close();
}

async function refused(files: Record<string, Uint8Array>, code: string, message: RegExp): Promise<void> {
  await assert.rejects(openCheckpoint(inMemory(files)), { name: "FoveaError", code, exitCode: 2, message });
}

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "fovea-weights-"));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("checkpoint: one file, shards with an index and shards without give the same tensors", async () => {
  await checkAll(inMemory({ "model.safetensors": SINGLE, "other.safetensors": new Uint8Array(3) }));
  await checkAll(inMemory({ "model.safetensors.index.json": INDEX, [ONE]: PART_1, [TWO]: PART_2 }));
  await checkAll(inMemory({ [ONE]: PART_1, [TWO]: PART_2 }));
  await checkAll(inMemory({ "model_a.safetensors": PART_1, "model_b.safetensors": PART_2 }));
  await checkAll(inMemory({ "model.safetensors": SINGLE, "model.safetensors.index.json": INDEX }));
});

test("checkpoint: a folder of the host", () =>
  withFolder(async (folder) => {
    const host = await detectHost();
    await mkdir(join(folder, "onnx"));
    await writeFile(join(folder, ONE), PART_1);
    await writeFile(join(folder, TWO), PART_2);
    const files = directoryFiles(host, `${folder}/`);
    assert.equal(files.description, folder);
    assert.deepEqual(await files.list(), [ONE, TWO]);
    await checkAll(files);
    await assert.rejects(openCheckpoint(directoryFiles(host, join(folder, "none"))), { code: "file.not_found" });
    await assert.rejects(openCheckpoint(directoryFiles(host, join(folder, "onnx"))), {
      code: "no_checkpoint",
      message: new RegExp(`${folder}/onnx holds no weights: expected model.safetensors, .*; found no files`),
    });
  }));

test("checkpoint: a trained model of float16 weights", async () => {
  const folder = join(process.cwd(), "examples/models/digits-clip");
  const checkpoint = await openCheckpoint(directoryFiles(await detectHost(), folder), { sliceBytes: 10_000 });
  assert.equal(checkpoint.names.length, 110);
  const all = readAllTensors(await readFile(join(folder, "model.safetensors")), "model.safetensors");
  for (const name of checkpoint.names) {
    assert.deepEqual(await checkpoint.readTensor(name, all[name].shape), all[name].data, name);
  }
  await checkpoint.close();
});

test("checkpoint: missing files and tensors are named", async () => {
  await refused(
    { "config.json": json({}), "pytorch_model.bin": json({}) },
    "no_checkpoint",
    /found "config.json", "pytorch_model.bin"/,
  );
  await refused(
    { "model.safetensors.index.json": INDEX, [ONE]: PART_1 },
    "missing_shard",
    /in the model are incomplete: model\.safetensors\.index\.json names "model-00002-of-00002\.safetensors", which is not there/,
  );
  await refused({ [TWO]: PART_2 }, "missing_shard", /names call for "model-00001-of-00002\.safetensors"/);
  await refused(
    { "model.safetensors.index.json": INDEX, [ONE]: PART_1, [TWO]: pick("vision_model.norm.bias") },
    "missing_tensor",
    /do not hold: "text_model\.norm\.bias" \(expected in "model-00002-of-00002\.safetensors"\)/,
  );
  await refused(
    { "model_a.safetensors": SINGLE, "model_b.safetensors": PART_1 },
    "ambiguous_checkpoint",
    /Tensor "logit_scale" is in model_a\.safetensors and in model_b\.safetensors/,
  );
  await refused(
    { "model.safetensors": SINGLE.subarray(0, 100) },
    "invalid_safetensors",
    /^model\.safetensors is no valid/,
  );
});

test("checkpoint: a wrong index is refused", async () => {
  const index = (bytes: Uint8Array): Record<string, Uint8Array> => ({ "model.safetensors.index.json": bytes });
  await refused(index(Uint8Array.of(0x7b)), "invalid_index", /not valid JSON/);
  await refused(index(json(null)), "invalid_index", /needs an object "weight_map"/);
  await refused(index(json({ weight_map: ["a"] })), "invalid_index", /needs an object "weight_map"/);
  await refused(index(json({ weight_map: { a: 1 } })), "invalid_index", /places tensor "a" in 1/);
  await refused(
    index(json({ weight_map: { a: "../up.safetensors" } })),
    "invalid_index",
    /places tensor "a" in "\.\.\/up/,
  );
});

test("checkpoint: names are found with and without the outer model's prefix", async () => {
  const checkpoint = await openCheckpoint(inMemory({ "model.safetensors": SINGLE }));
  const source = createTensorSource(checkpoint, ["", "vision_model.", "text_model."]);
  assert.ok(source.has("embed.weight") && source.has("vision_model.embed.weight") && !source.has("embed.bias"));
  assert.deepEqual(source.shapeOf("embed.weight"), [7, 5]);
  assert.equal(source.shapeOf("embed.bias"), undefined);
  assert.deepEqual(await source.read("embed.weight", [7, 5]), WEIGHTS["vision_model.embed.weight"].data);
  assert.deepEqual(
    await source.read("norm.bias", [5]),
    WEIGHTS["vision_model.norm.bias"].data,
    "the first prefix wins",
  );
  assert.deepEqual(await source.read("logit_scale", []), WEIGHTS.logit_scale.data);
  await assert.rejects(source.read("embed.wieght", [7, 5]), {
    code: "missing_tensor",
    message:
      /^Tensor "embed\.wieght" is not in the model \(tried "embed\.wieght", "vision_model\.embed\.wieght", "text_model\.embed\.wieght"\); the nearest name is "vision_model\.embed\.weight"\./,
  });
  await assert.rejects(checkpoint.readTensor("zzz", []), {
    code: "missing_tensor",
    message: /it holds 4 tensors, such as "logit_scale"/,
  });
});

test("checkpoint: a wrong shape names tensor, found and expected", async () => {
  const checkpoint = await openCheckpoint(inMemory({ "model.safetensors": SINGLE }));
  const wrong = (shape: readonly number[]): Promise<unknown> =>
    checkpoint.readTensor("vision_model.embed.weight", shape);
  await assert.rejects(wrong([5, 7]), {
    code: "wrong_shape",
    message: /^Tensor "vision_model\.embed\.weight" in model\.safetensors has the shape \[7, 5\]; expected \[5, 7\]\./,
  });
  await assert.rejects(wrong([35]), { code: "wrong_shape" });
  await assert.rejects(checkpoint.readTensor("logit_scale", [1]), { message: /has the shape \[\]; expected \[1\]/ });
});

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
      const streamed = new Float32Array(values.length);
      await checkpoint.readInto(name, stored.shape, (offset, chunk) => streamed.set(chunk, offset));
      assert.deepEqual(streamed, expected, `${name} streamed`);
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
  const largest: number[] = [];
  await checkpoint.readInto("b", [50_000], async (offset, chunk) => {
    largest.push(chunk.length);
    assert.deepEqual(chunk, b.subarray(offset, offset + chunk.length));
  });
  assert.deepEqual(new Set(largest), new Set([2048, 50_000 % 2048]));
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
  const checkpoint = await openCheckpoint(inMemory({ "model.safetensors": bytes }), { sliceBytes: 40 });
  const control = new AbortController();
  let slices = 0;
  const reading = checkpoint.readInto(
    "a",
    [100],
    () => {
      if (++slices === 3) control.abort(new Error("enough"));
    },
    { signal: control.signal },
  );
  await assert.rejects(reading, { message: "enough" });
  assert.equal(slices, 3);
  await assert.rejects(checkpoint.readTensor("a", [100], { signal: control.signal }), { message: "enough" });
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
        message: new RegExp(`^Tensor "${name}" in model.safetensors holds 2 of 30 values .* first at index 17\\.`),
      };
      await assert.rejects(checkpoint.readTensor(name, [3, 10]), refusal);
      await assert.rejects(
        checkpoint.readInto(name, [3, 10], () => undefined),
        refusal,
      );
      const allowed = await checkpoint.readTensor(name, [3, 10], { allowNonFinite: true });
      assert.ok(Number.isNaN(allowed[17]) && allowed[18] === Number.NEGATIVE_INFINITY);
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

interface Served {
  readonly ranges?: boolean;
  readonly denied?: boolean;
}

/** Serves files below /m/, and tells how many bytes of bodies were sent. */
async function withServer(
  files: Record<string, Uint8Array>,
  { ranges = true, denied = false }: Served,
  run: (base: URL, sent: () => number) => Promise<void>,
): Promise<void> {
  let sent = 0;
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://localhost");
    const bytes = url.searchParams.get("key") === "1" ? files[url.pathname.slice("/m/".length)] : undefined;
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    const send = (status: number, body: Uint8Array, headers: Record<string, string> = {}): void => {
      sent += body.length;
      response.writeHead(status, { "content-length": String(body.length), ...headers }).end(body);
    };
    if (denied) return send(403, new Uint8Array(0));
    if (bytes === undefined) return send(404, new TextEncoder().encode("no"));
    if (range === null || !ranges) return send(200, bytes);
    const [from, to] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)];
    if (from >= bytes.length) return send(416, new Uint8Array(0));
    send(206, bytes.subarray(from, to + 1), { "content-range": `bytes ${from}-${to}/${bytes.length}` });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await run(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/m/?key=1`), () => sent);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const SERVED = {
  "config.json": json({}),
  "empty.json": new Uint8Array(0),
  "model.safetensors.index.json": INDEX,
  [ONE]: PART_1,
  [TWO]: PART_2,
};

test("http: shards of an index are read in ranges", async () => {
  await withServer(SERVED, {}, async (base, sent) => {
    const files = httpFiles(base, (url, init) => fetch(url, init));
    assert.deepEqual(await files.list(), ["config.json", ONE, TWO, "model.safetensors.index.json"]);
    await checkAll(files);
    const before = sent();
    const source = await files.open(ONE);
    assert.equal(source.size, PART_1.length);
    assert.equal(await source.read(new Uint8Array(100), PART_1.length - 4), 4);
    assert.equal(await source.read(new Uint8Array(100), PART_1.length), 0);
    assert.equal(sent() - before, 4);
    assert.equal((await files.open("empty.json")).size, 0);
    await assert.rejects(files.open("absent.json"), {
      code: "file.not_found",
      message: /absent\.json\?key=1 does not exist: .* status 404/,
    });
  });
});

test("http: whole files where the server ignores ranges", async () => {
  await withServer(SERVED, { ranges: false }, async (base) => {
    await checkAll(httpFiles(base, (url, init) => fetch(url, init)));
  });
});

test("http: refusals and dead servers are sentences", async () => {
  await withServer({}, { denied: true }, async (base) => {
    const files = httpFiles(base, (url, init) => fetch(url, init));
    await assert.rejects(files.list(), { code: "fetch_failed", message: /denies access to its files \(status 403\)/ });
  });
  let dead = new URL("http://127.0.0.1/");
  await withServer({}, {}, async (base) => {
    dead = base;
    const files = httpFiles(base, (url, init) => fetch(url, init));
    assert.deepEqual(await files.list(), []);
    await assert.rejects(openCheckpoint(files), { code: "no_checkpoint" });
  });
  await assert.rejects(httpFiles(dead, (url, init) => fetch(url, init)).list(), {
    code: "fetch_failed",
    message: /cannot be reached/,
  });
  const down = httpFiles(dead, async () => new Response(null, { status: 503 }));
  await assert.rejects(down.open("config.json"), { code: "fetch_failed", message: /answered with status 503/ });
});

test("dummy: seeded by name, the same everywhere, about normal with standard deviation 0.02", async () => {
  const source = createDummySource(0);
  assert.ok(source.has("anything"));
  assert.equal(source.shapeOf("anything"), undefined);
  const a = await source.read("block.0.weight", [300, 100]);
  // Computed by another implementation of the generator.
  assert.deepEqual(
    Array.from(a.subarray(0, 4)),
    [0.0432928130030632, -0.01415378600358963, 0.01632307842373848, -0.017026618123054504],
  );
  assert.equal(digestBytes(bytesOf(a)), "e15491c0b7d2aac1675c6b370863cd78032d5bf76614d82275ac52eb353f41db");
  assert.deepEqual(await createDummySource(0).read("block.0.weight", [100, 300]), a);
  assert.notDeepEqual(await source.read("block.1.weight", [300, 100]), a);
  assert.notDeepEqual(await createDummySource(1).read("block.0.weight", [300, 100]), a);
  assert.equal((await source.read("logit_scale", [])).length, 1);
  const mean = a.reduce((s, v) => s + v, 0) / a.length;
  const std = Math.sqrt(a.reduce((s, v) => s + (v - mean) ** 2, 0) / a.length);
  assert.ok(Math.abs(mean) < 5e-4 && Math.abs(std - 0.02) < 4e-4, `mean ${mean}, std ${std}`);
  const aborted = { signal: AbortSignal.abort(new Error("stop")) };
  await assert.rejects(source.read("x", [2], aborted), { message: "stop" });
});
