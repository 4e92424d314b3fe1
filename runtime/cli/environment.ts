/** The environment variables that steer fovea: read here, in options.ts and in the host, and nowhere else. */
import type { EnvironmentName, Host } from "../host/mod.ts";

/** All of them. Those of the hub are an address and a credential. */
export const STEERING: readonly EnvironmentName[] = ["FOVEA_CACHE_DIR", "FOVEA_COMPILE", "FOVEA_LOG"];

/** Their values, null where one is not set. */
export function environmentOf(host: Host): Readonly<Record<string, string | null>> {
  return Object.fromEntries(STEERING.map((name) => [name, host.env(name) ?? null]));
}
