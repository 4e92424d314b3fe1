/** Where components are compiled for and run: devices, opened when first needed, and the targets of each. */
import type { Capabilities, Device, DeviceHost, DeviceSpec, ReopenableDevice } from "../../abi/device.ts";
import type { KernelSpec } from "../../abi/kernel.ts";
import type { Plugin } from "../../abi/plugin.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import type { ComponentSettings, Home } from "../config/settings.ts";
import { findDevice, openDevice } from "./devices.ts";
import { pluginKernel } from "./plugin_kernel.ts";

/** Everything that a compile for a target depends on. */
export interface CompileTarget {
  readonly target: string;
  /** What code for the target may use. */
  readonly capabilities: Capabilities;
  readonly kernels: readonly KernelSpec[];
  /** `name@version+revision` of every plugin that may claim. */
  readonly plugins: readonly string[];
  /** Capabilities that kernels may read: they alone decide about a cache hit. */
  readonly reads: Capabilities;
}

/** A target of an open device. */
export interface Place extends CompileTarget {
  readonly device: Device;
}

export interface Places {
  readonly home: Home;
  /**
   * The place that settings name; opens its device on the first call.
   * @throws FoveaError `unknown_device`, `device_unavailable`, `unknown_target`, `unsupported_target`; `closed` for a device
   * that was not open when they were closed
   */
  find(settings: Pick<ComponentSettings, "device" | "target">): Promise<Place>;
  /** Devices beside the runtime's own that components are placed on, by kind. */
  readonly others: ReadonlyMap<string, ReopenableDevice>;
  /** Closes the others, and those that are being opened; the runtime's own device is its owner's. */
  close(): Promise<void>;
}

const pluginIdentity = (p: Plugin): string =>
  `${p.name}@${p.version}${p.revision === undefined ? "" : `+${p.revision}`}`;

/** Read by the compiler itself: how rows are cut into blocks. */
const COMPILER_READS = ["blockBytes"];

function pick(capabilities: Capabilities, kernels: readonly KernelSpec[]): Capabilities {
  const names = new Set([...COMPILER_READS, ...kernels.flatMap((k) => k.reads)]);
  return Object.fromEntries(
    [...names]
      .sort()
      .filter((n) => n in capabilities)
      .map((n) => [n, capabilities[n]]),
  );
}

/** Kernels of one device; each name stands for one. @throws FoveaError `invalid_plugin` */
function kernelsOf(plugins: readonly Plugin[], device: string): readonly KernelSpec[] {
  const owner = new Map<string, string>();
  return plugins.flatMap((plugin) =>
    (plugin.kernels ?? [])
      .filter((k) => k.device === device)
      .map((kernel) => {
        const other = owner.get(kernel.name);
        if (other !== undefined) {
          throw new FoveaError(
            "invalid_plugin",
            `The plugins "${other}" and "${plugin.name}" both bring a kernel "${kernel.name}" for the device "${device}"; rename one, since kernels are told apart by their names.`,
          );
        }
        owner.set(kernel.name, plugin.name);
        return pluginKernel(plugin.name, kernel);
      }),
  );
}

/** What compiling for a target takes, wherever that is. @throws FoveaError `invalid_plugin` */
export function compileTarget(
  plugins: readonly Plugin[],
  device: string,
  target: string,
  capabilities: Capabilities,
): CompileTarget {
  const kernels = kernelsOf(plugins, device);
  return {
    target,
    capabilities,
    kernels,
    plugins: plugins
      .filter((p) => p.kernels?.some((k) => k.device === device) || p.ops !== undefined)
      .map(pluginIdentity),
    reads: pick(capabilities, kernels),
  };
}

/** Closes devices, each whatever becomes of the others. @throws what closing the first of those that failed throws */
export async function closeAll(devices: readonly Pick<Device, "close">[]): Promise<void> {
  const closed = await Promise.allSettled(devices.map((device) => device.close()));
  for (const one of closed) if (one.status === "rejected") throw one.reason;
}

export interface PlacesOptions {
  /** The runtime's own device. */
  readonly device: Device;
  /** Open as well. */
  readonly beside?: readonly ReopenableDevice[];
  readonly plugins: readonly Plugin[];
  readonly host: DeviceHost;
}

export function createPlaces({ device: own, beside = [], plugins, host }: PlacesOptions): Places {
  const home: Home = { device: own.kind, target: own.target };
  const others = new Map(beside.map((device) => [device.kind, device]));
  const opening = new Map<string, Promise<Device>>(beside.map((device) => [device.kind, Promise.resolve(device)]));
  const known = new Map<string, Place>();

  let closed = false;
  const open = async (kind: string): Promise<Device> => {
    if (kind === own.kind) return own;
    if (closed)
      throw new FoveaError("closed", `The device "${kind}" is not opened any more: its runtime was closed meanwhile.`);
    const device = await openDevice(kind, plugins, host, {});
    others.set(kind, device);
    return device;
  };

  const opened = (kind: string): Promise<Device> => {
    const pending = opening.get(kind);
    if (pending !== undefined) return pending;
    const made = open(kind);
    opening.set(kind, made);
    made.catch(() => opening.delete(kind));
    return made;
  };

  const make = (device: Device, target: string, spec: DeviceSpec): Place => {
    const capabilities = target === device.target ? device.capabilities : spec.targetCapabilities(target);
    const problem = target === device.target ? undefined : spec.targetProblem?.(target);
    if (problem !== undefined) {
      throw new FoveaError("unsupported_target", `The target "${target}" cannot be used here: ${problem}.`);
    }
    return { device, ...compileTarget(plugins, device.kind, target, capabilities) };
  };

  const placeKey = (device: Device, target: string): string => JSON.stringify([device.kind, target]);
  // What the plugins got wrong for the runtime's own device is told at once.
  known.set(placeKey(own, own.target), make(own, own.target, findDevice(own.kind, plugins)));

  return {
    home,
    others,
    find: async (settings) => {
      const { device: kind, target } = settings;
      try {
        const device = await opened(kind.value);
        const name = target.value ?? device.target;
        const key = placeKey(device, name);
        const place = known.get(key) ?? make(device, name, findDevice(device.kind, plugins));
        known.set(key, place);
        return place;
      } catch (error) {
        if (!(error instanceof FoveaError)) throw error;
        const from = error.code.endsWith("_target") ? target.from : kind.from;
        throw new FoveaError(error.code, `${error.message} It was asked for by ${from}.`, { cause: error });
      }
    },
    close: async () => {
      closed = true;
      await Promise.allSettled(opening.values());
      await closeAll([...others.values()]);
    },
  };
}
