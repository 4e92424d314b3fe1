/** The plugin contract. */
export * from "./artifact.ts";
export * from "./claims/mod.ts";
export * from "./config.ts";
export * from "./device.ts";
export * from "./encoder.ts";
export * from "./inputs.ts";
export * from "./kernel.ts";
export * from "./pixels.ts";
export * from "./plans.ts";
export * from "./plugin.ts";
export * from "./sentence_config.ts";
export * from "./videos.ts";
