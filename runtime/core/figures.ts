/** Figures for people; bytes are in diagnostics.ts. */

const UNITS = ["", "k", "M", "G", "T", "P"];

/** A count with its unit: `12.3 M`, so that `12.3 MFLOP` reads well. */
export function countText(value: number): string {
  let [rest, unit] = [value, 0];
  while (rest >= 1000 && unit < UNITS.length - 1) [rest, unit] = [rest / 1000, unit + 1];
  return `${Math.round(rest * 10) / 10} ${UNITS[unit]}`;
}

/** Milliseconds as `12.3 ms`, `123 µs` or `1.23 s`. */
export function msText(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toPrecision(3)} s`;
  return ms >= 1 ? `${ms.toFixed(1)} ms` : `${(ms * 1e3).toFixed(ms >= 0.01 ? 0 : 1)} µs`;
}
