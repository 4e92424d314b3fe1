/** Tables of resizes by their geometry: pictures of one size share them, and making one takes longer than small pictures do. */
import type { ResampleTable } from "../core/pixel_cut.ts";
import { resampleTable } from "./resize.ts";

/** Bytes of the tables that are kept, and of one that is; those used longest ago go first. */
const MOST_BYTES = 2 ** 22;
const LARGEST_BYTES = 2 ** 19;

const kept = new Map<string, ResampleTable>();
let bytes = 0;

const bytesOf = ({ starts, weights }: ResampleTable): number => starts.byteLength + weights.byteLength;

/** {@link resampleTable}, whose arrays others may hold as well: nobody writes into them. */
export function sharedTable(...geometry: Parameters<typeof resampleTable>): ResampleTable {
  const key = geometry.join(" ");
  const known = kept.get(key);
  if (known !== undefined) {
    kept.delete(key);
    kept.set(key, known);
    return known;
  }
  const table = resampleTable(...geometry);
  if (bytesOf(table) > LARGEST_BYTES) return table;
  kept.set(key, table);
  bytes += bytesOf(table);
  for (const [oldest, old] of kept) {
    if (bytes <= MOST_BYTES) break;
    kept.delete(oldest);
    bytes -= bytesOf(old);
  }
  return table;
}
