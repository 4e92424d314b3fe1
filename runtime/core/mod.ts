/**
 * Dims, ranges, types of elements, digests, errors and exact math: what plugins share with the compiler.
 * @module
 */
export * from "./canonical_json.ts";
export * from "./compare.ts";
export * from "./diagnostics.ts";
export * from "./digest.ts";
export * from "./dim.ts";
export * from "./dim_data.ts";
export * from "./dtype.ts";
export * from "./fill.ts";
export * from "./half.ts";
export * from "./math.ts";
export * from "./pixel_cut.ts";
export * from "./random.ts";
export * from "./range.ts";
export * from "./relation.ts";
export * from "./source_place.ts";
export * from "./strides.ts";
export * from "./value_steps.ts";
