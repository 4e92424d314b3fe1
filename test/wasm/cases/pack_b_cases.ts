/** Packing into panels: both orders of the source, all widths of the last panel. */
import {
  type PackOptions,
  packedElements,
  packGrid,
  packKernel,
  packScratch,
} from "../../../kernels/wasm/emit/pack_b.ts";
import { encodeFromF32, type HalfDType } from "../../../runtime/core/dtype.ts";
import { hashStream } from "../../../runtime/core/random.ts";
import {
  compare,
  copyBytes,
  guarded,
  instantiate,
  type KernelCase,
  type KernelFunction,
  type KernelRun,
  normals,
  runKernel,
} from "../emit_kit.ts";

/** Small integers of a seed: products and sums of them are exact in f32. */
export function integers(seed: number, count: number): Float32Array {
  const at = hashStream(seed);
  return new Float32Array(count).map((_, i) => (at(i) % 15) - 7);
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

/** Panels as pairs: in each group of eight, element i in the lower half of word i and element i + 4 in its upper. */
export function paired(dtype: HalfDType, panels: Float32Array, panelLength: number): Float32Array {
  const out: number[] = [];
  for (let first = 0; first < panels.length; first += panelLength) {
    const padded = new Float32Array(Math.ceil(panelLength / 8) * 8);
    padded.set(panels.subarray(first, first + panelLength));
    const half = new Uint16Array(encodeFromF32(dtype, padded).buffer);
    for (let group = 0; group < half.length; group += 8)
      for (let i = 0; i < 4; i++) out.push((half[group + i] | (half[group + i + 4] << 16)) >>> 0);
  }
  return new Float32Array(Uint32Array.from(out).buffer);
}

export function packCheck(options: PackOptions, sizes: PackSizes): Check {
  const { n, k, batch, gap } = sizes;
  const [rows, width] = options.transposed ? [n, k] : [k, n];
  const stride = width + gap;
  // The last row ends without a gap.
  const source = normals(n + 31 * k, batch * rows * stride - gap);
  const run: KernelRun = {
    inputs: [source],
    outputLength: batch * (packedElements(n, k, options.columns) as number),
    args: (output, [b]) => [output, b, n, k, stride, rows * stride],
    grid: packGrid(n, batch, options.columns) as number,
    scratch: packScratch(options),
    misaligned: (n + k) % 4,
  };
  const expected = packed(source, options, sizes);
  return (kernel) => {
    const wrong = compare(runKernel(kernel, run), expected, 0, 0);
    return wrong === undefined ? undefined : `n ${n}, k ${k}: ${wrong}`;
  };
}

/** Each panel is packed where its columns lie. */
function inPlaceCheck(columns: number, n: number, k: number): Check {
  const options: PackOptions = { columns, transposed: true, inPlace: k };
  const source = normals(n + 31 * k, n * k);
  const expected = packed(source, options, { n, k, batch: 1, gap: 0 });
  let [to, from] = [0, 0];
  const run: KernelRun = {
    inputs: [source],
    outputLength: packedElements(n, k, columns) as number,
    args: (output, [b]) => {
      [to, from] = [output, b];
      return [output, output, n, k, k, 0];
    },
    grid: packGrid(n, 1, columns) as number,
    scratch: packScratch(options),
    misaligned: (n + k) % 4,
  };
  return (kernel) => {
    const readAndPack: KernelFunction = (args, begin, end, scratch) => {
      const [first, behind] = [begin * columns, Math.min(n, end * columns)].map((column) => 4 * k * column);
      copyBytes(to + first, from + first, behind - first);
      kernel(args, begin, end, scratch);
    };
    const wrong = compare(runKernel(readAndPack, run), expected, 0, 0);
    return wrong === undefined ? undefined : `n ${n}, k ${k}: ${wrong}`;
  };
}

/** Sizes around the width of a panel and the fours of K. */
const sizesAround = (columns: number): readonly PackSizes[] => [
  { n: 1, k: 1, batch: 1, gap: 0 },
  { n: columns, k: 8, batch: 2, gap: 0 },
  { n: columns + 1, k: 3, batch: 2, gap: 1 },
  // The last panel ends with the first column of its last group.
  { n: 2 * columns - 3, k: 5, batch: 1, gap: 0 },
  { n: 2 * columns - 1, k: 6, batch: 1, gap: 2 },
  { n: 3 * columns - 2, k: 9, batch: 3, gap: 3 },
];

/** Says what a kernel does wrong in a computation whose operands and expected values were made before. */
export type Check = (kernel: KernelFunction) => string | undefined;

/** A case's check out of several, which are prepared at the first call. */
export function checkAll(prepare: () => readonly Check[]): KernelCase["check"] {
  let checks: readonly Check[] | undefined;
  return (bytes) =>
    guarded(() => {
      checks ??= prepare();
      const kernel = instantiate(bytes);
      for (const check of checks) {
        const wrong = check(kernel);
        if (wrong !== undefined) return wrong;
      }
      return undefined;
    });
}

export function packCases(): readonly KernelCase[] {
  // The size of K is a constant of scratch alone: one module packs all. The source may lie elsewhere as well.
  const inPlace = [8, 16].map((columns) => ({
    name: `pack_b ${columns} columns in place`,
    module: packKernel({ columns, transposed: true, inPlace: 9 }),
    check: checkAll(() =>
      sizesAround(columns).flatMap((sizes) => [
        inPlaceCheck(columns, sizes.n, sizes.k),
        packCheck({ columns, transposed: true, inPlace: sizes.k }, { ...sizes, gap: 0 }),
      ]),
    ),
  }));
  const apart = [4, 8, 12, 16].flatMap((columns) =>
    [false, true].map((transposed) => {
      const options = { columns, transposed };
      return {
        name: `pack_b ${columns} columns${transposed ? ", transposed" : ""}`,
        module: packKernel(options),
        check: checkAll(() => sizesAround(columns).map((s) => packCheck(options, s))),
      };
    }),
  );
  return [...apart, ...inPlace];
}
