/** The op table: kinds (traits), shapes of results and expansions of every built-in op. */
import {
  type Dim,
  dimEquals,
  dimKey,
  floorDiv,
  mul,
  product,
  type Shape,
  shapeEquals,
  shapeText,
  sub,
} from "../core/dim.ts";
import type { DType } from "../core/dtype.ts";
import { expandRotary, gelu, geluTanh, layerNorm, rmsNorm, scalar } from "./expansions.ts";
import type { Node, OpRow, OpTable } from "./node.ts";
import { CHANNEL_SCALES, QUANTIZED_MATMUL } from "./quantization.ts";
import { resampling } from "./resampling.ts";
import { broadcastShapes, inferAttention, inferConcat, inferMatmul, inferRotary, inferWindows } from "./shapes.ts";

const FLOAT: DType = "f32";

/** Ops that work on every element alone. */
export type ElementwiseOp =
  | "neg"
  | "abs"
  | "exp"
  | "log"
  | "sqrt"
  | "rsqrt"
  | "tanh"
  | "erf"
  | "sigmoid"
  | "relu"
  | "gelu"
  | "gelu_tanh"
  | "quick_gelu"
  | "silu"
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "max"
  | "min"
  | "lt"
  | "le"
  | "eq"
  | "where"
  | "cast";

/** Every built-in op. */
export type OpName =
  | ElementwiseOp
  | "input"
  | "weight"
  | "constant"
  | "reshape"
  | "transpose"
  | "slice"
  | "broadcast_to"
  | "widen"
  | "windows"
  | "contiguous"
  | "reduce_sum"
  | "reduce_mean"
  | "reduce_max"
  | "layer_norm"
  | "rms_norm"
  | "softmax"
  | "l2_normalize"
  | "matmul"
  | "attention"
  | "quantized_matmul"
  | "channel_scales"
  | "gather"
  | "take_row"
  | "rotary"
  | "patchify"
  | "concat"
  | "stored_as"
  | "narrow"
  | "resample_columns"
  | "resample_rows";

const isFloat = (type: DType): boolean => /^b?f\d/.test(type);

/** Integers as f32, exactly up to 2^24. */
const CAST: OpRow = {
  kind: "elementwise",
  arity: [1, 1],
  infer: ([x], { dtype }) =>
    dtype === FLOAT && !isFloat(x.dtype)
      ? { shape: x.shape, dtype: FLOAT }
      : `it makes f32 of integers, found ${String(dtype)} of ${x.dtype}.`,
};

/** The f16 nearest to every f32. */
const NARROW: OpRow = {
  kind: "elementwise",
  arity: [1, 1],
  infer: ([x]) => (x.dtype === FLOAT ? { shape: x.shape, dtype: "f16" } : `it rounds f32 to f16, found ${x.dtype}.`),
};

function elementwise(arity: number, expand?: OpRow["expand"], result?: DType): OpRow {
  return {
    kind: "elementwise",
    arity: [arity, arity],
    infer: (inputs) => {
      // The condition of `where` may be of any type.
      const values = inputs.length === 3 ? inputs.slice(1) : inputs;
      if (values.some((n) => isFloat(n.dtype) !== isFloat(values[0].dtype)))
        return "its operands must be all floats or all integers.";
      const shape = broadcastShapes(inputs.map((n) => n.shape));
      if (typeof shape === "string") return shape;
      return { shape, dtype: result ?? inputs[inputs.length - 1].dtype };
    },
    ...(expand === undefined ? {} : { expand }),
  };
}

const isSize = (d: Dim): boolean => typeof d !== "number" || (Number.isSafeInteger(d) && d >= 0);

function sizesProblem(shape: Shape): string | undefined {
  return shape.every(isSize) ? undefined : `sizes must be whole and at least 0, found ${shapeText(shape)}.`;
}

function source(fixed: boolean): OpRow {
  return {
    kind: "source",
    arity: [0, 0],
    infer: (_, a) => {
      const shape = a.shape as Shape;
      if (fixed && shape.some((d) => typeof d !== "number"))
        return `"${String(a.name)}" must have constant sizes, found ${shapeText(shape)}.`;
      return sizesProblem(shape) ?? { shape, dtype: a.dtype as DType };
    },
  };
}

function view(infer: OpRow["infer"], keepsRows?: OpRow["keepsRows"]): OpRow {
  return { kind: "view", arity: [1, 1], infer, ...(keepsRows === undefined ? {} : { keepsRows }) };
}

const isMultiple = (d: Dim, multiple: number): boolean => typeof d === "number" && d % multiple === 0;

/** Of ops that read their first operand as f32 whether it is f16 or not. */
const READS_HALVES: Pick<OpRow, "halves"> = { halves: { operands: [0] } };

function lastAxis(inputs: readonly Node[]): Dim {
  const s = inputs[0].shape;
  return s[s.length - 1];
}

function normalization(parameters: number, expand: OpRow["expand"]): OpRow {
  return {
    kind: "normalization",
    arity: [1 + parameters, 1 + parameters],
    infer: (inputs) => {
      if (inputs[0].shape.length < 1) return "it needs at least one axis.";
      for (const p of inputs.slice(1)) {
        if (!shapeEquals(p.shape, [lastAxis(inputs)])) {
          return `its parameters must have shape [${dimKey(lastAxis(inputs))}], found ${shapeText(p.shape)}.`;
        }
      }
      return { shape: inputs[0].shape, dtype: FLOAT };
    },
    expand,
  };
}

function reduction(): OpRow {
  return {
    kind: "reduction",
    arity: [1, 1],
    infer: ([x]) =>
      x.shape.length === 0
        ? "a scalar has no axis to reduce."
        : { shape: [...x.shape.slice(0, -1), 1], dtype: x.dtype },
  };
}

const OPS: Readonly<Record<OpName, OpRow>> = {
  input: source(false),
  weight: source(true),
  constant: {
    kind: "source",
    arity: [0, 0],
    infer: (_, a) =>
      Number.isFinite(Math.fround(a.value as number))
        ? { shape: [], dtype: FLOAT }
        : `its value must be finite in f32, found ${String(a.value)}.`,
  },

  neg: elementwise(1),
  abs: elementwise(1),
  exp: elementwise(1),
  log: elementwise(1),
  sqrt: elementwise(1),
  rsqrt: elementwise(1),
  tanh: elementwise(1),
  erf: elementwise(1),
  sigmoid: elementwise(1),
  relu: elementwise(1, ([x], _, make) => make("max", [x, scalar(make, 0)])),
  gelu: elementwise(1, ([x], _, make) => gelu(make, x)),
  gelu_tanh: elementwise(1, ([x], _, make) => geluTanh(make, x)),
  quick_gelu: elementwise(1, ([x], _, make) =>
    make("mul", [x, make("sigmoid", [make("mul", [x, scalar(make, 1.702)])])]),
  ),
  silu: elementwise(1, ([x], _, make) => make("mul", [x, make("sigmoid", [x])])),
  add: elementwise(2),
  sub: elementwise(2),
  mul: elementwise(2),
  div: elementwise(2),
  max: elementwise(2),
  min: elementwise(2),
  lt: elementwise(2, undefined, FLOAT),
  le: elementwise(2, undefined, FLOAT),
  eq: elementwise(2, undefined, FLOAT),
  where: elementwise(3),
  cast: CAST,
  narrow: NARROW,

  reshape: view(
    ([x], a) => {
      const shape = a.shape as Shape;
      const problem = sizesProblem(shape);
      if (problem !== undefined) return problem;
      return dimEquals(product(x.shape), product(shape))
        ? { shape, dtype: x.dtype }
        : `${dimKey(product(x.shape))} elements cannot become ${shapeText(shape)}.`;
    },
    ({ shape }, multiple) => isMultiple(shape[shape.length - 1], multiple),
  ),
  transpose: view(
    ([x], a) => {
      const perm = a.perm as readonly number[];
      const valid = perm.length === x.shape.length && [...perm].sort((p, q) => p - q).every((p, i) => p === i);
      return valid
        ? { shape: perm.map((p) => x.shape[p]), dtype: x.dtype }
        : `[${perm.join(", ")}] is no order of its ${x.shape.length} axes.`;
    },
    ({ attributes, shape }) => (attributes.perm as readonly number[])[shape.length - 1] === shape.length - 1,
  ),
  slice: view(
    ([x], a) => {
      const axis = a.axis as number;
      if (axis < 0 || axis >= x.shape.length) return `axis ${axis} is outside of 0..${x.shape.length - 1}.`;
      const [start, end] = [a.start, a.end] as readonly Dim[];
      const size = sub(end, start);
      // What only some values of a symbol rule out is the builder's to find: it knows the intervals.
      if (![start, size, sub(x.shape[axis], end)].every(isSize))
        return `${dimKey(start)}..${dimKey(end)} does not lie inside of axis ${axis}, which has size ${dimKey(x.shape[axis])}.`;
      return { shape: x.shape.map((d, i) => (i === axis ? size : d)), dtype: x.dtype };
    },
    ({ attributes: { axis, start, end }, shape }, multiple) =>
      axis !== shape.length - 1 || [start, end].every((d) => isMultiple(d as Dim, multiple)),
  ),
  broadcast_to: view(
    ([x], a) => {
      const shape = a.shape as Shape;
      const problem = sizesProblem(shape);
      if (problem !== undefined) return problem;
      const both = broadcastShapes([x.shape, shape]);
      return typeof both !== "string" && shapeEquals(both, shape)
        ? { shape, dtype: x.dtype }
        : `${shapeText(x.shape)} does not broadcast to ${shapeText(shape)}.`;
    },
    ({ shape, inputs: [x] }) => dimEquals(shape[shape.length - 1], x.shape[x.shape.length - 1]),
  ),
  // f16 as f32, the same numbers: whoever reads it reads the f16.
  widen: view(([x]) =>
    x.dtype === "f16" ? { shape: x.shape, dtype: FLOAT } : `it reads f16 as f32, found ${x.dtype}.`,
  ),
  windows: view(inferWindows),
  contiguous: { kind: "assembly", arity: [1, 1], infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }) },

  reduce_sum: reduction(),
  reduce_mean: reduction(),
  reduce_max: reduction(),
  layer_norm: {
    ...normalization(2, (inputs, a, make) => layerNorm(make, inputs, a.eps as number)),
    ...READS_HALVES,
  },
  rms_norm: { ...normalization(1, (inputs, a, make) => rmsNorm(make, inputs, a.eps as number)), ...READS_HALVES },
  softmax: {
    ...normalization(0, ([x], _, make) => {
      const e = make("exp", [make("sub", [x, make("reduce_max", [x])])]);
      return make("div", [e, make("reduce_sum", [e])]);
    }),
    ...READS_HALVES,
  },
  l2_normalize: normalization(0, ([x], _, make) =>
    make("mul", [x, make("rsqrt", [make("reduce_sum", [make("mul", [x, x])])])]),
  ),

  matmul: {
    kind: "contraction",
    bulk: 1,
    rowWise: true,
    halves: { operands: [0, 1], gains: true },
    arity: [2, 2],
    infer: inferMatmul,
  },
  attention: {
    kind: "contraction",
    halves: { operands: [0, 1, 2], gains: true },
    arity: [3, 5],
    infer: inferAttention,
  },
  quantized_matmul: QUANTIZED_MATMUL,
  channel_scales: CHANNEL_SCALES,

  gather: {
    kind: "index",
    bulk: 0,
    arity: [2, 2],
    infer: ([table, at]) => {
      if (table.shape.length !== 2) return `the table must have two axes, found ${shapeText(table.shape)}.`;
      if (isFloat(at.dtype)) return `the indices must be integers, found ${at.dtype}.`;
      return { shape: [...at.shape, table.shape[1]], dtype: table.dtype };
    },
  },
  take_row: {
    kind: "index",
    arity: [2, 2],
    infer: ([x, at]) => {
      if (isFloat(at.dtype)) return `the indices must be integers, found ${at.dtype}.`;
      return x.shape.length === 3 && at.shape.length === 1 && dimEquals(x.shape[0], at.shape[0])
        ? { shape: [x.shape[0], x.shape[2]], dtype: x.dtype }
        : `it takes [batch, tokens, width] and indices [batch], found ${shapeText(x.shape)} and ${shapeText(at.shape)}.`;
    },
  },
  rotary: { kind: "assembly", arity: [3, 3], infer: inferRotary, expand: expandRotary, ...READS_HALVES },
  patchify: {
    kind: "assembly",
    arity: [1, 1],
    infer: ([x], a) => {
      if (x.shape.length !== 4) return `it takes [batch, channels, height, width], found ${shapeText(x.shape)}.`;
      const [b, c, h, w] = x.shape;
      const [ph, pw] = [a.patch_height as number, a.patch_width as number];
      if (![ph, pw].every((p) => Number.isSafeInteger(p) && p > 0))
        return `patches must have whole sides of at least 1, found ${ph} x ${pw}.`;
      return { shape: [b, mul(floorDiv(h, ph), floorDiv(w, pw)), mul(c, ph * pw)], dtype: x.dtype };
    },
  },
  concat: { kind: "assembly", arity: [1, 64], infer: inferConcat },
  // The nearest f16 or bf16 of every number, as f32: kernels may keep two bytes for each.
  stored_as: {
    kind: "assembly",
    arity: [1, 1],
    infer: ([x], { dtype }) => {
      if (x.dtype !== FLOAT) return `it rounds f32, found ${x.dtype}.`;
      return dtype === "f16" || dtype === "bf16"
        ? { shape: x.shape, dtype: FLOAT }
        : `its dtype must be f16 or bf16, found ${String(dtype)}.`;
    },
  },

  // [rows, width, 3] -> [rows, 3, outputs]: pixels along their rows, with a plane for each channel of a row.
  resample_columns: resampling(3, ([rows, , channels], outputs) =>
    dimEquals(channels, 3) ? [rows, 3, outputs] : `pixels have 3 channels, found ${dimKey(channels)}.`,
  ),
  // [height, width] -> [outputs, width].
  resample_rows: resampling(2, ([, width], outputs) => [outputs, width]),
};

/** Every built-in op by name. */
export const OP_TABLE: OpTable = new Map<string, OpRow>(Object.entries(OPS));
