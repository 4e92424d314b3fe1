/** Elementwise kernels: every op, every access class, every operand type. */
import {
  elementwiseGrid,
  elementwiseKernel,
  elementwiseOptions,
  elementwiseWords,
  type OperandType,
} from "../../../kernels/wasm/emit/elementwise.ts";
import { collapseAxes } from "../../../kernels/wasm/emit/axes.ts";
import { exprKey, type ScalarExpr } from "../../../kernels/wasm/emit/expr.ts";
import { type Bindings, type Dim, evaluate, type Shape } from "../../../runtime/core/dim.ts";
import * as math from "../../../runtime/core/math.ts";
import { hash32, uniform } from "../../../runtime/core/random.ts";
import { elementwise } from "../../../runtime/ir/evaluate/mod.ts";
