/** Made-up weights, for benchmarks and tests of models whose weights are not at hand. */
import { digestBytes } from "../../core/digest.ts";
import { countElements } from "../../core/dtype.ts";
import { fillNormal } from "../../core/random.ts";
import type { TensorSource } from "./tensor_source.ts";

const STD = 0.02;

/** Elements between two looks at the signal. */
const SLICE = 1 << 20;

/** 52 bits of a digest: the whole numbers that seeds may be. */
const seedOf = (seed: number, name: string): number => Number.parseInt(digestBytes(`${seed}/${name}`).slice(0, 13), 16);

/**
 * A source that has every tensor in every shape: about normal values with mean 0 and standard deviation 0.02, the same
 * for equal seed and name on every engine. Norm scales and biases get such values too, not 1 and 0: outputs mean
 * nothing, but time and memory are those of the real model.
 */
export function createDummySource(seed: number): TensorSource {
  return {
    has: () => true,
    shapeOf: () => undefined,
    read: async (name, shape, options) => {
      const values = options?.into ?? new Float32Array(countElements(shape));
      const own = seedOf(seed, name);
      for (let at = 0; at < values.length; at += SLICE) {
        options?.signal?.throwIfAborted();
        fillNormal(values.subarray(at, at + SLICE), own, at, STD);
      }
      return values;
    },
  };
}
