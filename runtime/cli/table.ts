/** Plain text tables. */

const NUMBER = /^-?[\d.,]+( ?[a-zA-Z%/]+)?$/;

/** A text for a cell: control characters and line ends as spaces, cut to a width. */
export function oneLine(text: string, width: number): string {
  const line = text.replaceAll(/[\s\p{Cc}]+/gu, " ");
  return line.length > width ? `${line.slice(0, width - 3)}...` : line;
}

/** Columns aligned with two spaces between; numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i].length)));
  const right = head.map((_, i) => rows.length > 0 && rows.every((r) => NUMBER.test(r[i])));
  const line = (cells: readonly string[]): string =>
    cells
      .map((c, i) => (right[i] ? c.padStart(widths[i]) : c.padEnd(widths[i])))
      .join("  ")
      .trimEnd();
  return [line(head), ...rows.map(line)].join("\n");
}
