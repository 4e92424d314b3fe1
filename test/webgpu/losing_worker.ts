/** The worker that a device lives in, with a hook that destroys the adapter's device under it. */
import { start as startDevice } from "../../kernels/webgpu/device/device_worker.ts";
import type { WorkerPort } from "../../kernels/webgpu/device/worker_protocol.ts";
import { recording } from "./losable_kit.ts";

export async function start(port: WorkerPort): Promise<void> {
  const { gpu, destroyLast } = recording(() => port.gpu());
  await startDevice({
    data: port.data,
    postMessage: (message) => port.postMessage(message),
    gpu,
    ...(port.mapsEarly === undefined ? {} : { mapsEarly: port.mapsEarly }),
    onMessage: (listener) =>
      port.onMessage((message) => {
        if ((message as { readonly type: string }).type === "lose") void destroyLast();
        else listener(message);
      }),
  });
}
