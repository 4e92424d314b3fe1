/** Packing of a matrix into the panels that the matrix product reads. */
import { ceilDiv, type Dim, mul } from "../../../runtime/core/dim.ts";
import type { HalfDType } from "../../../runtime/core/dtype.ts";
import { type Code, f32x4, get, i32, type Local, set, v128 } from "../asm/code.ts";
import { type KernelFrame, type KernelModule, kernelModule } from "../asm/module.ts";
import { remembered } from "../asm/remember.ts";
import { narrowPairs, pairedWords } from "./half.ts";
import { copyRun, forItems, word, wordBytes } from "./loops.ts";
import { type Panel, packRuns, packTransposed } from "./panel.ts";
import { ceilDivision, smaller, wordsAfter } from "./size.ts";

export interface PackOptions {
  /** Columns of a panel: 4, 8, 12 or 16. */
  readonly columns: number;
  /** The source is [N, K], as weights are kept, and not [K, N]. */
  readonly transposed: boolean;
  /** Rounds to a two-byte type, whose panels are kept as {@link pairedWords}; f32 unless given. */
  readonly half?: HalfPanels;
  /**
   * Steps of K where the output may be the source: with that many elements to a row and nothing between rows, a panel's columns
   * lie where it is written, so that each is copied aside and packed from there.
   */
  readonly inPlace?: number;
}

/** Panels of two-byte numbers. */
export interface HalfPanels {
  readonly dtype: HalfDType;
  /** Steps of K. */
  readonly k: number;
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

/** 32-bit words of one packed matrix whose numbers have two bytes. */
export function halfPackedWords(n: number, k: number, columns: number): number {
  return Math.ceil(n / columns) * pairedWords(k * columns);
}

/** Bytes of private scratch: a panel of f32 and, for pairs, a vector of zeros behind it. */
export function packScratch({ columns, half, inPlace }: PackOptions): number {
  if (inPlace !== undefined) return 4 * columns * inPlace;
  return half === undefined ? 0 : 4 * columns * half.k + 16;
}

/** Writes B as [batch, ceil(N / columns), K, columns]; columns beyond N are 0. See {@link PACK_ARGUMENTS}. */
export const packKernel: (options: PackOptions) => KernelModule = remembered((options) => {
  const { columns, transposed, half, inPlace } = options;
  return kernelModule((frame) => {
    const argument = (name: string): Code => word(frame, PACK_ARGUMENTS.indexOf(name));
    const [item, n, k, panels, rowBytes] = frame.locals("i32", 5);
    const [first, batch, width, source, output] = frame.locals("i32", 5);
    const across = transposed ? get(rowBytes) : i32.of(4);
    const panel: Panel = {
      ...{ columns, width: get(width), k: get(k), output },
      sourceRow: (index) => i32.add(get(source), i32.mul(index, get(rowBytes))),
    };
    const pack = transposed ? packTransposed(frame, panel) : packRuns(frame, panel);
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
        set(source, i32.add(get(source), i32.mul(get(first), across))),
        inPlace === undefined ? [] : setAside(frame, source, i32.mul(get(width), get(k))),
        half === undefined
          ? [set(output, wordsAfter(argument("output"), i32.mul(get(item), i32.mul(get(k), i32.of(columns))))), pack]
          : packHalf(frame, half, { columns, item, panel: output, output: argument("output"), pack }),
      ]),
    ];
  });
});

/** Copies words to scratch and turns to them there. */
function setAside(frame: KernelFrame, source: Local, words: Code): Code {
  const [counter, to] = frame.locals("i32", 2);
  return [set(to, get(frame.scratch)), copyRun(counter, words, source, to), set(source, get(frame.scratch))];
}

interface HalfPack {
  readonly columns: number;
  readonly item: Local;
  /** Where `pack` writes the panel. */
  readonly panel: Local;
  /** First byte of the packed matrix. */
  readonly output: Code;
  readonly pack: Code;
}

/** Packs a panel of f32 into scratch and rounds it from there. */
function packHalf(
  frame: KernelFrame,
  { dtype, k }: HalfPanels,
  { columns, item, panel, output, pack }: HalfPack,
): Code {
  const [from, to, end] = frame.locals("i32", 3);
  const words = pairedWords(k * columns);
  return [
    // The last pair's second vector may be none of the panel's.
    v128.store(get(frame.scratch), f32x4.of(0), 4 * columns * k),
    set(panel, get(frame.scratch)),
    pack,
    set(from, get(frame.scratch)),
    set(to, wordsAfter(output, i32.mul(get(item), i32.of(words)))),
    set(end, i32.add(get(to), i32.of(4 * words))),
    narrowPairs(frame, dtype, from, to, end),
  ];
}
