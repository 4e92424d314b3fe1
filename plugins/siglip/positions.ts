/**
 * Position embeddings of NaFlex: the square table is resized to each image's grid by antialiased bilinear interpolation.
 * The weight of a table entry is the product of a weight along the rows and one along the columns, so that two narrow
 * tensors say it all and the graph makes the matrix.
 */

/** Patches of an image. */
export interface Grid {
  readonly rows: number;
  readonly columns: number;
}

/**
 * Weights [to, from] of a bilinear resize of one axis, stretched when shrinking. Sample i lies at (i + 1/2) from / to;
 * sources within `support` of it count by their distance, and the weights of a sample sum to 1.
 */
export function axisWeights(from: number, to: number): Float32Array {
  const weights = new Float32Array(to * from);
  const scale = from / to;
  const support = Math.max(scale, 1);
  const own = new Float64Array(from);
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const first = Math.max(Math.floor(center - support), 0);
    const end = Math.min(Math.ceil(center + support), from);
    let sum = 0;
    for (let j = first; j < end; j++) {
      own[j] = Math.max(0, 1 - Math.abs(j + 0.5 - center) / support);
      sum += own[j];
    }
    for (let j = first; j < end; j++) weights[i * from + j] = own[j] / sum;
  }
  return weights;
}

export interface PositionWeights {
  /** [images, patches, side] over the table's rows. */
  readonly rows: Float32Array;
  /** [images, patches, side] over the table's columns. */
  readonly columns: Float32Array;
}

/** What resizes a table of `side` x `side` to each grid. Padding has the position of its image's first patch. */
export function positionWeights(grids: readonly Grid[], patches: number, side: number): PositionWeights {
  const known = new Map<number, Float32Array>();
  const axis = (to: number): Float32Array => {
    const weights = known.get(to) ?? axisWeights(side, to);
    known.set(to, weights);
    return weights;
  };
  const rows = new Float32Array(grids.length * patches * side);
  const columns = new Float32Array(rows.length);
  for (const [image, grid] of grids.entries()) {
    const down = axis(grid.rows);
    const across = axis(grid.columns);
    for (let p = 0; p < patches; p++) {
      const at = (image * patches + p) * side;
      const inside = p < grid.rows * grid.columns;
      const row = inside ? Math.floor(p / grid.columns) * side : 0;
      const column = inside ? (p % grid.columns) * side : 0;
      for (let j = 0; j < side; j++) {
        rows[at + j] = down[row + j];
        columns[at + j] = across[column + j];
      }
    }
  }
  return { rows, columns };
}
