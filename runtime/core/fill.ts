/** Made-up contents of buffers, the same on every engine: what a proof runs a kernel on. */
import { hashStream } from "./random.ts";

export type Fill =
  /** f32, evenly distributed over -scale..scale. */
  | { readonly kind: "uniform"; readonly seed: number; readonly scale: number }
  /** i32 in 0..below-1. */
  | { readonly kind: "index"; readonly seed: number; readonly below: number }
  /** f32, 0 for about one in four and never at the first element of a row. */
  | { readonly kind: "mask"; readonly seed: number; readonly row: number }
  /** i32, `count` ascending offsets from 0 to `total`. */
  | { readonly kind: "offsets"; readonly count: number; readonly total: number };

/** The elements of a filled buffer by position. */
export function fillReader(fill: Fill): (position: number) => number {
  switch (fill.kind) {
    case "uniform": {
      const hash = hashStream(fill.seed);
      // The middles of 2^32 equal steps.
      const step = (2 * fill.scale) / 4294967296;
      return (position) => Math.fround((hash(position) + 0.5) * step - fill.scale);
    }
    case "index": {
      const hash = hashStream(fill.seed);
      return (position) => hash(position) % fill.below;
    }
    case "mask": {
      const hash = hashStream(fill.seed);
      return (position) => (position % fill.row !== 0 && hash(position) % 4 === 0 ? 0 : 1);
    }
    case "offsets":
      return (position) => (fill.count < 2 ? 0 : Math.floor((position * fill.total) / (fill.count - 1)));
  }
}

/** Seed of a checkpoint tensor's made-up contents: FNV-1a over the UTF-16 units of its name. */
export function nameSeed(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
