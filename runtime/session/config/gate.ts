/** The encoder's own word on whether a component is compiled. */
import type { ComponentSpec } from "../../abi/encoder.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import type { Place } from "../artifacts/places.ts";
import { foundText } from "../check.ts";
import type { ComponentSettings } from "./settings.ts";

/**
 * Settings with the component's gate applied: a reason switches compiling off.
 * @throws FoveaError `invalid_plugin` for an answer that is neither true nor a reason
 */
export function gated(
  spec: ComponentSpec,
  settings: ComponentSettings,
  { target, capabilities }: Pick<Place, "target" | "capabilities">,
): ComponentSettings {
  if (spec.enableIf === undefined || !settings.enabled.value) return settings;
  const { device, dtype, ranges, lazy, maxArtifacts } = settings;
  const config = {
    device: device.value,
    target,
    dtype: dtype.value,
    ranges: ranges.value,
    lazy: lazy.value,
    maxArtifacts: maxArtifacts.value,
  };
  const answer: unknown = spec.enableIf(config, capabilities);
  if (answer === true) return settings;
  if (typeof answer !== "string" || answer === "") {
    throw new FoveaError(
      "invalid_plugin",
      `\`enableIf\` of component "${spec.tag}" answered ${foundText(answer)}; expected true, or the reason why it is not compiled.`,
    );
  }
  return { ...settings, enabled: { value: false, from: `enableIf: ${answer}` } };
}
