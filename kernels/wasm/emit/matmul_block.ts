/** A block of rows of A times one panel of B. */
import type { HalfDType } from "../../../runtime/core/dtype.ts";
import { type Code, get, i32, type Local, set } from "../asm/code.ts";
import { when } from "../asm/control_flow.ts";
import { withConstants } from "../asm/hoist.ts";
import type { KernelFrame } from "../asm/module.ts";
import { widenPairs } from "./half.ts";
import { advance, countDown, repeatWhile, wordBytes } from "./loops.ts";
import { gcd, type Size, type SizeValue, smaller } from "./size.ts";
import {
  clearTile,
  loadTile,
  multiplyTile,
  placeRows,
  stepBytes,
  storeTile,
  type TileRegisters,
  type TileShape,
  tileRegisters,
} from "./tile.ts";
import { type BlockHeights, forTiles, notAbove } from "./tile_rows.ts";

/** Bytes of a panel that stay in the first-level cache while all rows of a block pass. */
const PANEL_BYTES = 24576;

/** Tiles of rows up to which widening in every tile costs less than widening once into scratch. */
const TILES_IN_REGISTERS: Readonly<Record<HalfDType, number>> = { bf16: 2, f16: 1 };

/** Steps of K between two visits of the sums in scratch. */
export const blockSteps = (tile: Pick<TileShape, "columns" | "integers">): number =>
  Math.floor(PANEL_BYTES / (stepBytes(tile) * tile.columns));

export interface ProductBlock {
  readonly tile: TileShape;
  /** First element of the block's rows of A. Moves. */
  readonly a: Local;
  /** Elements between rows of A. */
  readonly aRow: SizeValue;
  /** The panel. Moves. */
  readonly b: Local;
  readonly k: Size;
  readonly kSteps: SizeValue;
  /** Rows of the block. */
  readonly height: Local;
  /** The panel is kept as pairs of this type, and blocks of K are widened into scratch at this distance for many rows. */
  readonly half?: { readonly dtype: HalfDType; readonly at: number };
  readonly heights: BlockHeights;
}

/** How the rows of a block are multiplied, tile by tile. */
interface TilePass {
  readonly tile: TileShape;
  readonly aRow: SizeValue;
  /** Sums begin at 0 instead of those in scratch. */
  readonly clears: boolean;
  readonly heights: BlockHeights;
  /** Divides the steps of every pass. */
  readonly multipleOf: number;
}

interface TilePlaces {
  /** First element of A. */
  readonly a: Local;
  readonly b: Local;
  /** Address of the block's sums. */
  readonly sums: Code;
  /** Rows. */
  readonly height: Local;
}

/** Multiplies a block by the steps from `b` to `end` of a panel; `left` and `sums` may serve between passes. */
export function tilePass(
  frame: KernelFrame,
  pass: TilePass,
): {
  readonly registers: TileRegisters;
  readonly end: Local;
  readonly left: Local;
  readonly sums: Local;
  readonly run: (places: TilePlaces) => Code;
} {
  const { tile, aRow } = pass;
  const { rows, columns } = tile;
  const registers = tileRegisters(frame, tile);
  const [aTile, bStep, end, sums, left] = frame.locals("i32", 5);
  const pointers = frame.locals("i32", rows);
  const run = ({ a, b, sums: firstSum, height }: TilePlaces): Code => {
    const multiply = (count: number): Code => [
      placeRows(pointers.slice(0, count), get(aTile), aRow.times(4)),
      set(bStep, get(b)),
      pass.clears ? clearTile(registers, count) : loadTile(registers, count, sums, 4 * columns),
      withConstants(
        frame,
        multiplyTile(registers, {
          ...{ a: pointers.slice(0, count), b: bStep, end },
          multipleOf: pass.multipleOf,
        }),
      ),
      storeTile(registers, count, sums, 4 * columns),
    ];
    return [
      set(aTile, get(a)),
      set(sums, firstSum),
      forTiles(frame, tile, { height, left, heights: pass.heights }, (count) => [
        multiply(count),
        advance(aTile, aRow.times(4 * count)),
        advance(sums, i32.of(4 * columns * count)),
      ]),
    ];
  };
  return { registers, end, left, sums, run };
}

/** Leaves the block's sums in scratch, rows `columns` apart. Every sum is one chain in ascending K. */
export function multiplyBlock(frame: KernelFrame, block: ProductBlock): Code {
  const { tile, half, height, heights } = block;
  // Pairs of other panels belong to two steps.
  if (half === undefined || tile.columns % 8 !== 0) return multiplyBlocksOfK(frame, block);
  const rows = fewRows(tile, half.dtype);
  const sums = get(frame.scratch);
  const few = (): Code => multiplyPairs(frame, block, half.dtype, sums);
  const { exact = [0, heights.most ?? Number.POSITIVE_INFINITY] } = heights;
  if (Math.max(...exact) <= rows) return few();
  if (Math.min(...exact) > rows) return multiplyBlocksOfK(frame, block);
  return when(i32.leS(get(height), i32.of(rows)), few(), multiplyBlocksOfK(frame, block));
}

/** Rows up to which {@link multiplyPairs} is the quicker way. */
export const fewRows = (tile: Pick<TileShape, "rows">, dtype: HalfDType): number =>
  tile.rows * TILES_IN_REGISTERS[dtype];

/**
 * Few rows read each number of the panel once or twice: it is widened in registers every time. `a` and `b` stay.
 * @param sums address of the block's sums
 */
export function multiplyPairs(
  frame: KernelFrame,
  block: Pick<ProductBlock, "tile" | "a" | "b" | "height" | "aRow" | "kSteps" | "heights">,
  pairs: HalfDType,
  sums: Code,
): Code {
  const { a, b, height, aRow, kSteps } = block;
  const tile = { ...block.tile, pairs, turn: 1 };
  const heights = notAbove(block.heights, fewRows(tile, pairs));
  const { end, run } = tilePass(frame, { tile, aRow, clears: true, heights, multipleOf: 1 });
  return [set(end, i32.add(get(b), kSteps.times(stepBytes(tile) * tile.columns))), run({ a, b, sums, height })];
}

function multiplyBlocksOfK(frame: KernelFrame, block: ProductBlock): Code {
  const { a, b, tile, height, aRow, kSteps, heights } = block;
  const rowBytes = stepBytes(tile) * tile.columns;
  const { k } = block;
  const atOnce = k !== "argument" && k <= blockSteps(tile);
  const multipleOf = k === "argument" ? 1 : atOnce ? k : gcd(k, blockSteps(tile));
  const {
    registers,
    end: bEnd,
    left,
    sums,
    run,
  } = tilePass(frame, { tile, aRow, clears: atOnce, heights, multipleOf });
  // Panels of f32 are read where they are.
  const panel = block.half === undefined ? b : frame.local("i32");
  const widen = block.half === undefined ? undefined : widened(frame, block.half.dtype, b, panel, bEnd);
  const allRows = run({ a, b: panel, sums: get(frame.scratch), height });
  const begin = block.half === undefined ? [] : set(panel, i32.add(get(frame.scratch), i32.of(block.half.at)));
  if (atOnce) return [begin, set(bEnd, i32.add(get(panel), kSteps.times(rowBytes))), widen ?? [], allRows];
  const [steps, stepsLeft] = frame.locals("i32", 2);
  return [
    clearSums(registers, sums, left, get(frame.scratch), get(height)),
    begin,
    set(stepsLeft, kSteps.read),
    repeatWhile(get(stepsLeft), [
      set(steps, smaller(i32.of(blockSteps(tile)), get(stepsLeft))),
      set(bEnd, i32.add(get(panel), i32.mul(get(steps), i32.of(rowBytes)))),
      widen ?? [],
      allRows,
      widen === undefined ? set(b, get(bEnd)) : [],
      advance(a, wordBytes(get(steps))),
      set(stepsLeft, i32.sub(get(stepsLeft), get(steps))),
    ]),
  ];
}

/** Widens from `b`, which moves, to `panel`, which stays, until `end`. */
function widened(frame: KernelFrame, dtype: HalfDType, b: Local, panel: Local, end: Local): Code {
  const to = frame.local("i32");
  return [set(to, get(panel)), widenPairs(frame, dtype, b, to, end)];
}

/** Sets `rows` rows of sums to 0. */
export function clearSums(registers: TileRegisters, at: Local, left: Local, first: Code, rows: Code): Code {
  const rowBytes = 4 * registers.shape.columns;
  return [
    clearTile(registers, 1),
    set(at, first),
    set(left, rows),
    countDown(left, [storeTile(registers, 1, at, rowBytes), advance(at, i32.of(rowBytes))]),
  ];
}
