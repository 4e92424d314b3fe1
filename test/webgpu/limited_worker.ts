/** The worker that a device lives in, whose adapter has small limits. */
import { start as startDevice } from "../../kernels/webgpu/device/device_worker.ts";
import type { WorkerPort } from "../../kernels/webgpu/device/worker_protocol.ts";
import { limited, type SmallLimits } from "./limited_kit.ts";

export async function start(port: WorkerPort): Promise<void> {
  const { limits } = port.data as { readonly limits: SmallLimits };
  await startDevice({
    data: port.data,
    postMessage: (message) => port.postMessage(message),
    onMessage: (listener) => port.onMessage(listener),
    ...(port.mapsEarly === undefined ? {} : { mapsEarly: port.mapsEarly }),
    gpu: limited(() => port.gpu(), limits),
  });
}
