/** Single elements of attention: weights of a row and columns of a head, which several elements share, are computed once. */
import { exp } from "../../core/math.ts";
import { inFours, type Reader, remember, setUpToFour, vector } from "./sample_reader.ts";

interface Operands {
  readonly q: Reader;
  readonly k: Reader;
  readonly v: Reader;
  /** [batch, tokens, heads, head_dim]. */
  readonly shapeQ: readonly number[];
  readonly shapeK: readonly number[];
  readonly scale: number;
  readonly causal: boolean;
  /** Tokens to either side; 0 for all. */
  readonly window: number;
  /** 0 for keys that are not seen. */
  readonly masked: Reader | undefined;
  /** Ascending offsets of segments. */
  readonly offsets: Float64Array | undefined;
}

/** Keys that a row may see, masked ones among them, and their weights. */
interface Weights {
  readonly first: number;
  readonly shares: Float64Array;
}

/** Adds products with columns to the sums, four columns in a turn, in their order. */
function addProducts(sums: Float64Array, factors: Float64Array, columnAt: (i: number) => Float64Array): void {
  let i = 0;
  for (; i + 4 <= factors.length; i += 4) {
    const b = columnAt(i);
    const c = columnAt(i + 1);
    const d = columnAt(i + 2);
    const e = columnAt(i + 3);
    const x = factors[i];
    const y = factors[i + 1];
    const z = factors[i + 2];
    const w = factors[i + 3];
    for (let j = 0; j < sums.length; j++) {
      let sum = sums[j];
      sum += x * b[j];
      sum += y * c[j];
      sum += z * d[j];
      sums[j] = sum + w * e[j];
    }
  }
  for (; i < factors.length; i++) {
    const x = factors[i];
    const column = columnAt(i);
    for (let j = 0; j < sums.length; j++) sums[j] += x * column[j];
  }
}

function scaleBy(values: Float64Array, scale: number): void {
  for (let j = 0; j < values.length; j++) values[j] *= scale;
}

/** Turns products into shares that add up to 1; all 0 where nothing is seen. */
function softmax(shares: Float64Array): void {
  let top = Number.NEGATIVE_INFINITY;
  for (let j = 0; j < shares.length; j++) top = Math.max(top, shares[j]);
  if (top === Number.NEGATIVE_INFINITY) {
    shares.fill(0);
    return;
  }
  let total = 0;
  for (let j = 0; j < shares.length; j++) {
    shares[j] = exp(shares[j] - top);
    total += shares[j];
  }
  for (let j = 0; j < shares.length; j++) shares[j] /= total;
}

/** Sums of products of shares with columns, four side by side. Nothing reaches what is not seen, were it infinite. */
function mix(shares: Float64Array, columns: readonly Float64Array[], out: Float64Array, at: number): void {
  const b = columns[0];
  const c = columns[1] ?? b;
  const d = columns[2] ?? b;
  const e = columns[3] ?? b;
  let first = 0;
  let second = 0;
  let third = 0;
  let fourth = 0;
  for (let j = 0; j < shares.length; j++) {
    const x = shares[j];
    if (x === 0) continue;
    first += x * b[j];
    second += x * c[j];
    third += x * d[j];
    fourth += x * e[j];
  }
  setUpToFour(out, at, columns.length, first, second, third, fourth);
}

/** Elements of `attention`. */
export function sampleAttention(options: Operands): Reader {
  const { q, k, v, shapeQ, shapeK, scale, causal, window, masked, offsets } = options;
  const [, queries, heads, width] = shapeQ;
  const [, keys, keyHeads] = shapeK;
  const group = heads / keyHeads;
  // A row's query, batch and head lie in its number.
  const batchOf = (row: number): number => Math.floor(row / (heads * queries));
  const keyAt = (row: number, j: number): number =>
    ((batchOf(row) * keys + j) * keyHeads + Math.floor((row % heads) / group)) * width;
  /** Columns of keys and values over `count` tokens from a position on: rows of one head share them. */
  const columnsOf = (read: Reader): ((count: number) => (start: number) => Float64Array) =>
    remember((count) => remember((start) => vector(read, start, keyHeads * width, count)));
  const [keyColumns, valueColumns] = [columnsOf(k), columnsOf(v)];

  const weights = remember((row): Weights => {
    const query = Math.floor(row / heads) % queries;
    let [first, end] = [0, keys];
    for (let s = 0; offsets !== undefined && s + 1 < offsets.length; s++)
      if (query >= offsets[s] && query < offsets[s + 1]) [first, end] = [offsets[s], offsets[s + 1]];
    if (window > 0) [first, end] = [Math.max(first, query - window), Math.min(end, query + window + 1)];
    const shares = new Float64Array(end - first);
    const own = vector(q, row * width, 1, width);
    const [start, columns] = [keyAt(row, first), keyColumns(shares.length)];
    addProducts(shares, own, (d) => columns(start + d));
    scaleBy(shares, scale);
    if (causal) shares.fill(Number.NEGATIVE_INFINITY, Math.max(0, query + 1 - first));
    const mask = masked && vector(masked, batchOf(row) * keys + first, 1, shares.length);
    mask?.forEach((seen, j) => {
      if (seen === 0) shares[j] = Number.NEGATIVE_INFINITY;
    });
    softmax(shares);
    return { first, shares };
  });

  const many = (positions: readonly number[]): Float64Array => {
    const values = new Float64Array(positions.length);
    inFours(positions, width, (row, offsets, i) => {
      const { first, shares } = weights(row);
      const [start, columns] = [keyAt(row, first), valueColumns(shares.length)];
      mix(
        shares,
        offsets.map((d) => columns(start + d)),
        values,
        i,
      );
    });
    return values;
  };
  return Object.assign((position: number): number => many([position])[0], { many });
}
