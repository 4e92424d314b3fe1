/** A colour for each kernel: which of the page's hues. */

/** Hues that the style sheet has. */
export const HUES = 8;

/** Kernels get hues in the order in which they are met; the ninth begins again. */
export function createColors(): (kernel: string) => number {
  const known = new Map<string, number>();
  return (kernel) => {
    const hue = known.get(kernel) ?? known.size % HUES;
    known.set(kernel, hue);
    return hue;
  };
}
