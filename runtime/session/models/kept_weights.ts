/** Packed weights between loads: in a cache of the caller's, for files with an identity, up to a limit. */
import { dayOf } from "../../exec/cache_entries.ts";
import { tensorName } from "../../exec/instance_weights.ts";
import type { Store } from "../../exec/store/store.ts";
import {
  collectWeights,
  createWeightCache,
  keptWeights,
  type PieceBuffers,
  type WeightCache,
} from "../../exec/weight_cache.ts";
import type { TensorSource } from "../../exec/weights/tensor_source.ts";
import type { RuntimeOptions } from "../options.ts";

export interface KeptWeights {
  /** Where one instance's weights are kept; nothing where they are not. */
  of(weights: TensorSource): ((instance: string) => WeightCache) | undefined;
  /** Drops what was used longest ago, where something was added since the last time. */
  tidy(limitBytes: number): Promise<void>;
}

/** @param cache as the runtime was given it */
export function createKeptWeights(store: Store, cache: RuntimeOptions["cache"]): KeptWeights {
  let added = 0;
  const buffers: PieceBuffers = [];
  const onPut = (bytes: number): void => {
    added += bytes;
  };
  return {
    of: ({ identityOf }) => {
      if (cache === undefined || cache === false || identityOf === undefined) return undefined;
      const today = dayOf(Date.now());
      return (instance) =>
        createWeightCache(store, (name) => identityOf(tensorName(instance, name)), today, onPut, buffers);
    },
    tidy: async (limitBytes) => {
      if (added === 0) return;
      added = 0;
      if ((await keptWeights(store)).bytes > limitBytes) await collectWeights(store, limitBytes);
    },
  };
}
