/** Attention: widths, strides, masks, causal order and segments, against the reference evaluator. */
import { attentionKernel } from "../../../kernels/wasm/emit/attention.ts";
import {
  type AttentionOptions,
  attentionArguments,
  attentionGrid,
  attentionScratch,
} from "../../../kernels/wasm/emit/attention_grid.ts";
import * as ref from "../../../runtime/ir/evaluate/mod.ts";
import { type KernelCase, type KernelRun, normals, runKernel } from "../emit_kit.ts";
import { type Check, checkAll } from "./pack_b_cases.ts";

export interface AttentionSizes {
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  /** Queries, keys and values, of equally many heads, interleaved by token, as one product writes them, and not apart. */
  readonly merged?: boolean;
  /** Which keys are seen, [batch, keys]. */
  readonly mask?: (batch: number, key: number) => boolean;
  /** Ends of the segments. */
  readonly ends?: readonly number[];
  /** Standard deviation of queries and keys. */
  readonly spread?: number;
  /** Largest absolute error of a result; follows from the spread unless given. */
  readonly error?: number;
  /** Changes the operands, given as [batch, tokens, heads, head_dim]. */
  readonly edit?: (q: Float32Array, k: Float32Array, v: Float32Array) => void;
}

/** What is wrong with `found`. */
function compareRows(found: Float32Array, expected: ArrayLike<number>, error: number): string | undefined {
  for (let i = 0; i < expected.length; i++) {
    const e = expected[i];
    const ok = Number.isFinite(e) ? Math.abs(found[i] - e) <= error : Object.is(found[i], e);
    if (!ok) return `element ${i} is ${found[i]} instead of ${e}`;
  }
  return undefined;
}

interface AttentionRun {
  readonly run: KernelRun;
  readonly expected: ArrayLike<number>;
}

/** Attention over random operands, with what the evaluator finds. */
export function attentionRun(options: AttentionOptions, sizes: AttentionSizes): AttentionRun {
  const { batch, heads, queries, keys } = sizes;
  const { headDim, group = 1 } = options;
  const spread = sizes.spread ?? 1;
  const keyHeads = heads / group;
  const [width, keyWidth] = [heads * headDim, keyHeads * headDim];
  const q = normals(10 * queries, batch * queries * width, 0, spread);
  const k = normals(1 + 10 * keys, batch * keys * keyWidth, 0, spread);
  const v = normals(2 + 10 * keys, batch * keys * keyWidth);
  sizes.edit?.(q, k, v);
  const mask = Float32Array.from({ length: batch * keys }, (_, i) =>
    sizes.mask?.(Math.floor(i / keys), i % keys) === false ? (i % 2 === 0 ? 0 : -0) : 2,
  );
  const cuSeqlens = Int32Array.from([0, ...(sizes.ends ?? [])]);
  const tensor = (tokens: number, own: number, x: ArrayLike<number>): ref.RefTensor =>
    ref.refTensor("f32", [batch, tokens, own, headDim], x);
  const expected = ref.attention(tensor(queries, heads, q), tensor(keys, keyHeads, k), tensor(keys, keyHeads, v), {
    scale: options.scale,
    causal: options.causal,
    window: options.window,
    ...(options.keyMask ? { keyMask: ref.refTensor("f32", [batch, keys], mask) } : {}),
    ...(options.segments ? { cuSeqlens: ref.refTensor("i32", [cuSeqlens.length], cuSeqlens) } : {}),
  }).data;

  const parts = options.partKeys > 0 ? Math.max(1, Math.ceil(keys / options.partKeys)) : 1;
  const merged = sizes.merged === true;
  const stepOf = (operand: number): number => (merged ? 3 * width : operand === 0 ? width : keyWidth);
  const tokens = merged ? interleave([q, k, v], width) : undefined;
  const run: KernelRun = {
    inputs: tokens === undefined ? [q, k, v, mask, cuSeqlens] : [tokens, tokens, tokens, mask, cuSeqlens],
    outputLength: expected.length,
    args: (output, pointers) => {
      const [first] = pointers;
      const heads3 = merged ? [first, first + 4 * width, first + 8 * width] : pointers;
      const values = new Map<string, number>([
        ...([
          ["output", output],
          ["heads", heads],
          ["queries", queries],
          ["keys", keys],
        ] as const),
        ...([
          ["key_mask", pointers[3]],
          ["cu_seqlens", pointers[4]],
          ["segments", cuSeqlens.length - 1],
          ["parts", parts],
        ] as const),
      ]);
      ["q", "k", "v"].forEach((name, i) => {
        values.set(name, heads3[i]);
        values.set(`${name}_batch_stride`, (i === 0 ? queries : keys) * stepOf(i));
        values.set(`${name}_token_stride`, stepOf(i));
        values.set(`${name}_head_stride`, headDim);
      });
      return attentionArguments(options).map((name) => values.get(name) as number);
    },
    grid: (attentionGrid(batch, heads, queries, options) as number) * parts,
    scratch: attentionScratch(options),
    misaligned: (queries + keys) % 4,
  };
  return { run, expected };
}

/** Attention over random operands, with the evaluator as the judge. */
export function attentionCheck(options: AttentionOptions, sizes: AttentionSizes): Check {
  const { run, expected } = attentionRun(options, sizes);
  // The weights of a row sum to 1, so values of spread 1 bound absolute errors.
  const { spread = 1, error = 4e-6 * Math.max(1, spread * spread) } = sizes;
  return (kernel) => {
    const wrong = compareRows(runKernel(kernel, run), expected, error);
    return wrong === undefined ? undefined : `queries ${sizes.queries}, keys ${sizes.keys}: ${wrong}`;
  };
}

/** Rows of several matrices after one another, row by row. */
function interleave(matrices: readonly Float32Array[], width: number): Float32Array {
  const rows = matrices[0].length / width;
  const out = new Float32Array(matrices.length * rows * width);
  for (let r = 0; r < rows; r++) {
    matrices.forEach((x, i) => {
      out.set(x.subarray(r * width, (r + 1) * width), (r * matrices.length + i) * width);
    });
  }
  return out;
}

interface Row {
  readonly name: string;
  readonly options: Partial<AttentionOptions> & { readonly headDim: number };
  readonly sizes: readonly AttentionSizes[];
}

const every =
  (n: number) =>
  (batch: number, key: number): boolean =>
    (key + batch) % n !== 0;

const nothing = (): boolean => false;

/** NaN in the last elements of keys and values, where nobody may look. */
const poisonTail =
  (elements: number): AttentionSizes["edit"] =>
  (_, k, v) => {
    for (const x of [k, v]) x.fill(NaN, x.length - elements);
  };

/** NaN in keys and values of the first and the last token. */
const poisonEnds =
  (elements: number): AttentionSizes["edit"] =>
  (_, k, v) => {
    for (const x of [k, v]) x.fill(NaN, 0, elements).fill(NaN, x.length - elements);
  };

/** A quarter, so that scores are exact where queries and keys have few bits. */
const EXACT_SCALE = 0.25;

/** One head whose scores `score` states exactly, for queries that see all keys before them. */
function scored(
  tokens: number,
  headDim: number,
  error: number,
  score: (key: number) => number,
  value: (key: number, column: number) => number,
): AttentionSizes {
  return {
    ...{ batch: 1, heads: 1, queries: tokens, keys: tokens, ends: [tokens], error },
    edit: (q, k, v) => {
      q.forEach((_, i) => {
        q[i] = i % headDim === 0 ? 1 / EXACT_SCALE : 0;
        k[i] = i % headDim === 0 ? score(Math.floor(i / headDim)) : 0;
        v[i] = value(Math.floor(i / headDim), i % headDim);
      });
    },
  };
}

/** Keys that differ in their lowest bits alone, which each query sees of one column as scores up to 7 apart. */
function lowBits(headDim: number): AttentionSizes {
  const tokens = 3 * headDim;
  return {
    ...{ batch: 1, heads: 1, queries: tokens, keys: tokens, ends: [tokens] },
    edit: (q, k) => {
      q.forEach((_, i) => {
        const [token, column] = [Math.floor(i / headDim), i % headDim];
        q[i] = token % headDim === column ? 2 ** 20 / EXACT_SCALE : 0;
        k[i] = 1 + ((3 * token + column) % 8) * 2 ** -20;
      });
    },
  };
}

/** For constants that random operands do not show, with {@link EXACT_SCALE}. */
const telling = (headDim: number): readonly AttentionSizes[] => [
  lowBits(headDim),
  // One key, in each lane, far above the others, whose values are as far above its own.
  ...[0, 1, 2, 3].map((high) =>
    scored(
      ...([9, headDim, 4e-6] as const),
      (key) => (key === high ? 0 : -60),
      (key, column) => (key === high ? column / headDim : 2 ** 84 * (1 - 2 * (column % 2))),
    ),
  ),
  // So far above that without it as the largest its own exponential would overflow.
  ...[0, 1, 2, 3].map((high) =>
    scored(
      ...([9, headDim, 4e-6] as const),
      (key) => (key === high ? 0 : -100),
      (key, column) => (key === high ? column / headDim : 1),
    ),
  ),
  // A second block of keys above the first.
  scored(
    ...([140, headDim, 4e-6] as const),
    (key) => (key < 128 ? 0 : 3),
    (key, column) => (key < 128 ? column / headDim : -1),
  ),
  // Half of ln 2 apart, where the exponential's last coefficient counts most; every lane by itself.
  scored(
    ...([16, headDim, 1e-4] as const),
    (key) => (key === 0 ? 0 : -0.34375),
    (key, column) => (key % 4 === column % 4 ? 1024 : 0),
  ),
];

const ROWS: readonly Row[] = [
  {
    name: "dense",
    options: { headDim: 16, scale: EXACT_SCALE },
    sizes: [
      ...telling(16),
      { batch: 2, heads: 3, queries: 5, keys: 11 },
      { batch: 1, heads: 1, queries: 1, keys: 2 },
      { batch: 1, heads: 2, queries: 73, keys: 129 },
      { batch: 1, heads: 1, queries: 144, keys: 8 },
      { batch: 1, heads: 2, queries: 5, keys: 300, spread: 2 },
      { batch: 2, heads: 2, queries: 13, keys: 13, merged: true, spread: 12 },
    ],
  },
  {
    name: "odd head_dim",
    options: { headDim: 21 },
    sizes: [
      { batch: 2, heads: 2, queries: 9, keys: 18 },
      { batch: 1, heads: 1, queries: 6, keys: 6, merged: true },
    ],
  },
  {
    name: "in parts",
    options: { headDim: 8, partKeys: 128 },
    sizes: [
      { batch: 2, heads: 2, queries: 75, keys: 300 },
      { batch: 1, heads: 1, queries: 5, keys: 128 },
      { batch: 1, heads: 1, queries: 3, keys: 1 },
    ],
  },
  {
    name: "in parts with segments",
    options: { headDim: 4, segments: true, partKeys: 128 },
    sizes: [
      { batch: 1, heads: 2, queries: 400, keys: 400, ends: [10, 10, 30, 330, 331, 400] },
      { batch: 1, heads: 1, queries: 256, keys: 256, ends: [128, 256] },
    ],
  },
  { name: "head_dim 3", options: { headDim: 3 }, sizes: [{ batch: 2, heads: 2, queries: 7, keys: 10 }] },
  {
    name: "causal",
    options: { headDim: 12, causal: true },
    sizes: [
      { batch: 2, heads: 2, queries: 1, keys: 1 },
      { batch: 1, heads: 2, queries: 23, keys: 23, merged: true },
      { batch: 1, heads: 1, queries: 150, keys: 150 },
      // The last token is NaN; only the last query sees it.
      { batch: 1, heads: 1, queries: 22, keys: 22, edit: poisonTail(12) },
    ],
  },
  {
    name: "key mask",
    options: { headDim: 4, keyMask: true },
    sizes: [
      { batch: 3, heads: 2, queries: 6, keys: 19, mask: every(3) },
      { batch: 2, heads: 1, queries: 3, keys: 300, mask: (b, key) => (b === 0 ? key > 280 : key % 2 === 0) },
      { batch: 2, heads: 1, queries: 5, keys: 9, mask: nothing },
      {
        batch: 1,
        heads: 1,
        queries: 5,
        keys: 9,
        mask: (_, key) => key < 7,
        edit: poisonTail(8),
      },
    ],
  },
  {
    name: "causal with key mask",
    options: { headDim: 8, causal: true, keyMask: true },
    sizes: [
      { batch: 2, heads: 2, queries: 27, keys: 27, mask: every(4) },
      { batch: 1, heads: 1, queries: 160, keys: 160, mask: (_, key) => key > 2 && key % 5 !== 1 },
    ],
  },
  {
    name: "segments",
    options: { headDim: 16, segments: true },
    sizes: [
      { batch: 1, heads: 2, queries: 20, keys: 20, ends: [3, 3, 17, 20] },
      { batch: 2, heads: 1, queries: 170, keys: 170, ends: [1, 80, 170] },
    ],
  },
  {
    name: "window",
    options: { headDim: 16, window: 9 },
    sizes: [
      { batch: 2, heads: 2, queries: 1, keys: 1 },
      { batch: 1, heads: 2, queries: 40, keys: 40, merged: true, spread: 6 },
      { batch: 1, heads: 1, queries: 330, keys: 330 },
      // The first and the last token are NaN; what lies further away than the window must not notice.
      { batch: 1, heads: 1, queries: 160, keys: 160, edit: poisonEnds(16) },
    ],
  },
  {
    name: "window smaller than a tile",
    options: { headDim: 6, window: 1 },
    sizes: [
      { batch: 1, heads: 3, queries: 7, keys: 7 },
      { batch: 2, heads: 1, queries: 150, keys: 150, edit: poisonEnds(6) },
    ],
  },
  {
    name: "wide window",
    options: { headDim: 4, window: 150 },
    sizes: [
      { batch: 1, heads: 1, queries: 20, keys: 20 },
      { batch: 1, heads: 2, queries: 500, keys: 500, edit: poisonEnds(4) },
    ],
  },
  {
    name: "causal segments with key mask in windows",
    options: { headDim: 5, segments: true, causal: true, keyMask: true, window: 20 },
    sizes: [
      { batch: 2, heads: 3, queries: 90, keys: 90, ends: [10, 71, 72, 90], mask: every(7) },
      { batch: 1, heads: 1, queries: 300, keys: 300, ends: [40, 300], mask: (_, key) => key % 3 === 0, merged: true },
      { batch: 1, heads: 1, queries: 200, keys: 200, ends: [200], mask: (_, key) => key < 40 || key > 150 },
    ],
  },
  {
    name: "segments with key mask in windows",
    options: { headDim: 14, scale: EXACT_SCALE, segments: true, keyMask: true, window: 70 },
    sizes: [
      ...telling(14),
      { batch: 2, heads: 2, queries: 30, keys: 30, ends: [2, 20, 21, 30], mask: every(7) },
      // Tiles of queries of which the last alone sees a panel's first key, or the first alone its last.
      { batch: 1, heads: 1, queries: 144, keys: 144, ends: [144], mask: (_, key) => key !== 5 && key !== 90 },
      // The last query of a tile does not see the first key, and the first, or the first two, not the last.
      { batch: 1, heads: 1, queries: 144, keys: 144, ends: [144], edit: poisonEnds(14) },
      { batch: 1, heads: 1, queries: 145, keys: 145, ends: [145], edit: poisonEnds(14) },
      // Queries that see none of the keys that others of their block see.
      { batch: 1, heads: 1, queries: 144, keys: 144, ends: [144], mask: (_, key) => key < 20 },
      { batch: 1, heads: 1, queries: 73, keys: 73, ends: [73], mask: (_, key) => key > 71 },
      { batch: 1, heads: 2, queries: 6, keys: 6, ends: [4, 6], mask: (_, key) => key > 0, spread: 12 },
    ],
  },
  {
    name: "causal segments with key mask",
    options: { headDim: 14, scale: EXACT_SCALE, segments: true, causal: true, keyMask: true },
    sizes: [
      ...telling(14),
      { batch: 2, heads: 2, queries: 30, keys: 30, ends: [2, 20, 21, 30], mask: every(7) },
      { batch: 1, heads: 1, queries: 144, keys: 144, ends: [144], mask: (_, key) => key !== 5, merged: true },
      { batch: 1, heads: 1, queries: 73, keys: 73, ends: [40, 73] },
      { batch: 1, heads: 2, queries: 6, keys: 6, ends: [4, 6], mask: (_, key) => key > 0, spread: 12 },
      // A tile of queries of which the last alone sees a panel's first key.
      { batch: 1, heads: 1, queries: 13, keys: 13, ends: [13], mask: (_, key) => key > 2 },
      { batch: 1, heads: 1, queries: 22, keys: 22, ends: [22], edit: poisonTail(14) },
    ],
  },
];

/** @param spread queries and weights stand four times side by side in scratch, without windows */
export function attentionCases(madd: boolean, spread = false): readonly KernelCase[] {
  return ROWS.filter(({ options }) => !spread || (options.window ?? 0) === 0).map(({ name, options, sizes }) => {
    const all = {
      scale: 0.3,
      causal: false,
      keyMask: false,
      segments: false,
      window: 0,
      partKeys: 0,
      ...options,
      madd,
      spread,
    };
    return {
      name: `attention ${name}${madd ? ", relaxed" : ""}${spread ? ", spread" : ""}`,
      relaxed: madd,
      module: attentionKernel(all),
      check: checkAll(() => sizes.map((s) => attentionCheck(all, s))),
    };
  });
}
