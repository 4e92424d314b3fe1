/** Readers of single elements: of a value by position, seen at other strides, remembered, many at once. */
import { type RefTensor, sameShape, stridesOf } from "./tensor.ts";

/**
 * Elements by row-major position; `run` reads many at even steps, `runs` several of these whose starts lie `between` apart, and
 * `many` at any places, where that is faster than one by one. Nobody writes to what they hand out.
 */
export interface Reader {
  (position: number): number;
  readonly run?: (start: number, step: number, count: number) => Float64Array;
  readonly runs?: (start: number, between: number, number: number, step: number, count: number) => Float64Array[];
  readonly many?: (positions: readonly number[]) => Float64Array;
}

/** Position at other strides of what lies at a row-major position of `shape`. */
export function atStrides(
  shape: readonly number[],
  strides: readonly number[],
  offset = 0,
): (position: number) => number {
  // Innermost first; axes that lie one behind the other are one.
  const sizes: number[] = [];
  const steps: number[] = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const last = sizes.length - 1;
    if (shape[axis] === 1) continue;
    if (last >= 0 && strides[axis] === sizes[last] * steps[last]) sizes[last] *= shape[axis];
    else {
      sizes.push(shape[axis]);
      steps.push(strides[axis]);
    }
  }
  const outermost = sizes.length - 1;
  if (outermost < 0) return () => offset;
  const [size, step] = [sizes[0], steps[0]];
  if (outermost === 0) return (position) => offset + position * step;
  const next = steps[1];
  if (outermost === 1) {
    return (position) => {
      const line = Math.floor(position / size);
      return offset + (position - line * size) * step + line * next;
    };
  }
  return (position) => {
    let rest = position;
    let at = offset;
    for (let axis = 0; axis < outermost; axis++) {
      const line = Math.floor(rest / sizes[axis]);
      at += (rest - line * sizes[axis]) * steps[axis];
      rest = line;
    }
    return at + rest * steps[outermost];
  };
}

/** A value seen at other strides. Runs along one axis are runs of what is seen. */
export function strided(read: Reader, shape: readonly number[], strides: readonly number[], offset = 0): Reader {
  const place = atStrides(shape, strides, offset);
  const own = stridesOf(shape);
  const width = shape[shape.length - 1] ?? 1;
  const across = strides[strides.length - 1] ?? 0;
  const at = (position: number): number => read(place(position));
  /** The axis that `count` elements at even steps lie on, or -1. */
  const axisOf = (start: number, step: number, count: number): number => {
    const axis = own.indexOf(step);
    return axis >= 0 && (Math.floor(start / step) % shape[axis]) + count <= shape[axis] ? axis : -1;
  };
  const run = (start: number, step: number, count: number): Float64Array => {
    const axis = axisOf(start, step, count);
    if (axis >= 0) return vector(read, place(start), strides[axis], count);
    const values = new Float64Array(count);
    if (step !== 1) for (let i = 0; i < count; i++) values[i] = at(start + i * step);
    else {
      for (let done = 0; done < count; ) {
        const part = Math.min(count - done, width - ((start + done) % width));
        values.set(vector(read, place(start + done), across, part), done);
        done += part;
      }
    }
    return values;
  };
  return Object.assign(at, {
    run,
    runs: (start: number, between: number, number: number, step: number, count: number): Float64Array[] => {
      const down = axisOf(start, between, number);
      const along = axisOf(start, step, count);
      if (down < 0 || along < 0 || down === along) return runByRun(run, start, between, number, step, count);
      return vectors(read, place(start), strides[down], number, strides[along], count);
    },
    many: (positions: readonly number[]): Float64Array => several(read, positions.map(place)),
  });
}

/** Values that several elements share, computed once. */
export function remember<V>(compute: (key: number) => V): (key: number) => V {
  const known = new Map<number, V>();
  return (key) => {
    let value = known.get(key);
    if (value === undefined) {
      value = compute(key);
      known.set(key, value);
    }
    return value;
  };
}

/** A chain of elementwise ops asks a shared operand for the same elements several times in a row. */
export function rememberLast(
  compute: (key: readonly number[]) => Float64Array,
): (key: readonly number[]) => Float64Array {
  let last: readonly number[] = [];
  let values: Float64Array | undefined;
  return (key) => {
    if (values === undefined || (key !== last && !sameShape(key, last))) {
      values = compute(key);
      last = key;
    }
    return values;
  };
}

export function vector(read: Reader, start: number, step: number, count: number): Float64Array {
  if (step === 0) return new Float64Array(count).fill(read(start));
  if (read.run !== undefined) return read.run(start, step, count);
  if (read.many !== undefined) return read.many(Array.from({ length: count }, (_, i) => start + i * step));
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = read(start + i * step);
  return values;
}

function runByRun(
  run: (start: number, step: number, count: number) => Float64Array,
  start: number,
  between: number,
  number: number,
  step: number,
  count: number,
): Float64Array[] {
  const found: Float64Array[] = [];
  for (let i = 0; i < number; i++) found.push(run(start + i * between, step, count));
  return found;
}

/** `number` vectors whose starts lie `between` apart. */
export function vectors(
  read: Reader,
  start: number,
  between: number,
  number: number,
  step: number,
  count: number,
): Float64Array[] {
  if (read.runs !== undefined) return read.runs(start, between, number, step, count);
  return runByRun((first) => vector(read, first, step, count), start, between, number, step, count);
}

export function several(read: Reader, positions: readonly number[]): Float64Array {
  if (read.many !== undefined) return read.many(positions);
  const values = new Float64Array(positions.length);
  for (let i = 0; i < values.length; i++) values[i] = read(positions[i]);
  return values;
}

export function float64(data: RefTensor["data"]): Float64Array {
  return data instanceof Float64Array ? data : new Float64Array(data);
}

/** Calls `work` for up to four elements of one line at a time: their offsets in the line and where the first was asked for. */
export function inFours(
  positions: readonly number[],
  width: number,
  work: (line: number, offsets: readonly number[], at: number) => void,
): void {
  for (let i = 0; i < positions.length; ) {
    const line = Math.floor(positions[i] / width);
    const offsets: number[] = [];
    for (let n = i; n < positions.length && offsets.length < 4; n++) {
      const offset = positions[n] - line * width;
      if (offset < 0 || offset >= width) break;
      offsets.push(offset);
    }
    work(line, offsets, i);
    i += offsets.length;
  }
}

/** Writes the first `count` of four values. */
export function setUpToFour(
  out: Float64Array,
  at: number,
  count: number,
  first: number,
  second: number,
  third: number,
  fourth: number,
): void {
  out[at] = first;
  if (count > 1) out[at + 1] = second;
  if (count > 2) out[at + 2] = third;
  if (count > 3) out[at + 3] = fourth;
}

/** Writes sums of products of `a` with up to four others, those at `from` and behind it, side by side: one alone waits for each of its additions. */
export function dots(a: Float64Array, others: readonly Float64Array[], out: Float64Array, at: number, from = 0): void {
  const last = others.length - 1;
  const b = others[from];
  const c = others[Math.min(from + 1, last)];
  const d = others[Math.min(from + 2, last)];
  const e = others[Math.min(from + 3, last)];
  fourDots(a, b, c, d, e, SUMS);
  setUpToFour(out, at, others.length - from, SUMS[0], SUMS[1], SUMS[2], SUMS[3]);
}

const SUMS = new Float64Array(4);

/** A loop over vectors alone, which engines make fast code of at its first calls. */
function fourDots(
  a: Float64Array,
  b: Float64Array,
  c: Float64Array,
  d: Float64Array,
  e: Float64Array,
  sums: Float64Array,
): void {
  let first = 0;
  let second = 0;
  let third = 0;
  let fourth = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i];
    first += x * b[i];
    second += x * c[i];
    third += x * d[i];
    fourth += x * e[i];
  }
  sums[0] = first;
  sums[1] = second;
  sums[2] = third;
  sums[3] = fourth;
}
