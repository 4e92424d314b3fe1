/**
 * Norms with what computes their rows: one launch writes both. Claims of this device's kernels say here what they are to a join;
 * they are known again by their `emit`, so that no other plugin's claim can be taken for one.
 */
import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { bytesOf } from "../../../runtime/abi/claims/operands.ts";
import type { Claim, ClaimContext, EmitContext, KernelSpec } from "../../../runtime/abi/kernel.ts";
import { add, type Dim, dimEquals, mul, product, type Shape, sub } from "../../../runtime/core/dim.ts";
import { denseStrides } from "../../../runtime/core/strides.ts";
import type { Node } from "../../../runtime/ir/node.ts";
import { isHeld } from "../emit/rows.ts";
import { isDense, tooManyBuffers } from "./kinds.ts";
import type { ComputedRows } from "./row_front.ts";

const NAME = "row_join";

/** How a claim that makes rows has them normed. `when`: 1 where a call's size takes this way, else 0. */
export interface NormLaunches {
  /** By a launch that computes them as well, and writes them where others read them. */
  together(rows: ComputedRows, when?: Dim): void;
  /** By a launch of its own, once they are written. */
  behind(when?: Dim): void;
}

/** What a claim that makes rows is to a join. */
export interface RowSource {
  /** What the launch that ends it reads. */
  readonly read: readonly Node[];
  /** That launch adds parts of a product. */
  readonly addsParts: boolean;
  /** Emits the claim's steps and the norm's. */
  emit(e: EmitContext, norm: NormLaunches): void;
}

/** What the claim of a norm is to a join. Its first operand is the rows. */
export interface RowNorm {
  readonly node: Node;
  /** @param computed rows that its launch computes; `stored` where others read them */
  emit(e: EmitContext, computed?: ComputedRows & { readonly stored: boolean }): void;
}

const sources = new WeakMap<Claim["emit"], RowSource>();
const norms = new WeakMap<Claim["emit"], RowNorm>();

/** The claim as one whose rows may be normed where they are made. */
export function withSource(claim: Claim, source: RowSource): Claim {
  sources.set(claim.emit, source);
  return { ...claim, joinedBy: NAME };
}

/** The claim as one of a norm whose rows may be computed by its launch. */
export function withNorm(claim: Claim, norm: RowNorm): Claim {
  norms.set(claim.emit, norm);
  return { ...claim, joinedBy: NAME };
}

const ARITHMETIC: readonly string[] = ["add", "sub", "mul", "neg"];

/**
 * Whether rows are made by sums and products alone. A norm of rows that hardly differ makes the last digits of a function large, and
 * the two together would fail a proof that each of them passes.
 */
export const isArithmetic = (expr: ScalarExpr): boolean =>
  !("op" in expr) || (ARITHMETIC.includes(expr.op) && expr.args.every(isArithmetic));

const width = (shape: Shape): Dim => shape[shape.length - 1];

/** Whether `x` is all of `made`, in its rows. */
function isSameRows(context: ClaimContext, x: Node, made: Node): boolean {
  if (context.isWeight(x) || x.shape.length === 0 || made.shape.length === 0) return false;
  const view = context.view(x);
  if (view.base !== made || made.dtype !== "f32" || view.offset !== 0 || !isDense(view)) return false;
  return dimEquals(width(x.shape), width(made.shape)) && dimEquals(product(x.shape), product(made.shape));
}

/** The same steps, launched where a call's size takes this way. */
const launchedWhen = (e: EmitContext, when: Dim): EmitContext => ({
  ...e,
  step: (step) => e.step({ ...step, grid: mul(when, step.grid), flops: mul(when, step.flops) }),
});

function join(context: ClaimContext, earlier: Claim, later: Claim): Claim | undefined {
  const [source, norm] = [sources.get(earlier.emit), norms.get(later.emit)];
  if (source === undefined || norm === undefined) return undefined;
  const [x, ...parameters] = norm.node.inputs;
  const made = earlier.output;
  if (!isSameRows(context, x, made) || tooManyBuffers(context, [...source.read, ...parameters])) return undefined;
  // A workgroup reads the parts of a whole row: of one that registers hold at once, of a longer one number by number.
  if (source.addsParts && !isHeld(width(made.shape), false)) return undefined;
  const stored = context.isOutput(made) || context.users(made).some((user) => user !== norm.node);
  const read = earlier.operands.length;
  return {
    kernel: NAME,
    covers: [...earlier.covers, ...later.covers],
    output: later.output,
    ...(stored ? { also: [made] } : {}),
    operands: [...earlier.operands, ...later.operands.slice(1)],
    weights: [...new Set([...earlier.weights, ...later.weights])],
    cost: {
      flops: add(earlier.cost.flops, later.cost.flops),
      bytes: sub(add(earlier.cost.bytes, later.cost.bytes), mul(stored ? 1 : 2, bytesOf(made))),
      launches: earlier.cost.launches + later.cost.launches - 1,
    },
    emit: (e) => {
      // Memory that no step touches takes none.
      const place = stored ? e.also[0] : e.scratch(bytesOf(made));
      const rows = { place, offset: 0, shape: x.shape, strides: denseStrides(x.shape) };
      const ofNorm: EmitContext = { ...e, also: [], operand: (i) => (i === 0 ? rows : e.operand(read + i - 1)) };
      source.emit(
        { ...e, also: [], output: place },
        {
          together: (computed, when = 1) => norm.emit(launchedWhen(ofNorm, when), { ...computed, stored }),
          behind: (when = 1) => norm.emit(launchedWhen(ofNorm, when)),
        },
      );
    },
  };
}

/** Claims nothing by itself, so that putting it aside leaves the claims that it joins. */
export const ROW_JOIN_KERNEL: KernelSpec = {
  name: NAME,
  device: "webgpu",
  reads: [],
  readsHalves: true,
  claim: () => [],
  join,
};
