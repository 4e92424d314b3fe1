/** Names of what a calibration holds. */

const ENDING = ".input_magnitudes";

/** Name of the largest magnitudes of the columns that a weight multiplies, beside the weight's own name. */
export const magnitudesName = (weight: string): string => `${weight}${ENDING}`;

/** True for names that {@link magnitudesName} gives. */
export const isMagnitudesName = (name: string): boolean => name.endsWith(ENDING);
