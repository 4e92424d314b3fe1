/** What a list of plugins must agree on before a runtime uses it. */
import type { Plugin } from "../abi/plugin.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { isObject } from "./check.ts";

/** Whether a value looks like a plugin, made by whichever copy of the package. */
export const isPlugin = (value: unknown): value is Plugin =>
  isObject(value) && typeof value.abi === "number" && typeof value.name === "string";

/**
 * Refuses two plugins that serve one `model_type`: which one would run must not depend on their order.
 * @throws FoveaError `invalid_plugin` that names both
 */
export function checkPlugins(plugins: readonly Plugin[]): void {
  const owners = new Map<string, string>();
  for (const { name, encoders = [] } of plugins) {
    for (const encoder of encoders) {
      for (const modelType of encoder.modelTypes) {
        const owner = owners.get(modelType);
        if (owner !== undefined) {
          throw new FoveaError(
            "invalid_plugin",
            `The plugins "${owner}" and "${name}" both serve the model_type "${modelType}"; leave one of them out of \`plugins\`.`,
          );
        }
        owners.set(modelType, name);
      }
    }
  }
}
