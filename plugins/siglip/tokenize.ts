/** SigLIP's text side: canonical texts, padded to all positions of the model, without a mask. */
import { createConfigReader } from "../../runtime/abi/config.ts";
import type { ModelFiles, Tensors } from "../../runtime/abi/encoder.ts";
import { createTokenizer, type Tokenizer } from "../../runtime/media/tokens.ts";

/** The punctuation of ASCII, which SigLIP's tokenizer removes. */
const PUNCTUATION = /[!-/:-@[-`{-~]/g;

/** Without punctuation and with single spaces, none at the ends; U+FEFF is none, as in Python and Rust. */
export function removePunctuation(text: string): string {
  return text
    .replace(PUNCTUATION, "")
    .replace(/\p{White_Space}+/gu, " ")
    .replace(/^ | $/g, "");
}

/**
 * What comes before the tokenizer's own rules. All models were trained on lower-case text. SiglipTokenizer removes
 * punctuation too; SigLIP 2 comes with Gemma's tokenizer, which keeps it, and whose files leave the case to the caller.
 * @throws FoveaError `invalid_config` that names the field
 */
function canonicalizer(config: unknown, modelType: string): (text: string) => string {
  const reader = createConfigReader(config, "", "tokenizer_config.json");
  const lower = reader.boolean("do_lower_case", true);
  const name = reader.string("tokenizer_class", modelType.startsWith("siglip2") ? "GemmaTokenizer" : "SiglipTokenizer");
  const plain = name.startsWith("SiglipTokenizer");
  return (text) => {
    const cased = lower ? text.toLowerCase() : text;
    return plain ? removePunctuation(cased) : cased;
  };
}

export interface SiglipTokenizerOptions {
  /** `model_type` of the configuration, for a folder without `tokenizer_config.json`. */
  readonly modelType: string;
  /** `max_position_embeddings` of the text configuration. */
  readonly maxTokens: number;
  /** `pad_token_id` of the text configuration, for a tokenizer that names no padding token. */
  readonly padId: number;
}

/**
 * Texts to `input_ids`, int32 `[texts, max_position_embeddings]`: cut or padded to all positions, as the models were
 * trained, which see their padding and pool at the last position.
 * @param files `tokenizer.json` and, where the folder has one, `tokenizer_config.json`; read at the first call
 * @throws FoveaError `invalid_config`; the function it returns as `createTokenizer` and {@link Tokenizer.encodeBatch}
 */
export function siglipTokenizer(
  files: ModelFiles,
  options: SiglipTokenizerOptions,
): (texts: readonly string[]) => Promise<Tensors> {
  let created: Promise<Tokenizer> | undefined;
  const config = files["tokenizer_config.json"] ?? {};
  const canonical = canonicalizer(config, options.modelType);
  return async (texts) => {
    created ??= createTokenizer(files["tokenizer.json"], config);
    const tokenizer = await created;
    const length = Math.min(options.maxTokens, tokenizer.maxLength ?? options.maxTokens);
    // What is no text is left for the tokenizer to refuse.
    const ready = texts.map((text) => (typeof text === "string" ? canonical(text) : text));
    const padId = tokenizer.padId ?? options.padId;
    const { input_ids, shape } = tokenizer.encodeBatch(ready, { maxLength: length, padTo: length, padId });
    return { input_ids: { dtype: "i32", shape, data: input_ids } };
  };
}
