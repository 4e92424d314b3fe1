/** What a range of its own is worth: local attention over short texts. */
import { type ComponentInput, createRuntime, type RangeSpec, type Tensor } from "../mod.ts";
import type { BenchOptions, BenchResult, BenchRow } from "./benchmark.ts";
import { interleave, rowsOf } from "./interleave.ts";

const WIDTH = 384;
const HEADS = 6;
/** Tokens on each side that the local blocks of ModernBERT look at. */
const WINDOW = 64;

const numbers = (shape: readonly number[], seed: number): Tensor => {
  const count = shape.reduce((a, b) => a * b, 1);
  const data = Float32Array.from({ length: count }, (_, i) => (((i + 1) * 7919 * (seed + 1)) % 2003) / 10015 - 0.1);
  return { dtype: "f32", shape, data };
};

const symbols = { tokens: { min: 1, max: 8192 } };

const localAttention = (ranges: RangeSpec): ComponentInput => ({
  ...{ tag: "bench/attention", symbols, ranges },
  build: (b) => {
    const shape = [1, b.dims.tokens, HEADS, WIDTH / HEADS];
    const [q, k, v] = ["q", "k", "v"].map((name) => b.reshape(b.input(name, [b.dims.tokens, WIDTH]), shape));
    b.output("y", b.reshape(b.attention(q, k, v, { window: WINDOW }), [b.dims.tokens, WIDTH]));
  },
});

/** Texts that lie within the window; 64 is the first end of ModernBERT's own ranges. */
const SHORT: RangeSpec = { ends: { tokens: [64] } };
const SIZES = [8, 16];

/** The open range first, by cases; `ratio` is how many times as fast the tight one is. */
export async function tightRange({ rounds, runs }: BenchOptions): Promise<BenchResult> {
  const runtime = await createRuntime({ threads: 0 });
  const rows: BenchRow[] = [];
  try {
    const [open, own] = [await runtime.compile(localAttention("open")), await runtime.compile(localAttention(SHORT))];
    for (const tokens of SIZES) {
      const given = Object.fromEntries(["q", "k", "v"].map((name, i) => [name, numbers([tokens, WIDTH], i)]));
      const [a, b] = [(await open.run(given)).y.data, (await own.run(given)).y.data];
      if (a.some((value, i) => value !== b[i])) throw new Error(`${tokens} tokens: the ranges give different results.`);
      const contenders = [
        { name: `${tokens} tokens, open`, run: () => open.run(given) },
        { name: `${tokens} tokens, 1..64`, run: () => own.run(given) },
      ];
      const times = await interleave(contenders, { rounds, runs, warmUp: 50 });
      rows.push(...rowsOf(contenders, times, 4 * tokens * tokens * WIDTH));
    }
    return { settings: { target: runtime.target, threads: 0 }, difference: 0, rows };
  } finally {
    await runtime.close();
  }
}
