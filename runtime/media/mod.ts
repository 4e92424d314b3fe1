/**
 * Pixels, audio features and tokens: what processors of encoder plugins share.
 * @module
 */
export * from "./audio/clip.ts";
export * from "./audio/log_mel.ts";
export * from "./audio/resample.ts";
export * from "./image.ts";
export * from "./image_processor.ts";
export * from "./interpolation.ts";
export * from "./pixel_cut.ts";
export * from "./pixels.ts";
export * from "./resize.ts";
export * from "./token_inputs.ts";
export * from "./tokens.ts";
