/** Weights of two bytes: what is rounded, what stays, what it saves, and where it shows. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { relaxedMultiplyAdd } from "../../kernels/wasm/device/probe.ts";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { type Encoder, FoveaError, type LoadOptions, type Tensor } from "../../mod.ts";
import { bertPlugin } from "../../plugins/bert/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import type { ComponentSpec } from "../../runtime/abi/encoder.ts";
import { DTYPE_BYTES, type HalfDType, type WeightDType } from "../../runtime/core/dtype.ts";
import { roundToHalf } from "../../runtime/core/half.ts";
import { createInstanceWeights } from "../../runtime/exec/instance_weights.ts";
import { encodeSafetensors, readAllTensors } from "../../runtime/exec/weights/writer.ts";
import { openArtifacts } from "../kit/artifacts.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { BARE_HOST } from "../kit/run_graph.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { modelFiles } from "../kit/tower_device.ts";
import { FIXTURES, openModelOf, readCase, readJson, towerOf } from "../kit/tower_fixtures.ts";

type Results = Readonly<Record<string, Tensor>>;

async function withEncoder<T>(
  source: string | ReadonlyMap<string, Uint8Array>,
  options: LoadOptions,
  work: (encoder: Encoder) => Promise<T>,
): Promise<T> {
  const opened = await openRuntime({ threads: 0, target: "wasm-simd128" });
  try {
    return await work(await opened.load(source, options));
  } finally {
    await opened.close();
  }
}

const encode = (encoder: Encoder, inputs: Readonly<Record<string, Tensor>>): Promise<Results> =>
  encoder.encode(inputs) as Promise<Results>;

const SIGLIP = join(FIXTURES, "siglip");
const siglipInputs = () => readCase(join(SIGLIP, "case-text-b2.safetensors")).inputs;

test("a bf16 checkpoint loses nothing as bf16: the results are those of f32, bit by bit; its type is shown", async () => {
  const run = (dtype: WeightDType): Promise<Results> =>
    withEncoder(SIGLIP, { dtype, components: ["text"] }, async (encoder) => {
      const shown = /siglip\/text\.block \(\d+ instances\), bf16 weights \(the call's options\)/.test(
        encoder.explain(),
      );
      assert.equal(shown, dtype === "bf16");
      const { dtypes } = encoder.stats();
      assert.ok(Object.keys(dtypes).includes("siglip/text.block"));
      assert.deepEqual([...new Set(Object.values(dtypes))], [dtype]);
      return encode(encoder, siglipInputs());
    });
  assert.deepEqual(await run("bf16"), await run("f32"));
});

test("an f16 checkpoint loses nothing as f16", async () => {
  const folder = repositoryPath("examples/models/digits-clip");
  const texts = { input_ids: { dtype: "i32", shape: [1, 4], data: Int32Array.of(1, 5, 9, 2) } } as const;
  const run = (dtype: WeightDType): Promise<Results> =>
    withEncoder(folder, { dtype, components: ["text"] }, (e) => encode(e, texts));
  assert.deepEqual(await run("f16"), await run("f32"));
});

/** What products and lookups of CLIP read: matrices, kernels and token tables, but not the positions that are added. */
const isBulk = (name: string, shape: readonly number[]): boolean =>
  shape.length > 1 && !/vision_model.*position_embedding/.test(name);

/** The CLIP fixture with its large weights rounded in the checkpoint. */
function roundedClip(dtype: HalfDType): ReadonlyMap<string, Uint8Array> {
  const files = modelFiles(join(FIXTURES, "clip"));
  const tensors = readAllTensors(files.get("model.safetensors") as Uint8Array);
  const rounded = Object.entries(tensors).map(([name, t]) => {
    const data = isBulk(name, t.shape) ? (t.data as Float32Array).map((v) => roundToHalf(dtype, v)) : t.data;
    return [name, { ...t, data }] as const;
  });
  return files.set("model.safetensors", encodeSafetensors(Object.fromEntries(rounded)));
}

test("a model with two-byte weights is the f32 model whose large weights were rounded", async () => {
  const { inputs } = readCase(join(FIXTURES, "clip/case-image-b1.safetensors"));
  const run = (source: Parameters<typeof withEncoder>[0], dtype: WeightDType): Promise<Results> =>
    withEncoder(source, { dtype, components: ["vision"] }, (e) => encode(e, inputs));
  const rounded = await run(roundedClip("bf16"), "f32");
  assert.deepEqual(await run(join(FIXTURES, "clip"), "bf16"), rounded);
  assert.notDeepEqual(await run(join(FIXTURES, "clip"), "f32"), rounded);
});

test("a block of MiniLM with two-byte weights takes little more than half of the memory", async () => {
  const path = repositoryPath("test/fixtures/configs/all-minilm-l6-v2/config.json");
  const model = openModelOf(bertPlugin, readJson(path));
  const block = towerOf(model, "text").components.find((c) => c.tag === "bert/text.block") as ComponentSpec;
  const device = (await wasmPlugin.devices?.[0].open(BARE_HOST, { threads: 0 })) as Device;
  const artifacts = await openArtifacts(device);
  const bytesOf = async (dtype: WeightDType): Promise<number> => {
    const one = { ...block, ranges: {} };
    const [{ artifact }] = (await artifacts.prepare(one, { call: { dtype } })).artifacts;
    const weights = createInstanceWeights(device);
    await weights.load(artifact.weights, async (_, shape) => {
      const count = shape.reduce((a, b) => a * b, 1);
      return Float32Array.from({ length: count }, (_, i) => (i % 61) / 64);
    });
    assert.ok(device.stats().bytesInUse >= weights.bytes);
    const { bytes } = weights;
    weights.release();
    assert.equal(device.stats().bytesInUse, 0);
    return bytes;
  };
  const f32 = await bytesOf("f32");
  assert.ok(f32 > 1.7e6 * DTYPE_BYTES.f32);
  for (const dtype of ["f16", "bf16"] as const) {
    const share = (await bytesOf(dtype)) / f32;
    assert.ok(share <= 0.51, `${dtype}: ${share}`);
  }
  await device.close();
});

const MLP = {
  tag: "example/linear",
  symbols: { rows: { min: 1, max: 8 } },
  build: (b: Parameters<Parameters<Awaited<ReturnType<typeof openRuntime>>["compile"]>[0]["build"]>[0]) => {
    const x = b.input("x", [b.dims.rows, 3]);
    b.output("y", b.add(b.matmul(x, b.weight("w", [2, 3]), { transposeB: true }), b.weight("bias", [2])));
  },
};
const tensor = (shape: readonly number[], ...values: readonly number[]): Tensor => ({
  dtype: "f32",
  shape,
  data: Float32Array.from(values),
});

test("runtime.compile rounds what products multiply by, and nothing else", async () => {
  const third = Math.fround(1 / 3);
  const weights = { w: tensor([2, 3], 1, 0, 0, 0, third, 0), bias: tensor([2], third, 0) };
  const x = { x: tensor([1, 3], 1, 1, 1) };
  for (const device of ["wasm", "reference"]) {
    const runtime = await openRuntime({ threads: 0, device });
    for (const dtype of ["f16", "bf16"] as const) {
      const linear = await runtime.compile(MLP, weights, { dtype });
      const { y } = await linear.run(x);
      assert.deepEqual([...y.data], [Math.fround(1 + third), roundToHalf(dtype, third)]);
      assert.match(linear.explain(), new RegExp(`example/linear \\(1 instance\\), ${dtype} weights`));
      linear.close();
    }
    await runtime.close();
  }
});

test("the type is part of what is compiled and can be set for each component", async () => {
  const runtime = await openRuntime({
    threads: 0,
    cache: false,
    compile: { components: { "example/b*": { dtype: "bf16" } } },
  });
  const weights = { w: tensor([2, 3], 0, 0, 0, 0, 1 / 3, 0), bias: tensor([2], 0, 0) };
  const result = async (tag: string, dtype?: WeightDType): Promise<number> => {
    const one = await runtime.compile({ ...MLP, tag }, weights, dtype === undefined ? {} : { dtype });
    return (await one.run({ x: tensor([1, 3], 1, 1, 1) })).y.data[1];
  };
  assert.equal(await result("example/a"), Math.fround(1 / 3));
  assert.equal(await result("example/a", "f16"), roundToHalf("f16", 1 / 3));
  // A component's own setting is more specific than the call's.
  assert.equal(await result("example/b", "f16"), roundToHalf("bf16", 1 / 3));
  assert.equal(runtime.stats().counters.compiled, 3);
  assert.equal(await result("example/c", "bf16"), roundToHalf("bf16", 1 / 3));
  assert.deepEqual([runtime.stats().counters.compiled, runtime.stats().counters.shared], [3, 1]);
  await runtime.close();
});

test("int8: the ends of a tower keep f32 and say so, layers multiply integers", async () => {
  await withEncoder(SIGLIP, { dtype: "int8", components: ["text"] }, async (encoder) => {
    const { dtypes } = encoder.stats();
    assert.equal(dtypes["siglip/text.block"], "int8");
    assert.equal(dtypes["siglip/text.pool"], "f32");
    assert.match(encoder.explain(), /siglip\/text\.block \(\d+ instances\), int8 weights \(the call's options\)/);
  });
});

test("int8: all targets give one product the same bits, the reference device nearly, and NaN in a row makes the row NaN", async () => {
  const [n, k] = [20, 37];
  const wide = {
    tag: "example/wide",
    symbols: { rows: { min: 1, max: 8 } },
    build: (b: Parameters<typeof MLP.build>[0]): void => {
      const x = b.input("x", [b.dims.rows, k]);
      b.output("y", b.matmul(x, b.weight("w", [n, k]), { transposeB: true }));
    },
  };
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => ((i * 7919) % 613) / 100 - 3);
  const weights = { w: tensor([n, k], ...numbers(n * k)) };
  const x = tensor([3, k], ...numbers(3 * k));
  x.data[k + 5] = Number.NaN;
  const results = [];
  const targets = relaxedMultiplyAdd() === "absent" ? ["wasm-simd128"] : ["wasm-simd128", "wasm-relaxed"];
  for (const target of [...targets, "reference"]) {
    const device = target === "reference" ? "reference" : "wasm";
    const runtime = await openRuntime({ threads: 0, device, target });
    const product = await runtime.compile(wide, weights, { dtype: "int8" });
    results.push((await product.run({ x })).y.data);
    await runtime.close();
  }
  const [found, expected] = [results[0], results[results.length - 1]];
  if (targets.length > 1) assert.deepEqual(results[1], found);
  for (let i = 0; i < found.length; i++) {
    const row = Math.floor(i / n);
    if (row === 1) assert.ok(Number.isNaN(found[i]), `${i}: ${found[i]}`);
    else
      assert.ok(Math.abs(found[i] - expected[i]) <= 1e-6 * Math.abs(expected[i]), `${i}: ${found[i]}, ${expected[i]}`);
  }
});

test("numbers beyond f16 are refused with the tensor, its largest number and the remedy; nothing stays behind", async () => {
  const files = modelFiles(join(FIXTURES, "clip"));
  const tensors = readAllTensors(files.get("model.safetensors") as Uint8Array);
  const name = "text_model.encoder.layers.1.self_attn.k_proj.weight";
  const { data, ...rest } = tensors[name];
  const large = (data as Float32Array).slice();
  large[17] = -70000;
  const model = files.set("model.safetensors", encodeSafetensors({ ...tensors, [name]: { ...rest, data: large } }));
  const runtime = await openRuntime({ threads: 0 });
  await assert.rejects(runtime.load(model, { dtype: "f16", components: ["text"] }), (error: unknown) => {
    assert.ok(error instanceof FoveaError);
    assert.equal(error.code, "weight_overflow");
    assert.match(error.message, /^Tensor "text_model\.encoder\.layers\.1\.self_attn\.k_proj\.weight" holds -70000/);
    assert.match(error.message, /f16 cannot hold: its largest is 65504\. Load the model with dtype "bf16"/);
    return true;
  });
  assert.equal(runtime.stats().device.bytesInUse, 0);
  // A table is rounded by the loader, not by a kernel.
  const table = { tag: "example/table", symbols: { n: { min: 1, max: 4 } } };
  const build = (b: Parameters<typeof MLP.build>[0]): void => {
    b.output("y", b.gather(b.weight("table", [2, 1]), b.input("at", [b.dims.n], "i32")));
  };
  await assert.rejects(
    runtime.compile({ ...table, build }, { table: tensor([2, 1], 1, 65520) }, { dtype: "f16" }),
    /Tensor "table" holds 65520/,
  );
  await assert.rejects(
    runtime.compile({ ...table, build }, { table: tensor([2, 1], 1, 3.4e38) }, { dtype: "bf16" }),
    /bf16 cannot hold: its largest is 3\.39e38\. Load the model with dtype "f32"/,
  );
  await runtime.close();
});

test("unknown types are refused", async () => {
  const runtime = await openRuntime({ threads: 0 });
  const odd = { dtype: "f64" } as unknown as LoadOptions;
  await assert.rejects(
    runtime.load(SIGLIP, odd),
    /`dtype` of load is "f64"; expected "f32" or "f16" or "bf16" or "int8"/,
  );
  await assert.rejects(runtime.compile(MLP, {}, odd), /`dtype` of compile is "f64"/);
  await runtime.close();
});
