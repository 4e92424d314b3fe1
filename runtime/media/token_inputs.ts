/** Token ids and masks of text towers: from texts, and checked as callers give them. */
import { FoveaError } from "../core/diagnostics.ts";
import { narrowI64 } from "../core/dtype.ts";
import { createTokenizer, type Tokenizer } from "./tokens.ts";

/** A tensor of a caller; a plugin's is assignable to it. */
export interface TokenTensor {
  /** Type of the elements; only integers, and f32 masks, are taken. */
  readonly dtype: string;
  /** [batch, tokens]. */
  readonly shape: readonly number[];
  /** The elements, row-major. */
  readonly data: ArrayLike<number>;
}

/** Integers of a text tower; assignable to a plugin's tensor. */
export interface IdTensor {
  /** Ids are 32-bit integers. */
  readonly dtype: "i32";
  /** [batch, tokens], or [batch] for `first_token` and `last_token`. */
  readonly shape: readonly number[];
  /** The ids, row-major. */
  readonly data: Int32Array;
}

/** f32 [batch, tokens]: 1 for tokens, 0 for padding. */
export interface MaskTensor {
  /** Masks are floats, as attention takes them. */
  readonly dtype: "f32";
  /** [batch, tokens]. */
  readonly shape: readonly number[];
  /** 1 and 0, row-major. */
  readonly data: Float32Array;
}

/** What a text tower takes, by its configuration. */
export interface TokenLimits {
  /** Ids are below it. */
  readonly vocabSize: number;
  /** Most tokens of a text. */
  readonly maxTokens: number;
  /** Number of token types; absent for models without. */
  readonly tokenTypes?: number;
  /** Asks for `first_token`, the position of every text's first token that is seen. */
  readonly firstToken?: boolean;
  /** Asks for `last_token`, the position of every text's last token that is seen. */
  readonly lastToken?: boolean;
}

/** What a text tower's components take; see {@link prepareTokens}. */
export interface TokenInputs {
  /** [batch, tokens], all in the vocabulary. */
  readonly input_ids: IdTensor;
  /** [batch, tokens]: 1 for tokens, 0 for padding; 1 everywhere where the caller gave no mask. */
  readonly key_mask: MaskTensor;
  /** `token_type_ids`, `first_token` and `last_token`, where the model asks for them. */
  readonly [name: string]: IdTensor | MaskTensor;
}

function refuse(sentence: string): never {
  throw new FoveaError("invalid_input", sentence);
}

const shapeText = (shape: readonly (number | string)[]): string => `[${shape.join(", ")}]`;

function narrow(name: string, data: BigInt64Array): Int32Array {
  const { values, unfit } = narrowI64(data);
  if (unfit < 0) return values;
  return refuse(`The input "${name}" holds ${data[unfit]} at element ${unfit}; whole numbers must fit 32 bits.`);
}

/** Values of an integer tensor as i32; 64-bit ones are taken from callers who read them from files. */
function integers(name: string, t: TokenTensor): Int32Array {
  const data: unknown = t.data;
  if (data instanceof Int32Array) return data;
  if (data instanceof BigInt64Array) return narrow(name, data);
  if (data instanceof Uint8Array) return Int32Array.from(data);
  return refuse(`The input "${name}" has type ${t.dtype}, expected i32 in an Int32Array; convert it first.`);
}

function checkLength(name: string, t: TokenTensor): void {
  const count = t.shape.reduce((a, d) => a * d, 1);
  if (t.data.length === count) return;
  refuse(
    `The input "${name}" holds ${t.data.length} values, but its shape ${shapeText(t.shape)} needs ${count}; give data that fits the shape.`,
  );
}

/** @throws FoveaError `invalid_input` for another shape than that of the ids */
function checkLikeIds(name: string, t: TokenTensor, ids: TokenTensor): void {
  if (t.shape.join() !== ids.shape.join()) {
    refuse(
      `The input "${name}" has shape ${shapeText(t.shape)}, expected that of "input_ids", ${shapeText(ids.shape)}.`,
    );
  }
  checkLength(name, t);
}

function keyMask(mask: TokenTensor | undefined, ids: TokenTensor): Float32Array {
  const found = new Float32Array(ids.data.length).fill(1);
  if (mask === undefined) return found;
  checkLikeIds("attention_mask", mask, ids);
  const values = mask.data instanceof Float32Array ? mask.data : integers("attention_mask", mask);
  const wrong = values.findIndex((v) => v !== 0 && v !== 1);
  if (wrong >= 0) {
    refuse(
      `The input "attention_mask" holds ${values[wrong]} at element ${wrong}; expected 1 for tokens, 0 for padding.`,
    );
  }
  found.set(values);
  return found;
}

function tokenTypes(types: TokenTensor | undefined, ids: TokenTensor, count: number): Int32Array {
  if (types === undefined) return new Int32Array(ids.data.length);
  checkLikeIds("token_type_ids", types, ids);
  const values = integers("token_type_ids", types);
  const odd = values.findIndex((v) => v < 0 || v >= count);
  if (odd >= 0) {
    refuse(
      `The input "token_type_ids" holds ${values[odd]} at element ${odd}; this model has the token types 0..${count - 1}.`,
    );
  }
  return values;
}

/**
 * `input_ids` [batch, tokens] and, where there are, `attention_mask` of 0 and 1 and `token_type_ids` of the same shape ->
 * `input_ids` i32, `key_mask` f32 and, for a model that has token types, `token_type_ids` i32, zeros unless given; with
 * `firstToken` also `first_token` i32 [batch], with `lastToken` `last_token`; both are 0 for a text of padding alone.
 * @throws FoveaError `invalid_input`
 */
export function prepareTokens(inputs: Readonly<Record<string, TokenTensor>>, limits: TokenLimits): TokenInputs {
  const known = ["input_ids", "attention_mask", ...(limits.tokenTypes === undefined ? [] : ["token_type_ids"])];
  for (const name of Object.keys(inputs)) {
    if (!known.includes(name)) refuse(`There is no input "${name}"; this tower takes ${known.join(" and ")}.`);
  }
  const given = inputs.input_ids;
  if (given === undefined) refuse(`The input "input_ids" is missing; this tower cannot run without it.`);
  const [batch, tokens] = given.shape;
  if (given.shape.length !== 2 || batch < 1 || tokens < 1) {
    refuse(`The input "input_ids" has shape ${shapeText(given.shape)}, expected [batch, tokens].`);
  }
  if (tokens > limits.maxTokens) {
    refuse(
      `The input "input_ids" has ${tokens} tokens a text, but this model has ${limits.maxTokens} positions; cut the texts to ${limits.maxTokens} tokens.`,
    );
  }
  checkLength("input_ids", given);
  const ids = integers("input_ids", given);
  const odd = ids.findIndex((id) => id < 0 || id >= limits.vocabSize);
  if (odd >= 0) {
    refuse(
      `The input "input_ids" holds ${ids[odd]} at element ${odd}, outside of the vocabulary 0..${limits.vocabSize - 1}; use the model's own tokenizer.`,
    );
  }
  const shape = [batch, tokens];
  const mask = keyMask(inputs.attention_mask, given);
  const prepared: Record<string, IdTensor | MaskTensor> = {};
  if (limits.tokenTypes !== undefined) {
    const data = tokenTypes(inputs.token_type_ids, given, limits.tokenTypes);
    prepared.token_type_ids = { dtype: "i32", shape, data };
  }
  const places = (of: (row: Float32Array) => number): IdTensor => {
    const place = (_: unknown, row: number): number => Math.max(0, of(mask.subarray(row * tokens, (row + 1) * tokens)));
    return { dtype: "i32", shape: [batch], data: Int32Array.from({ length: batch }, place) };
  };
  if (limits.firstToken === true) prepared.first_token = places((row) => row.indexOf(1));
  if (limits.lastToken === true) prepared.last_token = places((row) => row.lastIndexOf(1));
  return {
    ...prepared,
    input_ids: { dtype: "i32", shape, data: ids },
    key_mask: { dtype: "f32", shape, data: mask },
  };
}

/** How {@link createTextProcessor} tokenizes. */
export interface TextProcessorOptions {
  /** Most tokens of a text that the model takes, special ones included. */
  readonly maxTokens: number;
  /** Tokens that longer texts are cut to; the tokenizer's own limit unless given. */
  readonly cutTo?: number;
  /** For a tokenizer that names no padding token. */
  readonly padId: number;
  /** Texts are written small before they are split, whatever the tokenizer does. */
  readonly lowercase?: boolean;
}

/**
 * Texts to `input_ids` and `attention_mask`, i32 [texts, tokens], padded to the longest text.
 * @param files `tokenizer.json` and, where the folder has one, `tokenizer_config.json`; read at the first call
 * @returns a function that throws FoveaError as `createTokenizer` and {@link Tokenizer.encodeBatch} do
 */
export function createTextProcessor(
  files: Readonly<Record<string, unknown>>,
  { maxTokens, cutTo, padId, lowercase = false }: TextProcessorOptions,
): (texts: readonly string[]) => Promise<{ readonly input_ids: IdTensor; readonly attention_mask: IdTensor }> {
  let created: Promise<Tokenizer> | undefined;
  return async (texts) => {
    created ??= createTokenizer(files["tokenizer.json"], files["tokenizer_config.json"] ?? {});
    const tokenizer = await created;
    const { input_ids, attention_mask, shape } = tokenizer.encodeBatch(
      lowercase ? texts.map((text) => (typeof text === "string" ? text.toLowerCase() : text)) : texts,
      {
        maxLength: Math.min(maxTokens, cutTo ?? tokenizer.maxLength ?? maxTokens),
        padId: tokenizer.padId ?? padId,
      },
    );
    return {
      input_ids: { dtype: "i32", shape, data: input_ids },
      attention_mask: { dtype: "i32", shape, data: attention_mask },
    };
  };
}
