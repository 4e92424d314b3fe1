/** Options about devices that depend on each other. */
import { FoveaError } from "../core/diagnostics.ts";
import type { RuntimeOptions } from "./options.ts";

type DeviceOptions = Pick<RuntimeOptions, "device" | "handover" | "target" | "relaxed">;

const invalid = (message: string): FoveaError => new FoveaError("invalid_options", message);

/** @throws FoveaError `invalid_options` */
function checkHandover({ device = "wasm", handover = false }: DeviceOptions): void {
  if (!handover) return;
  const kinds = typeof device === "string" ? [device] : device;
  if (kinds.length === 2 && kinds[0] !== kinds[1]) return;
  throw invalid(
    `createRuntime's \`handover\` needs two devices, the one to end on and the one that answers until it is ready, such as device: ["webgpu", "wasm"]; found ${JSON.stringify(device)}.`,
  );
}

/** Its tiles and parts of K are fixed, and it has no fused or relaxed instructions. */
const EXACT = "wasm-simd128";

/** The target that is asked for, if any. @throws FoveaError `invalid_options` */
export function wantedTarget({ device = "wasm", target, relaxed }: DeviceOptions): string | undefined {
  if (relaxed !== false) return target;
  const isWasm = device === "wasm" || (Array.isArray(device) && device.length === 1 && device[0] === "wasm");
  if (!isWasm) {
    throw invalid(
      `createRuntime's \`relaxed: false\` is for the device "wasm", whose results then have the same bits everywhere; found device: ${JSON.stringify(device)}.`,
    );
  }
  if (target === undefined || target === EXACT) return EXACT;
  throw invalid(
    `createRuntime's \`relaxed: false\` is target "${EXACT}", and \`target\` is "${target}"; give one of them.`,
  );
}

/** @throws FoveaError `invalid_options` */
export function checkDeviceOptions(options: DeviceOptions): void {
  checkHandover(options);
  wantedTarget(options);
}
