/** Packing into panels: both orders of the source, all widths of the last panel. */
import { type PackOptions, packedElements, packGrid, packKernel } from "../../../kernels/wasm/emit/pack_b.ts";
import { hash32 } from "../../../runtime/core/random.ts";
import {
  compare,
  guarded,
  instantiate,
  type KernelCase,
  type KernelFunction,
  normals,
  runKernel,
} from "../emit_kit.ts";

/** Small integers of a seed: products and sums of them are exact in f32. */
export function integers(seed: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => (hash32(seed, i) % 15) - 7);
}

export interface PackSizes {
  readonly n: number;
  readonly k: number;
  readonly batch: number;
  /** Elements between the end of a source row and the next. */
  readonly gap: number;
}

/** The panels of `source`, by definition. */
export function packed(
  source: Float32Array,
  { columns, transposed }: PackOptions,
  { n, k, batch, gap }: PackSizes,
): Float32Array {
  const [rows, width] = transposed ? [n, k] : [k, n];
  const out: number[] = [];
  for (let b = 0; b < batch; b++) {
    for (let first = 0; first < n; first += columns) {
      for (let p = 0; p < k; p++) {
        for (let j = first; j < first + columns; j++) {
          const at = transposed ? j * (width + gap) + p : p * (width + gap) + j;
          out.push(j < n ? source[b * rows * (width + gap) + at] : 0);
        }
      }
    }
  }
  return Float32Array.from(out);
}

export function checkPack(kernel: KernelFunction, options: PackOptions, sizes: PackSizes): string | undefined {
  const { n, k, batch, gap } = sizes;
  const [rows, width] = options.transposed ? [n, k] : [k, n];
  const stride = width + gap;
  // The last row ends without a gap.
  const source = normals(n + 31 * k, batch * rows * stride - gap);
  const found = runKernel(kernel, {
    inputs: [source],
    outputLength: batch * (packedElements(n, k, options.columns) as number),
    args: (output, [b]) => [output, b, n, k, stride, rows * stride],
    grid: packGrid(n, batch, options.columns) as number,
    misaligned: (n + k) % 4,
  });
  const wrong = compare(found, packed(source, options, sizes), 0, 0);
  return wrong === undefined ? undefined : `n ${n}, k ${k}: ${wrong}`;
}

/** Sizes around the width of a panel and the fours of K. */
const sizesAround = (columns: number): readonly PackSizes[] => [
  { n: 1, k: 1, batch: 1, gap: 0 },
  { n: columns, k: 8, batch: 2, gap: 0 },
  { n: columns + 1, k: 3, batch: 2, gap: 1 },
  { n: 2 * columns - 1, k: 6, batch: 1, gap: 2 },
  { n: 3 * columns - 2, k: 9, batch: 3, gap: 3 },
];

/** The first sentence that a check of several sizes gives. */
export function firstWrong<S>(
  kernel: KernelFunction,
  sizes: readonly S[],
  check: (kernel: KernelFunction, s: S) => string | undefined,
): string | undefined {
  for (const s of sizes) {
    const wrong = check(kernel, s);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

export function packCases(): readonly KernelCase[] {
  return [4, 8, 12, 16].flatMap((columns) =>
    [false, true].map((transposed) => {
      const options = { columns, transposed };
      return {
        name: `pack_b ${columns} columns${transposed ? ", transposed" : ""}`,
        module: packKernel(options),
        check: (bytes) =>
          guarded(() =>
            firstWrong(instantiate(bytes), sizesAround(columns), (kernel, s) => checkPack(kernel, options, s)),
          ),
      };
    }),
  );
}
