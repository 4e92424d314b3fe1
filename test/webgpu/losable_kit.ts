/** A device of WebGPU that tests can take away, in the caller's thread and in a worker. */
import { webgpuPlugin } from "../../kernels/webgpu/plugin.ts";
import type { Plugin } from "../../mod.ts";
import type { DeviceHost, Unavailable, WorkerHandle } from "../../runtime/abi/device.ts";

type FindGpu = () => Promise<GPU | Unavailable>;

/** A host's WebGPU that remembers its devices. */
export function recording(find: FindGpu): { readonly gpu: FindGpu; readonly destroyLast: () => Promise<void> } {
  const devices: GPUDevice[] = [];
  const watch = (adapter: GPUAdapter | null): GPUAdapter | null => {
    if (adapter === null) return null;
    return {
      ...{ features: adapter.features, limits: adapter.limits, info: adapter.info },
      requestDevice: async (descriptor?: GPUDeviceDescriptor) => {
        const device = await adapter.requestDevice(descriptor);
        devices.push(device);
        return device;
      },
      // Some bindings free a device with its adapter's object.
      adapter,
    } as unknown as GPUAdapter;
  };
  return {
    gpu: async () => {
      const gpu = await find();
      if ("unavailable" in gpu) return gpu;
      return {
        requestAdapter: async (o?: GPURequestAdapterOptions) => watch(await gpu.requestAdapter(o)),
        gpu,
      } as never;
    },
    destroyLast: async () => {
      const last = devices.at(-1);
      last?.destroy();
      await last?.lost;
    },
  };
}

export interface Losable {
  readonly plugin: Plugin;
  /** Destroys the adapter's device that was opened last. */
  lose(): Promise<void>;
  /** Ends the worker that it lives in, where there is one. @returns whether there was */
  endWorker(): Promise<boolean>;
  /** From now on there is no adapter, or there is one again. */
  setAbsent(absent: boolean): void;
}

export function losableWebGpu(): Losable {
  const [spec] = webgpuPlugin.devices ?? [];
  let lose: () => Promise<void> = async () => {};
  let worker: WorkerHandle | undefined;
  let absent = false;
  let onEnd: (reason: string) => void = () => {};
  const suffix = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
  const hosted = (host: DeviceHost): DeviceHost => {
    const { gpu, destroyLast } = recording(async () => (await host.gpu?.()) ?? { unavailable: "there is none" });
    lose = destroyLast;
    const { spawnGpuWorker } = host;
    if (spawnGpuWorker === undefined) return { ...host, gpu };
    return {
      ...host,
      gpu,
      spawnGpuWorker: (_entry, data) => {
        const spawned = spawnGpuWorker(new URL(`./losing_worker${suffix}`, import.meta.url), data);
        worker = spawned;
        lose = async () => spawned.postMessage({ type: "lose" });
        return {
          ...spawned,
          onEnd: (listener) => {
            onEnd = listener;
            spawned.onEnd(listener);
          },
        };
      },
    };
  };
  return {
    plugin: {
      ...webgpuPlugin,
      devices: [
        {
          ...spec,
          probe: async (host) => (absent ? { unavailable: "it was taken out" } : spec.probe(host)),
          open: (host, options) => spec.open(hosted(host), options),
        },
      ],
    },
    lose: () => lose(),
    endWorker: async () => {
      await worker?.terminate();
      onEnd("a test ended it");
      return worker !== undefined;
    },
    setAbsent: (value) => {
      absent = value;
    },
  };
}
