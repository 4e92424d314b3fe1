/** Adapters, and whether they compute. */
import type { Capabilities, Unavailable } from "../../../runtime/abi/device.ts";
import { adapterCapabilities } from "./capabilities.ts";
import { USAGE } from "./usage.ts";

/** Adapters that answer and compute nothing exist: a few numbers are doubled before one is trusted. */
const CHECK = `
@group(0) @binding(0) var<storage, read_write> numbers: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) { numbers[id.x] = 2.0f * numbers[id.x] + 1.0f; }`;

async function computes(device: GPUDevice): Promise<boolean> {
  const given = Float32Array.from({ length: 64 }, (_, i) => i - 9.5);
  const { storage, copySource, copyTarget, mapRead } = USAGE;
  const numbers = device.createBuffer({ size: 256, usage: storage | copySource | copyTarget });
  const back = device.createBuffer({ size: 256, usage: mapRead | copyTarget });
  device.queue.writeBuffer(numbers, 0, given);
  const pipeline = await device.createComputePipelineAsync({
    layout: "auto",
    compute: { module: device.createShaderModule({ code: CHECK }), entryPoint: "main" },
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [{ binding: 0, resource: { buffer: numbers } }],
    }),
  );
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(numbers, 0, back, 0, 256);
  device.queue.submit([encoder.finish()]);
  await back.mapAsync(1);
  const found = new Float32Array(back.getMappedRange().slice(0));
  numbers.destroy();
  back.destroy();
  return given.every((value, i) => found[i] === 2 * value + 1);
}

const LIMITS: readonly string[] = [
  ...["maxBufferSize", "maxStorageBufferBindingSize", "maxStorageBuffersPerShaderStage"],
  // `bun-webgpu` asks for usual values of what is left out, also where the adapter has less.
  ...["Buffers", "Textures"].flatMap((kind) => ["Vertex", "Fragment"].map((s) => `maxStorage${kind}In${s}Stage`)),
];

/** What is used where there is: the device's own clock. */
const OPTIONAL: readonly GPUFeatureName[] = ["timestamp-query"];

/** What kernels of subgroup matrices need beside. */
const MATRIX_FEATURES: readonly string[] = ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"];
const MATRIX_LIMITS: readonly string[] = ["maxComputeWorkgroupStorageSize", "maxComputeInvocationsPerWorkgroup"];

/** Bytes of workgroup memory of the largest kernel. */
const MATRIX_STORAGE = 48 * 1024;

/** As Dawn has them; types of WebGPU do not know them yet. */
interface MatrixInfo {
  readonly subgroupMinSize?: number;
  readonly subgroupMaxSize?: number;
  readonly subgroupMatrixConfigs?: Iterable<{
    readonly componentType: string;
    readonly resultComponentType: string;
    readonly M: number;
    readonly N: number;
    readonly K: number;
  }>;
}

/** Whether an adapter has what the kernels of subgroup matrices are written for. */
function hasMatrices({ features, info, limits }: GPUAdapter): boolean {
  const { subgroupMinSize, subgroupMaxSize, subgroupMatrixConfigs = [] } = info as MatrixInfo;
  const isKnown = [...subgroupMatrixConfigs].some(
    ({ componentType, resultComponentType, M, N, K }) =>
      componentType === "f16" && resultComponentType === "f32" && M === 16 && N === 16 && K === 16,
  );
  const has = MATRIX_FEATURES.every((name) => features.has(name as GPUFeatureName));
  const fits = limits.maxComputeWorkgroupStorageSize >= MATRIX_STORAGE;
  return has && isKnown && fits && subgroupMinSize === 32 && subgroupMaxSize === 32;
}

/** The adapter's own values of limits, as far as it knows them. */
function largestLimits({ limits }: GPUAdapter, names: readonly string[]): Record<string, number> {
  const found = limits as unknown as Readonly<Record<string, number | undefined>>;
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = found[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

export interface OpenedGpu {
  readonly gpu: GPUDevice;
  /** What the adapter adds to its target's capabilities. */
  readonly capabilities: Capabilities;
  /** It has subgroup matrices, and they were asked for. */
  readonly matrices: boolean;
  /** What the device came from: some bindings free it with its object, device or not. */
  readonly origin: readonly [GPU, GPUAdapter];
}

/**
 * bun-webgpu 0.1.5 hands lists of features and what hangs on a descriptor over by their address, and may have let go of them before
 * they are read.
 */
const LOST_MEMORY = /Invalid feature required: Value \d+ is invalid|Unexpected chained struct of type/;
const TRIES = 4;

/** A device of the best adapter, with its largest limits. @param experimental with subgroup matrices, where it has them */
export async function openGpuDevice(
  find: () => Promise<GPU | Unavailable>,
  experimental = false,
): Promise<OpenedGpu | Unavailable> {
  for (let tries = 1; ; tries++) {
    try {
      return await openOnce(find, experimental);
    } catch (error) {
      if (tries === TRIES || !(error instanceof Error) || !LOST_MEMORY.test(error.message)) throw error;
    }
  }
}

async function openOnce(
  find: () => Promise<GPU | Unavailable>,
  experimental: boolean,
): Promise<OpenedGpu | Unavailable> {
  const gpu = await find();
  if ("unavailable" in gpu) return gpu;
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) return { unavailable: "no adapter was found; check that a graphics driver is installed" };
  const matrices = experimental && hasMatrices(adapter);
  const usual = OPTIONAL.filter((name) => adapter.features.has(name));
  const device = await adapter.requestDevice({
    requiredLimits: largestLimits(adapter, matrices ? [...LIMITS, ...MATRIX_LIMITS] : LIMITS),
    requiredFeatures: [...usual, ...((matrices ? MATRIX_FEATURES : []) as GPUFeatureName[])],
  });
  if (await computes(device))
    return { gpu: device, capabilities: adapterCapabilities(adapter), matrices, origin: [gpu, adapter] };
  device.destroy();
  const name = [adapter.info.vendor, adapter.info.architecture].filter((text) => text !== "").join(" ");
  return { unavailable: `the adapter (${name || "without a name"}) answers and computes nothing` };
}
