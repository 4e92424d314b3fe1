/** A block of rows of A times one panel of B. */
import type { HalfDType } from "../../../runtime/core/dtype.ts";
import { type Code, get, i32, type Local, set } from "../asm/code.ts";
import { when } from "../asm/control_flow.ts";
import { withConstants } from "../asm/hoist.ts";
import type { KernelFrame } from "../asm/module.ts";
import { widenPairs } from "./half.ts";
import { advance, countDown, wordBytes } from "./loops.ts";
import { forPanels } from "./panels_abreast.ts";
import { gcd, inBlocks, type Size, type SizeValue } from "./size.ts";
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
import { type BlockHeights, forLowTiles, forTiles, forWholeTiles, notAbove, panelsInOrder } from "./tile_rows.ts";

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
  /** Several panels of f32, whose number of steps is known, one behind the other from `b` on. */
  readonly panels?: BlockPanels;
}

export interface BlockPanels {
  /** Those of the block, at least one. */
  readonly count: Local;
  /** Most of them. */
  readonly most: number;
  /** Bytes between two. */
  readonly panelBytes: number;
  /** Bytes between their sums. */
  readonly sumBytes: number;
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

interface PanelsPass extends BlockPanels {
  /** Bytes of the steps of a pass. */
  readonly passBytes: Code;
}

export interface TilePasses {
  readonly registers: TileRegisters;
  readonly end: Local;
  readonly left: Local;
  readonly sums: Local;
  readonly run: (places: TilePlaces) => Code;
  /** Low tiles pass several panels side by side, each panel's whole tiles follow. `end` may serve between passes as well. */
  readonly runPanels: (places: TilePlaces, panels: PanelsPass) => Code;
}

/** Multiplies a block by the steps from `b` to `end` of a panel; `left` and `sums` may serve between passes. */
export function tilePass(frame: KernelFrame, pass: TilePass): TilePasses {
  const { tile, aRow } = pass;
  const { rows, columns } = tile;
  const registers = tileRegisters(frame, tile);
  const [aTile, bStep, end, sums, left] = frame.locals("i32", 5);
  const pointers = frame.locals("i32", rows);
  /** `count` rows of the panels of `own` from `panel` to `end`; panels and their sums lie so many bytes apart. */
  const multiply = (own: TileRegisters, count: number, panel: Local, panelBytes = 0, sumBytes = 0): Code => [
    placeRows(pointers.slice(0, count), get(aTile), aRow.times(4)),
    set(bStep, get(panel)),
    pass.clears ? clearTile(own, count) : loadTile(own, count, sums, 4 * columns, sumBytes),
    withConstants(
      frame,
      multiplyTile(own, {
        ...{ a: pointers.slice(0, count), b: bStep, end },
        ...{ multipleOf: pass.multipleOf, panelBytes },
      }),
    ),
    storeTile(own, count, sums, 4 * columns, sumBytes),
  ];
  const multiplyNext = (count: number, panel: Local): Code => [
    multiply(registers, count, panel),
    advance(aTile, aRow.times(4 * count)),
    advance(sums, i32.of(4 * columns * count)),
  ];
  const run = ({ a, b, sums: firstSum, height }: TilePlaces): Code => [
    set(aTile, get(a)),
    set(sums, firstSum),
    forTiles(frame, tile, { height, left, heights: pass.heights }, (count) => multiplyNext(count, b)),
  ];
  const runPanels = ({ a, b, sums: firstSum, height }: TilePlaces, several: PanelsPass): Code => {
    const { count: panels, most, sumBytes, panelBytes, passBytes } = several;
    const [panel, panelsLeft, rowSums, wholeRows, wholeA] = frame.locals("i32", 5);
    const fromFirstPanel = [set(panel, get(b)), set(panelsLeft, get(panels))];
    return [
      set(aTile, get(a)),
      set(rowSums, firstSum),
      forLowTiles(frame, tile, { height, left, heights: pass.heights, order: panelsInOrder(tile) }, (count) => [
        fromFirstPanel,
        set(sums, get(rowSums)),
        forPanels(frame, registers, { rows: count, left: panelsLeft, most }, (own, together) => [
          set(end, i32.add(get(panel), passBytes)),
          multiply(own, count, panel, panelBytes, sumBytes),
          advance(panel, i32.of(together * panelBytes)),
          advance(sums, i32.of(together * sumBytes)),
        ]),
        advance(aTile, aRow.times(4 * count)),
        advance(rowSums, i32.of(4 * columns * count)),
      ]),
      set(wholeRows, get(left)),
      set(wholeA, get(aTile)),
      fromFirstPanel,
      countDown(panelsLeft, [
        ...[set(left, get(wholeRows)), set(aTile, get(wholeA)), set(sums, get(rowSums))],
        set(end, i32.add(get(panel), passBytes)),
        forWholeTiles(tile, { left, heights: pass.heights }, (count) => multiplyNext(count, panel)),
        advance(panel, i32.of(panelBytes)),
        advance(rowSums, i32.of(sumBytes)),
      ]),
    ];
  };
  return { registers, end, left, sums, run, runPanels };
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
  const { a, tile, aRow, kSteps, heights } = block;
  const rowBytes = stepBytes(tile) * tile.columns;
  const { k } = block;
  const atOnce = k !== "argument" && k <= blockSteps(tile);
  const multipleOf = k === "argument" ? 1 : atOnce ? k : gcd(k, blockSteps(tile));
  const pass = tilePass(frame, { tile, aRow, clears: atOnce, heights, multipleOf });
  const [steps, clear] = atOnce ? [undefined, []] : [frame.local("i32"), clearAll(frame, block, pass)];
  const passBytes = steps === undefined ? kSteps.times(rowBytes) : i32.mul(get(steps), i32.of(rowBytes));
  const { begin, rows, past } = passOfK(frame, block, pass, passBytes);
  if (steps === undefined) return [begin, rows];
  const sizes = { steps, total: kSteps.read, most: blockSteps(tile) };
  return [clear, begin, inBlocks(frame, sizes, [rows, advance(a, wordBytes(get(steps))), past])];
}

/** What comes before all blocks of K, all rows of one, and what moves `b` past it. */
function passOfK(
  frame: KernelFrame,
  { a, b, height, half, panels }: ProductBlock,
  { end, run, runPanels }: TilePasses,
  passBytes: Code,
): { readonly begin: Code; readonly rows: Code; readonly past: Code } {
  const places = { a, sums: get(frame.scratch), height };
  if (panels !== undefined) {
    return { begin: [], rows: runPanels({ ...places, b }, { ...panels, passBytes }), past: advance(b, passBytes) };
  }
  const endOf = (panel: Local): Code => set(end, i32.add(get(panel), passBytes));
  // Panels of f32 are read where they are.
  if (half === undefined) return { begin: [], rows: [endOf(b), run({ ...places, b })], past: set(b, get(end)) };
  const panel = frame.local("i32");
  const rows = [endOf(panel), widened(frame, half.dtype, b, panel, end), run({ ...places, b: panel })];
  return { begin: set(panel, i32.add(get(frame.scratch), i32.of(half.at))), rows, past: [] };
}

/** Sets the sums of all panels of a block to 0. */
function clearAll(
  frame: KernelFrame,
  { panels, height }: ProductBlock,
  { registers, sums, left }: Pick<TilePasses, "registers" | "sums" | "left">,
): Code {
  const clear = (first: Code): Code => clearSums(registers, sums, left, first, get(height));
  if (panels === undefined) return clear(get(frame.scratch));
  const [panelsLeft, firstSum] = frame.locals("i32", 2);
  return [
    set(firstSum, get(frame.scratch)),
    set(panelsLeft, get(panels.count)),
    countDown(panelsLeft, [clear(get(firstSum)), advance(firstSum, i32.of(panels.sumBytes))]),
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
