/** What authors of kernels share: growing a claim, walking views, expressions of one element. */
export * from "./axes.ts";
export * from "./epilogue.ts";
export * from "./expr.ts";
export * from "./grow.ts";
export * from "./operands.ts";
export * from "./product_form.ts";
