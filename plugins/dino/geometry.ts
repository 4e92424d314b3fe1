/** Tables that follow from how many patches an image has. */
import type { Tensor, Tensors } from "../../runtime/abi/encoder.ts";
import { cos, pow, sin } from "../../runtime/core/math.ts";
import { antialiasedMatrix, bicubicMatrix } from "../../runtime/media/interpolation.ts";
import type { DinoConfig } from "./config.ts";

/** Patches of an image: rows from the top, columns from the left. */
export interface Grid {
  readonly rows: number;
  readonly columns: number;
}

/** Class and register tokens. */
export function prefixTokens(config: DinoConfig): number {
  return 1 + config.registers;
}

const f32 = (shape: readonly number[], data: Float32Array): Tensor => ({ dtype: "f32", shape, data });

/**
 * Bicubic weights that bring a table of `side` x `side` positions to the grid, an axis each: `row_weights` [rows, side],
 * `column_weights` [columns, side].
 */
export function positionWeights({ rows, columns }: Grid, side: number, antialias: boolean): Tensors {
  const along = (to: number): Tensor =>
    f32([to, side], antialias ? antialiasedMatrix("bicubic", side, to) : bicubicMatrix(side, to));
  return { row_weights: along(rows), column_weights: along(columns) };
}

/** `count` rows of cos and sin of 2 pi c / theta^(4i / head_dim), where c are the centres of `count` parts of -1..1. */
function axisAngles(
  count: number,
  quarter: number,
  theta: number,
): { readonly cos: Float32Array; readonly sin: Float32Array } {
  const table = { cos: new Float32Array(count * quarter), sin: new Float32Array(count * quarter) };
  for (let i = 0; i < quarter; i++) {
    const frequency = Math.fround(1 / pow(theta, i / quarter));
    for (let at = 0; at < count; at++) {
      const centre = (2 * (at + 0.5)) / count - 1;
      const angle = 2 * Math.PI * centre * frequency;
      table.cos[at * quarter + i] = cos(angle);
      table.sin[at * quarter + i] = sin(angle);
    }
  }
  return table;
}

/**
 * Siméoni et al. 2025: `cos` and `sin` [tokens, head_dim / 2]. The first half of the pairs turns by the patch's row, the
 * second by its column, both as places in -1..1; class and register tokens do not turn.
 */
export function rotaryTables(grid: Grid, config: DinoConfig, theta: number): Tensors {
  const { rows, columns } = grid;
  const prefix = prefixTokens(config);
  const quarter = config.hiddenSize / config.heads / 4;
  const pairs = 2 * quarter;
  const shape = [prefix + rows * columns, pairs];
  const byRow = axisAngles(rows, quarter, theta);
  const byColumn = axisAngles(columns, quarter, theta);
  const table = (name: "cos" | "sin", unturned: number): Tensor => {
    const data = new Float32Array(shape[0] * pairs).fill(unturned, 0, prefix * pairs);
    for (let row = 0, to = prefix * pairs; row < rows; row++) {
      const own = byRow[name].subarray(row * quarter, (row + 1) * quarter);
      for (let column = 0; column < columns; column++, to += pairs) {
        data.set(own, to);
        data.set(byColumn[name].subarray(column * quarter, (column + 1) * quarter), to + quarter);
      }
    }
    return f32(shape, data);
  };
  return { cos: table("cos", 1), sin: table("sin", 0) };
}
