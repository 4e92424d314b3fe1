/** Scalar expressions as vector code: what elementwise kernels and the epilogues of others compute per element. */

import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { internal } from "../../../runtime/core/diagnostics.ts";
import type { ElementwiseOp } from "../../../runtime/ir/ops.ts";
import { type Code, f32x4, get, type Local, set, v128 } from "../asm/code.ts";
import type { KernelFrame } from "../asm/module.ts";
import {
  erf,
  exp,
  gelu,
  geluTanh,
  log,
  type MathScope,
  magnitude,
  negated,
  sigmoid,
  sigmoidUnit,
  tanh,
  type VectorFunction,
} from "./math.ts";

interface OpCode {
  readonly arity: number;
  /** f32 operations per element, for the roofline. */
  readonly flops: number;
  readonly emit: (scope: MathScope, args: readonly Local[]) => Code;
}

const plain = (arity: number, emit: (...args: readonly Code[]) => Code): OpCode => ({
  arity,
  flops: 1,
  emit: (_, args) => emit(...args.map(get)),
});

const vector = (flops: number, f: VectorFunction): OpCode => ({ arity: 1, flops, emit: (scope, [x]) => f(scope, x) });

/** 1 where the mask is set, else 0. */
const truth = (mask: Code): Code => v128.and(mask, f32x4.of(1));

const OPS: Readonly<Record<ElementwiseOp, OpCode>> = {
  neg: plain(1, negated),
  abs: plain(1, magnitude),
  sqrt: plain(1, f32x4.sqrt),
  rsqrt: plain(1, (x) => f32x4.div(f32x4.of(1), f32x4.sqrt(x))),
  relu: plain(1, (x) => f32x4.max(x, f32x4.of(0))),
  exp: vector(24, exp),
  log: vector(34, log),
  tanh: vector(30, tanh),
  erf: vector(42, erf),
  sigmoid: vector(26, sigmoid),
  gelu: vector(48, gelu),
  gelu_tanh: vector(28, geluTanh),
  quick_gelu: vector(28, sigmoidUnit(1.702)),
  silu: vector(27, sigmoidUnit(1)),
  add: plain(2, f32x4.add),
  sub: plain(2, f32x4.sub),
  mul: plain(2, f32x4.mul),
  div: plain(2, f32x4.div),
  max: plain(2, f32x4.max),
  min: plain(2, f32x4.min),
  lt: plain(2, (a, b) => truth(f32x4.lt(a, b))),
  le: plain(2, (a, b) => truth(f32x4.le(a, b))),
  eq: plain(2, (a, b) => truth(f32x4.eq(a, b))),
  // Operands are converted where they are loaded.
  cast: plain(1, (x) => x),
  where: plain(3, (c, a, b) => v128.bitselect(a, b, f32x4.ne(c, f32x4.of(0)))),
};

/** How often each operation's value is read; an object counts its operands once. */
function countReads(expr: ScalarExpr): Map<ScalarExpr, number> {
  const reads = new Map<ScalarExpr, number>();
  const visit = (e: ScalarExpr): void => {
    const before = reads.get(e) ?? 0;
    reads.set(e, before + 1);
    if (before === 0 && "op" in e) e.args.forEach(visit);
  };
  visit(expr);
  return reads;
}

/** Gives out v128 locals and takes them back. */
function localPool(frame: KernelFrame): { take: () => Local; give: (locals: readonly Local[]) => void } {
  const free: Local[] = [];
  return { take: () => free.pop() ?? frame.local("v128"), give: (locals) => void free.push(...locals) };
}

/**
 * Code that computes the expression for four elements. `inputs` are v128 locals of 4 lanes and stay as they are;
 * `code` is a statement after the other;
 * `result` holds the value after it ran (it is the input itself when the expression is one).
 */
export function lowerExpr(
  frame: KernelFrame,
  expr: ScalarExpr,
  inputs: readonly Local[],
  madd: boolean,
): { readonly code: readonly Code[]; readonly result: Local } {
  const code: Code[] = [];
  const pool = localPool(frame);
  const reads = countReads(expr);
  const values = new Map<ScalarExpr, Local>();

  const assign = (value: Code, over: readonly Local[]): Local => {
    // Operands are read before the result is written, so it may take the place of one.
    pool.give(over);
    const local = pool.take();
    code.push(set(local, value));
    return local;
  };

  const lower = (e: ScalarExpr): Local => {
    if ("input" in e) return inputs[e.input] ?? internal(`an expression reads input ${e.input} of ${inputs.length}`);
    if ("constant" in e) return assign(f32x4.of(e.constant), []);
    const row = OPS[e.op];
    if (e.args.length !== row.arity) internal(`${e.op} has ${e.args.length} operands instead of ${row.arity}`);
    const args = e.args.map(value);
    const kept: Local[] = [];
    const keep = (v: Code): Local => {
      const local = assign(v, []);
      kept.push(local);
      return local;
    };
    const result = row.emit({ madd, keep }, args);
    const dead = e.args.flatMap((a, i) => ("input" in a || !lastRead(a) ? [] : [args[i]]));
    return assign(result, [...kept, ...dead]);
  };

  const lastRead = (e: ScalarExpr): boolean => {
    const left = (reads.get(e) as number) - 1;
    reads.set(e, left);
    return left === 0;
  };

  const value = (e: ScalarExpr): Local => {
    const known = values.get(e);
    if (known !== undefined) return known;
    const local = lower(e);
    values.set(e, local);
    return local;
  };

  return { code, result: value(expr) };
}

/** f32 operations per element; shared sub-expressions count once. */
export function exprFlops(expr: ScalarExpr): number {
  let flops = 0;
  for (const e of countReads(expr).keys()) if ("op" in e) flops += OPS[e.op].flops;
  return flops;
}
