/** Made-up contents of buffers, the same on every engine: what a proof runs a kernel on. */
import { hash32, uniform } from "./random.ts";

export type Fill =
  /** f32, evenly distributed over -1..1. */
  | { readonly kind: "uniform"; readonly seed: number }
  /** i32 in 0..below-1. */
  | { readonly kind: "index"; readonly seed: number; readonly below: number }
  /** f32, 0 for about one in four and never at the first element of a row. */
  | { readonly kind: "mask"; readonly seed: number; readonly row: number }
  /** i32, `count` ascending offsets from 0 to `total`. */
  | { readonly kind: "offsets"; readonly count: number; readonly total: number };

/** Element `position` of a filled buffer. */
export function fillElement(fill: Fill, position: number): number {
  switch (fill.kind) {
    case "uniform":
      return Math.fround(2 * uniform(fill.seed, position) - 1);
    case "index":
      return hash32(fill.seed, position) % fill.below;
    case "mask":
      return position % fill.row !== 0 && hash32(fill.seed, position) % 4 === 0 ? 0 : 1;
    case "offsets":
      return Math.floor((position * fill.total) / (fill.count - 1));
  }
}

/** Seed of a checkpoint tensor's made-up contents: FNV-1a over the UTF-16 units of its name. */
export function nameSeed(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
