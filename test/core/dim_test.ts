import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  type Bindings,
  type Box,
  bounds,
  ceilDiv,
  type Dim,
  dimEquals,
  dimKey,
  evaluate,
  floorDiv,
  max,
  min,
  mod,
  mul,
  product,
  shapeEquals,
  shapeText,
  sub,
  symbol,
  symbolsOf,
} from "../../runtime/core/dim.ts";
import { dimFromData, dimToData, evaluateData } from "../../runtime/core/dim_data.ts";
import { hash32 } from "../../runtime/core/random.ts";

const BOX: Box = { a: { min: 0, max: 9 }, b: { min: 1, max: 7 }, c: { min: 4, max: 24, multipleOf: 4 } };
const [A, B, C] = [symbol("a"), symbol("b"), symbol("c")];

/** An expression with the integer arithmetic that it must equal. */
interface Pair {
  readonly dim: Dim;
  readonly value: (at: Bindings) => number;
}

function randomPair(seed: number): Pair {
  let drawn = 0;
  const pick = (count: number): number => hash32(seed, drawn++) % count;
  const grow = (depth: number): Pair => {
    if (depth === 0 || pick(5) === 0) {
      const name = ["a", "b", "c"][pick(3)];
      if (pick(3) > 0) return { dim: symbol(name), value: (at) => at[name] };
      const n = pick(13) - 6;
      return { dim: n, value: () => n };
    }
    const [x, y] = [grow(depth - 1), grow(depth - 1)];
    // Divisors are constants of either sign, or a symbol that is never 0.
    const n = [1, 2, 3, 4, 8, -2, -3][pick(7)];
    const divisor: Pair = pick(3) === 0 ? { dim: B, value: (at) => at.b } : { dim: n, value: () => n };
    switch (pick(8)) {
      case 0:
      case 1:
        return { dim: add(x.dim, y.dim), value: (at) => x.value(at) + y.value(at) };
      case 2:
        return { dim: sub(x.dim, y.dim), value: (at) => x.value(at) - y.value(at) };
      case 3:
        return { dim: mul(x.dim, y.dim), value: (at) => x.value(at) * y.value(at) };
      case 4:
        return { dim: max(x.dim, y.dim), value: (at) => Math.max(x.value(at), y.value(at)) };
      case 5:
        return { dim: min(x.dim, y.dim), value: (at) => Math.min(x.value(at), y.value(at)) };
      case 6:
        return { dim: floorDiv(x.dim, divisor.dim), value: (at) => Math.floor(x.value(at) / divisor.value(at)) };
      default:
        return {
          dim: mod(x.dim, divisor.dim),
          value: (at) => x.value(at) - Math.floor(x.value(at) / divisor.value(at)) * divisor.value(at),
        };
    }
  };
  return grow(3);
}

function randomBindings(seed: number): Bindings {
  const pick = (count: number, salt: number): number => hash32(seed, 1000 + salt) % count;
  return { a: pick(10, 0), b: 1 + pick(7, 1), c: 4 + 4 * pick(6, 2) };
}

/** Every expression with some bindings. */
function each(count: number, check: (pair: Pair, at: Bindings, seed: number) => void): void {
  for (let seed = 0; seed < count; seed++) {
    const pair = randomPair(seed);
    for (let i = 0; i < 8; i++) check(pair, randomBindings(seed * 8 + i), seed);
  }
}

test("dims: expressions equal integer arithmetic", () => {
  each(600, ({ dim, value }, at, seed) => {
    assert.ok(evaluate(dim, at) === value(at), `seed ${seed}: ${dimKey(dim)} at ${JSON.stringify(at)}`);
  });
  for (let x = -9; x <= 9; x++) {
    for (const by of [1, 2, 3, 7]) assert.ok(evaluate(ceilDiv(add(A, x), by), { a: 5 }) === Math.ceil((5 + x) / by));
    assert.ok(ceilDiv(x, 4) === Math.ceil(x / 4));
  }
});

test("dims: equal polynomials have equal keys", () => {
  for (let seed = 0; seed < 300; seed++) {
    const [x, y, z] = [randomPair(seed).dim, randomPair(seed + 1000).dim, randomPair(seed + 2000).dim];
    const same: readonly (readonly [Dim, Dim])[] = [
      [add(x, y), add(y, x)],
      [add(x, add(y, z)), add(add(x, y), z)],
      [mul(x, y), mul(y, x)],
      [mul(x, mul(y, z)), mul(mul(x, y), z)],
      [mul(x, add(y, z)), add(mul(x, y), mul(x, z))],
      [sub(x, x), 0],
      [add(x, x), mul(2, x)],
      [mul(x, 0), 0],
      [mul(x, 1), x],
      [sub(add(x, y), y), x],
      [max(x, y), max(y, x)],
      [min(x, y), min(y, x)],
      [max(x, x), x],
      [floorDiv(mul(x, 6), 6), x],
      [floorDiv(mul(x, B), B), x],
      [floorDiv(x, 1), x],
      [mod(mul(x, 6), 3), 0],
    ];
    same.forEach(([p, q], i) => {
      assert.equal(dimKey(p), dimKey(q), `seed ${seed}, law ${i}`);
      assert.ok(dimEquals(p, q));
    });
  }
});

test("dims: expressions that differ somewhere have other keys", () => {
  const known = new Map<string, Pair>();
  each(600, (pair, at, seed) => {
    const other = known.get(dimKey(pair.dim)) ?? pair;
    known.set(dimKey(pair.dim), other);
    assert.ok(other.value(at) === pair.value(at), `seed ${seed}: two meanings of ${dimKey(pair.dim)}`);
  });
});

test("dims: texts read as people write them", () => {
  assert.equal(dimKey(add(1, B, mul(3, A))), "3*a + b + 1");
  assert.equal(dimKey(sub(A, B)), "a + -1*b");
  assert.equal(dimKey(floorDiv(add(A, 3), 4)), "floor_div(a + 3, 4)");
  assert.equal(shapeText([A, 50, mul(A, B)]), "[a, 50, a*b]");
  assert.ok(shapeEquals([A, 2], [symbol("a"), 2]) && !shapeEquals([A, 2], [A]) && !shapeEquals([A, 2], [A, 3]));
  assert.equal(dimKey(product([A, 2, A])), "2*a*a");
  assert.equal(product([]), 1);
  assert.throws(() => symbol("2x"), /internal: symbol name "2x" is not an identifier/);
});

test("dims: bounds hold every value, negative coefficients and divisors too", () => {
  each(600, ({ dim, value }, at, seed) => {
    const { min: low, max: high } = bounds(dim, BOX);
    const v = value(at);
    assert.ok(low <= v && v <= high, `seed ${seed}: ${dimKey(dim)} = ${v} outside ${low}..${high}`);
  });
  const exact: readonly (readonly [Dim, number, number])[] = [
    [sub(A, 12), -12, -3],
    [sub(5, mul(2, A)), -13, 5],
    [mod(sub(A, 5), 4), 0, 3],
    [mod(A, 20), 0, 9],
    [mod(add(A, 4), 20), 4, 13],
    [mod(A, -4), -3, 0],
    [floorDiv(A, 4), 0, 2],
    [floorDiv(20, B), 2, 20],
    // The divisor's interval holds 0, which the divisor itself never is.
    [floorDiv(20, sub(A, 4)), -20, 20],
    [max(A, 3), 3, 9],
    [min(A, C), 0, 9],
  ];
  for (const [dim, low, high] of exact) {
    const found = bounds(dim, BOX);
    assert.deepEqual([found.min, found.max], [low, high], dimKey(dim));
  }
});

test("dims: data forms come back as they were and have the same values", () => {
  each(400, ({ dim, value }, at, seed) => {
    const data = JSON.parse(JSON.stringify(dimToData(dim)));
    assert.equal(dimKey(dimFromData(data)), dimKey(dim), `seed ${seed}`);
    assert.ok(evaluateData(data, at) === value(at), `seed ${seed}`);
  });
  for (const read of [dimFromData, (d: never) => evaluateData(d, { a: 1 })]) {
    assert.throws(() => read([[1, ["pow", [[1, "a"]], 2]]] as never), /internal: .* unknown atom "pow"/);
    assert.throws(() => read([[1, 2]] as never), /internal: dim data \[\[1,2\]\] is malformed/);
  }
});

test("dims: symbols without values and divisions by zero are our own errors", () => {
  assert.throws(() => evaluate(A, {}), /internal: symbol "a" has no value/);
  assert.throws(() => evaluateData(dimToData(A), {}), /internal: symbol "a" has no value/);
  assert.throws(() => bounds(A, {}), /internal: symbol "a" has no interval/);
  assert.throws(() => floorDiv(A, 0), /internal: a is divided by 0/);
  assert.throws(() => mod(A, 0), /internal: a is divided by 0/);
  assert.throws(() => evaluate(mod(3, A), { a: 0 }), /internal: a size divides 3 by 0/);
  assert.throws(() => bounds(floorDiv(3, A), { a: { min: 0, max: 0 } }), /internal: the divisor of .* is always 0/);
  assert.deepEqual([...symbolsOf(add(max(A, B), mul(C, 2)))].sort(), ["a", "b", "c"]);
});
