/** Text to token ids, through the tokenizer.json that a checkpoint ships. */
import { FoveaError } from "../core/diagnostics.ts";
import { packageConfig, packageJson } from "./tokenizer_json.ts";
import { keepWords, spellUnknown, useCharsmaps } from "./tokenizer_parts.ts";

/** How texts are cut and padded. */
export interface EncodeBatchOptions {
  /** Most tokens a text may have, special ones included; longer texts are cut and keep their special tokens. */
  readonly maxLength?: number;
  /** Pad to the longest text of the batch (default) or to this many tokens. */
  readonly padTo?: "longest" | number;
  /** Id of padding; the tokenizer's own unless given. */
  readonly padId?: number;
}

/** Row-major `[texts, tokens]`. */
export interface EncodedBatch {
  /** Ids of the vocabulary, special tokens included. */
  readonly input_ids: Int32Array;
  /** 1 for tokens, 0 for padding. */
  readonly attention_mask: Int32Array;
  /** [texts, tokens]. */
  readonly shape: readonly [number, number];
}

/** A checkpoint's tokenizer; {@link createTokenizer} makes it. */
export interface Tokenizer {
  /** `model_max_length` of tokenizer_config.json where it states a real one. */
  readonly maxLength: number | undefined;
  /** Id of the padding token where the files name one. */
  readonly padId: number | undefined;
  /**
   * Tokenizes texts with the special tokens of the model, cut and padded on the sides that tokenizer_config.json names.
   * @throws FoveaError `text.empty_batch`, `text.not_text`, `text.max_length`, `text.too_long` (longer than a fixed
   * `padTo`, or a word of more parts than the engine's stack holds), `text.unknown_token`, `text.too_many_marks`,
   * `text.no_padding`
   */
  encodeBatch(texts: readonly string[], options?: EncodeBatchOptions): EncodedBatch;
}

type Json = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Special tokens are written as text or as `{ content }`. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return isRecord(value) && typeof value.content === "string" ? value.content : undefined;
}

/** Files write "no limit" as 1e30. */
const NO_LIMIT = 1 << 24;

interface Encoder {
  encode(text: string, options: { add_special_tokens: boolean }): { readonly ids: readonly number[] };
  token_to_id(token: string): number | undefined;
}

/** Engines take time in the square of a run of marks to bring it into order (NFC, NFD); this many cost as much as words would. */
const MOST_MARKS = 1000;

/** Length and place of the first run of combining marks that no text has. */
function endlessMarks(text: string): RegExpMatchArray | undefined {
  for (const run of text.matchAll(/\p{M}+/gu)) if (run[0].length > MOST_MARKS) return run;
  return undefined;
}

/** Position of `content` in `whole`: how many special tokens come before it. */
function prefixLength(whole: readonly number[], content: readonly number[]): number {
  for (let at = 0; at + content.length <= whole.length; at++) {
    if (content.every((id, i) => whole[at + i] === id)) return at;
  }
  return 0;
}

class JsonTokenizer implements Tokenizer {
  readonly maxLength: number | undefined;
  readonly padId: number | undefined;
  readonly #encoder: Encoder;
  readonly #cutLeft: boolean;
  readonly #padLeft: boolean;

  constructor(encoder: Encoder, tokenizer: Json, config: Json) {
    this.#encoder = encoder;
    const limit = config.model_max_length;
    this.maxLength =
      typeof limit === "number" && Number.isInteger(limit) && limit > 0 && limit < NO_LIMIT ? limit : undefined;
    const pad = tokenText(config.pad_token);
    const padding = isRecord(tokenizer.padding) ? tokenizer.padding.pad_id : undefined;
    this.padId =
      (pad === undefined ? undefined : encoder.token_to_id(pad)) ?? (typeof padding === "number" ? padding : undefined);
    this.#cutLeft = config.truncation_side === "left";
    this.#padLeft = config.padding_side === "left";
  }

  encodeBatch(texts: readonly string[], options: EncodeBatchOptions = {}): EncodedBatch {
    if (texts.length === 0) {
      throw new FoveaError("text.empty_batch", "No text was given to tokenize; expected at least one.");
    }
    const rows = texts.map((text, i) => this.#row(text, i, options.maxLength));
    const longest = rows.reduce((most, row) => Math.max(most, row.length), 0);
    const padTo = options.padTo ?? "longest";
    const length = padTo === "longest" ? longest : padTo;
    const over = rows.findIndex((row) => row.length > length);
    if (over >= 0) {
      throw new FoveaError(
        "text.too_long",
        `Text ${over} has ${rows[over].length} tokens and the batch is padded to ${length}; set maxLength to ${length} to cut it.`,
      );
    }
    const padId = options.padId ?? this.padId;
    if (padId === undefined && rows.some((row) => row.length < length)) {
      throw new FoveaError(
        "text.no_padding",
        "The texts have different lengths and tokenizer_config.json names no pad_token; pass padId.",
      );
    }
    const input_ids = new Int32Array(rows.length * length).fill(padId ?? 0);
    const attention_mask = new Int32Array(input_ids.length);
    for (const [i, row] of rows.entries()) {
      const at = i * length + (this.#padLeft ? length - row.length : 0);
      input_ids.set(row, at);
      attention_mask.fill(1, at, at + row.length);
    }
    return { input_ids, attention_mask, shape: [rows.length, length] };
  }

  #row(text: string, index: number, maxLength: number | undefined): readonly number[] {
    if (typeof text !== "string") {
      throw new FoveaError("text.not_text", `Input ${index} is not text but ${text === null ? "null" : typeof text}.`);
    }
    const marks = endlessMarks(text);
    if (marks !== undefined) {
      throw new FoveaError(
        "text.too_many_marks",
        `Text ${index} has ${marks[0].length} combining marks in a row at character ${marks.index}; at most ${MOST_MARKS} are taken. Remove them.`,
      );
    }
    const whole = this.#ids(text, index, true);
    if (maxLength === undefined || whole.length <= maxLength) return whole;
    const content = this.#ids(text, index, false);
    const special = whole.length - content.length;
    const keep = maxLength - special;
    if (!Number.isInteger(maxLength) || keep < 0) {
      throw new FoveaError(
        "text.max_length",
        `maxLength is ${maxLength}; expected a whole number of at least ${special}, since every text gets ${special} special tokens.`,
      );
    }
    const prefix = prefixLength(whole, content);
    const kept = this.#cutLeft ? content.slice(content.length - keep) : content.slice(0, keep);
    return [...whole.slice(0, prefix), ...kept, ...whole.slice(prefix + content.length)];
  }

  #ids(text: string, index: number, special: boolean): readonly number[] {
    const ids = this.#encoded(text, index, special);
    const bad = ids.findIndex((id) => !Number.isInteger(id));
    if (bad >= 0) {
      throw new FoveaError(
        "text.unknown_token",
        `Text ${index} has a part (token ${bad}) that tokenizer.json has no id for, nor an unknown token (unk_token).`,
      );
    }
    return ids;
  }

  #encoded(text: string, index: number, special: boolean): readonly number[] {
    try {
      return this.#encoder.encode(text, { add_special_tokens: special }).ids;
    } catch (cause) {
      // The package hands all parts of a word over in one call, which takes a hundred thousand or so.
      if (!(cause instanceof RangeError)) throw cause;
      throw new FoveaError(
        "text.too_long",
        `Text ${index} has ${text.length} characters, and a word in it has more parts than the tokenizer can take; cut the text before it is tokenized.`,
        { cause },
      );
    }
  }
}

/**
 * Builds a tokenizer from the parsed files of a checkpoint.
 * @param tokenizerJson tokenizer.json
 * @param tokenizerConfig tokenizer_config.json, or `{}` where there is none
 * @throws FoveaError `tokenizer.invalid`
 */
export async function createTokenizer(tokenizerJson: unknown, tokenizerConfig: unknown): Promise<Tokenizer> {
  if (!isRecord(tokenizerJson) || !isRecord(tokenizerJson.model)) {
    throw new FoveaError(
      "tokenizer.invalid",
      "tokenizer.json has no `model` object; expected a Hugging Face fast tokenizer.",
    );
  }
  if (!isRecord(tokenizerConfig)) {
    throw new FoveaError("tokenizer.invalid", "tokenizer_config.json is not a JSON object.");
  }
  const { Tokenizer: Package } = await import("@huggingface/tokenizers");
  try {
    const encoder = new Package(packageJson(tokenizerJson), packageConfig(tokenizerJson.model, tokenizerConfig));
    await useCharsmaps(encoder);
    spellUnknown(encoder, tokenizerJson.model);
    keepWords(encoder);
    return new JsonTokenizer(encoder, tokenizerJson, tokenizerConfig);
  } catch (cause) {
    if (cause instanceof FoveaError) throw cause;
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new FoveaError("tokenizer.invalid", `tokenizer.json cannot be used: ${detail}.`, { cause });
  }
}
