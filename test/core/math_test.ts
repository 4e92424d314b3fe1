import assert from "node:assert/strict";
import { test } from "node:test";
import * as math from "../../runtime/core/math.ts";
import { MATH_CASES } from "./math_cases.ts";

type Function1 = (x: number) => number;

const UNARY: Readonly<Record<string, Function1>> = {
  exp: math.exp,
  expm1: math.expm1,
  log: math.log,
  log1p: math.log1p,
  sin: math.sin,
  cos: math.cos,
  tanh: math.tanh,
  sigmoid: math.sigmoid,
  erf: math.erf,
};

const BITS = new DataView(new ArrayBuffer(8));

/** Position of a double in the order of all doubles. */
function ordinal(x: number): bigint {
  BITS.setFloat64(0, x);
  const bits = BITS.getBigInt64(0);
  return bits < 0n ? -(bits & 0x7fffffffffffffffn) : bits;
}

function ulps(a: number, b: number): number {
  const d = ordinal(a) - ordinal(b);
  return Number(d < 0n ? -d : d);
}

/** xorshift32: the next state. */
function next(state: number): number {
  let s = state;
  s ^= s << 13;
  s ^= s >>> 17;
  s ^= s << 5;
  return s >>> 0;
}

/** `count` doubles in [low, high) from a seed. */
function* uniform(seed: number, count: number, low: number, high: number): Generator<number> {
  let s = seed;
  for (let i = 0; i < count; i++) {
    s = next(s);
    const top = s;
    s = next(s);
    yield low + (high - low) * ((top * 2097152 + (s >>> 11)) / 2 ** 53);
  }
}

function within(actual: number, expected: number, limit: number, what: string): void {
  assert.ok(ulps(actual, expected) <= limit, `${what}: ${actual}, expected ${expected} within ${limit} ulp`);
}

test("math: within 1 ulp (tanh and sigmoid: 2) of correctly rounded values", () => {
  for (const [name, f] of Object.entries(UNARY)) {
    const cases = MATH_CASES[name];
    assert.equal(cases.length, 60);
    const limit = name === "tanh" || name === "sigmoid" ? 2 : 1;
    for (let i = 0; i < cases.length; i += 2) within(f(cases[i]), cases[i + 1], limit, `${name}(${cases[i]})`);
  }
  const powers = MATH_CASES.pow;
  assert.equal(powers.length, 72);
  for (let i = 0; i < powers.length; i += 3) {
    within(math.pow(powers[i], powers[i + 1]), powers[i + 2], 1, `pow(${powers[i]}, ${powers[i + 1]})`);
  }
});

test("math: special values of exp, expm1, log and log1p", () => {
  const table: readonly [Function1, number, number][] = [
    [math.exp, NaN, NaN],
    [math.exp, Infinity, Infinity],
    [math.exp, -Infinity, 0],
    [math.exp, 0, 1],
    [math.exp, -0, 1],
    [math.exp, 709.782712893384, 1.7976931348622732e308],
    [math.exp, 709.7827128933841, Infinity],
    [math.exp, -745.1332191019411, 5e-324],
    [math.exp, -745.1332191019412, 0],
    [math.exp, 5e-324, 1],
    [math.expm1, NaN, NaN],
    [math.expm1, Infinity, Infinity],
    [math.expm1, -Infinity, -1],
    [math.expm1, -0, -0],
    [math.expm1, 5e-324, 5e-324],
    [math.expm1, -50, -1],
    [math.log, NaN, NaN],
    [math.log, Infinity, Infinity],
    [math.log, 0, -Infinity],
    [math.log, -0, -Infinity],
    [math.log, -1, NaN],
    [math.log, 1, 0],
    [math.log, 5e-324, -744.4400719213812],
    [math.log, 1.7976931348623157e308, 709.782712893384],
    [math.log1p, NaN, NaN],
    [math.log1p, Infinity, Infinity],
    [math.log1p, -1, -Infinity],
    [math.log1p, -1.5, NaN],
    [math.log1p, -0, -0],
    [math.log1p, 5e-324, 5e-324],
  ];
  for (const [f, x, expected] of table)
    assert.ok(Object.is(f(x), expected), `${f.name}(${x}) = ${f(x)}, not ${expected}`);
});

test("math: special values of sin, cos, tanh, erf and sigmoid", () => {
  const table: readonly [Function1, number, number][] = [
    [math.sin, NaN, NaN],
    [math.sin, Infinity, NaN],
    [math.sin, -Infinity, NaN],
    [math.sin, -0, -0],
    [math.sin, 5e-324, 5e-324],
    [math.sin, Math.PI, 1.2246467991473532e-16],
    [math.sin, 1e22, -0.8522008497671888],
    [math.sin, -1e22, 0.8522008497671888],
    [math.cos, NaN, NaN],
    [math.cos, Infinity, NaN],
    [math.cos, -0, 1],
    [math.cos, Math.PI / 2, 6.123233995736766e-17],
    [math.cos, Math.PI, -1],
    [math.cos, 1e22, 0.523214785395139],
    [math.tanh, NaN, NaN],
    [math.tanh, Infinity, 1],
    [math.tanh, -Infinity, -1],
    [math.tanh, -0, -0],
    [math.tanh, 5e-324, 5e-324],
    [math.erf, NaN, NaN],
    [math.erf, Infinity, 1],
    [math.erf, -Infinity, -1],
    [math.erf, -0, -0],
    [math.erf, 5e-324, 5e-324],
    [math.sigmoid, NaN, NaN],
    [math.sigmoid, Infinity, 1],
    [math.sigmoid, -Infinity, 0],
    [math.sigmoid, 0, 0.5],
    [math.sigmoid, 1e308, 1],
    [math.sigmoid, -746, 0],
  ];
  for (const [f, x, expected] of table)
    assert.ok(Object.is(f(x), expected), `${f.name}(${x}) = ${f(x)}, not ${expected}`);
});

test("math: pow follows IEEE 754 at special values and is exact where the power is", () => {
  const table: readonly [number, number, number][] = [
    [NaN, 0, 1],
    [1, NaN, 1],
    [1, Infinity, 1],
    [-1, Infinity, 1],
    [NaN, 1, NaN],
    [2, NaN, NaN],
    [0, 3, 0],
    [-0, 3, -0],
    [-0, 2, 0],
    [0, -3, Infinity],
    [-0, -3, -Infinity],
    [-0, -2, Infinity],
    [-0, 0.5, 0],
    [Infinity, 2, Infinity],
    [Infinity, -1, 0],
    [-Infinity, 3, -Infinity],
    [-Infinity, -3, -0],
    [-Infinity, 2, Infinity],
    [0.5, Infinity, 0],
    [2, Infinity, Infinity],
    [-2, -Infinity, 0],
    [0.5, -Infinity, Infinity],
    [-8, 1 / 3, NaN],
    [-2, 3, -8],
    [-2, -1, -0.5],
    [-1, 2 ** 53, 1],
    [-1, 2 ** 53 - 1, -1],
    [2, -1074, 5e-324],
    [2, -1075, 0],
    [2, 1023, 2 ** 1023],
    [2, 1024, Infinity],
    [5e-324, 1, 5e-324],
    [4, 0.5, 2],
    [10, 22, 1e22],
    [10, -5, 1e-5],
    [1.5, 1e308, Infinity],
    [0.5, 1e308, 0],
  ];
  for (const [x, y, expected] of table) {
    assert.ok(Object.is(math.pow(x, y), expected), `pow(${x}, ${y}) = ${math.pow(x, y)}, not ${expected}`);
  }
  for (let base = 3; base <= 9; base++) {
    let product = 1;
    for (let n = 1; product * base < 2 ** 53; n++) {
      product *= base;
      assert.equal(math.pow(base, n), product);
    }
  }
});

test("math: logAll is within 2e-11 of log from the least normal number to the largest, on both sides of its seams", () => {
  const near = [...uniform(13, 20000, 0.999, 1.001)].map((x, i) => x * [Math.SQRT2, 1, 1.2, 1.7][i % 4]);
  const exponents = [...uniform(14, 20000, -1021, 1023)].map(Math.floor);
  const values = Float64Array.from(near, (x, i) => x * 2 ** exponents[i]);
  values.set([2 ** -1022, Number.MAX_VALUE, 1, Math.SQRT2, 1 - 2 ** -53, 1 + 2 ** -52]);
  const logs = values.slice();
  math.logAll(logs.subarray(0, 7));
  math.logAll(logs.subarray(7));
  for (const [i, x] of values.entries()) {
    assert.ok(Math.abs(logs[i] - math.log(x)) <= 2e-11, `log(${x}): ${logs[i]}, not ${math.log(x)}`);
  }
});

test("math: identities hold to rounding", () => {
  for (const x of uniform(11, 4000, -300, 300)) {
    within(math.exp(x) * math.exp(-x), 1, 8, `exp(${x}) exp(-x)`);
    assert.ok(Math.abs(math.log(math.exp(x)) - x) <= 3e-16 * Math.max(1, Math.abs(x)), `log(exp(${x}))`);
    assert.ok(Math.abs(math.sin(x) ** 2 + math.cos(x) ** 2 - 1) <= 5e-16, `sin^2 + cos^2 at ${x}`);
    assert.equal(math.sin(-x), -math.sin(x));
    assert.equal(math.cos(-x), math.cos(x));
  }
  for (const x of uniform(12, 4000, -7, 7)) {
    assert.equal(math.erf(-x), -math.erf(x));
    assert.equal(math.tanh(-x), -math.tanh(x));
    assert.ok(Math.abs(math.sigmoid(x) + math.sigmoid(-x) - 1) <= 3e-16, `sigmoid(${x}) + sigmoid(-x)`);
    assert.ok(Math.abs(math.tanh(x / 2) - (2 * math.sigmoid(x) - 1)) <= 5e-16, `tanh and sigmoid at ${x}`);
    assert.ok(Math.abs(math.log1p(math.expm1(x)) - x) <= 1e-15 * Math.max(1, math.exp(-x)), `log1p(expm1(${x}))`);
  }
});

test("math: the pieces of erf meet at 1 and 6, and tanh's at 1 and 22", () => {
  for (const [f, x] of [
    [math.erf, 1],
    [math.erf, 6],
    [math.tanh, 1],
    [math.tanh, 22],
  ] as const) {
    const above = f(x + 4 * Number.EPSILON * x);
    assert.ok(above >= f(x) - 2e-16 && above <= f(x) + 2e-15, `${f.name} at ${x}: ${f(x)} then ${above}`);
  }
});

test("math: the same bits on every runtime over 100,000 arguments", () => {
  const functions: readonly [Function1, number, number][] = [
    [math.exp, -750, 715],
    [math.expm1, -45, 60],
    [math.log, 0, 1e6],
    [math.log1p, -1, 9],
    [math.sin, -1e6, 1e6],
    [math.cos, -1e7, 1e7],
    [math.tanh, -23, 23],
    [math.erf, -6.5, 6.5],
    [math.sigmoid, -745, 45],
    [(x) => math.pow(x, 17 / x - 3.3), 0.01, 40],
  ];
  let low = 0x811c9dc5;
  let high = 0x01234567;
  functions.forEach(([f, from, to], i) => {
    for (const x of uniform(100 + i, 10000, from, to)) {
      const y = f(x);
      assert.ok(!Number.isNaN(y), `function ${i} at ${x} is NaN`);
      BITS.setFloat64(0, y);
      low = Math.imul(low ^ BITS.getUint32(4), 0x01000193);
      high = Math.imul(high ^ BITS.getUint32(0) ^ (low >>> 15), 0x01000193);
    }
  });
  const digest = [high, low].map((h) => (h >>> 0).toString(16).padStart(8, "0")).join("");
  assert.equal(digest, "76d0e4c8517875d7");
});
