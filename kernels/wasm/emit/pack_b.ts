/** Packing of a matrix into the panels that the matrix product reads. */
import { ceilDiv, type Dim, mul } from "../../../runtime/core/dim.ts";
import { type Code, f32, get, i32, i32x4, type Local, set, v128, when, whileLoop } from "../asm/code.ts";
import { type KernelFrame, type KernelModule, kernelModule } from "../asm/module.ts";
import { advance, countDown, forItems, inFours, word, wordBytes } from "./loops.ts";
import { ceilDivision, smaller } from "./size.ts";
import { transposeWords } from "./transpose.ts";

export interface PackOptions {
  /** Columns of a panel: 4, 8, 12 or 16. */
  readonly columns: number;
  /** The source is [N, K], as weights are kept, and not [K, N]. */
  readonly transposed: boolean;
}

/**
 * Names of the argument words, in order; sizes and strides in elements. `row_stride` lies between rows of the source,
 * whose columns are 1 apart.
 */
export const PACK_ARGUMENTS: readonly string[] = ["output", "b", "n", "k", "row_stride", "batch_stride"];

/** Grid items: one per panel. */
export function packGrid(n: Dim, batch: Dim, columns: number): Dim {
  return mul(batch, ceilDiv(n, columns));
}

/** Elements of one packed matrix: [ceil(n / columns), k, columns]. */
export function packedElements(n: Dim, k: Dim, columns: number): Dim {
  return mul(ceilDiv(n, columns), k, columns);
}

interface Panel {
  readonly columns: number;
  /** Columns that exist. */
  readonly width: Local;
  readonly k: Local;
  /** First element of the panel in the source. */
  readonly source: Local;
  /** Bytes between rows of the source. */
  readonly rowBytes: Local;
  /** The panel. Moves. */
  readonly output: Local;
}

/** From [K, N]: rows of the panel are runs of the source. */
function packRuns(frame: KernelFrame, { columns, width, k, source, rowBytes, output }: Panel): Code {
  const [left, column] = frame.locals("i32", 2);
  const rows = (body: Code): Code => [
    set(left, get(k)),
    countDown(left, [body, advance(source, get(rowBytes)), advance(output, i32.of(4 * columns))]),
  ];
  const whole = Array.from({ length: columns / 4 }, (_, v) =>
    v128.store(get(output), v128.load(get(source), 16 * v), 16 * v),
  );
  const bytes = wordBytes(get(width));
  const inRow = (row: Local): Code => i32.add(get(row), get(column));
  const walk = (end: Code, body: Code): Code =>
    whileLoop(i32.ltU(get(column), end), [body, advance(column, i32.of(4))]);
  const partial = [
    set(column, i32.of(0)),
    walk(bytes, f32.store(inRow(output), f32.load(inRow(source)))),
    walk(i32.of(4 * columns), f32.store(inRow(output), f32.of(0))),
  ];
  return when(i32.eq(get(width), i32.of(columns)), rows(whole), rows(partial));
}

/** From [N, K]: columns of the panel are runs of the source, four at a time. */
function packTransposed(frame: KernelFrame, { columns, width, k, source, rowBytes, output }: Panel): Code {
  const [group, at, last, left] = frame.locals("i32", 4);
  const pointers = frame.locals("i32", 4);
  const rows = frame.locals("v128", 4);
  const turned = frame.locals("v128", 4);
  const exists = frame.local("v128");
  const store = (value: Local, step: number): Code =>
    v128.store(get(at), v128.and(get(value), get(exists)), 4 * columns * step);
  const four = [
    rows.map((r, i) => set(r, v128.load(get(pointers[i])))),
    transposeWords(rows, turned),
    turned.map(store),
    pointers.map((p) => advance(p, i32.of(16))),
    advance(at, i32.of(16 * columns)),
  ];
  const [one] = rows;
  const single = [
    set(one, v128.load32Zero(get(pointers[0]))),
    pointers.slice(1).map((p, i) => set(one, v128.load32Lane(get(p), get(one), i + 1))),
    store(one, 0),
    pointers.map((p) => advance(p, i32.of(4))),
    advance(at, i32.of(4 * columns)),
  ];
  const index = (i: number): Code => i32.add(get(group), i32.of(i));
  // A column that does not exist reads the last one that does; the mask makes it 0.
  const place = pointers.map((p, i) => {
    return set(p, i32.add(get(source), i32.mul(smaller(index(i), get(last)), get(rowBytes))));
  });
  const lanes = v128.of([0, 1, 2, 3].flatMap((i) => [i, 0, 0, 0]));
  return [
    set(last, i32.sub(get(width), i32.of(1))),
    set(group, i32.of(0)),
    whileLoop(i32.ltU(get(group), i32.of(columns)), [
      place,
      set(exists, i32x4.gtS(i32x4.splat(i32.sub(get(width), get(group))), lanes)),
      set(at, i32.add(get(output), wordBytes(get(group)))),
      inFours(left, get(k), four, single),
      advance(group, i32.of(4)),
    ]),
  ];
}

/** Writes B as [batch, ceil(N / columns), K, columns]; columns beyond N are 0. See {@link PACK_ARGUMENTS}. */
export function packKernel({ columns, transposed }: PackOptions): KernelModule {
  return kernelModule((frame) => {
    const argument = (name: string): Code => word(frame, PACK_ARGUMENTS.indexOf(name));
    const [item, n, k, panels, rowBytes] = frame.locals("i32", 5);
    const [first, batch, width, source, output] = frame.locals("i32", 5);
    const stride = transposed ? get(rowBytes) : i32.of(4);
    const panel: Panel = { columns, width, k, source, rowBytes, output };
    return [
      set(n, argument("n")),
      set(k, argument("k")),
      set(rowBytes, wordBytes(argument("row_stride"))),
      set(panels, ceilDivision(get(n), i32.of(columns))),
      forItems(frame, item, [
        set(batch, i32.divU(get(item), get(panels))),
        set(first, i32.mul(i32.remU(get(item), get(panels)), i32.of(columns))),
        set(width, smaller(i32.of(columns), i32.sub(get(n), get(first)))),
        set(source, i32.add(argument("b"), wordBytes(i32.mul(argument("batch_stride"), get(batch))))),
        set(source, i32.add(get(source), i32.mul(get(first), stride))),
        set(output, i32.add(argument("output"), wordBytes(i32.mul(get(item), i32.mul(get(k), i32.of(columns)))))),
        transposed ? packTransposed(frame, panel) : packRuns(frame, panel),
      ]),
    ];
  });
}
