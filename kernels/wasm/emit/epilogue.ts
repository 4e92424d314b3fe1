/** What happens to a product's sums on their way from scratch to memory. */

import type { ScalarExpr } from "../../../runtime/abi/claims/expr.ts";
import { type Code, f32x4, get, i32, i32x4, type Local, set, v128 } from "../asm/code.ts";
import { when, whileLoop } from "../asm/control_flow.ts";
import { hoistConstants } from "../asm/hoist.ts";
import type { KernelFrame } from "../asm/module.ts";
import { exprFlops, lowerExpr } from "./expr.ts";
import { advance, countDown, wordBytes } from "./loops.ts";

/**
 * How an operand is read: `row` one number per column, [N] (a bias); `full` [M, N] (a residual); `column` one per row,
 * [M]; `scalar` one in all.
 */
export type EpilogueAccess = "row" | "full" | "column" | "scalar";

export interface EpilogueOperand {
  readonly access: EpilogueAccess;
  /** The element that belongs to the block's first row and column. */
  readonly pointer: Local;
  /** Bytes between rows, for `full` and `column`. */
  readonly rowBytes: Local;
}

/** A block of sums and where its results go. */
export interface EpilogueBlock {
  /** First sum; rows lie `columns` apart. Moves. */
  readonly sums: Local;
  /** First result. Moves. */
  readonly output: Local;
  /** Bytes between rows of the result. */
  readonly outputRowBytes: Code;
  /** Counted down to 0. */
  readonly rows: Local;
  readonly columns: number;
  /** How many of the columns exist. */
  readonly width: Local;
  /** Columns of a last panel that is not whole; 0 when all are, nothing when it is not known. */
  readonly tail: number | undefined;
  /** Pointers move. */
  readonly operands: readonly EpilogueOperand[];
  /**
   * Sums are of codes, and the last four operands say what they stand for: scale and zero point of a row, scale and sum of
   * codes of a column.
   */
  readonly integers: boolean;
  /** Rows that are computed in turn where an element takes many operations; `columns` is then a multiple of 8. */
  readonly rowsInTurn: 1 | 2;
}

/** `(sum - zero * column's sum) * (row's scale * column's scale)`: exact until it becomes f32. */
function fromCodes(sum: Local, [rowScale, zero, columnScale, columnSum]: readonly Local[]): Code {
  const exact = i32x4.sub(get(sum), i32x4.mul(get(zero), get(columnSum)));
  return set(sum, f32x4.mul(f32x4.convertI32(exact), f32x4.mul(get(rowScale), get(columnScale))));
}

const BROADCAST: ReadonlySet<EpilogueAccess> = new Set(["column", "scalar"]);
const BY_ROW: ReadonlySet<EpilogueAccess> = new Set(["full", "column"]);

/** What is done to a part of a row. */
interface RowPart {
  readonly load: Code;
  readonly steps: readonly Code[];
  readonly store: Code;
}

/** Steps of all parts in turn: each is a long chain of dependent instructions, and a core finds the next one's only nearby. */
function sideBySide(parts: readonly RowPart[]): Code {
  return [
    parts.map(({ load }) => load),
    parts[0].steps.map((_, i) => parts.map(({ steps }) => steps[i])),
    parts.map(({ store }) => store),
  ];
}

/** Where a row begins. */
interface RowPlace {
  readonly sums: Local;
  readonly output: Local;
  /** By operand. */
  readonly pointers: readonly Local[];
}

/** Operations of an element from which on two rows are worth twice the code. */
const LONG_CHAIN = 20;

/** Applies `expr` to input 0, the sums, and 1.., the operands, and stores what exists; nothing beyond is touched. */
export function storeBlock(frame: KernelFrame, block: EpilogueBlock, expr: ScalarExpr, madd: boolean): Code {
  const { columns, width, tail, operands } = block;
  const inputs = [0, 1].map(() => frame.locals("v128", operands.length + 1));
  const first: RowPlace = { sums: block.sums, output: block.output, pointers: operands.map(({ pointer }) => pointer) };

  /** One vector, or one number in the first lane; `at` turns a row's pointer into an address. */
  const part = (
    single: boolean,
    at: (row: Local) => Code,
    offset: number,
    locals: readonly Local[],
    row: RowPlace = first,
  ): RowPart => {
    const [sum, ...values] = locals;
    const load = single ? v128.load32Zero : v128.load;
    const { code, result } = lowerExpr(frame, expr, locals, madd);
    const address = at(row.output);
    return {
      load: [
        set(sum, load(at(row.sums), offset)),
        row.pointers.map((pointer, i) =>
          set(
            values[i],
            BROADCAST.has(operands[i].access) ? v128.load32Splat(get(pointer)) : load(at(pointer), offset),
          ),
        ),
        block.integers ? fromCodes(sum, values.slice(-4)) : [],
      ],
      steps: code,
      store: single ? v128.store32Lane(address, get(result), 0, offset) : v128.store(address, get(result), offset),
    };
  };
  const apply = (single: boolean, at: (row: Local) => Code, offset: number): Code =>
    sideBySide([part(single, at, offset, inputs[0])]);

  const nextRow = [
    advance(block.sums, i32.of(4 * columns)),
    advance(block.output, block.outputRowBytes),
    operands.filter((o) => BY_ROW.has(o.access)).map((o) => advance(o.pointer, get(o.rowBytes))),
  ];
  const eachRow = (row: Code): Code => countDown(block.rows, [row, nextRow]);

  const vectors = (count: number): Code =>
    Array.from({ length: Math.ceil(count / 2) }, (_, pair) => {
      const both = inputs.map((locals, i) => part(false, get, 32 * pair + 16 * i, locals));
      return sideBySide(both.slice(0, count - 2 * pair));
    });
  const whole = block.rowsInTurn === 2 && exprFlops(expr) >= LONG_CHAIN ? inTwos() : eachRow(vectors(columns / 4));
  /** Two rows in turn, as far as there are two. */
  function inTwos(): Code {
    const second: RowPlace = {
      sums: frame.local("i32"),
      output: frame.local("i32"),
      pointers: operands.map(({ access, pointer }) => (BY_ROW.has(access) ? frame.local("i32") : pointer)),
    };
    const own = inputs.map(() => frame.locals("v128", operands.length + 1));
    const pairs = Array.from({ length: columns / 8 }, (_, pair) =>
      sideBySide(
        [first, second].flatMap((row, r) =>
          [inputs, own][r].map((locals, i) => part(false, get, 32 * pair + 16 * i, locals, row)),
        ),
      ),
    );
    const twoRows = [
      set(second.sums, i32.add(get(first.sums), i32.of(4 * columns))),
      set(second.output, i32.add(get(first.output), block.outputRowBytes)),
      operands.map(({ access, rowBytes }, i) =>
        BY_ROW.has(access) ? set(second.pointers[i], i32.add(get(first.pointers[i]), get(rowBytes))) : [],
      ),
      pairs,
      nextRow,
      nextRow,
      set(block.rows, i32.sub(get(block.rows), i32.of(2))),
    ];
    return [whileLoop(i32.gtS(get(block.rows), i32.of(1)), twoRows), eachRow(vectors(columns / 4))];
  }
  const setUp = (code: Code): Code => {
    const hoisted = hoistConstants(frame, code);
    return [hoisted.setup, hoisted.code];
  };
  if (tail === 0) return setUp(whole);

  /** A last panel of known width. */
  const known = (columnsLeft: number): Code => {
    const single = Array.from({ length: columnsLeft % 4 }, (_, i) => 4 * (columnsLeft - (columnsLeft % 4) + i));
    return [vectors(Math.floor(columnsLeft / 4)), single.map((offset) => apply(true, get, offset))];
  };
  const at = frame.local("i32");
  const inRow = (row: Local): Code => i32.add(get(row), get(at));
  const upTo = (end: Code, single: boolean): Code =>
    whileLoop(i32.ltU(get(at), wordBytes(end)), [apply(single, inRow, 0), advance(at, i32.of(single ? 4 : 16))]);
  const unknown = [set(at, i32.of(0)), upTo(i32.and(get(width), i32.of(-4)), false), upTo(get(width), true)];
  const partial = eachRow(tail === undefined ? unknown : known(tail));
  return setUp(when(i32.eq(get(width), i32.of(columns)), whole, partial));
}
