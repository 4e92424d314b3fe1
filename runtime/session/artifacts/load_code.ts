/** Code of an artifact onto its device: a blob that the engine refuses is the failure of the kernel that emitted it. */
import type { CompiledArtifact } from "../../abi/artifact.ts";
import type { Device } from "../../abi/device.ts";
import { FoveaError, firstLine, KernelError } from "../../core/diagnostics.ts";

/** What an engine or a driver says of code is the cause of the device's error. */
const isRefusal = (error: unknown): error is FoveaError =>
  error instanceof FoveaError && error.code === "invalid_code" && error.cause instanceof Error;

/** @throws KernelError for code that the engine does not take; what else loading throws */
export async function loadCode(device: Device, { artifact, code }: CompiledArtifact): Promise<void> {
  try {
    await device.load(code);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    for (const [digest, blob] of code) {
      try {
        await device.load(new Map([[digest, blob]]));
      } catch (refused) {
        const step = artifact.steps.find((s) => s.code === digest);
        if (step === undefined || !isRefusal(refused)) throw refused;
        const why = firstLine((refused.cause as Error).message);
        throw new KernelError(
          device.kind,
          step.kernel,
          `the engine refused its code: ${why.replace(/\.$/, "")}`,
          refused,
        );
      }
    }
  }
}
