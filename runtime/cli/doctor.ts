/** `fovea doctor`: what this machine offers. */
import { Command } from "commander";
import { VERSION } from "../core/version.ts";
import { detectHost } from "../host/mod.ts";
import { type DeviceReport, probeDevices } from "../session.ts";
import { environmentOf } from "./environment.ts";
import { nonEmpty } from "./options.ts";
import { table } from "./table.ts";
import { print, printJson } from "./terminal.ts";

export function doctorCommand(): Command {
  return new Command("doctor")
    .description("Show the runtime, its engine, and each device or the reason why it is absent.")
    .option("--json", "print one JSON document on stdout and nothing else")
    .option("--cache <folder>", "the cache whose measurements count (also FOVEA_CACHE_DIR)", nonEmpty("a folder"))
    .option("--verbose", "stack traces with errors")
    .addHelpText("after", "\nExamples:\n  fovea doctor\n  fovea doctor --json")
    .action(async (options: { json?: boolean; cache?: string }) => {
      const host = await detectHost();
      const cacheDir = options.cache ?? host.defaultCacheDir() ?? null;
      const devices = await probeDevices(undefined, cacheDir ?? false);
      if (options.json === true) {
        const { name: runtime, version, engine, cores } = host;
        const environment = environmentOf(host);
        printJson({ fovea: VERSION, runtime, version, engine, cores, cacheDir, environment, devices });
        return;
      }
      print(`fovea ${VERSION} on ${host.name} ${host.version} (${host.engine}), ${host.cores} cores`);
      print(`cache: ${cacheDir ?? "none (no folder is known or permitted)"}`);
      const set = Object.entries(environmentOf(host)).flatMap(([name, value]) =>
        value === null ? [] : [`${name}=${value}`],
      );
      print(
        `environment: ${set.join(" ") || "none of FOVEA_CACHE_DIR, FOVEA_COMPILE, FOVEA_LOG is set or permitted"}\n`,
      );
      const rows = devices.map((d) =>
        "unavailable" in d
          ? [d.kind, "absent", d.unavailable]
          : [d.kind, targetText(d), capabilityText(d.capabilities)],
      );
      print(table(["device", "target", "capabilities"], rows));
      print(handoverText(devices));
    });
}

/** Whether `--device webgpu,wasm --handover` can be asked for here. */
function handoverText(devices: readonly DeviceReport[]): string {
  const absent = devices.find((d) => ["webgpu", "wasm"].includes(d.kind) && "unavailable" in d);
  return absent === undefined
    ? "\nhandover: encoders can answer on wasm until webgpu is ready (--device webgpu,wasm --handover)"
    : `\nhandover: none here, for ${absent.kind} is absent`;
}

function targetText({ target, chosen, found }: Extract<DeviceReport, { target: string }>): string {
  if (chosen === "probe") return target;
  return chosen === "measured" ? `${target} (measured here)` : `${target} (faster than ${found} on this engine)`;
}

function capabilityText(capabilities: Readonly<Record<string, unknown>>): string {
  return Object.entries(capabilities)
    .map(([name, value]) =>
      value === true
        ? name
        : `${name}=${typeof value === "number" && value >= 1e6 ? value.toExponential(0) : String(value)}`,
    )
    .join(" ");
}
