/** Single elements of integer products: rows and channels that several elements share are quantised once. */
import { channelScale, type Quantized, quantizeChannel, quantizedDot, quantizeRow } from "./quantize.ts";
import { remember } from "./sample_reader.ts";

/** `count` elements of a value from `start` on. */
export type Run = (start: number, count: number) => Float64Array;

interface Operands {
  /** Elements of x [..., K] and of w [N or N + 1, K]. */
  readonly x: Run;
  readonly w: Run;
  readonly k: number;
  readonly n: number;
  readonly scaled: boolean;
}

/** Elements of `quantized_matmul` by row-major position. */
export function sampleQuantizedMatmul({ x, w, k, n, scaled }: Operands): (position: number) => number {
  const factors = remember(() => w(n * k, k));
  const row = remember((i): Quantized => quantizeRow(x(i * k, k), scaled ? factors(0) : undefined));
  const channel = remember((j): Quantized => quantizeChannel(w(j * k, k)));
  return (position) => {
    const i = Math.floor(position / n);
    return quantizedDot(row(i), channel(position - i * n));
  };
}

/** Elements of `channel_scales`. */
export function sampleChannelScales(w: Run, magnitudes: Run, n: number, k: number): (position: number) => number {
  const scales = remember(() => {
    const largest = new Float64Array(k);
    for (let i = 0; i < n; i++) {
      const row = w(i * k, k);
      for (let j = 0; j < k; j++) if (Math.abs(row[j]) > largest[j]) largest[j] = Math.abs(row[j]);
    }
    const sizes = magnitudes(0, k);
    return largest.map((m, j) => channelScale(sizes[j], m));
  });
  return (position) => scales(0)[position];
}
