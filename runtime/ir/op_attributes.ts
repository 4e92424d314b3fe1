/** What attributes built-in ops have: for whoever names them without making a node, such as descriptions of kernels. */
import type { OpName } from "./ops.ts";

/** What an attribute's values are; a `number` may be an expression over symbols where it is a size. */
export type AttributeKind = "number" | "boolean" | "text" | "list";

type Kinds = Readonly<Record<string, AttributeKind>>;

const NONE: Kinds = {};
const AXIS: Kinds = { axis: "number" };
const SHAPE: Kinds = { shape: "list" };
const DTYPE: Kinds = { dtype: "text" };
const EPS: Kinds = { eps: "number" };
const TENSOR: Kinds = { name: "text", ...SHAPE, ...DTYPE };
const NARROW: Kinds = { narrow: "boolean" };

/** Kinds by attribute, by op. */
export const OP_ATTRIBUTES: Readonly<Record<OpName, Kinds>> = {
  input: TENSOR,
  weight: TENSOR,
  constant: { value: "number" },
  neg: NONE,
  abs: NONE,
  exp: NONE,
  log: NONE,
  sqrt: NONE,
  rsqrt: NONE,
  tanh: NONE,
  erf: NONE,
  sigmoid: NONE,
  relu: NONE,
  gelu: NONE,
  gelu_tanh: NONE,
  quick_gelu: NONE,
  silu: NONE,
  add: NONE,
  sub: NONE,
  mul: NONE,
  div: NONE,
  max: NONE,
  min: NONE,
  lt: NONE,
  le: NONE,
  eq: NONE,
  where: NONE,
  cast: DTYPE,
  narrow: NONE,
  reshape: SHAPE,
  transpose: { perm: "list" },
  slice: { ...AXIS, start: "number", end: "number" },
  broadcast_to: SHAPE,
  widen: NONE,
  windows: { ...AXIS, size: "number", step: "number" },
  contiguous: NONE,
  reduce_sum: NONE,
  reduce_mean: NONE,
  reduce_max: NONE,
  layer_norm: EPS,
  rms_norm: EPS,
  softmax: NONE,
  l2_normalize: NONE,
  matmul: { transpose_b: "boolean" },
  attention: {
    ...{ scale: "number", causal: "boolean", key_mask: "boolean", segments: "boolean" },
    ...{ longest_segment: "number", window: "number" },
  },
  quantized_matmul: { scaled: "boolean" },
  channel_scales: NONE,
  gather: NONE,
  take_row: NONE,
  rotary: { interleaved: "boolean" },
  patchify: { patch_height: "number", patch_width: "number" },
  concat: AXIS,
  stored_as: DTYPE,
  resample_columns: NARROW,
  resample_rows: NARROW,
};
