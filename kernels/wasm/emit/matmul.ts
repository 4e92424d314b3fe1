/** Matrix product with an epilogue: C = epilogue(A B), A of f32, u8 or codes, B packed in panels (see pack_b.ts and pack_codes.ts). */

import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { internal } from "../../../runtime/core/diagnostics.ts";
import { ceilDiv, type Dim, mul } from "../../../runtime/core/dim.ts";
import type { HalfDType } from "../../../runtime/core/dtype.ts";
import { type Code, get, i32, set } from "../asm/code.ts";
import { when } from "../asm/control_flow.ts";
import { type KernelFrame, type KernelModule, kernelModule } from "../asm/module.ts";
import { remembered } from "../asm/remember.ts";
import { byteBlockScratch, multiplyBytes, panelSumBytes, panelsAtOnce } from "./byte_block.ts";
import { type EpilogueAccess, type EpilogueOperand, storeBlock } from "./epilogue.ts";
import { pairedWords } from "./half.ts";
import { advance, countDown, forItems, word, wordBytes } from "./loops.ts";
import { blockSteps, fewRows, multiplyBlock, multiplyPairs } from "./matmul_block.ts";
import { panelsAbreast } from "./panels_abreast.ts";
import { ceilDivision, type Size, type SizeHint, sizeValue, smaller, wordsAfter } from "./size.ts";
import {
  leastColumnsOfSpread,
  mostRowsOfSpread,
  multiplySpread,
  type PairedPanels,
  panelsOfSpread,
  type SpreadBlock,
  spreadBytes,
  widenedBytes,
} from "./spread_block.ts";
import { stepBytes, type TileShape } from "./tile.ts";
import { blockHeights, busyRows } from "./tile_rows.ts";

export interface MatmulOptions {
  /** Register tile: 1..8 rows. */
  readonly rows: number;
  /** Register tile: 4, 8, 12 or 16 columns, the width of the packed panels. */
  readonly columns: number;
  readonly n: Size;
  readonly k: Size;
  /** What is known of the rows of A, which are an argument word. */
  readonly mHint?: SizeHint;
  /** Where N is an argument word: it is known to be whole panels. */
  readonly wholePanels?: boolean;
  /** Elements between rows of A. */
  readonly aRowStride: Size;
  /** A holds u8, converted while it is read, and B f32; A is f32 unless given. */
  readonly aBytes?: boolean;
  /** Input 0 is the product, inputs 1.. are the operands. */
  readonly epilogue: ScalarExpr;
  readonly operands: readonly EpilogueAccess[];
  /** Allows relaxed multiply-add. */
  readonly madd: boolean;
  /** Steps of K in one turn of the inner loop; 1 unless given. */
  readonly turn?: number;
  /** A item's numbers of A are spread in scratch for many columns (see spread_block.ts): A holds f32, and B f32 or, in columns that are a multiple of 8, pairs. */
  readonly spread?: boolean;
  /** B is one matrix, packed in panels of this type; K is then a constant. f32 unless given. */
  readonly half?: HalfDType;
  /**
   * A and B hold codes, B of one matrix, and K counts steps of 32 bits of A, a constant. The last four operands, which the
   * epilogue does not count, are scale and zero point of each row (`column`), scale and sum of codes of each column (`row`).
   */
  readonly integers?: NonNullable<TileShape["integers"]>;
}

/** Rows that a grid item computes: few are many items, many read B less often. */
const BLOCK_ROWS = { least: 64, most: 264 };
/** Rows where a panel is widened for every item. */
const HALF_BLOCK_ROWS = 128;
/** Items of a product for threads to share, where panels suffice. */
const PANEL_ITEMS = 24;
/** Items across N that threads need to share the work of one block of rows. */
const ITEMS_ACROSS = 16;

type Blocking = Pick<
  MatmulOptions,
  "rows" | "columns" | "half" | "aBytes" | "integers" | "spread" | "mHint" | "n" | "k"
>;

/**
 * Rows of a block. All of B passes through the caches once for each block, which costs a tenth where it is larger than the
 * second level; a block's part of A is read in order and may be larger.
 */
function blockRows({ rows, columns, half, aBytes, integers, spread, n, k }: Blocking): number {
  const wholeTiles = (most: number): number => Math.ceil(most / rows) * rows;
  const { least, most } = BLOCK_ROWS;
  if (half !== undefined) return wholeTiles(HALF_BLOCK_ROWS);
  if (aBytes === true || integers !== undefined || n === "argument" || k === "argument") return wholeTiles(least);
  const across = Math.floor(n / (spread === true ? leastColumnsOfSpread(columns) : columns));
  const shared = Math.floor((most * Math.min(across, ITEMS_ACROSS)) / ITEMS_ACROSS);
  return wholeTiles(Math.max(least, spread === true ? Math.min(shared, mostRowsOfSpread(columns, k)) : shared));
}

/** Bytes of a block's sums, of one panel. */
function sumsBytes(options: Blocking): number {
  const { rows, columns, mHint = {} } = options;
  const most = Math.ceil((mHint.exact ?? mHint.most ?? Number.POSITIVE_INFINITY) / rows) * rows;
  return Math.min(blockRows(options), most) * columns * 4;
}

/** Panels of B that a grid item multiplies. */
function itemPanels(options: Blocking): number {
  const { columns, aBytes, spread, half, integers, n, k, mHint = {} } = options;
  if (aBytes === true) return panelsAtOnce(columns);
  const rows = blockRows(options);
  const blocks = Math.ceil((mHint.exact ?? 1) / rows);
  if (spread === true) return panelsOfSpread({ columns, n, k, blockRows: rows, blocks });
  if (half !== undefined || integers !== undefined || n === "argument" || k === "argument") return 1;
  if (busyRows(options) === options.rows) return 1;
  const most = Math.floor((Math.ceil(n / columns) * blocks) / PANEL_ITEMS);
  return Math.max(1, Math.min(most, panelsAbreast(options, 1)));
}

/** Grid items of C [batch, m, n]. */
export function matmulGrid(m: Dim, n: Dim, batch: Dim, options: Blocking): Dim {
  return mul(batch, ceilDiv(m, blockRows(options)), ceilDiv(n, options.columns * itemPanels(options)));
}

/** The grid item that writes an element of C [batch, m, n]. */
export function matmulItem(m: number, n: number, options: Blocking): (element: number) => number {
  const blocks = Math.ceil(m / blockRows(options));
  const height = Math.ceil(Math.ceil(m / blocks) / options.rows) * options.rows;
  const columns = options.columns * itemPanels(options);
  const across = Math.ceil(n / columns);
  return (element) => {
    const row = Math.floor(element / n);
    const batch = Math.floor(row / m);
    const block = batch * blocks + Math.floor((row - batch * m) / height);
    return block * across + Math.floor((element - row * n) / columns);
  };
}

/** Bytes of private scratch: sums and, for a widened block of K, a panel with a vector that completes its last pair. */
export function matmulScratch(options: Blocking): number {
  const { columns, half, aBytes, spread } = options;
  if (spread === true) {
    const widened = half === undefined ? 0 : widenedBytes(options, constantK(options));
    return itemPanels(options) * (sumsBytes(options) + widened) + spreadBytes(options);
  }
  if (aBytes === true) return byteBlockScratch(blockRows(options), columns);
  if (half === undefined) return itemPanels(options) * sumsBytes(options);
  return sumsBytes(options) + 4 * columns * Math.min(constantK(options), blockSteps({ columns })) + 16;
}

function constantK({ k }: Pick<MatmulOptions, "k">): number {
  return k === "argument" ? internal("panels have a constant number of steps here") : k;
}

const OPERAND_WORDS: Readonly<Record<EpilogueAccess, readonly string[]>> = {
  row: ["", "_batch_stride"],
  full: ["", "_row_stride", "_batch_stride"],
  column: ["", "_row_stride", "_batch_stride"],
  scalar: [""],
};

/**
 * Names of the argument words, in order. `output`, `a`, `b` and `operand_<i>` are pointers, all others are elements:
 * the output is dense, B's batches are whole packed matrices (or 0 apart), steps between columns are 1.
 */
export function matmulArguments(options: MatmulOptions): readonly string[] {
  return [
    ...["output", "a", "b", "m", "a_batch_stride", "b_batch_stride"],
    ...(options.n === "argument" ? ["n"] : []),
    ...(options.k === "argument" ? ["k"] : []),
    ...(options.aRowStride === "argument" ? ["a_row_stride"] : []),
    ...options.operands.flatMap((access, i) => OPERAND_WORDS[access].map((name) => `operand_${i}${name}`)),
  ];
}

/** Where a grid item lies. */
interface Item {
  /** First column. */
  readonly column: Code;
  /** First row. */
  readonly row: Code;
  readonly batch: Code;
}

/** Operands with what places their pointers at an item's first row and column. */
function placedOperands(
  frame: KernelFrame,
  accesses: readonly EpilogueAccess[],
  item: Item,
  argument: (name: string) => Code,
): { readonly operands: readonly EpilogueOperand[]; readonly place: Code } {
  const operands = accesses.map((access) => {
    const [pointer, rowBytes] = frame.locals("i32", 2);
    return { access, pointer, rowBytes };
  });
  const place = operands.map(({ access, pointer, rowBytes }, i) => {
    const read = (suffix: string): Code => argument(`operand_${i}${suffix}`);
    if (access === "scalar") return set(pointer, read(""));
    const column = access === "column" ? [] : [item.column];
    const row = access === "row" ? [] : [i32.mul(item.row, read("_row_stride"))];
    const offset = [...column, ...row, i32.mul(item.batch, read("_batch_stride"))];
    return [
      set(pointer, wordsAfter(read(""), ...offset)),
      access === "row" ? [] : set(rowBytes, wordBytes(read("_row_stride"))),
    ];
  });
  return { operands, place };
}

/**
 * C [batch, M, N] = epilogue(A [batch, M, K] B [batch, K, N]); see {@link matmulArguments} and {@link matmulGrid}. The
 * bits of C do not depend on the tile, nor on how the grid is split.
 */
export const matmulKernel: (options: MatmulOptions) => KernelModule = remembered((options) => {
  const { rows, columns } = options;
  const words = matmulArguments(options);
  return kernelModule((frame) => {
    const argument = (name: string): Code => word(frame, words.indexOf(name));
    const n = sizeValue(frame, options.n, words.indexOf("n"));
    const k = sizeValue(frame, options.k, words.indexOf("k"));
    const aRow = sizeValue(frame, options.aRowStride, words.indexOf("a_row_stride"));
    const [item, m, panels, blocks, blockHeight] = frame.locals("i32", 5);
    const [panel, batch, row, height] = frame.locals("i32", 4);
    const [a, b, sums, output, column, width] = frame.locals("i32", 6);
    const mHint = options.mHint ?? {};
    const most = mHint.exact ?? mHint.most;
    const heights = blockHeights(mHint, blockRows(options), rows);
    /** All rows lie in one block. */
    const oneBlock = most !== undefined && most <= blockRows(options);

    const evenBlocks = [
      set(blocks, ceilDivision(get(m), i32.of(blockRows(options)))),
      // Blocks of even height, in whole tiles.
      set(blockHeight, ceilDivision(ceilDivision(get(m), get(blocks)), i32.of(rows))),
      set(blockHeight, i32.mul(get(blockHeight), i32.of(rows))),
    ];
    const blockPlace = [
      set(row, i32.mul(i32.remU(get(batch), get(blocks)), get(blockHeight))),
      set(batch, i32.divU(get(batch), get(blocks))),
      set(height, i32.sub(get(m), get(row))),
      set(height, i32.select(i32.ltS(get(blockHeight), get(height)), get(blockHeight), get(height))),
    ];
    const setup = [
      ...[n.setup, k.setup, aRow.setup],
      set(m, mHint.exact === undefined ? argument("m") : i32.of(mHint.exact)),
      set(panels, n.ceilDiv(columns * itemPanels(options))),
      ...(oneBlock ? [] : evenBlocks),
    ];
    const place = [
      set(panel, i32.remU(get(item), get(panels))),
      set(batch, i32.divU(get(item), get(panels))),
      ...(oneBlock ? [set(height, get(m))] : blockPlace),
    ];

    const bytes = options.aBytes === true;
    const spread = options.spread === true;
    const several = bytes || spread || itemPanels(options) > 1;
    const [panelsHere, panelSums, rowsHere] = frame.locals("i32", several ? 3 : 0);
    const panelBytes = bytes ? panelSumBytes(blockRows(options), columns) : sumsBytes(options);
    const aFirst: [Code, Code] = [i32.mul(get(batch), argument("a_batch_stride")), i32.mul(get(row), aRow.read)];
    const panelWords =
      options.half === undefined
        ? k.times((columns * stepBytes(options)) / 4)
        : i32.of(pairedWords(constantK(options) * columns));
    const bFirst = [i32.mul(get(batch), argument("b_batch_stride")), i32.mul(get(panel), panelWords)];
    // All blocks but the last are whole tiles.
    const block = { tile: options, a, aRow, b, k: options.k, kSteps: k, height, heights };
    const multiplyPanels = (): Code => [
      set(panel, i32.mul(get(panel), i32.of(itemPanels(options)))),
      set(panelsHere, smaller(i32.of(itemPanels(options)), i32.sub(n.ceilDiv(columns), get(panel)))),
      set(a, bytes ? i32.add(argument("a"), i32.add(...aFirst)) : wordsAfter(argument("a"), ...aFirst)),
      set(b, wordsAfter(argument("b"), ...bFirst)),
      bytes
        ? multiplyBytes(frame, {
            ...{ tile: options, blockRows: blockRows(options), height, heights },
            ...{ a, aRow, b, panels: panelsHere, k: options.k, kSteps: k },
          })
        : spread
          ? multiplySpreadPanels()
          : multiplyBlock(frame, {
              ...block,
              panels: {
                ...{ count: panelsHere, most: itemPanels(options) },
                ...{ panelBytes: 4 * columns * constantK(options), sumBytes: panelBytes },
              },
            }),
    ];
    const afterSums = itemPanels(options) * panelBytes;
    const spreadBlock = (): SpreadBlock => ({
      ...block,
      ...{ sumBytes: panelBytes, panels: panelsHere },
      spread: i32.add(get(frame.scratch), i32.of(afterSums)),
    });
    const multiplySpreadPanels = (): Code => {
      const { half: dtype } = options;
      if (dtype === undefined) return multiplySpread(frame, spreadBlock());
      const half: PairedPanels = {
        ...{ dtype, panelBytes: 4 * pairedWords(constantK(options) * columns) },
        at: i32.add(get(frame.scratch), i32.of(afterSums + spreadBytes(options))),
        widened: widenedBytes(options, constantK(options)),
      };
      const panelsLeft = frame.local("i32");
      const few = [
        set(panelSums, get(frame.scratch)),
        set(panelsLeft, get(panelsHere)),
        countDown(panelsLeft, [
          multiplyPairs(frame, spreadBlock(), dtype, get(panelSums)),
          advance(panelSums, i32.of(panelBytes)),
          advance(b, i32.of(half.panelBytes)),
        ]),
      ];
      const many = multiplySpread(frame, { ...spreadBlock(), half });
      return when(i32.leS(get(height), i32.of(fewRows(options, dtype))), few, many);
    };
    const multiplyPanel = (): Code => [
      set(a, wordsAfter(argument("a"), ...aFirst)),
      set(b, wordsAfter(argument("b"), ...bFirst)),
      multiplyBlock(frame, {
        ...block,
        ...(options.half === undefined ? {} : { half: { dtype: options.half, at: sumsBytes(options) } }),
      }),
    ];
    const multiply = several ? multiplyPanels() : multiplyPanel();

    const first = { column: get(column), row: get(row), batch: get(batch) };
    const { operands, place: placeOperands } = placedOperands(frame, options.operands, first, argument);
    const outputRow = i32.add(i32.mul(get(batch), get(m)), get(row));
    const tail = options.n !== "argument" ? options.n % columns : options.wholePanels === true ? 0 : undefined;
    const finish = (firstSum: Code): Code => [
      set(column, i32.mul(get(panel), i32.of(columns))),
      tail !== 0 ? set(width, smaller(i32.of(columns), i32.sub(n.read, get(column)))) : [],
      set(sums, firstSum),
      set(output, wordsAfter(argument("output"), i32.mul(outputRow, n.read), get(column))),
      placeOperands,
      storeBlock(
        frame,
        {
          ...{ sums, output, outputRowBytes: n.times(4), rows: height, columns, operands },
          ...{ width, tail, integers: options.integers !== undefined },
          rowsInTurn: spread && columns % 8 === 0 ? 2 : 1,
        },
        options.epilogue,
        options.madd,
      ),
    ];
    const finishPanels = (): Code => [
      set(panelSums, get(frame.scratch)),
      set(rowsHere, get(height)),
      countDown(panelsHere, [
        finish(get(panelSums)),
        set(height, get(rowsHere)),
        advance(panelSums, i32.of(panelBytes)),
        advance(panel, i32.of(1)),
      ]),
    ];
    const work = [multiply, several ? finishPanels() : finish(get(frame.scratch))];
    // Even heights may leave nothing for the last block.
    return [setup, forItems(frame, item, [place, oneBlock ? work : when(i32.gtS(get(height), i32.of(0)), work)])];
  });
});
