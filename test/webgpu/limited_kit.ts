/** Devices whose adapter says that it has small limits, and holds to them, in the caller's thread and in a worker. */
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import type { Plugin } from "../../mod.ts";
import type { Device, DeviceHost, Unavailable } from "../../runtime/abi/device.ts";
import { detectHost } from "../../runtime/host/mod.ts";
import { deviceHost } from "../../runtime/session/artifacts/devices.ts";

type FindGpu = () => Promise<GPU | Unavailable>;

/** Of storage buffers: bytes of a buffer and a binding, and how many a shader may have. */
export interface SmallLimits {
  readonly bytes: number;
  readonly buffers: number;
}

const STORAGE = 128;

function limit(device: GPUDevice, { bytes, buffers }: SmallLimits): GPUDevice {
  const own: Readonly<Record<PropertyKey, unknown>> = {
    limits: {
      maxBufferSize: bytes,
      maxStorageBufferBindingSize: bytes,
      maxStorageBuffersPerShaderStage: buffers,
    },
    createBuffer: (descriptor: GPUBufferDescriptor) => {
      if ((descriptor.usage & STORAGE) !== 0 && descriptor.size > bytes)
        throw new Error(`a buffer of ${descriptor.size} bytes was made, with at most ${bytes}`);
      return device.createBuffer(descriptor);
    },
    createBindGroup: (descriptor: GPUBindGroupDescriptor) => {
      const bound = [...descriptor.entries].map(({ resource }) => (resource as GPUBufferBinding).buffer);
      const stored = bound.filter(({ usage }) => (usage & STORAGE) !== 0).length;
      if (stored > buffers) throw new Error(`a group has ${stored} storage buffers, with at most ${buffers}`);
      return device.createBindGroup(descriptor);
    },
  };
  // Bindings look at the limits of their own object.
  return new Proxy(device, {
    get: (target, key) => {
      if (Object.hasOwn(own, key)) return own[key];
      const value = Reflect.get(target, key, target) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A host's WebGPU with small limits. */
export function limited(find: FindGpu, limits: SmallLimits): FindGpu {
  const limitAdapter = (adapter: GPUAdapter | null): GPUAdapter | null => {
    if (adapter === null) return null;
    return {
      ...{ features: adapter.features, limits: adapter.limits, info: adapter.info },
      requestDevice: async (descriptor?: GPUDeviceDescriptor) => limit(await adapter.requestDevice(descriptor), limits),
      // Some bindings free a device with its adapter's object.
      adapter,
    } as unknown as GPUAdapter;
  };
  return async () => {
    const gpu = await find();
    if ("unavailable" in gpu) return gpu;
    return {
      requestAdapter: async (o?: GPURequestAdapterOptions) => limitAdapter(await gpu.requestAdapter(o)),
      gpu,
    } as never;
  };
}

function limitedHost(host: DeviceHost, limits: SmallLimits): DeviceHost {
  const suffix = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
  const { spawnGpuWorker } = host;
  return {
    ...host,
    gpu: limited(async () => (await host.gpu?.()) ?? { unavailable: "there is none" }, limits),
    ...(spawnGpuWorker === undefined
      ? {}
      : {
          spawnGpuWorker: (_entry, data) =>
            spawnGpuWorker(new URL(`./limited_worker${suffix}`, import.meta.url), { ...(data as object), limits }),
        }),
  };
}

/** The plugin of the device, with small limits. */
export function limitedWebGpu(limits: SmallLimits): Plugin {
  const [spec] = webgpuPlugin.devices ?? [];
  return {
    ...webgpuPlugin,
    devices: [{ ...spec, open: (host, options) => spec.open(limitedHost(host, limits), options) }],
  };
}

export async function openLimited(limits: SmallLimits): Promise<Device> {
  const [spec] = limitedWebGpu(limits).devices ?? [];
  return spec.open(deviceHost(await detectHost()), {});
}
