/** MPNet's buckets of distances, which are T5's (Raffel et al. 2020, section 2.1): attention's scores gain a number by bucket and head. */
import type { Tensor } from "../../runtime/abi/encoder.ts";
import { log } from "../../runtime/core/math.ts";

/** Half of them for keys behind the query, half for those before it. */
export const BUCKETS = 32;
const ONE_WAY = BUCKETS / 2;
/** Distances below have buckets of their own, those beyond share by their logarithm up to the last. */
const EXACT = ONE_WAY / 2;
const FARTHEST = 128;

/** The bucket of a distance one way, in the reference's f32. */
function bucketOf(distance: number): number {
  if (distance < EXACT) return distance;
  const share = Math.fround(Math.fround(log(distance / EXACT)) / Math.fround(log(FARTHEST / EXACT)));
  return Math.min(ONE_WAY - 1, EXACT + Math.trunc(Math.fround(share * (ONE_WAY - EXACT))));
}

/** The bucket of each query and key, i32 [tokens, tokens]. */
export function relativeBuckets(tokens: number): Tensor {
  const buckets = Int32Array.from({ length: tokens }, (_, distance) => bucketOf(distance));
  const data = new Int32Array(tokens * tokens);
  for (let query = 0, at = 0; query < tokens; query++)
    for (let key = 0; key < tokens; key++, at++)
      data[at] = key > query ? ONE_WAY + buckets[key - query] : buckets[query - key];
  return { dtype: "i32", shape: [tokens, tokens], data };
}
