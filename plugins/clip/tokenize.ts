/** CLIP's text side: ids padded to the longest text of the batch, with the mask that hides the padding. */
import type { EncodedBatch, Tokenizer } from "../../runtime/media/tokens.ts";

export interface ClipTextLimits {
  /** `text_config.max_position_embeddings`: texts are cut to this many tokens and keep their end token. */
  readonly maxPositions: number;
  /** `text_config.pad_token_id`, used where the tokenizer names no padding token. */
  readonly padId?: number;
}

/**
 * Texts to `input_ids` and `attention_mask`, `[texts, tokens]`.
 * @throws FoveaError as {@link Tokenizer.encodeBatch} does
 */
export function tokenizeTexts(tokenizer: Tokenizer, texts: readonly string[], limits: ClipTextLimits): EncodedBatch {
  const maxLength = Math.min(limits.maxPositions, tokenizer.maxLength ?? limits.maxPositions);
  const padId = tokenizer.padId ?? limits.padId ?? 0;
  return tokenizer.encodeBatch(texts, { maxLength, padTo: "longest", padId });
}
