/** Pictures cut on the device: the bits of the JavaScript functions, through components that all encoders share. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { relaxedMultiplyAdd } from "../../kernels/wasm/device/probe.ts";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import type { EncoderModel, PixelImage, PixelPlan, PixelSize, Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { ABI_VERSION, definePlugin, type Plugin } from "../../runtime/abi/plugin.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { type CutOptions, cutImages, pictureResize, pixelCut } from "../../runtime/media/pixel_cut.ts";
import { type ResizeArithmetic, type ResizeFilter, resizeImage } from "../../runtime/media/resize.ts";
import { createPixelCutter, type PixelCutter } from "../../runtime/session/inputs/pixels.ts";
import { openArtifacts } from "../kit/artifacts.ts";
import { hasCode } from "../kit/assertions.ts";
import { withProcessor } from "../kit/byte_towers.ts";
import { callContext } from "../kit/call_context.ts";
import { BARE_HOST } from "../kit/run_graph.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { noise } from "../media/media_kit.ts";

const FILTERS: readonly ResizeFilter[] = ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"];
const ARITHMETICS: readonly ResizeArithmetic[] = ["torchvision", "pillow"];

interface Bench {
  readonly artifacts: Awaited<ReturnType<typeof openArtifacts>>;
  readonly device: Device;
  readonly cutter: PixelCutter;
  readonly compiled: () => number;
}

async function withCutter(target: string, memory: number, work: (bench: Bench) => Promise<void>): Promise<void> {
  const device = (await wasmPlugin.devices?.[0].open(BARE_HOST, { threads: 0, target, memory })) as Device;
  const artifacts = await openArtifacts(device);
  try {
    await work({
      ...{ artifacts, device },
      // Small pictures too.
      cutter: createPixelCutter(artifacts, undefined, 0),
      compiled: () => artifacts.counters.compiled,
    });
  } finally {
    await device.close();
  }
}

/** A plan of one picture. */
function planOf(image: PixelImage, options: CutOptions): PixelPlan {
  const cut = pixelCut(image, options);
  const bytes = 3 * cut.columns.starts.length * cut.rows.starts.length;
  return { input: "pixel_values", shape: [cut.at + bytes], cuts: [cut], tensors: {} };
}

const MEMORY = 64 * 2 ** 20;

for (const target of ["wasm-simd128", "wasm-relaxed"]) {
  const relaxed = target === "wasm-relaxed" && relaxedMultiplyAdd() === "absent";
  const skip = relaxed ? { skip: "this engine has no relaxed SIMD" } : {};
  test(`cuts have the bits of the JavaScript functions: ${target}`, skip, () =>
    withCutter(target, MEMORY, async ({ cutter, device }) => {
      for (let seed = 0; seed < 48; seed++) {
        const size = (i: number, most: number): number => 1 + (hash32(seed, i) % most);
        const side = seed % 5 === 0 ? 4 : 90;
        const image = noise(seed, size(1, side), size(2, side));
        const filter = FILTERS[seed % 6];
        const arithmetic = ARITHMETICS[Math.floor(seed / 6) % 2];
        const patch = [undefined, 1, 3, 14, 16][seed % 5];
        const merge = patch === undefined ? 1 : 1 + (seed % 2);
        const unit = (patch ?? 1) * merge;
        const resized = { width: unit * size(3, 5) + (seed % 4 === 0 ? unit : 0), height: unit * size(4, 5) };
        const plan = planOf(image, {
          size: resized,
          filter,
          arithmetic,
          at: seed % 3,
          ...(seed % 4 === 0 ? { region: { x: unit, y: 0, width: resized.width - unit, height: resized.height } } : {}),
          ...(seed % 4 === 1
            ? { canvas: { width: resized.width + 2 * unit, height: resized.height + unit, left: unit, top: 1 % unit } }
            : {}),
          layout: patch === undefined ? {} : { patch, merge, channelsLast: seed % 3 === 0 },
        });
        const { pixel_values } = await cutter.cut([image], plan, callContext("pixels"));
        assert.equal(pixel_values.dtype, "u8");
        assert.deepEqual(pixel_values.data, cutImages([image], plan), `seed ${seed}: ${filter}, ${arithmetic}`);
      }
      assert.equal(device.stats().bytesInUse, 0, "pictures leave nothing behind");
    }),
  );
}

test("pictures that are resized more than once: the bits of one resize after the other, each made once", () =>
  withCutter("wasm-simd128", MEMORY, async ({ artifacts, cutter, device, compiled }) => {
    const image = noise(8, 91, 47);
    const to = { filter: "lanczos", arithmetic: "torchvision" } as const;
    const [first, second] = [
      { width: 60, height: 34 },
      { width: 64, height: 48 },
    ];
    const once = pictureResize(image, first, to);
    const twice = pictureResize(image, second, { ...to, of: once });
    const layout = { patch: 16 };
    const [tiles, whole] = [
      pixelCut(image, { ...to, size: second, of: once, layout }),
      pixelCut(image, { ...to, size: { width: 16, height: 16 }, of: twice, layout, at: 3 * 64 * 48 }),
    ];
    const cuts = [tiles, whole].map((cut) => ({ ...cut, picture: 0 }));
    const plan = { input: "x", shape: [13, 3, 16, 16], cuts, tensors: {} };
    await cutter.prepare(() => plan);
    const [before, made] = [device.stats().runs, compiled()];
    const { x } = await cutter.cut([image], plan, callContext("pixels"));
    // Two resizes and two cuts: what both cuts are of is kept.
    assert.deepEqual([device.stats().runs - before, compiled() - made], [4, 0]);
    assert.deepEqual(x.data, cutImages([image], plan));
    const resized = resizeImage(resizeImage(image, 60, 34, to), 64, 48, to);
    const of = (picture: PixelImage, size: PixelSize): Uint8Array =>
      cutImages([picture], planOf(picture, { ...to, size, layout }));
    const expected = [...of(resized, second), ...of(resized, { width: 16, height: 16 })];
    assert.deepEqual([...x.data], expected);
    // By the caller's thread as well.
    assert.deepEqual((await createPixelCutter(artifacts).cut([image], plan, callContext("pixels"))).x.data, x.data);
    assert.equal(pictureResize(image, image, to), undefined);
    assert.equal(pictureResize(image, first, { ...to, of: once }), once);
  }));

test("the caller's thread cuts small pictures with the same bits, and the device large ones", () =>
  withCutter("wasm-simd128", MEMORY, async ({ artifacts, device }) => {
    const cutter = createPixelCutter(artifacts);
    const runs = async (width: number): Promise<number> => {
      const before = device.stats().runs;
      const image = noise(width, width, 20);
      const size = { width: 32, height: 32 };
      const plan = planOf(image, { size, filter: "bicubic", arithmetic: "pillow", at: 3, layout: { patch: 16 } });
      for (let times = 0; times < 2; times++) {
        const { pixel_values } = await cutter.cut([image], plan, callContext("pixels"));
        assert.deepEqual(pixel_values.data, cutImages([image], plan));
        const small = cutter.cutSmall(image, plan);
        assert.deepEqual(small, width < 100 ? { pixel_values } : undefined);
      }
      return device.stats().runs - before;
    };
    // Proofs run at the first use.
    await runs(300);
    assert.deepEqual([await runs(20), await runs(300)], [0, 2]);
    // More geometries than the cutter keeps, and back.
    for (let width = 281; width < 300; width++) assert.equal(await runs(width), 2);
    assert.equal(await runs(300), 2);
    assert.equal(device.stats().bytesInUse, 0);
  }));

test("sizes share their components; other orders and arithmetics bring their own", () =>
  withCutter("wasm-simd128", MEMORY, async ({ cutter, compiled }) => {
    const cut = async (width: number, options: Partial<CutOptions> = {}): Promise<number> => {
      const image = noise(1, width, 31);
      const own = { size: { width: 28, height: 56 }, filter: "bicubic", arithmetic: "torchvision" } as const;
      await cutter.cut(
        [image],
        planOf(image, { ...own, layout: { patch: 14, merge: 2 }, ...options }),
        callContext("pixels"),
      );
      return compiled();
    };
    assert.deepEqual(
      [await cut(30), await cut(77), await cut(28), await cut(30, { filter: "bilinear" })],
      [2, 2, 2, 2],
    );
    assert.equal(await cut(30, { layout: {} }), 3);
    assert.equal(await cut(30, { arithmetic: "pillow" }), 4);
  }));

test("several pictures fill one input, and what none fills is 0", () =>
  withCutter("wasm-simd128", MEMORY, async ({ artifacts, cutter }) => {
    const images = [noise(1, 20, 30), noise(2, 9, 5)];
    const cuts = images.map((image, i) =>
      pixelCut(image, {
        size: { width: 8, height: 4 },
        filter: "bilinear",
        arithmetic: "torchvision",
        at: 100 * i + 2,
      }),
    );
    const plan = { input: "x", shape: [2, 110], cuts, tensors: {} };
    const { x } = await cutter.cut(images, plan, callContext("pixels"));
    assert.deepEqual(x.shape, [2, 110]);
    assert.deepEqual(x.data, cutImages(images, plan));
    assert.deepEqual([...x.data.subarray(0, 2), ...x.data.subarray(98, 102)], [0, 0, 0, 0, 0, 0]);
    // A picture in several parts is not one that is cut at once.
    assert.equal(createPixelCutter(artifacts).cutSmall(images[0], plan), undefined);
  }));

test("an abort ends a large resize, and the device stays usable", () =>
  withCutter("wasm-simd128", 2 ** 28, async ({ cutter, device }) => {
    const image = noise(3, 900, 600);
    const size = { width: 3584, height: 2352 };
    const plan = planOf(image, { size, filter: "lanczos", arithmetic: "pillow", layout: { patch: 14, merge: 2 } });
    await cutter.prepare(() => plan);
    const stop = new AbortController();
    const running = cutter.cut([image], plan, callContext("pixels", { signal: stop.signal }));
    setTimeout(() => stop.abort(new Error("enough")), 1);
    await assert.rejects(running, /enough/);
    assert.equal(device.stats().bytesInUse, 0);
    const small = planOf(image, { size: { width: 8, height: 8 }, filter: "box", arithmetic: "pillow" });
    assert.deepEqual(
      (await cutter.cut([image], small, callContext("pixels"))).pixel_values.data,
      cutImages([image], small),
    );
  }));

test("a picture that memory does not hold is refused with the numbers, and a smaller one still fits", () =>
  withCutter("wasm-simd128", 4 * 2 ** 20, async ({ cutter }) => {
    const options = { size: { width: 64, height: 64 }, filter: "bicubic", arithmetic: "torchvision" } as const;
    const [large, small] = [noise(1, 1600, 1200), noise(1, 160, 120)];
    await assert.rejects(
      cutter.cut([large], planOf(large, options), callContext("pixels")),
      hasCode("out_of_memory", /MB|MiB|bytes/),
    );
    const plan = planOf(small, options);
    assert.deepEqual(
      (await cutter.cut([small], plan, callContext("pixels"))).pixel_values.data,
      cutImages([small], plan),
    );
  }));

const SIDE = 8;

/** Someone else's encoder: the mean of every row of u8 pixels, from a processor that states a plan alone. */
function rowMeans(): Plugin {
  const shape = [3, SIDE, SIDE];
  const pixels = (sizes: readonly PixelSize[]): PixelPlan => ({
    input: "pixel_values",
    shape: [sizes.length, ...shape],
    cuts: sizes.map((size, i) =>
      pixelCut(size, {
        size: { width: SIDE, height: SIDE },
        filter: "bicubic",
        arithmetic: "pillow",
        at: i * 3 * SIDE * SIDE,
      }),
    ),
    tensors: {},
  });
  const open = (): EncoderModel => ({
    prefixes: [""],
    processors: () => ({ pixels }),
    towers: [
      {
        modality: "vision",
        inputs: ["pixel_values"],
        outputs: ["pooler_output"],
        components: [
          {
            tag: "row_means/vision",
            symbols: { batch: { min: 1, max: 4 } },
            instances: [""],
            build: (b) => {
              const x = b.cast(b.input("pixel_values", [b.dims.batch, ...shape], "u8"));
              const means = b.reshape(b.unary("reduce_mean", x), [b.dims.batch, 3 * SIDE]);
              b.output("means", b.mul(means, b.weight("scale", [3 * SIDE])));
            },
          },
        ],
        prepare: (inputs: Tensors) => inputs,
        plan: (shapes) => ({
          key: `row_means ${shapes.pixel_values[0]}`,
          calls: [
            {
              tag: "row_means/vision",
              instance: "",
              dims: { batch: shapes.pixel_values[0] },
              inputs: { pixel_values: "pixel_values" },
              outputs: { means: "means" },
            },
          ],
          constants: {},
          results: { pooler_output: "means" },
        }),
        exampleSizes: [],
        example: () => ({}),
      },
    ],
  });
  return definePlugin({
    name: "@someone/row-means",
    version: "1.0.0",
    abi: ABI_VERSION,
    encoders: [{ name: "row_means", modelTypes: ["row_means"], files: [], open }],
  });
}

/** A checkpoint whose one weight is 1 everywhere. */
function checkpoint(): Map<string, Uint8Array> {
  const data = new Uint8Array(new Float32Array(3 * SIDE).fill(1).buffer);
  const header = JSON.stringify({ scale: { dtype: "F32", shape: [3 * SIDE], data_offsets: [0, data.length] } });
  const text = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + text.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  file.set(data, 8 + text.length);
  const config = new TextEncoder().encode(JSON.stringify({ model_type: "row_means" }));
  return new Map([
    ["config.json", config],
    ["model.safetensors", file],
  ]);
}

test("a processor of anyone's plugin has its plan carried out on the device, sealed or not", async () => {
  const runtime = await openRuntime({ threads: 0, plugins: [wasmPlugin, rowMeans()] });
  try {
    const encoder = await runtime.load(checkpoint());
    runtime.seal();
    const images = [noise(4, 33, 21), noise(5, 5, 90)];
    const { pooler_output } = await encoder.encode({ images });
    const expected = images.flatMap((image) => {
      const bytes = cutImages(
        [image],
        planOf(image, { size: { width: SIDE, height: SIDE }, filter: "bicubic", arithmetic: "pillow" }),
      );
      return Array.from({ length: 3 * SIDE }, (_, row) =>
        bytes.subarray(row * SIDE, (row + 1) * SIDE).reduce((sum, v) => sum + v / SIDE, 0),
      );
    });
    assert.deepEqual(pooler_output?.shape, [2, 3 * SIDE]);
    assert.deepEqual([...(pooler_output?.data ?? [])], expected);
  } finally {
    await runtime.close();
  }
});

test("bytes that are no bytes are refused by the tensor's name", async () => {
  await withProcessor("clip", { size: { shortest_edge: 32 }, crop_size: 32 }, async (encoder) => {
    const pixel_values = { dtype: "u8", shape: [1, 3, 32, 32], data: new Float32Array(3072) } as unknown as Tensor;
    await assert.rejects(encoder.encode({ pixel_values }), {
      code: "invalid_input",
      message: /The input "pixel_values" has type u8, expected its values in a Uint8Array; convert them first\./,
    });
  });
});

test("large inputs that were cut are given back at once; small ones and tensors of others stay", () =>
  withCutter("wasm-simd128", MEMORY, async ({ cutter }) => {
    const image = noise(7, 640, 600);
    const grid: Tensor = { dtype: "i32", shape: [1], data: Int32Array.of(3) };
    const resize = { filter: "bilinear", arithmetic: "torchvision", layout: {} } as const;
    const cut = (size: PixelSize): Promise<Tensors> =>
      cutter.cut([image], { ...planOf(image, { size, ...resize }), tensors: { grid } }, callContext("pixels"));
    const [large, small] = [await cut({ width: 600, height: 600 }), await cut({ width: 60, height: 60 })];
    const others = { pixel_values: { dtype: "u8", shape: [2 ** 21], data: new Uint8Array(2 ** 21) } } as const;
    for (const tensors of [large, small, others, large]) await cutter.release(tensors);
    assert.deepEqual(
      [large, small, others].map(({ pixel_values }) => pixel_values.data.length),
      [0, 10_800, 2 ** 21],
    );
    assert.equal(large.grid.data[0], 3);
  }));
