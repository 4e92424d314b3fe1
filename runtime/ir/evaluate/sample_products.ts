/** Single elements of matrix products: rows and columns that several elements share are read once. */
import { atStrides, dots, inFours, type Reader, remember, vector } from "./sample_reader.ts";
import { broadcastStrides } from "./tensor.ts";

interface Operands {
  readonly a: Reader;
  readonly b: Reader;
  readonly shape: readonly number[];
  readonly shapeA: readonly number[];
  readonly shapeB: readonly number[];
  readonly transposed: boolean;
}

/** Elements of `matmul`. */
export function sampleMatmul({ a, b, shape, shapeA, shapeB, transposed }: Operands): Reader {
  const inner = shapeA[shapeA.length - 1];
  const [rows, columns] = shape.slice(-2);
  const stepB = transposed ? 1 : columns;
  const batches = shape.slice(0, -2);
  const batchA = atStrides(batches, broadcastStrides(shapeA.slice(0, -2), batches));
  const batchB = atStrides(batches, broadcastStrides(shapeB.slice(0, -2), batches));
  const rowOfA = remember((start) => vector(a, start, 1, inner));
  const columnOfB = remember((start) => vector(b, start, stepB, inner));
  const rowAt = (line: number): Float64Array => {
    const batch = Math.floor(line / rows);
    return rowOfA((batchA(batch) * rows + (line - batch * rows)) * inner);
  };
  const columnAt = (line: number, column: number): Float64Array =>
    columnOfB(batchB(Math.floor(line / rows)) * inner * columns + (transposed ? column * inner : column));
  const many = (positions: readonly number[]): Float64Array => {
    const values = new Float64Array(positions.length);
    inFours(positions, columns, (line, offsets, i) => {
      const read = offsets.map((column) => columnAt(line, column));
      dots(rowAt(line), read, values, i);
    });
    return values;
  };
  return Object.assign((position: number): number => many([position])[0], { many });
}
