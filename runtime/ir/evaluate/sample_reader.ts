/** Readers of single elements: of a value by position, seen at other strides, remembered, many at once. */
import { type RefTensor, sameShape, stridesOf } from "./tensor.ts";

/** Elements by row-major position; `run` reads many at even steps and `many` at any places where that is faster than one by one. */
export interface Reader {
  (position: number): number;
  readonly run?: (start: number, step: number, count: number) => Float64Array;
  readonly many?: (positions: readonly number[]) => Float64Array;
}

/** Position at other strides of what lies at a row-major position of `shape`. */
export function atStrides(
  shape: readonly number[],
  strides: readonly number[],
  offset = 0,
): (position: number) => number {
  return (position) => {
    let rest = position;
    let at = offset;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = Math.floor(rest / shape[axis]);
      at += (rest - next * shape[axis]) * strides[axis];
      rest = next;
    }
    return at;
  };
}

/** A value seen at other strides. Runs along one axis are runs of what is seen. */
export function strided(read: Reader, shape: readonly number[], strides: readonly number[], offset = 0): Reader {
  const place = atStrides(shape, strides, offset);
  const own = stridesOf(shape);
  const width = shape[shape.length - 1] ?? 1;
  const across = strides[strides.length - 1] ?? 0;
  const at = (position: number): number => read(place(position));
  return Object.assign(at, {
    run: (start: number, step: number, count: number): Float64Array => {
      const axis = own.indexOf(step);
      const isInside = axis >= 0 && (Math.floor(start / step) % shape[axis]) + count <= shape[axis];
      if (isInside) return vector(read, place(start), strides[axis], count);
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
    if (values === undefined || !sameShape(key, last)) {
      values = compute(key);
      last = [...key];
    }
    return values;
  };
}

export function vector(read: Reader, start: number, step: number, count: number): Float64Array {
  if (step === 0) return new Float64Array(count).fill(read(start));
  if (read.run !== undefined) return read.run(start, step, count);
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = read(start + i * step);
  return values;
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

export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
