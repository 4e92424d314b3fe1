/** Matrix product with an epilogue: C = epilogue(A B), B packed in panels (see pack_b.ts). */
import { ceilDiv, type Dim, mul } from "../../../runtime/core/dim.ts";
import { type Code, get, i32, type Local, set, when, whileLoop } from "../asm/code.ts";
import { type KernelFrame, type KernelModule, kernelModule } from "../asm/module.ts";
import { type EpilogueAccess, storeBlock } from "./epilogue.ts";
import type { ScalarExpr } from "./expr.ts";
import { advance, forItems, word, wordBytes } from "./loops.ts";
import {
  clearTile,
  loadTile,
  multiplyTile,
  storeTile,
  type TileRegisters,
  type TileRow,
  tileRegisters,
} from "./tile.ts";

/** A size that is known when the kernel is emitted, or an argument word. */
export type Size = number | "argument";

export interface MatmulOptions {
  /** Register tile: 1..8 rows. */
  readonly rows: number;
  /** Register tile: 4, 8, 12 or 16 columns, the width of the packed panels. */
  readonly columns: number;
  readonly n: Size;
  readonly k: Size;
  /** Elements between rows of A. */
  readonly aRowStride: Size;
  /** Input 0 is the product, inputs 1.. are the operands. */
  readonly epilogue: ScalarExpr;
  readonly operands: readonly EpilogueAccess[];
  /** Allows relaxed multiply-add. */
  readonly madd: boolean;
}

/** Rows that a grid item computes at most, so that its part of A stays in the second-level cache. */
const BLOCK_ROWS = 64;
/** Bytes of a panel that stay in the first-level cache while all rows of an item pass. */
const PANEL_BYTES = 24576;

const blockRows = ({ rows }: Pick<MatmulOptions, "rows">): number => Math.ceil(BLOCK_ROWS / rows) * rows;

/** Steps of K between two visits of the sums in scratch. */
const blockSteps = (columns: number): number => Math.floor(PANEL_BYTES / (4 * columns));

/** Grid items of C [batch, m, n]. */
export function matmulGrid(m: Dim, n: Dim, batch: Dim, options: Pick<MatmulOptions, "rows" | "columns">): Dim {
  return mul(batch, ceilDiv(m, blockRows(options)), ceilDiv(n, options.columns));
}

/** Bytes of private scratch. */
export function matmulScratch(options: Pick<MatmulOptions, "rows" | "columns">): number {
  return blockRows(options) * options.columns * 4;
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

/** A constant, or a local that holds an argument word. */
function sizes(
  frame: KernelFrame,
  words: readonly string[],
): (size: Size, name: string) => { setup: Code; read: Code } {
  return (size, name) => {
    if (size !== "argument") return { setup: [], read: i32.of(size) };
    const local = frame.local("i32");
    return { setup: set(local, word(frame, words.indexOf(name))), read: get(local) };
  };
}

const smaller = (a: Code, b: Code): Code => i32.select(i32.ltU(a, b), a, b);

/** Steps `quotient` = ceil(a / b). */
const ceilQuotient = (a: Code, b: Code): Code => i32.divU(i32.sub(i32.add(a, b), i32.of(1)), b);

/** Where the rows of a tile begin: constant distances from one pointer, or one pointer each. */
function tileRows(
  frame: KernelFrame,
  options: MatmulOptions,
  rowBytes: Code,
): { rows: readonly TileRow[]; setup: (first: Code) => Code } {
  const { rows, aRowStride } = options;
  if (aRowStride !== "argument") {
    const pointer = frame.local("i32");
    return {
      rows: Array.from({ length: rows }, (_, r) => ({ pointer, offset: 4 * r * aRowStride })),
      setup: (first) => set(pointer, first),
    };
  }
  const pointers = frame.locals("i32", rows);
  return {
    rows: pointers.map((pointer) => ({ pointer, offset: 0 })),
    setup: (first) => pointers.map((p, r) => set(p, r === 0 ? first : i32.add(get(pointers[r - 1]), rowBytes))),
  };
}

/**
 * C [batch, M, N] = epilogue(A [batch, M, K] B [batch, K, N]); see {@link matmulArguments} and {@link matmulGrid}. Every
 * element is one sum in ascending K, whatever the tile and the split of the grid.
 */
export function matmulKernel(options: MatmulOptions): KernelModule {
  const { rows, columns } = options;
  const words = matmulArguments(options);
  return kernelModule((frame) => {
    const argument = (name: string): Code => word(frame, words.indexOf(name));
    const size = sizes(frame, words);
    const n = size(options.n, "n");
    const k = size(options.k, "k");
    const aRowStride = size(options.aRowStride, "a_row_stride");
    const [item, m, blocks, blockHeight, panels] = frame.locals("i32", 5);
    const [panel, batch, row, height, width] = frame.locals("i32", 5);

    const setup = [
      ...[n.setup, k.setup, aRowStride.setup],
      set(m, argument("m")),
      set(panels, ceilQuotient(n.read, i32.of(columns))),
      set(blocks, ceilQuotient(get(m), i32.of(blockRows(options)))),
      // Blocks of even height, in whole tiles.
      set(blockHeight, ceilQuotient(ceilQuotient(get(m), get(blocks)), i32.of(rows))),
      set(blockHeight, i32.mul(get(blockHeight), i32.of(rows))),
    ];

    const place = [
      set(panel, i32.remU(get(item), get(panels))),
      set(batch, i32.divU(get(item), get(panels))),
      set(row, i32.mul(i32.remU(get(batch), get(blocks)), get(blockHeight))),
      set(batch, i32.divU(get(batch), get(blocks))),
      set(height, smaller(get(blockHeight), i32.sub(get(m), get(row)))),
      set(panel, i32.mul(get(panel), i32.of(columns))),
      set(width, smaller(i32.of(columns), i32.sub(n.read, get(panel)))),
    ];

    const multiply = multiplyBlock(frame, options, {
      a: address(argument("a"), [argument("a_batch_stride"), get(batch)], [get(row), aRowStride.read]),
      aRowBytes: wordBytes(aRowStride.read),
      b: address(argument("b"), [argument("b_batch_stride"), get(batch)], [get(panel), k.read]),
      k: k.read,
      height,
    });

    const [sums, output] = frame.locals("i32", 2);
    const operands = options.operands.map((access) => ({
      access,
      pointer: frame.local("i32"),
      rowBytes: frame.local("i32"),
    }));
    const placeOperands = operands.map(({ access, pointer, rowBytes }, i) => {
      const read = (name: string): Code => argument(`operand_${i}${name}`);
      const offsets: [Code, Code][] = [];
      if (access !== "scalar") offsets.push([read("_batch_stride"), get(batch)]);
      if (access === "full" || access === "row") offsets.push([get(panel), i32.of(1)]);
      const strided = access === "full" || access === "column";
      if (strided) offsets.push([get(row), read("_row_stride")]);
      return [
        set(pointer, address(read(""), ...offsets)),
        strided ? set(rowBytes, wordBytes(read("_row_stride"))) : [],
      ];
    });
    const finish = [
      set(sums, get(frame.scratch)),
      set(
        output,
        address(argument("output"), [i32.add(i32.mul(get(batch), get(m)), get(row)), n.read], [get(panel), i32.of(1)]),
      ),
      placeOperands,
      storeBlock(
        frame,
        {
          sums,
          output,
          outputRowBytes: wordBytes(n.read),
          rows: height,
          columns,
          width,
          widthMultiple: options.n === "argument" ? 1 : options.n,
          operands,
        },
        options.epilogue,
        options.madd,
      ),
    ];
    // Even heights may leave nothing for the last block.
    const body = [place, when(i32.gtS(get(height), i32.of(0)), [multiply, finish])];
    return [setup, forItems(frame, item, body)];
  });
}

/** `pointer` plus the sum of products, in words. */
function address(pointer: Code, ...products: readonly (readonly [Code, Code])[]): Code {
  return products.reduce((sum, [x, y]) => i32.add(sum, wordBytes(i32.mul(x, y))), pointer);
}

interface BlockPlace {
  /** First element of the block's rows of A. */
  readonly a: Code;
  readonly aRowBytes: Code;
  /** First element of the panel. */
  readonly b: Code;
  readonly k: Code;
  /** Rows of the block. */
  readonly height: Local;
}

/** Leaves the block's sums in scratch, rows `columns` apart. */
function multiplyBlock(frame: KernelFrame, options: MatmulOptions, place: BlockPlace): Code {
  const { rows, columns } = options;
  const whole = options.k !== "argument" && options.k <= blockSteps(columns);
  const registers = tileRegisters(frame, options);
  const [aTile, bFirst, b, end, tile, left, steps, stepsLeft] = frame.locals("i32", 8);
  const { rows: tileRowsOfA, setup: placeRows } = tileRows(frame, options, place.aRowBytes);

  const oneTile = (count: number): Code => [
    placeRows(get(aTile)),
    set(b, get(bFirst)),
    whole ? clearTile(registers, count) : loadTile(registers, count, tile, 4 * columns),
    multiplyTile(registers, { a: tileRowsOfA.slice(0, count), b, end }),
    storeTile(registers, count, tile, 4 * columns),
  ];
  const allTiles = [
    set(tile, get(frame.scratch)),
    set(left, get(place.height)),
    whileLoop(i32.geS(get(left), i32.of(rows)), [
      oneTile(rows),
      advance(aTile, i32.mul(i32.of(rows), place.aRowBytes)),
      advance(tile, i32.of(4 * columns * rows)),
      advance(left, i32.of(-rows)),
    ]),
    Array.from({ length: rows - 1 }, (_, i) => when(i32.eq(get(left), i32.of(i + 1)), oneTile(i + 1))),
  ];
  const placeEnd = (count: Code): Code => set(end, i32.add(get(bFirst), i32.mul(count, i32.of(4 * columns))));
  const start = set(bFirst, place.b);
  if (whole) return [start, set(aTile, place.a), placeEnd(place.k), allTiles];
  const most = i32.of(blockSteps(columns));
  return [
    start,
    clearRows(frame, registers, place.height),
    set(stepsLeft, place.k),
    whileLoop(get(stepsLeft), [
      set(steps, smaller(get(stepsLeft), most)),
      set(aTile, i32.add(place.a, wordBytes(i32.sub(place.k, get(stepsLeft))))),
      placeEnd(get(steps)),
      allTiles,
      set(bFirst, get(end)),
      set(stepsLeft, i32.sub(get(stepsLeft), get(steps))),
    ]),
  ];
}

/** Sets the sums in scratch to 0. */
function clearRows(frame: KernelFrame, registers: TileRegisters, height: Local): Code {
  const { columns } = registers.shape;
  const [at, left] = frame.locals("i32", 2);
  return [
    set(at, get(frame.scratch)),
    set(left, get(height)),
    clearTile(registers, 1),
    whileLoop(get(left), [
      storeTile(registers, 1, at, 4 * columns),
      advance(at, i32.of(4 * columns)),
      advance(left, i32.of(-1)),
    ]),
  ];
}
