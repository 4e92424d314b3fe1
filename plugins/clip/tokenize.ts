/** CLIP's text side: ids padded to the longest text of the batch, with the mask that hides the padding. */
import type { ModelFiles, Tensors } from "../../runtime/abi/encoder.ts";
import { createTokenizer, type Tokenizer } from "../../runtime/media/tokens.ts";

/**
 * Texts to `input_ids` and `attention_mask`, int32 `[texts, tokens]`. Texts are cut to `maxTokens`, or to the tokenizer's own
 * smaller limit, and keep their end token, which CLIP pools at.
 * @param files `tokenizer.json` and, where the folder has one, `tokenizer_config.json`; read at the first call
 * @param maxTokens `max_position_embeddings` of the text configuration
 * @param padId `pad_token_id` of the text configuration, for a tokenizer that names no padding token
 * @returns a function that throws FoveaError as `createTokenizer` and {@link Tokenizer.encodeBatch} do
 */
export function clipTokenizer(
  files: ModelFiles,
  maxTokens: number,
  padId = 0,
): (texts: readonly string[]) => Promise<Tensors> {
  let created: Promise<Tokenizer> | undefined;
  return async (texts) => {
    created ??= createTokenizer(files["tokenizer.json"], files["tokenizer_config.json"] ?? {});
    const tokenizer = await created;
    const { input_ids, attention_mask, shape } = tokenizer.encodeBatch(texts, {
      maxLength: Math.min(maxTokens, tokenizer.maxLength ?? maxTokens),
      padId: tokenizer.padId ?? padId,
    });
    return {
      input_ids: { dtype: "i32", shape, data: input_ids },
      attention_mask: { dtype: "i32", shape, data: attention_mask },
    };
  };
}
