/** Choosing and opening a device among the plugins'. */
import type { Capabilities, DeviceHost, DeviceSpec, OpenOptions, ReopenableDevice } from "../../abi/device.ts";
import type { Plugin } from "../../abi/plugin.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import { openReopenable } from "../../exec/reopenable_device.ts";
import type { Host } from "../../host/mod.ts";
import { didYouMean } from "../check.ts";
import type { MeasuredTuning } from "./tuning.ts";

/** A device of this machine, or the reason why it is absent. */
export type DeviceReport =
  | {
      readonly kind: string;
      readonly target: string;
      /** What decided about the target. */
      readonly chosen: "probe" | "record" | "measured";
      /** Target that the probe found. */
      readonly found: string;
      readonly targets: readonly string[];
      readonly capabilities: Capabilities;
    }
  | { readonly kind: string; readonly unavailable: string };

/** What devices may use of the host. @param experimentalGpu with WebGPU's features that are no standard yet */
export function deviceHost(host: Host, experimentalGpu = false): DeviceHost {
  return {
    name: `${host.name} ${host.version}`,
    engine: host.engine,
    cores: host.cores,
    spawnWorker: (entry, data) => host.spawnWorker(entry, data),
    ...(host.unshared === undefined ? {} : { unshared: host.unshared }),
    gpu: () => host.gpu(experimentalGpu),
    ...(experimentalGpu ? { experimentalGpu } : {}),
    ...(host.spawnGpuWorker === undefined ? {} : { spawnGpuWorker: host.spawnGpuWorker }),
  };
}

const deviceSpecs = (plugins: readonly Plugin[]): readonly DeviceSpec[] => plugins.flatMap((p) => p.devices ?? []);

/** What was measured about a device on this machine. */
export type TuningSource = (device: string, engine: string) => Promise<MeasuredTuning | undefined>;

const untuned: TuningSource = async () => undefined;

/** What a probe finds; one that throws finds no device. */
async function probedBy(spec: DeviceSpec, host: DeviceHost): ReturnType<DeviceSpec["probe"]> {
  try {
    return await spec.probe(host);
  } catch (error) {
    return {
      unavailable: `its \`probe\` threw: ${(error instanceof Error ? error.message : String(error)).replace(/\.$/, "")}`,
    };
  }
}

/** What a device finds on this machine, with the target that was measured to be faster: here, or else by its own records. */
async function probeDevice(spec: DeviceSpec, host: DeviceHost, tuning: TuningSource): Promise<DeviceReport> {
  const { kind, targets } = spec;
  const probed = await probedBy(spec, host);
  if ("unavailable" in probed) return { kind, unavailable: probed.unavailable };
  const found = probed.target;
  const { engine = "" } = host;
  const measured = await tuning(kind, engine);
  // Another version of the plugin may find, offer and be able to run other targets.
  const holds =
    measured?.found === found &&
    targets.includes(measured.target) &&
    spec.targetProblem?.(measured.target) === undefined;
  const record = spec.tuned?.find((r) => r.found === found && engine.startsWith(r.engine));
  const by = holds ? measured : record;
  if (by === undefined) return { kind, targets, found, chosen: "probe", ...probed };
  const chosen = holds ? "measured" : "record";
  return { kind, targets, found, chosen, target: by.target, capabilities: spec.targetCapabilities(by.target) };
}

/** Probes every device. */
export async function reportDevices(
  plugins: readonly Plugin[],
  host: DeviceHost,
  tuning: TuningSource = untuned,
): Promise<readonly DeviceReport[]> {
  return Promise.all(deviceSpecs(plugins).map((spec) => probeDevice(spec, host, tuning)));
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
  tuning: TuningSource,
): Promise<string | undefined> {
  const spec = findDevice(kind, plugins);
  const names = new Set(packed.filter(({ device }) => device === kind).map(({ target }) => target));
  if (names.size === 0) return undefined;
  const own = await probeDevice(spec, host, tuning);
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
  tuning: TuningSource = untuned,
): Promise<ReopenableDevice> {
  const reasons: FoveaError[] = [];
  for (const kind of kinds) findDevice(kind, plugins);
  for (const kind of kinds) {
    try {
      const target = options.target ?? (await packedTarget(kind, plugins, host, packed, tuning));
      return await openDevice(kind, plugins, host, { ...options, ...(target === undefined ? {} : { target }) }, tuning);
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
  tuning: TuningSource = untuned,
): Promise<ReopenableDevice> {
  const spec = findDevice(kind, plugins);
  const links = new Map(plugins.flatMap((p) => [...(p.links ?? [])]));
  const linked = links.size === 0 ? {} : { links };
  let pinned: Pick<OpenOptions, "target"> = {};
  return openReopenable(async () => {
    const probed = await probeDevice(spec, host, tuning);
    if ("unavailable" in probed)
      throw new FoveaError("device_unavailable", `The device "${kind}" is not available: ${probed.unavailable}.`);
    const device = await spec.open(host, { target: probed.target, ...linked, ...options, ...pinned });
    // What was compiled is for the target that was found first.
    pinned = { target: device.target };
    return device;
  });
}
