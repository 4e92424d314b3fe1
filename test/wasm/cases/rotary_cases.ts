/** Rotary positions: both kinds of pairs, heads that turn in part, strides, tables per batch; against the evaluator. */
import { ROTARY_ARGUMENTS, type RotaryOptions, rotaryKernel } from "../../../kernels/wasm/emit/rotary.ts";
import * as ref from "../../../runtime/ir/evaluate/mod.ts";
import {
  compareWithin,
  guarded,
  instantiate,
  type KernelCase,
  type KernelFunction,
  normals,
  runKernel,
} from "../emit_kit.ts";

export interface RotarySizes {
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  /** Angles of their own for every batch entry. */
  readonly perBatch?: boolean;
  /** Elements after each head, token and batch entry that belong to nobody. */
  readonly gaps?: readonly [number, number, number];
}

/** Values of spread 1 and factors up to 1 in two products and a sum: a few halves of the last bit of 4. */
const ERROR = 2 ** -21;

/** Turns random heads; elements behind the pairs must stay as they are. */
export function checkRotary(
  kernel: KernelFunction,
  options: RotaryOptions,
  sizes: RotarySizes,
  seed: number,
): string | undefined {
  const { headDim, pairs, interleaved } = options;
  const { batch, tokens, heads, perBatch = false, gaps = [0, 0, 0] } = sizes;
  const headStride = headDim + gaps[0];
  const tokenStride = heads * headStride + gaps[1];
  const batchStride = tokens * tokenStride + gaps[2];
  const x = normals(seed, batch * batchStride - gaps[0] - gaps[1] - gaps[2]);
  const dense: number[] = [];
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < tokens; t++) {
      for (let h = 0; h < heads; h++) {
        const at = b * batchStride + t * tokenStride + h * headStride;
        dense.push(...x.subarray(at, at + headDim));
      }
    }
  }
  const shape = perBatch ? [batch, tokens, pairs] : [tokens, pairs];
  const length = shape.reduce((a, d) => a * d, 1);
  const [cos, sin] = [1, 2].map((i) => normals(seed + i, length).map((v) => Math.max(-1, Math.min(1, v))));
  const table = (values: Float32Array): ref.RefTensor => ref.refTensor("f32", shape, values);
  const expected = ref.rotary(
    ref.refTensor("f32", [batch, tokens, heads, headDim], dense),
    table(cos),
    table(sin),
    interleaved,
  ).data;
  const found = runKernel(kernel, {
    inputs: [x, cos, sin],
    outputLength: dense.length,
    args: (output, pointers) => {
      const values: Readonly<Record<string, number>> = {
        output,
        x: pointers[0],
        cos: pointers[1],
        sin: pointers[2],
        tokens,
        heads,
        x_batch_stride: batchStride,
        x_token_stride: tokenStride,
        x_head_stride: headStride,
        table_batch_stride: perBatch ? tokens * pairs : 0,
      };
      return ROTARY_ARGUMENTS.map((name) => values[name]);
    },
    grid: batch * tokens,
    misaligned: seed % 4,
  });
  const stays = found.findIndex((v, i) => i % headDim >= 2 * pairs && v !== dense[i]);
  if (stays >= 0) return `element ${stays} must not turn and became ${found[stays]}`;
  return compareWithin(found, expected, (y) => ERROR * Math.max(1, Math.abs(y)));
}

const SIZES: readonly RotarySizes[] = [
  { batch: 2, tokens: 3, heads: 2, gaps: [0, 0, 0] },
  { batch: 2, tokens: 2, heads: 3, gaps: [3, 5, 2], perBatch: true },
  { batch: 1, tokens: 1, heads: 1 },
];

/** Widths of whole vectors, odd ends, and heads that turn in part. */
const WIDTHS: readonly (readonly [headDim: number, pairs: number])[] = [
  [16, 8],
  [14, 7],
  [24, 5],
  [9, 1],
];

export function rotaryCases(): readonly KernelCase[] {
  return [false, true].flatMap((interleaved) =>
    WIDTHS.map(([headDim, pairs]) => {
      const options = { headDim, pairs, interleaved };
      return {
        name: `rotary ${interleaved ? "neighbours" : "halves"}, ${pairs} pairs of ${headDim} elements`,
        module: rotaryKernel(options),
        check: (bytes: Uint8Array) =>
          guarded(() => {
            const kernel = instantiate(bytes);
            for (const [i, sizes] of SIZES.entries()) {
              const wrong = checkRotary(kernel, options, sizes, 10 * i + pairs);
              if (wrong !== undefined) return `${sizes.tokens} tokens, ${sizes.heads} heads: ${wrong}`;
            }
            return undefined;
          }),
      };
    }),
  );
}
