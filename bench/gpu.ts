/**
 * WebGPU on this machine: every case is checked, then timed; one table. Models' device times are by the device's own clock, where
 * it has one (adapters round it; browsers and Dawn to a tenth of a millisecond unless told otherwise). From the root: `bun bench/gpu.ts`,
 * `deno run -A bench/gpu.ts`, or on Node `node -e "import('./tools/build.mjs').then((m) => m.buildBench())"`
 * and then `node .build/bench/bench/gpu.js`. Arguments: `--quick` for sizes that a driver on the processor manages, and names of
 * cases (any part of one).
 */
import { fileURLToPath } from "node:url";
import { webgpuPlugin } from "../kernels/webgpu/plugin.ts";
import { createRuntime, type Span, type Tensor } from "../mod.ts";
import { siglipPlugin } from "../plugins/siglip/plugin.ts";
import type { BoundProgram, Device, DeviceSpec } from "../runtime/abi/device.ts";
import { compileGraph } from "../runtime/compile/compile.ts";
import { encodeFromF32 } from "../runtime/core/dtype.ts";
import { roundToHalf } from "../runtime/core/half.ts";
import { fillNormal, hash32 } from "../runtime/core/random.ts";
import { createInstanceWeights } from "../runtime/exec/instance_weights.ts";
import { linkPlan } from "../runtime/exec/linker.ts";
import { detectHost } from "../runtime/host/mod.ts";
import { createGraphBuilder } from "../runtime/ir/builder.ts";
import { createInterner } from "../runtime/ir/node.ts";
import { OP_TABLE } from "../runtime/ir/ops.ts";
import { deviceHost } from "../runtime/session/artifacts/devices.ts";
import { median } from "./interleave.ts";

const QUICK = process.argv.includes("--quick");
const WANTED = process.argv.slice(2).filter((name) => !name.startsWith("--"));
const RUNS = QUICK ? 3 : 20;
const CALLS = 10_000;
/** Cards that idled take a second of work until their clocks are up. */
const WARM_MS = QUICK ? 0 : 1500;

interface Row {
  readonly name: string;
  /** Largest difference over the standard deviation of what is expected. */
  readonly difference: number;
  /** {@link TOLERANCE} unless given. */
  readonly tolerance?: number;
  /**
   * Medians in milliseconds: of a call, of one whose results are put into memory that was used before, and of the device's part
   * where that can be told.
   */
  readonly wallMs: number;
  readonly intoMs?: number;
  readonly deviceMs?: number;
  readonly flops?: number;
}

const seconds = (): number => performance.now() / 1000;

function normals(seed: number, count: number): Float32Array<ArrayBuffer> {
  const data = new Float32Array(count);
  fillNormal(data, seed, 0, 1);
  return data;
}

async function openDevice(unsafe: boolean): Promise<Device> {
  const [spec] = webgpuPlugin.devices ?? [];
  const host = deviceHost(await detectHost(), unsafe);
  const found = await spec.probe(host);
  if ("unavailable" in found) throw new Error(found.unavailable);
  return spec.open(host, { target: found.target });
}

/** Numbers that f16 holds. */
const asHalves = (values: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> =>
  values.map((v) => roundToHalf("f16", v));

/**
 * C [m, n] = A [m, k] B [n, k] transposed, checked at 256 places. The device's time is that of many runs in one submit.
 * @param half A and B are f16, for subgroup matrices where there are some
 */
async function product(m: number, n: number, k: number, half: boolean): Promise<Row> {
  const device = await openDevice(half);
  const interner = createInterner(OP_TABLE);
  const b = createGraphBuilder({ symbols: {}, interner });
  const a = b.input("a", [m, k], half ? "f16" : "f32");
  b.output("c", b.matmul(half ? b.op("widen", [a]) : a, b.weight("b", [n, k]), { transposeB: true }));
  const { artifact, code } = compileGraph(b.finish(), {
    ...{ interner, enabled: true, dtype: half ? "f16" : "f32" },
    ...{ kernels: webgpuPlugin.kernels ?? [], target: device.target, capabilities: device.capabilities },
  });
  await device.load(code);
  const drawn = [normals(1, m * k), normals(2, n * k)];
  const [left, right] = half ? drawn.map(asHalves) : drawn;
  const weights = createInstanceWeights(device);
  await weights.load(artifact.weights, async () => right);
  const given = { a: { dtype: half ? "f16" : "f32", shape: [m, k], data: left } as Tensor };
  const call = { tag: "bench/product", instance: "", dims: {}, inputs: { a: "a" }, outputs: { c: "c" } };
  const plan = { key: "product", calls: [call], constants: {}, results: { c: "c" } };
  const program = linkPlan(plan, given, () => ({ artifact, weights: weights.resolve(artifact.weights) }));
  const arena = device.allocate(program.arenaBytes);
  const bound = device.bind(program.launches(arena));
  device.write(arena, program.values.a.offset, encodeFromF32(half ? "f16" : "f32", left));
  device.write(arena, program.values.c.offset, new Uint8Array(m * n * 4).fill(0xff));
  const results = new Float32Array(m * n);
  await device.run(bound, {});
  await device.read(arena, program.values.c.offset, new Uint8Array(results.buffer));
  let worst = 0;
  for (let s = 0; s < 256; s++) {
    const [i, j] = [hash32(3, s) % m, hash32(4, s) % n];
    let sum = 0;
    for (let p = 0; p < k; p++) sum += left[i * k + p] * right[j * k + p];
    const off = Math.abs(results[i * n + j] - sum);
    worst = Number.isFinite(off) ? Math.max(worst, off) : Number.POSITIVE_INFINITY;
  }
  const word = new Uint8Array(4);
  const timed = async (runs: number): Promise<number> => {
    const begin = seconds();
    for (let i = 0; i < runs; i++) await device.run(bound, {});
    await device.read(arena, program.values.c.offset, word);
    return seconds() - begin;
  };
  const warm = performance.now() + WARM_MS / 3;
  while (performance.now() < warm) await timed(1);
  const many = QUICK ? 3 : 21;
  const pairs: (readonly [number, number])[] = [];
  for (let i = 0; i < (QUICK ? 1 : 7); i++) pairs.push([await timed(1), await timed(many)]);
  await device.close();
  return {
    name: `product ${m} x ${n} x ${k} ${half ? `f16 ${device.target}` : "f32"}`,
    difference: worst / Math.sqrt(k),
    wallMs: 1000 * median(pairs.map(([one]) => one)),
    deviceMs: (1000 * median(pairs.map(([one, all]) => all - one))) / (many - 1),
    flops: 2 * m * n * k,
  };
}

/** How a model is computed. */
interface How {
  readonly batch: number;
  readonly dtype: "f32" | "f16";
  /** With subgroup matrices, where the adapter has them. */
  readonly unsafe?: boolean;
}

interface Model {
  /** f32 on the same device is what it is compared with: wasm would take a minute. */
  readonly large?: boolean;
  readonly folder: string;
  readonly component: "vision" | "text" | "audio";
  readonly input: string;
  /** Without the batch. */
  readonly shape: readonly number[];
  readonly output: "last_hidden_state" | "pooler_output";
  readonly more?: Readonly<Record<string, Tensor>>;
  /** Pixels as bytes, which images are; their values as processors make them otherwise. */
  readonly bytes?: boolean;
}

const SIGLIP: Model = {
  ...{ folder: "siglip-base-patch16-224", component: "vision" },
  ...{ input: "pixel_values", shape: [3, 224, 224], output: "last_hidden_state" },
};
const SIGLIP_BYTES: Model = { ...SIGLIP, bytes: true };
const MINILM: Model = {
  ...{ folder: "all-minilm-l6-v2", component: "text" },
  ...{ input: "input_ids", shape: [128], output: "last_hidden_state" },
};
const WHISPER: Model = {
  ...{ folder: "whisper-base", component: "audio" },
  ...{ input: "input_features", shape: [80, 3000], output: "last_hidden_state" },
};

const SO400M: Model = { ...SIGLIP, folder: "siglip-so400m-patch14-384", shape: [3, 384, 384], large: true };
const WHISPER_LARGE: Model = { ...WHISPER, folder: "whisper-large-v3", shape: [128, 3000], large: true };
/** One picture of 644 x 896: 46 x 64 patches. */
const QWEN: Model = {
  ...{ folder: "qwen2.5-vl-7b", component: "vision", large: true },
  ...{ input: "pixel_values", shape: [1176], output: "pooler_output" },
  more: { image_grid_thw: { dtype: "i32", shape: [1, 3], data: Int32Array.of(1, 46, 64) } },
};

function inputOf({ input, shape, bytes = false }: Model, batch: number): Tensor {
  const whole = [batch, ...shape];
  const count = whole.reduce((x, y) => x * y);
  if (input === "input_ids")
    return { dtype: "i32", shape: whole, data: Int32Array.from({ length: count }, (_, i) => hash32(7, i) % 1000) };
  if (bytes)
    return { dtype: "u8", shape: whole, data: Uint8Array.from({ length: count }, (_, i) => hash32(7, i) % 256) };
  return { dtype: "f32", shape: whole, data: normals(7, count) };
}

/** A tower with made-up weights against the same on wasm, or in f32. */
async function model(name: string, spec: Model, { batch, dtype, unsafe = false }: How): Promise<Row> {
  const folder = fileURLToPath(new URL(`../test/fixtures/configs/${spec.folder}/`, import.meta.url));
  const given = { [spec.input]: inputOf(spec, batch), ...spec.more };
  const first: Float32Array[] = [];
  const times: number[] = [];
  const timesInto: number[] = [];
  const deviceTimes: number[] = [];
  for (const turn of ["compared", "timed"]) {
    const isTimed = turn === "timed";
    const device = isTimed || spec.large === true ? "webgpu" : "wasm";
    const runtime = await createRuntime({ device, webgpu: { unsafe: isTimed && unsafe } });
    const kept = { dtype: isTimed ? dtype : "f32" } as const;
    const encoder = await runtime.load(folder, { loadFormat: "dummy", components: [spec.component], ...kept });
    const encode = async (): Promise<Float32Array> =>
      (await encoder.encode(given, { outputs: [spec.output] }))[spec.output]?.data as Float32Array;
    first.push(await encode());
    if (isTimed) {
      const warm = performance.now() + WARM_MS;
      do await encode();
      while (performance.now() < warm);
      const timed = async (work: () => Promise<unknown>): Promise<number> => {
        const begin = performance.now();
        await work();
        return performance.now() - begin;
      };
      const into = { [spec.output]: await encode() };
      for (let i = 0; i < RUNS; i++) {
        times.push(await timed(encode));
        timesInto.push(await timed(() => encoder.encode(given, { outputs: [spec.output], into })));
      }
      for (let i = 0; i < RUNS; i++) {
        const spans: Span[] = [];
        const trace = { span: (span: Span) => spans.push(span) };
        await encoder.encode(given, { outputs: [spec.output], trace });
        const own = spans.filter(({ kind }) => kind === "device");
        if (own.length > 0) deviceTimes.push(own.reduce((sum, { begin, end }) => sum + end - begin, 0));
      }
      console.log(`${name} on ${runtime.target}: ${JSON.stringify(runtime.stats().device.details)}`);
    }
    await runtime.close();
  }
  const [expected, found] = first;
  let [sum, squares, worst] = [0, 0, 0];
  for (const [i, value] of expected.entries()) {
    sum += value;
    squares += value * value;
    const off = Math.abs(found[i] - value);
    worst = Number.isFinite(off) ? Math.max(worst, off) : Number.POSITIVE_INFINITY;
  }
  const deviation = Math.sqrt(squares / expected.length - (sum / expected.length) ** 2);
  const deviceMs = deviceTimes.length === 0 ? {} : { deviceMs: median(deviceTimes) };
  const difference = worst / deviation;
  const wall = { wallMs: median(times), intoMs: median(timesInto) };
  return { name, difference, ...wall, ...deviceMs, ...(dtype === "f16" ? { tolerance: HALF } : {}) };
}

/**
 * The caller's processor time for a call's commands: a run is recorded and submitted. Only where the device lives in the caller's
 * thread; its results are compared with those of a call.
 */
async function recording(): Promise<Row> {
  const programs: BoundProgram[] = [];
  let opened: Device | undefined;
  const devices = (webgpuPlugin.devices ?? []).map(
    (spec): DeviceSpec => ({
      ...spec,
      open: async (...given) => {
        const device = await spec.open(...given);
        opened = device;
        const bind = device.bind.bind(device);
        device.bind = (launches) => {
          const program = bind(launches);
          programs.push(program);
          return program;
        };
        return device;
      },
    }),
  );
  const runtime = await createRuntime({ device: "webgpu", plugins: [{ ...webgpuPlugin, devices }, siglipPlugin] });
  const folder = fileURLToPath(new URL(`../test/fixtures/configs/${SIGLIP.folder}/`, import.meta.url));
  const encoder = await runtime.load(folder, { loadFormat: "dummy", components: [SIGLIP.component] });
  const given = { [SIGLIP.input]: inputOf(SIGLIP, 1) };
  const encode = async (): Promise<Float32Array> =>
    (await encoder.encode(given, { outputs: [SIGLIP.output] }))[SIGLIP.output]?.data as Float32Array;
  const expected = await encode();
  const device = opened as Device;
  const program = programs.reduce((a, b) => (b.launches > a.launches ? b : a));
  const word = device.allocate(4);
  const bytes = new Uint8Array(4);
  const times: number[] = [];
  for (let i = 0; i < 5 * RUNS; i++) {
    const begin = performance.now();
    // A run that is timed is recorded anew, and a write behind a run submits it.
    const ran = device.run(program, { onTime: () => {} });
    device.write(word, 0, bytes);
    times.push(performance.now() - begin);
    await ran;
    await device.read(word, 0, bytes);
  }
  const found = await encode();
  const difference = found.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i])), 0);
  await runtime.close();
  return { name: `siglip-base, ${program.launches} launches recorded`, difference, wallMs: median(times) };
}

/** Ten thousand calls of changing sizes: what is off is the growth of bytes and of buffers. */
async function steady(): Promise<Row> {
  const runtime = await createRuntime({ device: "webgpu" });
  const folder = fileURLToPath(new URL(`../test/fixtures/configs/${MINILM.folder}/`, import.meta.url));
  const encoder = await runtime.load(folder, { loadFormat: "dummy", components: [MINILM.component] });
  const encode = async (tokens: number): Promise<void> => {
    await encoder.encode({ input_ids: inputOf({ ...MINILM, shape: [tokens] }, 1) }, { outputs: [MINILM.output] });
  };
  const kept = (): number => {
    const { bytesInUse, details = {} } = runtime.stats().device;
    return bytesInUse + details.buffers;
  };
  for (let tokens = 1; tokens <= 128; tokens++) await encode(tokens);
  for (let i = 0; i < CALLS / 10; i++) await encode(1 + (hash32(8, i) % 128));
  const before = kept();
  const begin = performance.now();
  for (let i = 0; i < CALLS; i++) await encode(1 + (hash32(9, i) % 128));
  const wallMs = (performance.now() - begin) / CALLS;
  const difference = Math.abs(kept() - before);
  await runtime.close();
  return { name: `${CALLS} calls of 1 to 128 tokens`, difference, wallMs };
}

const MATRICES = { dtype: "f16", unsafe: true } as const;
const MODELS: readonly (readonly [string, Model, How])[] = [
  ["siglip-base f32 batch 1", SIGLIP, { batch: 1, dtype: "f32" }],
  ["siglip-base f32 batch 8", SIGLIP, { batch: 8, dtype: "f32" }],
  ["siglip-base f32 batch 8, bytes", SIGLIP_BYTES, { batch: 8, dtype: "f32" }],
  ["minilm-l6 128 tokens f32", MINILM, { batch: 1, dtype: "f32" }],
  ["whisper-base f32", WHISPER, { batch: 1, dtype: "f32" }],
  ["siglip-base f16 batch 8, plain", SIGLIP, { batch: 8, dtype: "f16" }],
  ["siglip-base f16 batch 8", SIGLIP, { batch: 8, ...MATRICES }],
  ["siglip-base f16 batch 8, bytes", SIGLIP_BYTES, { batch: 8, ...MATRICES }],
  ["siglip-so400m-384 f16", SO400M, { batch: 1, ...MATRICES }],
  ["whisper-large-v3 f16", WHISPER_LARGE, { batch: 1, ...MATRICES }],
  ["qwen2.5-vl-7b f16 2944 patches", QWEN, { batch: 46 * 64, ...MATRICES }],
];
/** Rows, columns, sums, and whether f16. */
const PRODUCTS: readonly (readonly [number, number, number, boolean])[] = QUICK
  ? [
      [130, 70, 40, false],
      [196, 128, 96, false],
      [130, 72, 40, true],
    ]
  : [
      [4096, 4096, 4096, false],
      [1568, 3072, 768, false],
      [196, 3072, 768, false],
      [196, 768, 3072, false],
      [4096, 4096, 4096, true],
      [2944, 3840, 1280, true],
      [1500, 1280, 1280, true],
      [196, 768, 3072, true],
    ];

/** What a case may be off, as `fovea verify` has it for f32 four times over, and for f16. */
const TOLERANCE = 8e-5;
const HALF = 2e-2;

const host = await detectHost();
const isInThread = deviceHost(host).spawnGpuWorker === undefined;
const cases: (readonly [string, () => Promise<Row>])[] = [
  ...PRODUCTS.map(([m, n, k, half]) => {
    const name = `product ${m} x ${n} x ${k} ${half ? "f16" : "f32"}`;
    return [name, () => product(m, n, k, half)] as const;
  }),
  ...(QUICK ? [] : MODELS.map(([name, spec, how]) => [name, () => model(name, spec, how)] as const)),
  ...(QUICK || !isInThread ? [] : [["recorded", recording] as const]),
  ...(QUICK ? [] : [["calls", steady] as const]),
];
const found = await webgpuPlugin.devices?.[0].probe(deviceHost(host));
console.log(`${host.name} ${host.version}: ${JSON.stringify(found)}`);
const HEADINGS = ["case".padEnd(34), "off by", "wall ms", "into ms", "device ms", "TFLOP/s"].join("\t");

function rowText({ name, difference, tolerance = TOLERANCE, wallMs, intoMs, deviceMs, flops }: Row): string {
  const rate = deviceMs === undefined || flops === undefined ? "" : (flops / deviceMs / 1e9).toFixed(2);
  const verdict = difference <= tolerance ? difference.toExponential(1) : `${difference.toExponential(1)} WRONG`;
  const times = [wallMs.toFixed(2), intoMs?.toFixed(2) ?? "", deviceMs?.toFixed(3) ?? ""];
  return [name.padEnd(34), verdict, ...times, rate].join("\t");
}

const texts: string[] = [];
for (const [name, run] of cases) {
  if (WANTED.length > 0 && !WANTED.some((part) => name.includes(part))) continue;
  try {
    const row = await run();
    const text = rowText(row);
    console.log(text);
    texts.push(text);
    if (!(row.difference <= (row.tolerance ?? TOLERANCE))) process.exitCode = 1;
  } catch (error) {
    process.exitCode = 1;
    console.log(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
console.log(["", HEADINGS, ...texts].join("\n"));
