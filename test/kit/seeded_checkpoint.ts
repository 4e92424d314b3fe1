/** Made-up weights for towers that have no checkpoint. */
import { fillNormal } from "../../runtime/core/random.ts";
import { type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import type { CheckpointValues } from "./plan_evaluator.ts";

/** Normal values of standard deviation `std`, seeded by the tensor's name; each tensor is drawn once. */
export function seededCheckpoint(std: number): CheckpointValues {
  const drawn = new Map<string, RefTensor>();
  return (name, shape) => {
    const key = `${name} ${shape}`;
    const old = drawn.get(key);
    if (old !== undefined) return old;
    const seed = [...name].reduce((n, c) => (Math.imul(n, 31) + c.charCodeAt(0)) >>> 0, 7);
    const data = new Float32Array(shape.reduce((a, d) => a * d, 1));
    fillNormal(data, seed, 0, std);
    const made = refTensor("f32", shape, data);
    drawn.set(key, made);
    return made;
  };
}
