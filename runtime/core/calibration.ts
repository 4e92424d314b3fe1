/** Names of what a calibration holds. */

const MAGNITUDES = ".input_magnitudes";
const SCALES = ".input_scales";

/** Name of the largest magnitudes of the columns that a weight multiplies, beside the weight's own name. */
export const magnitudesName = (weight: string): string => `${weight}${MAGNITUDES}`;

/** True for names that {@link magnitudesName} gives. */
export const isMagnitudesName = (name: string): boolean => name.endsWith(MAGNITUDES);

/** Name of what the columns that a weight multiplies are divided by where they become codes, beside the weight's own name. */
export const scalesName = (weight: string): string => `${weight}${SCALES}`;

/** True for names that {@link scalesName} gives. */
export const isScalesName = (name: string): boolean => name.endsWith(SCALES);
