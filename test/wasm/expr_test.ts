import assert from "node:assert/strict";
import { test } from "node:test";
import { f32x4, get, set, v128 } from "../../kernels/wasm/asm/code.ts";
import { kernelModule } from "../../kernels/wasm/asm/module.ts";
import { elementwiseKernel } from "../../kernels/wasm/emit/elementwise.ts";
import { exprFlops, lowerExpr } from "../../kernels/wasm/emit/expr.ts";
import type { ScalarExpr } from "../../runtime/abi/claims/expr.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { structureKey } from "../../runtime/core/structure_key.ts";
import type { ElementwiseOp } from "../../runtime/ir/ops.ts";
import {
  compareFunction,
  denseOptions,
  elementwiseCases,
  FUNCTION_ROWS,
  functionArguments,
  runDense,
} from "./cases/elementwise_cases.ts";
import { evaluateExpr } from "./cases/scalar_reference.ts";
import { compare, instantiate, normals, RELAXED, testCases } from "./emit_kit.ts";

const x: ScalarExpr = { input: 0 };
const op = (name: ElementwiseOp, ...args: readonly ScalarExpr[]): ScalarExpr => ({ op: name, args });
const madds = RELAXED ? [false, true] : [false];

test("functions are exact to their stated errors over random bits and a dense grid", () => {
  const bits = Int32Array.from({ length: 60_000 }, (_, i) => hash32(5, i));
  for (const [name, row] of Object.entries(FUNCTION_ROWS)) {
    const f = name as ElementwiseOp;
    const all = [new Float32Array(bits.buffer), functionArguments(row.range, 40_000, 600)];
    for (const madd of madds) {
      const kernel = instantiate(elementwiseKernel(denseOptions(op(f, x), 1, madd)).bytes);
      for (const args of all) assert.equal(compareFunction(f, row, args, runDense(kernel, [args])), undefined);
    }
  }
});

test("random expressions with shared parts give what an evaluation gives", () => {
  const steps: readonly ElementwiseOp[] = [
    "add",
    "sub",
    "mul",
    "max",
    "min",
    "where",
    "tanh",
    "sigmoid",
    "silu",
    "abs",
  ];
  const inputs = [normals(1, 131), normals(2, 131)];
  for (let seed = 0; seed < 60; seed++) {
    const pool: ScalarExpr[] = [{ input: 0 }, { input: 1 }, { constant: 0.75 }];
    for (let i = 0; i < 12; i++) {
      const pick = (k: number): ScalarExpr => pool[hash32(seed * 100 + i, k) % pool.length];
      const name = steps[hash32(seed * 100 + i, 9) % steps.length];
      const arity = name === "where" ? 3 : ["tanh", "sigmoid", "silu", "abs"].includes(name) ? 1 : 2;
      const args = [0, 1, 2].slice(0, arity).map(pick);
      // Bounded, so that products do not run away and rounding stays comparable.
      pool.push(name === "mul" ? op("tanh", op(name, ...args)) : op(name, ...args));
    }
    const expr = pool[pool.length - 1];
    const found = runDense(instantiate(elementwiseKernel(denseOptions(expr, 2, false)).bytes), inputs);
    const expected = Array.from(inputs[0], (v, i) => evaluateExpr(expr, [v, inputs[1][i]]));
    assert.equal(compare(found, expected, 1e-5, 1e-5), undefined, structureKey(expr));
  }
});

test("inputs stay as they are, and an expression may be an input", () => {
  const module = kernelModule((frame) => {
    const inputs = frame.locals("v128", 2);
    const both = [x, op("gelu", op("add", x, { input: 1 }))].map((e) => lowerExpr(frame, e, inputs, false));
    assert.equal(both[0].result, inputs[0]);
    return [
      inputs.map((local, i) => set(local, f32x4.of(i + 1))),
      both.map((e) => e.code),
      v128.store(get(frame.args), f32x4.add(get(inputs[0]), f32x4.mul(get(inputs[1]), f32x4.of(10)))),
    ];
  });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(module.bytes)), {
    e: { m: memory },
  });
  (instance.exports.f as (...args: number[]) => void)(64, 0, 1, 0);
  assert.deepEqual([...new Float32Array(memory.buffer, 64, 4)], [21, 21, 21, 21]);
});

test("flops count shared parts once", () => {
  const square = op("mul", x, x);
  assert.equal(exprFlops(op("add", square, square)), 2);
  assert.equal(exprFlops(op("add", square, op("mul", x, x))), 3);
});

test("wrong expressions are refused", () => {
  const emit = (expr: ScalarExpr) => () => elementwiseKernel(denseOptions(expr, 1, false));
  assert.throws(emit({ input: 1 }), /internal.*input 1 of 1/);
  assert.throws(emit(op("add", x)), /internal.*add has 1 operands instead of 2/);
});

testCases([false, true].flatMap(elementwiseCases));
