/** The register tile: rows of A times a panel of B, accumulated in registers, K in one chain per lane. */
import type { HalfDType } from "../../../runtime/core/dtype.ts";
import { type Code, f32x4, get, i32, i32x4, type Local, set, v128 } from "../asm/code.ts";
import { whileLoop } from "../asm/control_flow.ts";
import type { KernelFrame } from "../asm/module.ts";
import { loadPairs } from "./half.ts";
import { advance, repeatWhile } from "./loops.ts";
import { multiplyAdd } from "./math.ts";

/**
 * Integers that a step of K holds for each column: four signed bytes, multiplied with four bytes of A in 0..127, or two
 * signed bytes, with two numbers of A of 16 bits each.
 */
export type IntegerForm = "dot" | "pairs";

export interface TileShape {
  /** Rows of A, 1..8. */
  readonly rows: number;
  /** Columns of a panel of B: 4, 8, 12 or 16. */
  readonly columns: number;
  /** Allows relaxed multiply-add. */
  readonly madd: boolean;
  /** A and B hold integers, and sums are of 32 bits; f32 unless given. */
  readonly integers?: IntegerForm;
  /** Steps of K in one turn of the inner loop, where the tile has all its rows; 1 unless given. */
  readonly turn?: number;
  /** The panel holds pairs of this type, which are widened while they are loaded; then `columns` is 8 or 16 and a turn one step. */
  readonly pairs?: HalfDType;
}

/** Bytes of a panel for each column and step of K. */
export const stepBytes = ({ integers, pairs }: Pick<TileShape, "integers" | "pairs">): number =>
  integers === "pairs" || pairs !== undefined ? 2 : 4;

/** Steps in one turn of the inner loop over spread numbers: what two engines run fastest, more gain nothing. */
const SPREAD_TURN = 2;

/** Registers that tiles of one kernel share, whatever their number of rows. */
export interface TileRegisters {
  readonly shape: TileShape;
  /** Sums by row and vector of 4 columns. */
  readonly sums: readonly (readonly Local[])[];
  readonly panel: readonly Local[];
  readonly factor: Local;
  /** The last place where a turn of several steps begins. */
  readonly lastTurn: Local;
}

export function tileRegisters(frame: KernelFrame, shape: TileShape): TileRegisters {
  const vectors = shape.columns / 4;
  return {
    shape,
    sums: Array.from({ length: shape.rows }, () => frame.locals("v128", vectors)),
    panel: frame.locals("v128", vectors),
    factor: frame.local("v128"),
    lastTurn: frame.local("i32"),
  };
}

/** What one tile reads; every pointer moves with K. */
export interface TileOperands {
  /**
   * A pointer for each row of A: where one pointer serves several rows at constant distances, one engine in use splats each
   * factor in three instructions instead of one.
   */
  readonly a: readonly Local[];
  /** Rows, where `a` is a single pointer to spread numbers (see spread_block.ts): vectors of one number of A, all rows of a step together. */
  readonly spreadRows?: number;
  /** Moves through the panel, which has `columns` numbers per step of K. */
  readonly b: Local;
  /** `b` after the last step. */
  readonly end: Local;
  /** Divides the number of steps; 1 unless given. */
  readonly multipleOf?: number;
  /** Bytes from one panel to the next, where the registers hold sums of several (see panels_abreast.ts). */
  readonly panelBytes?: number;
}

/** Sets pointers to rows that lie `rowBytes` apart. */
export function placeRows(pointers: readonly Local[], first: Code, rowBytes: Code): Code {
  return pointers.map((p, r) => set(p, r === 0 ? first : i32.add(get(pointers[r - 1]), rowBytes)));
}

/** Sets the first `rows` rows of sums to 0. */
export function clearTile({ sums }: TileRegisters, rows: number): Code {
  return sums.slice(0, rows).flatMap((row) => row.map((sum) => set(sum, f32x4.of(0))));
}

/** Calls `each` with the first `rows` rows of sums and their distances from the first, rows and panels so many bytes apart. */
function eachSum(
  { sums, shape }: TileRegisters,
  rows: number,
  rowBytes: number,
  panelBytes: number,
  each: (sum: Local, offset: number) => Code,
): Code {
  const vectors = shape.columns / 4;
  const across = (v: number): number => Math.floor(v / vectors) * panelBytes + 16 * (v % vectors);
  return sums.slice(0, rows).map((row, r) => row.map((sum, v) => each(sum, r * rowBytes + across(v))));
}

/** Loads `rows` rows of sums, stored `rowBytes` apart, those of panels side by side `panelBytes`. */
export function loadTile(registers: TileRegisters, rows: number, at: Local, rowBytes: number, panelBytes = 0): Code {
  return eachSum(registers, rows, rowBytes, panelBytes, (sum, offset) => set(sum, v128.load(get(at), offset)));
}

/** Stores `rows` rows of sums `rowBytes` apart, those of panels side by side `panelBytes`. */
export function storeTile(registers: TileRegisters, rows: number, at: Local, rowBytes: number, panelBytes = 0): Code {
  return eachSum(registers, rows, rowBytes, panelBytes, (sum, offset) => v128.store(get(at), get(sum), offset));
}

/**
 * Adds the products of `operands.a.length` rows over all steps of K, at least one; ends with every pointer behind what it read.
 * Turns of one step are the safe choice: where a splat from an offset takes several instructions, longer ones lose more than
 * the loop costs.
 */
export function multiplyTile(registers: TileRegisters, operands: TileOperands): Code {
  return overSteps(registers, operands, accumulate(registers.shape));
}

function accumulate({ madd, integers }: TileShape): (factor: Code, panel: Code, sum: Code) => Code {
  if (integers === "dot") return (factor, panel, sum) => i32x4.relaxedDotAdd(panel, factor, sum);
  if (integers === "pairs") return (factor, panel, sum) => i32x4.add(i32x4.dotI16(factor, panel), sum);
  return (factor, panel, sum) => multiplyAdd(madd, factor, panel, sum);
}

/** As {@link multiplyTile}, without products of which the factor from A is 0: B may hold anything there. */
export function multiplyTileMasked(registers: TileRegisters, operands: TileOperands): Code {
  return overSteps(
    registers,
    operands,
    (factor, panel, sum) => f32x4.add(v128.and(f32x4.mul(factor, panel), f32x4.ne(factor, f32x4.of(0))), sum),
    1,
  );
}

function overSteps(
  { shape, sums, panel, factor, lastTurn }: TileRegisters,
  { a, b, end, spreadRows, multipleOf = 1, panelBytes = 0 }: TileOperands,
  add: (factor: Code, panel: Code, sum: Code) => Code,
  // Few rows have little to spread a longer loop over.
  turn = spreadRows !== undefined ? SPREAD_TURN : a.length < shape.rows ? 1 : (shape.turn ?? 1),
): Code {
  const rows = spreadRows ?? a.length;
  const loadFactor = (step: number, r: number): Code =>
    spreadRows === undefined
      ? v128.load32Splat(get(a[r]), 4 * step)
      : v128.load(get(a[0]), 16 * (step * spreadRows + r));
  const load = shape.integers === "pairs" ? v128.load8x8s : v128.load;
  const bytes = stepBytes(shape) * shape.columns;
  const vectors = shape.columns / 4;
  const panelVector = (step: number, v: number): Code =>
    load(get(b), Math.floor(v / vectors) * panelBytes + step * bytes + 4 * stepBytes(shape) * (v % vectors));
  // A single row reads each vector of panels side by side once.
  const once = rows === 1 && panel.length > vectors;
  const loadPanel = (step: number): Code => {
    if (shape.pairs !== undefined) return loadPairs(shape.pairs, b, panel);
    return once ? [] : panel.map((p, v) => set(p, panelVector(step, v)));
  };
  const steps = (count: number): Code => [
    Array.from({ length: count }, (_, step) => [
      loadPanel(step),
      sums
        .slice(0, rows)
        .map((row, r) => [
          set(factor, loadFactor(step, r)),
          row.map((sum, v) => set(sum, add(get(factor), once ? panelVector(step, v) : get(panel[v]), get(sum)))),
        ]),
    ]),
    a.map((pointer) => advance(pointer, i32.of((spreadRows === undefined ? 4 : 16 * spreadRows) * count))),
    advance(b, i32.of(count * bytes)),
  ];
  const more = i32.ne(get(b), get(end));
  if (multipleOf % turn === 0) return repeatWhile(more, steps(turn));
  return [
    set(lastTurn, i32.sub(get(end), i32.of(turn * bytes))),
    whileLoop(i32.leU(get(b), get(lastTurn)), steps(turn)),
    whileLoop(more, steps(1)),
  ];
}
