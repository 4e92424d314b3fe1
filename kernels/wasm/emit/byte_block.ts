/** A block of rows of bytes times several panels of B: rows become f32 a few steps of K at a time, in scratch. */
import { type Code, f32, f32x4, get, i32, i32x4, type Local, set, v128 } from "../asm/code.ts";
import type { KernelFrame } from "../asm/module.ts";
import { advance, countDown, inFours, repeatWhile } from "./loops.ts";
import { clearSums, tilePass } from "./matmul_block.ts";
import { gcd, type Size, type SizeValue, sizeValue, smaller } from "./size.ts";
import type { TileShape } from "./tile.ts";
import type { BlockHeights } from "./tile_rows.ts";

/** Steps of K that are converted at once: with 64 rows they stay in the second-level cache, with all panels' part of B. */
const STEPS = 256;

/** Columns of the result that one conversion serves. */
const COLUMNS = 64;

/** Panels of a grid item. */
export const panelsAtOnce = (columns: number): number => Math.ceil(COLUMNS / columns);

/** Bytes of private scratch for blocks of `rows` rows: the sums of every panel, then converted rows. */
export function byteBlockScratch(rows: number, columns: number): number {
  return 4 * rows * (panelsAtOnce(columns) * columns + STEPS);
}

export interface ByteBlock {
  readonly tile: TileShape;
  /** Most rows of a block. */
  readonly blockRows: number;
  /** First byte of the block's rows of A. Moves. */
  readonly a: Local;
  /** Bytes between rows of A. */
  readonly aRow: SizeValue;
  /** The first panel; panels lie one behind the other. Moves. */
  readonly b: Local;
  /** Panels of the block, at least one. */
  readonly panels: Local;
  readonly k: Size;
  readonly kSteps: SizeValue;
  /** Rows of the block. */
  readonly height: Local;
  readonly heights: BlockHeights;
}

/** `steps` bytes of each of `height` rows as f32, rows of the result {@link STEPS} apart. */
function convertRows(frame: KernelFrame, { a, aRow, height }: ByteBlock, steps: Local, output: Code): Code {
  const [line, from, row, to, counter, left] = frame.locals("i32", 6);
  const four = f32x4.convertI32(i32x4.extendLowU8(v128.load32Zero(get(from))));
  const one = f32.convertI32(i32.load8u(get(from)));
  return [
    set(line, get(a)),
    set(row, output),
    set(left, get(height)),
    countDown(left, [
      set(from, get(line)),
      set(to, get(row)),
      inFours(
        counter,
        get(steps),
        [v128.store(get(to), four), advance(from, i32.of(4)), advance(to, i32.of(16))],
        [f32.store(get(to), one), advance(from, i32.of(1)), advance(to, i32.of(4))],
      ),
      advance(line, aRow.read),
      advance(row, i32.of(4 * STEPS)),
    ]),
  ];
}

/** Bytes between the sums of two panels. */
export const panelSumBytes = (blockRows: number, columns: number): number => 4 * blockRows * columns;

/** Leaves the sums of every panel in scratch, one panel's behind the other's. Every sum is one chain in ascending K. */
export function multiplyBytes(frame: KernelFrame, block: ByteBlock): Code {
  const { tile, blockRows, a, b, panels, kSteps, height, heights } = block;
  const { columns } = tile;
  const sumBytes = panelSumBytes(blockRows, columns);
  const [steps, stepsLeft, converted, panel, panelsLeft, panelSums] = frame.locals("i32", 6);
  const aRow = sizeValue(frame, STEPS, 0);
  const multipleOf = block.k === "argument" ? 1 : gcd(block.k, STEPS);
  const pass = tilePass(frame, { tile, aRow, clears: false, heights, multipleOf });
  const eachPanel = (body: Code): Code => [
    set(panelSums, get(frame.scratch)),
    set(panelsLeft, get(panels)),
    countDown(panelsLeft, [body, advance(panelSums, i32.of(sumBytes))]),
  ];
  const multiplyPanel = [
    set(pass.end, i32.add(get(panel), i32.mul(get(steps), i32.of(4 * columns)))),
    pass.run({ a: converted, b: panel, sums: get(panelSums), height }),
    advance(panel, kSteps.times(4 * columns)),
  ];
  return [
    eachPanel(clearSums(pass.registers, pass.sums, pass.left, get(panelSums), get(height))),
    set(converted, i32.add(get(frame.scratch), i32.of(panelsAtOnce(columns) * sumBytes))),
    set(stepsLeft, kSteps.read),
    repeatWhile(get(stepsLeft), [
      set(steps, smaller(i32.of(STEPS), get(stepsLeft))),
      convertRows(frame, block, steps, get(converted)),
      set(panel, get(b)),
      eachPanel(multiplyPanel),
      advance(a, get(steps)),
      advance(b, i32.mul(get(steps), i32.of(4 * columns))),
      set(stepsLeft, i32.sub(get(stepsLeft), get(steps))),
    ]),
  ];
}
