/**
 * Graph blocks that encoders share. Weight names are relative to the component's instance and begin with the `prefix`
 * argument, which ends with its dot.
 */
export * from "./activation.ts";
export * from "./linear.ts";
export * from "./mlp.ts";
export * from "./patch_embedding.ts";
export * from "./self_attention.ts";
export * from "./transformer_block.ts";
