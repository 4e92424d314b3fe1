/** Packs a model's weights on this machine and writes them, one behind the other, into files of limited size. */
import type { WeightUse } from "../abi/artifact.ts";
import { type FrozenModel, type FrozenShard, type FrozenWeight, frozenWeightId } from "../edge/frozen.ts";
import { createInstanceWeights, tensorName } from "../exec/instance_weights.ts";
import { Staging } from "../exec/staging.ts";
import { checksum } from "../exec/weight_cache.ts";
import type { TensorSource } from "../exec/weights/tensor_source.ts";
import type { RuntimeParts } from "../session/runtime_parts.ts";
import type { CompiledModel } from "./compile_model.ts";

/** What places that serve static files take of one: Cloudflare's limit is 25 MiB. */
export const SHARD_BYTES: number = 20 * 2 ** 20;

export type AssetWriter = (name: string, bytes: Uint8Array) => Promise<void>;

/** A stream that is cut into shards. */
class ShardWriter {
  readonly shards: FrozenShard[] = [];
  readonly #write: AssetWriter;
  readonly #buffer: Uint8Array = new Uint8Array(SHARD_BYTES);
  #used = 0;
  at = 0;

  constructor(write: AssetWriter) {
    this.#write = write;
  }

  async put(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const part = bytes.subarray(done, done + SHARD_BYTES - this.#used);
      this.#buffer.set(part, this.#used);
      this.#used += part.length;
      done += part.length;
      if (this.#used === SHARD_BYTES) await this.flush();
    }
    this.at += bytes.length;
  }

  async flush(): Promise<void> {
    if (this.#used === 0) return;
    const name = `weights-${this.shards.length}.bin`;
    await this.#write(name, this.#buffer.slice(0, this.#used));
    this.shards.push({ name, bytes: this.#used });
    this.#used = 0;
  }
}

/** A component's weights, each packed form once, in the order in which towers load them. */
function usesOf({ components, artifacts }: FrozenModel, tag: string): readonly WeightUse[] {
  const ranges = components.find((c) => c.tag === tag)?.ranges ?? [];
  const uses = ranges.flatMap(({ artifact }) => artifacts[artifact].weights);
  return [...new Map(uses.map((use) => [use.key, use])).values()];
}

/** @throws what reading and packing throw: `missing_tensor`, `wrong_shape`, `weight_overflow` */
export async function writeWeights(
  { device, options }: RuntimeParts,
  { frozen, towers, code }: Pick<CompiledModel, "frozen" | "towers" | "code">,
  source: TensorSource,
  write: AssetWriter,
): Promise<Pick<FrozenModel, "weights" | "shards">> {
  await device.load(code);
  const out = new ShardWriter(write);
  const weights: FrozenWeight[] = [];
  const staging = new Staging(device);
  const packOne = async (instance: string, use: WeightUse): Promise<Uint8Array> => {
    const own = createInstanceWeights(device, instance);
    try {
      await own.load(
        [use],
        (name, shape, _, into) => {
          return source.read(tensorName(instance, name), shape, into === undefined ? {} : { into });
        },
        undefined,
        staging,
      );
      const packed = new Uint8Array(use.bytes);
      await device.read(own.resolve([use])[0], 0, packed);
      return packed;
    } finally {
      own.release();
    }
  };
  try {
    for (const tower of towers) {
      const total = tower.components.reduce((n, c) => n + c.instances.length, 0);
      let done = 0;
      for (const { tag, instances } of tower.components) {
        for (const instance of instances) {
          for (const use of usesOf(frozen, tag)) {
            const id = frozenWeightId(instance, use);
            if (weights.some(([known]) => known === id)) continue;
            const packed = await packOne(instance, use);
            weights.push([id, out.at, packed.length, checksum(packed)]);
            await out.put(packed);
          }
          options.onProgress?.({ phase: "weights", modality: tower.modality, done: ++done, total, item: instance });
        }
      }
    }
    await out.flush();
  } finally {
    staging.release();
  }
  return { weights, shards: out.shards };
}
