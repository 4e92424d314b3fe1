/** Embeddings as answers have them. */
import type { Tensor } from "../abi/encoder.ts";
import { bytesOf } from "../core/dtype.ts";
import { encodeBytes } from "./base64.ts";
import { HttpError } from "./http_error.ts";

/** The first `dimensions` numbers, of unit length unless `normalize` is off. A row of zeros stays one. @throws HttpError `invalid_dimensions` */
export function embeddingOf(values: Float32Array, dimensions: number | undefined, normalize: boolean): Float32Array {
  if (dimensions !== undefined && dimensions > values.length) {
    throw new HttpError(
      400,
      "invalid_dimensions",
      `\`dimensions\` is ${dimensions}, and this model's embeddings have ${values.length}; ask for at most that many.`,
      { param: "dimensions" },
    );
  }
  const kept = dimensions === undefined ? values : values.subarray(0, dimensions);
  if (!normalize) return kept;
  let sum = 0;
  // By index: an iterator makes an object for each number.
  for (let i = 0; i < kept.length; i++) sum += kept[i] * kept[i];
  const length = Math.sqrt(sum);
  return length === 0 ? kept : kept.map((value) => value / length);
}

/** Numbers as JSON has them, or their little-endian bytes in base64. */
export function numbersOf(data: Tensor["data"], format: "float" | "base64"): readonly number[] | string {
  return format === "float" ? Array.from(data) : encodeBytes(bytesOf(data));
}

/** Results that stand for an input, the best first. */
const EMBEDDINGS = ["image_embeds", "text_embeds", "sentence_embedding", "pooler_output"];

/** The result that is an input's embedding, if a tower has one. */
export function embeddingName(outputs: readonly string[]): string | undefined {
  return EMBEDDINGS.find((name) => outputs.includes(name));
}
