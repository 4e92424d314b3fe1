/** Which columns of a product a calibration evens out, and by how much. */

/**
 * Columns this many times as large as the median one stand out. The largest column of a row takes its range, so that these
 * leave the others fewer than four of seven bits. Evening out smaller differences loses more than it gains: columns of the
 * weights become uneven in their place, also by what rounding to powers of two adds, and a column's largest magnitude is
 * often that of a single row.
 */
const STANDS_OUT = 8;

/** Steps of a row of x are the 127th part of its range, of a row of weights that of its largest magnitude: half as long. */
const LONGER_STEPS = 2;

const median = (values: Float32Array): number => values.slice().sort()[values.length >> 1];

/**
 * What columns are divided by, and those of the weights multiplied with, before both become codes: powers of two, which round
 * nothing. 1 but for columns that stand out: near the square root of how much they do, at which codes of both sides lose
 * alike, more where the weights have smaller numbers than elsewhere and never less than 1.
 * @param magnitudes largest ones of the columns that are multiplied
 * @param weights largest magnitudes of the columns of the weights
 */
export function columnScales(magnitudes: Float32Array, weights: Float32Array): Float32Array {
  const [usual, usualWeight] = [median(magnitudes), median(weights)];
  return magnitudes.map((magnitude, i) => {
    if (magnitude <= STANDS_OUT * usual || usual === 0 || weights[i] === 0) return 1;
    const ratio = (magnitude / usual) * (usualWeight / weights[i]);
    return 2 ** Math.max(0, Math.round(Math.log2(LONGER_STEPS * ratio) / 2));
  });
}
