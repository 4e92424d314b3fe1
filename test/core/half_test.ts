import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bf16ToF32,
  bf16ToNumber,
  f16ToF32,
  f16ToNumber,
  f32ToBf16,
  f32ToF16,
  numberToBf16,
  numberToF16,
} from "../../runtime/core/half.ts";
import { hash32 } from "../../runtime/core/random.ts";

/** Value of a float's bits by its definition. */
function decode(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = bits >>> (exponentBits + fractionBits) ? -1 : 1;
  const exponent = (bits >>> fractionBits) & ((1 << exponentBits) - 1);
  const fraction = (bits & ((1 << fractionBits) - 1)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
}

const ALL: Uint16Array = Uint16Array.from({ length: 65536 }, (_, i) => i);

interface Format {
  readonly name: string;
  readonly exponentBits: number;
  readonly fractionBits: number;
  readonly widen: (bits: number) => number;
  readonly narrow: (value: number) => number;
  readonly widenAll: (from: Uint16Array, into: Float32Array) => void;
  readonly narrowAll: (from: Float32Array, into: Uint16Array) => void;
}

const FORMATS: readonly Format[] = [
  {
    name: "f16",
    exponentBits: 5,
    fractionBits: 10,
    widen: f16ToNumber,
    narrow: numberToF16,
    widenAll: f16ToF32,
    narrowAll: f32ToF16,
  },
  {
    name: "bf16",
    exponentBits: 8,
    fractionBits: 7,
    widen: bf16ToNumber,
    narrow: numberToBf16,
    widenAll: bf16ToF32,
    narrowAll: f32ToBf16,
  },
];

function differs(name: string, at: number, actual: number, expected: number): never {
  assert.fail(`${name} ${at.toString(16)}: ${actual}, expected ${expected}`);
}

for (const { name, exponentBits, fractionBits, widen, narrow, widenAll, narrowAll } of FORMATS) {
  test(`${name}: all 65536 values widen exactly and come back`, () => {
    const wide = new Float32Array(65537).fill(5);
    widenAll(ALL, wide);
    assert.equal(wide[65536], 5);
    const back = new Uint16Array(65536);
    narrowAll(wide.subarray(0, 65536), back);
    for (let i = 0; i < 65536; i++) {
      const expected = decode(i, exponentBits, fractionBits);
      if (!Object.is(wide[i], expected) || !Object.is(widen(i), expected)) differs(name, i, wide[i], expected);
      if (Number.isNaN(expected)) {
        if (!Number.isNaN(widen(back[i]))) differs(name, i, back[i], i);
      } else if (back[i] !== i || narrow(expected) !== i) differs(name, i, back[i], i);
    }
  });

  test(`${name}: narrowing goes to the nearest value, ties to even`, () => {
    const top = decode(2 ** (exponentBits + fractionBits) - 2 ** fractionBits - 1, exponentBits, fractionBits);
    // The middle between the largest value and the next that there would be.
    const limit = top * (1 + 1 / (2 ** (fractionBits + 2) - 2));
    const check = (value: number): void => {
      const bits = narrow(value);
      const actual = widen(bits);
      const sized = Math.abs(value);
      if (sized >= limit) {
        assert.equal(Math.abs(actual), Infinity, `${value}`);
        return;
      }
      assert.equal(Object.is(actual, -0) || actual < 0, Object.is(value, -0) || value < 0, `sign of ${value}`);
      const error = Math.abs(Math.abs(actual) - sized);
      for (const other of [bits - 1, bits + 1]) {
        const magnitude = other & 0x7fff;
        if ((bits & 0x7fff) === 0 && other < bits) continue;
        const distance = Math.abs(decode(magnitude, exponentBits, fractionBits) - sized);
        assert.ok(error < distance || (error === distance && (bits & 1) === 0), `${value} became ${actual}`);
      }
    };
    const word = new Uint32Array(1);
    const float = new Float32Array(word.buffer);
    for (let i = 0; i < 20_000; i++) {
      word[0] = hash32(7, i);
      if (Number.isFinite(float[0])) check(float[0]);
      // Near and at the middle between two neighbours, where rounding decides.
      const low = hash32(8, i) & 0x7fff;
      const middle = (decode(low, exponentBits, fractionBits) + decode(low + 1, exponentBits, fractionBits)) / 2;
      if (!Number.isFinite(middle)) continue;
      float[0] = middle;
      if (float[0] === middle) check(middle);
      word[0] += 1;
      check(float[0]);
      word[0] -= 2;
      if (Number.isFinite(float[0])) check(-float[0]);
    }
    assert.equal(narrow(limit), narrow(Infinity));
    assert.ok(Number.isNaN(widen(narrow(Number.NaN))));
  });
}
