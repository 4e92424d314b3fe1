/** Choosing and opening a device among the plugins'. */
import type { Capabilities, Device, DeviceHost, DeviceSpec, OpenOptions } from "../abi/device.ts";
import type { Plugin } from "../abi/plugin.ts";
import { FoveaError } from "../core/diagnostics.ts";
import type { Host } from "../host/mod.ts";
import { didYouMean } from "./check.ts";

/** A device of this machine, or the reason why it is absent. */
export type DeviceReport =
  | {
      readonly kind: string;
      readonly target: string;
      readonly targets: readonly string[];
      readonly capabilities: Capabilities;
    }
  | { readonly kind: string; readonly unavailable: string };

/** What devices may use of the host. */
export function deviceHost(host: Host): DeviceHost {
  return {
    name: `${host.name} ${host.version}`,
    engine: host.engine,
    cores: host.cores,
    spawnWorker: (entry, data) => host.spawnWorker(entry, data),
    gpu: () => host.gpu(),
    gpuInWorker: host.gpuInWorker,
  };
}

const deviceSpecs = (plugins: readonly Plugin[]): readonly DeviceSpec[] => plugins.flatMap((p) => p.devices ?? []);

/** What a device finds on this machine, with the target that its tuning records name for the engine. */
async function probeDevice(spec: DeviceSpec, host: DeviceHost): ReturnType<DeviceSpec["probe"]> {
  const found = await spec.probe(host);
  if ("unavailable" in found) return found;
  const { engine = "" } = host;
  const record = spec.tuned?.find((r) => r.found === found.target && engine.startsWith(r.engine));
  return record === undefined ? found : { target: record.target, capabilities: spec.targetCapabilities(record.target) };
}

/** Probes every device. */
export async function reportDevices(plugins: readonly Plugin[], host: DeviceHost): Promise<readonly DeviceReport[]> {
  return Promise.all(
    deviceSpecs(plugins).map(async (spec): Promise<DeviceReport> => {
      const found = await probeDevice(spec, host);
      return "unavailable" in found
        ? { kind: spec.kind, unavailable: found.unavailable }
        : { kind: spec.kind, targets: spec.targets, ...found };
    }),
  );
}

/** @throws FoveaError `unknown_device` that lists what there is */
export function findDevice(kind: string, plugins: readonly Plugin[]): DeviceSpec {
  const specs = deviceSpecs(plugins);
  const spec = specs.find((s) => s.kind === kind);
  if (spec !== undefined) return spec;
  const kinds = specs.map((s) => s.kind);
  throw new FoveaError(
    "unknown_device",
    `No plugin brings a device "${kind}"; there are ${kinds.join(", ") || "none"}.${didYouMean(kind, kinds)}`,
  );
}

interface Packed {
  readonly device: string;
  readonly target: string;
}

/**
 * The target to open a device for where packs hold nothing for its own choice: the best of theirs that this machine can use.
 * @throws FoveaError `unknown_device`
 */
async function packedTarget(
  kind: string,
  plugins: readonly Plugin[],
  host: DeviceHost,
  packed: readonly Packed[],
): Promise<string | undefined> {
  const spec = findDevice(kind, plugins);
  const names = new Set(packed.filter(({ device }) => device === kind).map(({ target }) => target));
  if (names.size === 0) return undefined;
  const own = await probeDevice(spec, host);
  if ("unavailable" in own || names.has(own.target)) return undefined;
  return spec.targets.find((name) => names.has(name) && spec.targetProblem?.(name) === undefined);
}

/**
 * Opens the first of several kinds that is available, for the target of the options or else one that the packs hold.
 * @throws FoveaError `unknown_device`, `device_unavailable` with each reason, and what the device's `open` throws
 */
export async function openFirst(
  kinds: readonly string[],
  plugins: readonly Plugin[],
  host: DeviceHost,
  options: OpenOptions,
  packed: readonly Packed[],
): Promise<Device> {
  const reasons: FoveaError[] = [];
  for (const kind of kinds) findDevice(kind, plugins);
  for (const kind of kinds) {
    try {
      const target = options.target ?? (await packedTarget(kind, plugins, host, packed));
      return await openDevice(kind, plugins, host, { ...options, ...(target === undefined ? {} : { target }) });
    } catch (error) {
      if (!(error instanceof FoveaError) || error.code !== "device_unavailable") throw error;
      reasons.push(error);
    }
  }
  if (reasons.length === 1) throw reasons[0];
  throw new FoveaError("device_unavailable", reasons.map((r) => r.message).join(" "));
}

/** @throws FoveaError `unknown_device`, `device_unavailable`, and what the device's `open` throws */
export async function openDevice(
  kind: string,
  plugins: readonly Plugin[],
  host: DeviceHost,
  options: OpenOptions,
): Promise<Device> {
  const spec = findDevice(kind, plugins);
  const probed = await probeDevice(spec, host);
  if ("unavailable" in probed)
    throw new FoveaError("device_unavailable", `The device "${kind}" is not available: ${probed.unavailable}.`);
  return spec.open(host, { target: probed.target, ...options });
}
