/** Packing of a matrix into the panels that the matrix product reads. */
import { ceilDiv, type Dim, mul } from "../../../runtime/core/dim.ts";
import { type Code, get, i32, set } from "../asm/code.ts";
import { type KernelModule, kernelModule } from "../asm/module.ts";
import { forItems, word, wordBytes } from "./loops.ts";
import { type Panel, packRuns, packTransposed } from "./panel.ts";
import { ceilDivision, smaller } from "./size.ts";

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

/** Writes B as [batch, ceil(N / columns), K, columns]; columns beyond N are 0. See {@link PACK_ARGUMENTS}. */
export function packKernel({ columns, transposed }: PackOptions): KernelModule {
  return kernelModule((frame) => {
    const argument = (name: string): Code => word(frame, PACK_ARGUMENTS.indexOf(name));
    const [item, n, k, panels, rowBytes] = frame.locals("i32", 5);
    const [first, batch, width, source, output] = frame.locals("i32", 5);
    const across = transposed ? get(rowBytes) : i32.of(4);
    const panel: Panel = {
      ...{ columns, width: get(width), k: get(k), output },
      sourceRow: (index) => i32.add(get(source), i32.mul(index, get(rowBytes))),
    };
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
        set(output, i32.add(argument("output"), wordBytes(i32.mul(get(item), i32.mul(get(k), i32.of(columns)))))),
        transposed ? packTransposed(frame, panel) : packRuns(frame, panel),
      ]),
    ];
  });
}
