/** How rows are cut into blocks: the compiler plans them, the linker makes launches of them. */

/** A division of rows into blocks that are computed one after the other. */
export interface RowBlocks {
  /** Name of the symbol that counts the rows. */
  readonly symbol: string;
  /** Most that a block has of the symbol. */
  readonly most: number;
  /** What a block's share is a multiple of. */
  readonly multiple: number;
}

/** Shares of a number of rows: as even as the multiple allows, each at most `most`. One block where all fit into it. */
export function blockSizes(rows: number, { most, multiple }: RowBlocks): readonly number[] {
  const count = Math.ceil(rows / most);
  const units = rows / multiple;
  if (count < 2 || !Number.isInteger(units)) return [rows];
  const least = Math.floor(units / count);
  return Array.from({ length: count }, (_, i) => multiple * (i < units - least * count ? least + 1 : least));
}
