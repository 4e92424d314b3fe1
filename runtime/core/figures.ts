/** Figures and how people read them; bytes are in diagnostics.ts. */

const UNITS = ["", "k", "M", "G", "T", "P"];

/** A count with its unit: `12.3 M`, so that `12.3 MFLOP` reads well. */
export function countText(value: number): string {
  let [rest, unit] = [value, 0];
  while (rest >= 1000 && unit < UNITS.length - 1) [rest, unit] = [rest / 1000, unit + 1];
  return `${Math.round(rest * 10) / 10} ${UNITS[unit]}`;
}

/** `1 shard`, `2 shards`. @param what in the singular, of words that take an s */
export const countOf = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;

/** Milliseconds as `12.3 ms`, `123 µs` or `1.23 s`. */
export function msText(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toPrecision(3)} s`;
  return ms >= 1 ? `${ms.toFixed(1)} ms` : `${(ms * 1e3).toFixed(ms >= 0.01 ? 0 : 1)} µs`;
}

/** The middle of some numbers, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1] + sorted[Math.floor(middle)]) / 2;
}
