/**
 * Graph blocks that encoders share. Weight names are relative to the component's instance and begin with the `prefix`
 * argument, which ends with its dot.
 * @module
 */
export * from "./activation.ts";
export * from "./convolution_1d.ts";
export * from "./feature_projector.ts";
export * from "./gated_mlp.ts";
export * from "./glu_mlp.ts";
export * from "./layer_scale.ts";
export * from "./linear.ts";
export * from "./mlp.ts";
export * from "./patch_embedding.ts";
export * from "./pixel_product.ts";
export * from "./pixel_shuffle.ts";
export * from "./pixels.ts";
export * from "./resized_positions.ts";
export * from "./rms_norm.ts";
export * from "./rotary_grid.ts";
export * from "./rotary_table.ts";
export * from "./self_attention.ts";
export * from "./sentence_pooling.ts";
export * from "./transformer_block.ts";
