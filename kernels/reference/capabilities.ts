/** The one target of the reference device. */
import type { Capabilities } from "../../runtime/abi/device.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";

export const REFERENCE_TARGET = "reference";

/** Rough rates of one thread of plain JavaScript, for the cover's roofline. */
const CAPABILITIES: Capabilities = Object.freeze({
  flopsPerSecond: 5e8,
  bytesPerSecond: 5e8,
  launchSeconds: 1e-5,
});

/** @throws FoveaError `unknown_target` */
export function referenceCapabilities(target: string): Capabilities {
  if (target === REFERENCE_TARGET) return CAPABILITIES;
  throw new FoveaError(
    "unknown_target",
    `The device "reference" has no target "${target}"; expected "${REFERENCE_TARGET}".`,
  );
}
