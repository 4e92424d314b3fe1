/**
 * Tiles of few rows take several panels side by side: as many sums as keep multiply-adds busy, and more of the panels on their
 * way from memory at once, since a processor fetches ahead along each.
 */
import { type Code, get, i32, type Local } from "../asm/code.ts";
import { whileLoop } from "../asm/control_flow.ts";
import type { KernelFrame } from "../asm/module.ts";
import { advance } from "./loops.ts";
import type { TileRegisters, TileShape } from "./tile.ts";

/** Vectors of sums that keep multiply-adds busy: fewer wait for each other's results. */
export const BUSY_SUMS = 8;

/** Panels that the first `rows` rows of a tile take side by side: their sums are those of one whole tile at most. */
export const panelsAbreast = ({ rows: all, columns }: Pick<TileShape, "rows" | "columns">, rows: number): number =>
  Math.max(1, Math.floor(Math.min(BUSY_SUMS, all * (columns / 4)) / (rows * (columns / 4))));

/** The same registers for `rows` rows of `panels` panels; sums of a row are those of one panel behind another's. */
function abreastRegisters(frame: KernelFrame, registers: TileRegisters, rows: number, panels: number): TileRegisters {
  const { sums, panel } = registers;
  const vectors = panels * panel.length;
  const all = sums.flat();
  return {
    ...registers,
    sums: Array.from({ length: rows }, (_, r) => all.slice(r * vectors, (r + 1) * vectors)),
    panel: [...panel, ...frame.locals("v128", vectors - panel.length)],
  };
}

/**
 * Runs `each` for `left` panels, up to `most` at once, with registers for `rows` rows of as many; it moves its pointers by as many
 * panels itself.
 */
export function forPanels(
  frame: KernelFrame,
  registers: TileRegisters,
  { rows, left, most }: { readonly rows: number; readonly left: Local; readonly most: number },
  each: (registers: TileRegisters, panels: number) => Code,
): Code {
  const together = Math.min(most, panelsAbreast(registers.shape, rows));
  const pass = (own: TileRegisters, panels: number): Code => [each(own, panels), advance(left, i32.of(-panels))];
  const one = whileLoop(get(left), pass(registers, 1));
  if (together === 1) return one;
  const own = abreastRegisters(frame, registers, rows, together);
  return [whileLoop(i32.leU(i32.of(together), get(left)), pass(own, together)), one];
}
