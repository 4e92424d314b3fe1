/** Rewritten modules compute what the originals do, and end where those do not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Code, get, i32, set, tee } from "../../kernels/wasm/asm/code.ts";
import { hash32 } from "../../runtime/core/random.ts";
import { parseModule } from "../../runtime/foreign/binary/module.ts";
import { refuserOf } from "../../runtime/foreign/binary/reader.ts";
import { FUEL, instrument } from "../../runtime/foreign/instrument.ts";
import { i32At, moduleBytes } from "./assemble.ts";

const [START, COUNTER, SUM, BOUND] = [i32At(0), i32At(1), i32At(2), i32At(3)];
const PLENTY = 1e9;

interface Ended {
  /** What it returned; nothing when it was stopped. */
  readonly result: number | undefined;
  /** Units that are left, below 0 when it was stopped. */
  readonly left: number;
}

/** Runs the rewritten module's entry. */
function run(module: Uint8Array, argument: number, units: number): Ended {
  const bytes = instrument(parseModule(module, refuserOf("a module")), { entry: "run", reserved: 0 });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(bytes)), { e: { m: memory } });
  const fuel = exports[FUEL] as WebAssembly.Global;
  fuel.value = units;
  let result: number | undefined;
  try {
    result = (exports.f as (at: number) => number)(argument);
  } catch (error) {
    assert.ok(error instanceof WebAssembly.RuntimeError);
  }
  return { result, left: fuel.value as number };
}

/** The module as it is. */
function original(module: Uint8Array, argument: number): number {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(module)), { env: { memory } });
  return (instance.exports.run as (at: number) => number)(argument);
}

const COMPARISONS = { ne: 0x47, lt_s: 0x48, lt_u: 0x49, gt_s: 0x4a } as const;
type Comparison = keyof typeof COMPARISONS;

const HOLDS: Readonly<Record<Comparison, (a: number, b: number) => boolean>> = {
  ne: (a, b) => a !== b,
  lt_s: (a, b) => a < b,
  lt_u: (a, b) => a >>> 0 < b >>> 0,
  gt_s: (a, b) => a > b,
};

/** Sums the counter while `(counter += step) comparison bound`; counted ahead but for `gt_s`. */
function countingLoop(step: number, comparison: Comparison, bound: number): Uint8Array {
  const next = tee(COUNTER, i32.add(get(COUNTER), i32.of(step)));
  const towardsZero = comparison === "ne" && bound === 0;
  const again: Code = towardsZero ? next : [next, get(BOUND), COMPARISONS[comparison]];
  const body: Code = [set(SUM, i32.add(get(SUM), get(COUNTER))), again, 0x0d, 0];
  return moduleBytes({ code: [set(COUNTER, get(START)), set(BOUND, i32.of(bound)), 0x03, 0x40, body, 0x0b, get(SUM)] });
}

/** Turns of the loop, or nothing where there are more than `most`. */
function turnsOf(start: number, step: number, comparison: Comparison, bound: number, most: number): number | undefined {
  let counter = start;
  for (let turns = 1; turns <= most; turns++) {
    counter = (counter + step) | 0;
    if (!HOLDS[comparison](counter, bound)) return turns;
  }
  return undefined;
}

test("loops of every kind of counter compute the same, are paid for, and are stopped where they do not end", () => {
  let drawn = 0;
  const whole = (from: number, to: number): number => from + (hash32(7, drawn++) % (to - from + 1));
  const seen = { ended: 0, stopped: 0 };
  for (let i = 0; i < 400; i++) {
    const comparison = (Object.keys(COMPARISONS) as Comparison[])[i % 4];
    const step = whole(0, 1) === 0 || comparison.startsWith("lt") ? whole(1, 9) : -whole(1, 9);
    const bases = [0, 0, 0x7ffffff0, -0x80000000, -16];
    const [start, bound] = [0, 1].map(() => (bases[whole(0, 4)] + whole(-40, 40)) | 0);
    const module = countingLoop(step, comparison, i % 3 === 0 ? 0 : bound);
    const to = i % 3 === 0 ? 0 : bound;
    const turns = turnsOf(start, step, comparison, to, 200_000);
    const where = `${start} by ${step} ${comparison} ${to}: ${turns} turns`;
    // Every turn costs at least what its additions and its branch do.
    const ended = run(module, start, 4_000_000);
    // Near the end of all numbers, where memory has none, ends are taken for missed.
    const atEnd = (n: number): boolean =>
      (comparison === "lt_u" && n >>> 0 > 0xffffffff - step) || (comparison === "lt_s" && n > 0x7fffffff - step);
    if (turns === undefined || atEnd(start) || atEnd(to)) {
      assert.deepEqual({ result: ended.result, empty: ended.left < 0 }, { result: undefined, empty: true }, where);
      seen.stopped++;
    } else {
      assert.equal(ended.result, original(module, start), where);
      assert.ok(4_000_000 - ended.left >= 3 * turns - 512, where);
      if (turns > 200) assert.equal(run(module, start, 3 * turns - 520).result, undefined, where);
      seen.ended++;
    }
  }
  assert.ok(seen.ended > 50 && seen.stopped > 50, JSON.stringify(seen));
});

/** Loops that go on in their middle, leave from their middle, by tables and out of blocks around them. */
const SHAPES: Readonly<Record<string, Code>> = {
  "goes on in its middle": [
    [0x03, 0x40, set(COUNTER, i32.add(get(COUNTER), i32.of(1))), i32.and(get(COUNTER), i32.of(1)), 0x0d, 0],
    [set(SUM, i32.add(get(SUM), get(COUNTER))), i32.ltS(get(COUNTER), get(START)), 0x0d, 0, 0x0b],
  ],
  "leaves from its middle": [
    [0x02, 0x40, 0x03, 0x40, set(COUNTER, i32.add(get(COUNTER), i32.of(3)))],
    [i32.gtS(get(COUNTER), get(START)), 0x0d, 1, set(SUM, i32.add(get(SUM), get(COUNTER))), 0x0c, 0, 0x0b, 0x0b],
  ],
  "branches by a table, two blocks out": [
    [0x02, 0x40, 0x02, 0x40, 0x03, 0x40, 0x02, 0x40, set(COUNTER, i32.add(get(COUNTER), i32.of(1)))],
    // 0: on in the body; 1: again; 2: leave, skipping what follows; 3: leave all.
    [i32.select(i32.ltS(get(COUNTER), get(START)), i32.and(get(COUNTER), i32.of(1)), i32.of(2))],
    [0x0e, 2, 0, 1, 3, 0x0b],
    [set(SUM, i32.add(get(SUM), get(COUNTER))), 0x0c, 0, 0x0b, 0x0b, set(SUM, i32.of(-7)), 0x0b],
  ],
  "holds a loop, and one behind it": [
    [0x03, 0x40, set(BOUND, i32.of(0)), 0x03, 0x40, set(SUM, i32.add(get(SUM), get(BOUND)))],
    [tee(BOUND, i32.add(get(BOUND), i32.of(1))), i32.of(5), 0x48, 0x0d, 0, 0x0b],
    [set(COUNTER, i32.add(get(COUNTER), i32.of(2))), i32.ltS(get(COUNTER), get(START)), 0x0d, 0, 0x0b],
  ],
  "leaves a value behind": [
    [0x03, 0x7f, set(COUNTER, i32.add(get(COUNTER), i32.of(1))), get(COUNTER), i32.ltS(get(COUNTER), get(START))],
    [0x04, 0x40, 0x0c, 1, 0x0b, 0x0b, set(SUM, [])],
  ],
};

for (const [name, shape] of Object.entries(SHAPES)) {
  test(`a loop that ${name} computes the same, and is stopped when it takes more than it may`, () => {
    const module = moduleBytes({ code: [shape, get(SUM)] });
    for (const argument of [-3, 0, 1, 2, 7, 8, 100, 1001]) {
      const ended = run(module, argument, PLENTY);
      assert.deepEqual([ended.result, ended.left > 0], [original(module, argument), true], String(argument));
    }
    const stopped = run(module, 0x7ffffffd, 1_000_000);
    assert.deepEqual([stopped.result, stopped.left < 0], [undefined, true]);
  });
}

test("calls, tables, globals, data and bulk memory work as before; large copies and deep calls are paid for", () => {
  // Function 1 doubles by itself, function 2 by the table; data holds 5, a global 6.
  const doubled: Code = [get(START), get(START), 0x6a];
  const module = moduleBytes({
    code: [
      ...[set(COUNTER, [get(START), 0x10, 1]), set(COUNTER, [get(COUNTER), i32.of(0), 0x11, 0, 0])],
      ...[i32.of(64), i32.of(16), i32.of(4), 0xfc, 10, 0, 0, i32.of(80), i32.of(9), i32.of(8), 0xfc, 11, 0],
      ...[i32.add(get(COUNTER), i32.load(i32.of(64))), i32.load(i32.of(80)), 0x6a, 0x23, 0, 0x6a],
    ],
    more: [doubled, doubled],
    sections: {
      4: [1, 0x70, 0, 1],
      6: [1, 0x7f, 0, 0x41, 6, 0x0b],
      9: [1, 0, 0x41, 0, 0x0b, 1, 2],
      11: [1, 0, 0x41, 16, 0x0b, 4, 5, 0, 0, 0],
    },
  });
  const ended = run(module, 10, PLENTY);
  assert.equal(ended.result, 40 + 5 + 0x09090909 + 6);
  assert.equal(ended.result, original(module, 10));
  const filling = moduleBytes({ code: [i32.of(0), i32.of(1), i32.of(65536), 0xfc, 11, 0, i32.of(0)] });
  assert.ok(PLENTY - run(filling, 0, PLENTY).left >= 65536 / 16);
  assert.equal(run(filling, 0, 4000).result, undefined);
  const calling = moduleBytes({
    code: [get(START), 0x45, 0x04, 0x7f, i32.of(1), 0x05, i32.sub(get(START), i32.of(1)), 0x10, 0, 0x0b],
  });
  assert.equal(run(calling, 100, PLENTY).result, 1);
  const deep = run(calling, 5000, 2000);
  assert.deepEqual([deep.result, deep.left < 0], [undefined, true]);
});
