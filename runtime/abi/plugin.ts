/** The one shape of every plugin. */
import { FoveaError } from "../core/diagnostics.ts";
import type { OpRow } from "../ir/node.ts";
import type { DeviceSpec } from "./device.ts";
import type { EncoderSpec } from "./encoder.ts";
import type { ImageSpec } from "./image.ts";
import type { KernelSpec } from "./kernel.ts";
import type { GlueLinks } from "./transpiled.ts";

/** Version of this contract. A plugin states the one it was written for. */
export const ABI_VERSION = 1;

/**
 * What a package brings: devices, kernels, encoders, ops, and work on whole pictures. Plain data; it is registered by being listed
 * in `createRuntime({ plugins })`.
 */
export interface Plugin {
  /** Name of the package, such as `@acme/fast-norm`; a runtime takes one plugin of a name. */
  readonly name: string;
  /** Semantic version. Where there are kernels or ops, another version compiles anew: it is part of request digests. */
  readonly version: string;
  /** {@link ABI_VERSION} that it was written for. */
  readonly abi: number;
  /** Changes whenever generated code may change, such as a digest of the sources; part of request digests. */
  readonly revision?: string;
  /** Kinds of devices, each once. */
  readonly devices?: readonly DeviceSpec[];
  /** Kernels, for its own devices or others', each name once. */
  readonly kernels?: readonly KernelSpec[];
  /** Encoder families, each name once. */
  readonly encoders?: readonly EncoderSpec[];
  /** More ops for graphs, by names that no other op has. */
  readonly ops?: Readonly<Record<string, OpRow>>;
  /** Work on whole pictures: decoding more formats, resizing. */
  readonly images?: readonly ImageSpec[];
  /** Glue of components that was imported with the plugin, for the threads that load it. */
  readonly links?: GlueLinks;
}

/**
 * Checks and freezes a plugin: its name, version and `abi`, and that it offers no kernel, device or encoder twice.
 * @throws FoveaError `invalid_plugin` with what is wrong, `unsupported_abi` with both versions
 */
export function definePlugin(plugin: Plugin): Plugin {
  const problem = (text: string): never => {
    throw new FoveaError("invalid_plugin", `Plugin "${String(plugin.name)}" cannot be used: ${text}`);
  };
  if (typeof plugin.name !== "string" || plugin.name === "") problem("it needs a name.");
  if (!/^\d+\.\d+\.\d+/.test(plugin.version)) problem(`its version must be semantic, found "${plugin.version}".`);
  if (plugin.abi !== ABI_VERSION) {
    throw new FoveaError(
      "unsupported_abi",
      `Plugin "${plugin.name}" was written for abi ${plugin.abi}; this fovea speaks abi ${ABI_VERSION}. Install a matching version of the plugin.`,
    );
  }
  const twice = (what: string, names: readonly string[]): void => {
    const again = names.find((n, i) => names.indexOf(n) !== i);
    if (again !== undefined) problem(`it offers the ${what} "${again}" twice.`);
  };
  twice(
    "kernel",
    (plugin.kernels ?? []).map((k) => k.name),
  );
  twice(
    "device",
    (plugin.devices ?? []).map((d) => d.kind),
  );
  twice(
    "encoder",
    (plugin.encoders ?? []).map((e) => e.name),
  );
  return Object.freeze({ ...plugin });
}
