/** Rows of a PNG's pixel stream: what the filters of the specification (W3C PNG, third edition, section 9) took away is added again. */

/** Rows of packed samples, each behind the byte that names its filter. */
export interface FilteredRows {
  /** Where they begin. */
  readonly at: number;
  /** Number of rows. */
  readonly height: number;
  /** Bytes of a row, without its filter's. */
  readonly rowBytes: number;
  /** Bytes from one pixel to the next, at least 1. */
  readonly pixelBytes: number;
}

/** Kinds of filters, by their numbers. */
const NONE = 0;
const SUB = 1;
const UP = 2;
const AVERAGE = 3;
const PAETH = 4;

/** Of left, above and above left the one that is nearest to left + above - above left. */
function paeth(left: number, above: number, aboveLeft: number): number {
  const toLeft = Math.abs(above - aboveLeft);
  const toAbove = Math.abs(left - aboveLeft);
  const toAboveLeft = Math.abs(left + above - 2 * aboveLeft);
  if (toLeft <= toAbove && toLeft <= toAboveLeft) return left;
  return toAbove <= toAboveLeft ? above : aboveLeft;
}

/** Undoes the filter of one row, read at `from` and written at `to`, which is not behind it; the row before ends at `to`. */
function undoFilter(kind: number, data: Uint8Array, from: number, to: number, rows: FilteredRows): void {
  const { rowBytes, pixelBytes } = rows;
  const isFirst = to === rows.at;
  // Above the first row and left of the first pixel are zeros.
  const above = to - rowBytes;
  if (kind === NONE || (kind === UP && isFirst)) data.copyWithin(to, from, from + rowBytes);
  else if (kind === UP) for (let i = 0; i < rowBytes; i++) data[to + i] = data[from + i] + data[above + i];
  else if (kind === SUB || (kind === PAETH && isFirst)) {
    data.copyWithin(to, from, from + Math.min(pixelBytes, rowBytes));
    for (let i = pixelBytes; i < rowBytes; i++) data[to + i] = data[from + i] + data[to + i - pixelBytes];
  } else if (kind === AVERAGE) {
    for (let i = 0; i < rowBytes; i++) {
      const left = i < pixelBytes ? 0 : data[to + i - pixelBytes];
      data[to + i] = data[from + i] + ((left + (isFirst ? 0 : data[above + i])) >> 1);
    }
  } else {
    for (let i = 0; i < Math.min(pixelBytes, rowBytes); i++) data[to + i] = data[from + i] + data[above + i];
    for (let i = pixelBytes; i < rowBytes; i++) {
      const left = to + i - pixelBytes;
      data[to + i] = data[from + i] + paeth(data[left], data[above + i], data[left - rowBytes]);
    }
  }
}

/**
 * Undoes the filters of `height` rows in place and returns the rows one behind the other, a view of `data`.
 * @throws RangeError for a filter that does not exist
 */
export function unfilterRows(data: Uint8Array, rows: FilteredRows): Uint8Array {
  const { at, height, rowBytes } = rows;
  for (let y = 0; y < height; y++) {
    const from = at + y * (rowBytes + 1);
    const kind = data[from];
    if (kind > PAETH) throw new RangeError(`row ${y} names filter ${kind}, which does not exist`);
    undoFilter(kind, data, from + 1, at + y * rowBytes, rows);
  }
  return data.subarray(at, at + height * rowBytes);
}
