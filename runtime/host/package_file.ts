/** Files inside installed dependencies. */
import { FoveaError } from "../core/diagnostics.ts";

/** @throws FoveaError `package.missing` when the package or the file in it is not installed. */
export function packageFileUrl(specifier: string): URL {
  try {
    return new URL(import.meta.resolve(specifier));
  } catch (cause) {
    throw new FoveaError(
      "package.missing",
      `Cannot find ${specifier} among the installed packages. Install fovea's dependencies again (npm install).`,
      { cause },
    );
  }
}
