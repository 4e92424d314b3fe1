/** What code for a target may rely on, and the figures that the cover's roofline starts from. */
import type { Capabilities } from "../../../runtime/abi/device.ts";
import { FoveaError } from "../../../runtime/core/diagnostics.ts";

export const CORE_TARGET = "webgpu-core";

/** With subgroup matrices, spelled as the capability says. */
export const MATRIX_TARGET = "webgpu-matrix";

/**
 * `webgpu-core` needs nothing beside WebGPU's defaults. The figures are those of a card of 2026 whose shader compiler guards
 * every index; `launchSeconds` is what a dispatch costs inside a pass, `halves` says that kernels read and write values of f16.
 */
const CORE: Capabilities = { flopsPerSecond: 5e12, bytesPerSecond: 1e12, launchSeconds: 5e-6, halves: true };

const TARGETS: Readonly<Record<string, Capabilities>> = {
  [CORE_TARGET]: CORE,
  [MATRIX_TARGET]: { ...CORE, subgroupMatrix: "chromium" },
};

/** Target names that can be pinned. */
export const WEBGPU_TARGETS: readonly string[] = Object.keys(TARGETS);

/** Adapters that compute on the processor, by what they call themselves. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|software|basic render/i;

/** What a probe adds to a target's capabilities: the adapter's own words, and `software` where it is none of a card. */
export function adapterCapabilities({ info }: GPUAdapter): Capabilities {
  const names = [info.vendor, info.architecture, info.device, info.description];
  const adapter = names.filter((name) => name !== "").join(", ") || "without a name";
  return { adapter, ...(names.some((name) => SOFTWARE.test(name)) ? { software: true } : {}) };
}

/** @throws FoveaError `unknown_target` that lists the known names. */
export function webgpuCapabilities(target: string): Capabilities {
  const found = Object.hasOwn(TARGETS, target) ? TARGETS[target] : undefined;
  if (found !== undefined) return found;
  throw new FoveaError(
    "unknown_target",
    `The device "webgpu" has no target "${target}"; expected one of ${WEBGPU_TARGETS.join(", ")}.`,
  );
}
