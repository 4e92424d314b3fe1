/** Packed weights, read one behind the other from shards that follow each other like one file. */
import { FoveaError } from "../core/diagnostics.ts";
import { tensorName } from "../exec/instance_weights.ts";
import { checksum, type WeightCache } from "../exec/weight_cache.ts";
import type { FrozenAsset } from "./api.ts";
import { type FrozenModel, type FrozenWeight, frozenWeightId } from "./frozen.ts";

/** Opens a file of the frozen folder. */
export type AssetOpener = (name: string) => Promise<FrozenAsset>;

const damaged = (problem: string): FoveaError =>
  new FoveaError("damaged_weights", `The frozen model cannot be loaded: ${problem} Deploy its folder again.`);

/** Bytes of a file piece by piece; nothing at its end. */
async function openPieces(open: AssetOpener, name: string): Promise<() => Promise<Uint8Array | undefined>> {
  const found = await open(name);
  if (found instanceof ReadableStream) {
    const reader = found.getReader();
    return async () => (await reader.read()).value;
  }
  let whole: Uint8Array | undefined = found instanceof Uint8Array ? found : new Uint8Array(found as ArrayBuffer);
  return async () => {
    const piece = whole;
    whole = undefined;
    return piece;
  };
}

/** A position that only moves on. */
class Stream {
  readonly #open: AssetOpener;
  readonly #shards: FrozenModel["shards"];
  #shard = 0;
  #next: (() => Promise<Uint8Array | undefined>) | undefined;
  #rest: Uint8Array = new Uint8Array();
  at = 0;

  constructor(open: AssetOpener, shards: FrozenModel["shards"]) {
    this.#open = open;
    this.#shards = shards;
  }

  /** At least one of the next bytes, and at most `bytes`; those of the next shard at the end of one. */
  async #take(bytes: number): Promise<Uint8Array> {
    while (this.#rest.length === 0) {
      const shard = this.#shards[this.#shard];
      if (shard === undefined) throw damaged("its weights end too early.");
      this.#next ??= await openPieces(this.#open, shard.name);
      const piece = await this.#next();
      if (piece !== undefined) this.#rest = piece;
      else {
        this.#next = undefined;
        this.#shard++;
      }
    }
    const part = this.#rest.subarray(0, bytes);
    this.#rest = this.#rest.subarray(part.length);
    this.at += part.length;
    return part;
  }

  async read(bytes: number): Promise<Uint8Array> {
    const into = new Uint8Array(bytes);
    for (let done = 0; done < bytes; ) {
      const part = await this.#take(bytes - done);
      into.set(part, done);
      done += part.length;
    }
    return into;
  }

  async skip(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) left -= (await this.#take(left)).length;
  }
}

/**
 * Where a tower's weights come from: its packed ones, in the order of the stream. What is asked for out of order opens the
 * stream again.
 */
export function frozenWeights(
  { weights, shards }: Pick<FrozenModel, "weights" | "shards">,
  open: AssetOpener,
): (instance: string) => WeightCache {
  const known = new Map(weights.map((weight) => [weight[0], weight]));
  let stream = new Stream(open, shards);
  let last: Promise<unknown> = Promise.resolve();
  type Write = Parameters<WeightCache["get"]>[1];
  const read = async ([, begin, bytes, sum]: FrozenWeight, names: string, write: Write): Promise<boolean> => {
    if (begin < stream.at) stream = new Stream(open, shards);
    await stream.skip(begin - stream.at);
    const packed = await stream.read(bytes);
    if (checksum(packed) !== sum) throw damaged(`what was packed of ${names} has other bytes than were frozen.`);
    write(packed, 0);
    return true;
  };
  return (instance) => ({
    get: (use, write) => {
      const names = use.sources.map(({ name }) => tensorName(instance, name)).join(", ");
      const weight = known.get(frozenWeightId(instance, use));
      if (weight === undefined) throw damaged(`it has nothing that was packed of ${names}.`);
      const packed = last.then(() => read(weight, names, write));
      last = packed.catch(() => undefined);
      return packed;
    },
    put: async () => undefined,
  });
}
