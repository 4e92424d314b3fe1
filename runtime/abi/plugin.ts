/** The one shape of every plugin. */
import { FoveaError } from "../core/diagnostics.ts";
import type { OpRow } from "../ir/node.ts";
import type { DeviceSpec } from "./device.ts";
import type { EncoderSpec } from "./encoder.ts";
import type { GlueLinks } from "./glue.ts";
import type { ImageSpec } from "./image.ts";
import type { KernelSpec } from "./kernel.ts";

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

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown): boolean => typeof value === "string" && value !== "";
const areTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const isFunction = (value: unknown): boolean => typeof value === "function";

/** What entries of a list must have, each with what is expected there. */
type Wanted = Readonly<Record<string, readonly [holds: (value: unknown) => boolean, expected: string]>>;

const TEXT = [isText, "a text"] as const;
const TEXTS = [areTexts, "a list of texts"] as const;
const FUNCTION = [isFunction, "a function"] as const;

/** Lists of a plugin: what an entry is called, the field that tells entries apart, and what else they must have. */
const LISTS: Readonly<
  Record<"kernels" | "devices" | "encoders" | "images", readonly [what: string, key: string, wanted: Wanted]>
> = {
  kernels: ["kernel", "name", { device: TEXT, reads: TEXTS, claim: FUNCTION }],
  devices: ["device", "kind", { targets: TEXTS, probe: FUNCTION, targetCapabilities: FUNCTION, open: FUNCTION }],
  encoders: ["encoder", "name", { modelTypes: TEXTS, files: TEXTS, open: FUNCTION }],
  images: ["image", "name", {}],
};

/**
 * Whether a plugin is one: its name, version and `abi`, what each of its entries must have, and that it offers nothing twice.
 * @throws FoveaError `invalid_plugin` with what is wrong, `unsupported_abi` with both versions
 */
export function checkPlugin(plugin: Plugin): void {
  if (!isFields(plugin))
    throw new FoveaError(
      "invalid_plugin",
      "A plugin is an object such as { name, version, abi, kernels }; found none.",
    );
  const problem = (text: string): never => {
    throw new FoveaError("invalid_plugin", `Plugin "${String(plugin.name)}" cannot be used: ${text}`);
  };
  if (!isText(plugin.name)) problem("it needs a name.");
  if (typeof plugin.version !== "string" || !/^\d+\.\d+\.\d+/.test(plugin.version))
    problem(`its version must be semantic, found "${plugin.version}".`);
  if (typeof plugin.abi !== "number") problem(`its \`abi\` must be the number ${ABI_VERSION}.`);
  if (plugin.abi !== ABI_VERSION) {
    throw new FoveaError(
      "unsupported_abi",
      `Plugin "${plugin.name}" was written for abi ${plugin.abi}; this fovea speaks abi ${ABI_VERSION}. Install a matching version of the plugin.`,
    );
  }
  for (const [list, [what, key, wanted]] of Object.entries(LISTS)) {
    const given: unknown = plugin[list as keyof typeof LISTS];
    if (given === undefined) continue;
    const entries: readonly unknown[] = Array.isArray(given) ? given : problem(`its \`${list}\` is no list.`);
    const names = entries.map((entry, at): string => {
      const place = `${list}[${at}]`;
      if (!isFields(entry)) return problem(`its \`${place}\` is no ${what}.`);
      if (!isText(entry[key])) return problem(`its \`${place}\` needs a ${key}.`);
      const name = entry[key] as string;
      for (const [field, [holds, expected]] of Object.entries(wanted))
        if (!holds(entry[field])) problem(`its ${what} "${name}" has no \`${field}\` that is ${expected}.`);
      return name;
    });
    const again = names.find((n, i) => names.indexOf(n) !== i);
    if (again !== undefined) problem(`it offers the ${what} "${again}" twice.`);
  }
  if (plugin.ops !== undefined && !isFields(plugin.ops)) problem("its `ops` are no object of ops by name.");
}

/**
 * Checks and freezes a plugin: its name, version and `abi`, what each of its entries must have, and that it offers nothing twice.
 * @throws FoveaError `invalid_plugin` with what is wrong, `unsupported_abi` with both versions
 */
export function definePlugin(plugin: Plugin): Plugin {
  checkPlugin(plugin);
  return Object.freeze({ ...plugin });
}
