/** How long calls of one form take by their rows, learnt from those that ran. */

/** Share of what is known that one more measurement leaves in place: changes of the machine's load are followed in tens of calls. */
const KEEP = 0.9;

/**
 * A line through measured times, `fixed + perRow * rows`, by least squares that forget old measurements exponentially. Neither
 * part is below 0.
 */
export interface CostCurve {
  /** Rows of the largest call that was measured; 0 before the first. */
  readonly largest: number;
  /** Milliseconds of a call; undefined before the first measurement. */
  predict(rows: number): number | undefined;
  add(rows: number, ms: number): void;
}

export function createCostCurve(): CostCurve {
  let [weight, sumX, sumY, sumXX, sumXY] = [0, 0, 0, 0, 0];
  let largest = 0;
  return {
    get largest() {
      return largest;
    },
    predict: (rows) => {
      if (weight === 0) return undefined;
      const [meanX, meanY] = [sumX / weight, sumY / weight];
      const spread = sumXX / weight - meanX * meanX;
      // Of calls with one number of rows only the time for a row is known.
      const slope = spread < 1e-9 * meanX * meanX ? meanY / meanX : (sumXY / weight - meanX * meanY) / spread;
      const perRow = Math.min(Math.max(slope, 0), meanY / meanX);
      return meanY + perRow * (rows - meanX);
    },
    add: (rows, ms) => {
      weight = KEEP * weight + 1;
      sumX = KEEP * sumX + rows;
      sumY = KEEP * sumY + ms;
      sumXX = KEEP * sumXX + rows * rows;
      sumXY = KEEP * sumXY + rows * ms;
      largest = Math.max(largest, rows);
    },
  };
}
