/** The plugin contract. */
export * from "./artifact.ts";
export * from "./config.ts";
export * from "./device.ts";
export * from "./encoder.ts";
export * from "./kernel.ts";
export * from "./plugin.ts";
