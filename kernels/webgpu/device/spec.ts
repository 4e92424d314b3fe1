/** What the plugin says of its device: whether it is there, and how it is opened. */
import type {
  Capabilities,
  Device,
  DeviceHost,
  DeviceSpec,
  OpenOptions,
  Unavailable,
} from "../../../runtime/abi/device.ts";
import { FoveaError } from "../../../runtime/core/diagnostics.ts";
import { openGpuDevice } from "./adapter.ts";
import { CORE_TARGET, MATRIX_TARGET, WEBGPU_TARGETS, webgpuCapabilities } from "./capabilities.ts";
import { WebGpuDevice } from "./device.ts";
import { WorkerDevice } from "./worker_device.ts";

const KIND = "webgpu";

const gpuOf =
  ({ gpu }: DeviceHost): (() => Promise<GPU | Unavailable>) =>
  async () =>
    ((await gpu?.()) as GPU | Unavailable | undefined) ?? { unavailable: "this host has no WebGPU" };

const unavailable = (found: Unavailable): FoveaError =>
  new FoveaError("device_unavailable", `The device "webgpu" is not available: ${found.unavailable}.`);

async function probe(
  host: DeviceHost,
): Promise<{ readonly target: string; readonly capabilities: Capabilities } | Unavailable> {
  try {
    const opened = await openGpuDevice(gpuOf(host), host.experimentalGpu);
    if ("unavailable" in opened) return opened;
    opened.gpu.destroy();
    const target = opened.matrices ? MATRIX_TARGET : CORE_TARGET;
    return { target, capabilities: { ...webgpuCapabilities(target), ...opened.capabilities } };
  } catch (error) {
    return {
      unavailable: `the adapter could not be opened: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

/** @throws FoveaError `unknown_target`, `device_unavailable`, `invalid_options` */
async function open(host: DeviceHost, options: OpenOptions): Promise<Device> {
  const target = options.target ?? CORE_TARGET;
  webgpuCapabilities(target);
  if (options.threads !== undefined && options.threads !== 0) {
    const found = `found \`threads\` ${options.threads}, expected 0`;
    throw new FoveaError(
      "invalid_options",
      `The device "webgpu" computes on the adapter and has no workers; ${found}.`,
    );
  }
  const budget = options.memory ?? Number.MAX_SAFE_INTEGER;
  const { spawnGpuWorker, experimentalGpu } = host;
  if (spawnGpuWorker !== undefined) {
    const device = await WorkerDevice.open(spawnGpuWorker, target, budget);
    if (!("unavailable" in device)) return device;
    throw unavailable(device);
  }
  const opened = await openGpuDevice(gpuOf(host), experimentalGpu);
  if ("unavailable" in opened) throw unavailable(opened);
  if (target === MATRIX_TARGET && !opened.matrices) {
    opened.gpu.destroy();
    throw unavailable({
      unavailable: `its target "${target}" needs an adapter with subgroup matrices of 16 x 16 x 16 of f16, and webgpu: { unsafe: true }`,
    });
  }
  return new WebGpuDevice(opened, target, budget);
}

export const WEBGPU_DEVICE: DeviceSpec = {
  kind: KIND,
  targets: WEBGPU_TARGETS,
  probe,
  targetCapabilities: webgpuCapabilities,
  open,
  describeCode: (code) => new TextDecoder().decode(code).split("\n").slice(1),
};
