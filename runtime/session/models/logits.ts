/** The numbers that turn similarities of pictures and texts into logits. */
import type { CheckpointScalar, EncoderModel } from "../../abi/encoder.ts";
import { exp } from "../../core/math.ts";
import type { TensorSource } from "../../exec/weights/tensor_source.ts";

/** Of a model without a scale it is undefined. */
export interface Logits {
  readonly logitScale: number | undefined;
  readonly logitBias: number;
}

/** @param weights nothing where what the model falls back to is meant */
export async function readLogits(
  { logitScale, logitBias }: Pick<EncoderModel, "logitScale" | "logitBias">,
  weights: TensorSource | undefined,
): Promise<Logits> {
  return {
    logitScale: logitScale === undefined ? undefined : exp(await readScalar(logitScale, weights)),
    logitBias: logitBias === undefined ? 0 : await readScalar(logitBias, weights),
  };
}

/** Checkpoints store a number as a tensor without axes or with one of size 1. */
async function readScalar({ name, fallback }: CheckpointScalar, weights: TensorSource | undefined): Promise<number> {
  if (weights === undefined || !weights.has(name)) return fallback;
  const shape = weights.shapeOf(name)?.length === 1 ? [1] : [];
  return (await weights.read(name, shape))[0];
}
