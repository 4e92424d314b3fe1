/** Single elements of attention: weights of a row and columns of a head, which several elements share, are computed once. */
import { exp } from "../../core/math.ts";
import { dots, inFours, type Reader, remember, setUpToFour, vector, vectors } from "./sample_reader.ts";

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
  /** How they meet values. */
  readonly dots: typeof dotsOfSeen;
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

/** As {@link dots}, where some shares are 0: nothing reaches what is not seen, were it infinite. */
function dotsOfSeen(shares: Float64Array, columns: readonly Float64Array[], out: Float64Array, at: number): void {
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

/** `count` rows that lie `step` apart, in as few reads as there are ways to. */
function rowsOf(read: Reader, start: number, step: number, count: number, width: number): readonly Float64Array[] {
  if (read.runs !== undefined || count <= width) return vectors(read, start, step, count, 1, width);
  const columns = vectors(read, start, 1, width, step, count);
  const rows: Float64Array[] = [];
  for (let j = 0; j < count; j++) {
    const row = new Float64Array(width);
    for (let d = 0; d < width; d++) row[d] = columns[d][j];
    rows.push(row);
  }
  return rows;
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
  // Over `count` tokens from a position on: rows of one head share them.
  const step = keyHeads * width;
  const keyRows = remember((count) => remember((start) => rowsOf(k, start, step, count, width)));
  const valueColumns = remember((count) => remember((start) => vector(v, start, step, count)));

  const weights = remember((row): Weights => {
    const query = Math.floor(row / heads) % queries;
    let [first, end] = [0, keys];
    for (let s = 0; offsets !== undefined && s + 1 < offsets.length; s++)
      if (query >= offsets[s] && query < offsets[s + 1]) [first, end] = [offsets[s], offsets[s + 1]];
    if (window > 0) [first, end] = [Math.max(first, query - window), Math.min(end, query + window + 1)];
    const shares = new Float64Array(end - first);
    const own = vector(q, row * width, 1, width);
    const seen = keyRows(shares.length)(keyAt(row, first));
    for (let j = 0; j < seen.length; j += 4) dots(own, seen, shares, j, j);
    scaleBy(shares, scale);
    if (causal) shares.fill(Number.NEGATIVE_INFINITY, Math.max(0, query + 1 - first));
    const mask = masked && vector(masked, batchOf(row) * keys + first, 1, shares.length);
    mask?.forEach((isSeen, j) => {
      if (isSeen === 0) shares[j] = Number.NEGATIVE_INFINITY;
    });
    softmax(shares);
    return { first, shares, dots: shares.includes(0) ? dotsOfSeen : dots };
  });

  const many = (positions: readonly number[]): Float64Array => {
    const values = new Float64Array(positions.length);
    inFours(positions, width, (row, offsets, i) => {
      const { first, shares, dots: meet } = weights(row);
      const [start, columns] = [keyAt(row, first), valueColumns(shares.length)];
      meet(
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
