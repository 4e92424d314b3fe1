/**
 * What sentence-transformers writes beside a model: `modules.json`, `1_Pooling/config.json` and
 * `sentence_bert_config.json` say how hidden states become one vector for each text.
 */
import { FoveaError } from "../core/diagnostics.ts";
import { createConfigReader } from "./config.ts";
import type { ModelFiles } from "./encoder.ts";

/** First token, largest value, mean, or sum over the root of the number of tokens. */
export type SentencePoolingMode = "cls" | "max" | "mean" | "mean_sqrt_len_tokens";

/** How a text's hidden states become its embedding. */
export interface SentenceConfig {
  /** At least one; their vectors stand side by side in this order. */
  readonly modes: readonly SentencePoolingMode[];
  /** Embeddings have length 1. */
  readonly normalize: boolean;
}

/** How texts are treated before the tokenizer sees them. */
export interface SentenceTextConfig {
  /** Tokens that longer texts are cut to, instead of the tokenizer's own limit. */
  readonly cutTo?: number;
  /** Texts are turned to lower case first. */
  readonly lowercase: boolean;
}

const MODULES = "modules.json";
const POOLING_FOLDER = "1_Pooling";
const POOLING = `${POOLING_FOLDER}/config.json`;
const TEXTS = "sentence_bert_config.json";

/** Files to list in `EncoderSpec.files` for the functions below. */
export const SENTENCE_FILES: readonly string[] = [MODULES, POOLING, TEXTS];

/** Older configurations switch each mode on by a field of its own; the order is that of the vectors. */
const MODE_FIELDS: Readonly<Record<SentencePoolingMode, string>> = {
  cls: "pooling_mode_cls_token",
  max: "pooling_mode_max_tokens",
  mean: "pooling_mode_mean_tokens",
  mean_sqrt_len_tokens: "pooling_mode_mean_sqrt_len_tokens",
};
const MODES = Object.keys(MODE_FIELDS) as SentencePoolingMode[];
const UNSUPPORTED_FIELDS: readonly string[] = ["pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"];

function readModes(json: unknown): readonly SentencePoolingMode[] {
  const c = createConfigReader(json, "", POOLING);
  const list = Array.isArray((json as { pooling_mode?: unknown }).pooling_mode);
  if (list) {
    const modes = c.strings("pooling_mode");
    const isMode = (mode: string): mode is SentencePoolingMode => (MODES as readonly string[]).includes(mode);
    if (modes.length === 0 || !modes.every(isMode)) throw c.error("pooling_mode", `some of ${MODES.join(", ")}`);
    return modes as readonly SentencePoolingMode[];
  }
  if (c.has("pooling_mode")) return [c.oneOf("pooling_mode", MODES) as SentencePoolingMode];
  const odd = UNSUPPORTED_FIELDS.find((field) => c.boolean(field, false));
  if (odd !== undefined) throw c.error(odd, `false; this version pools by ${MODES.join(", ")}`);
  const modes = MODES.filter((mode) => c.boolean(MODE_FIELDS[mode], false));
  return modes.length === 0 ? ["mean"] : modes;
}

/** Kinds and folders of the modules, in order. */
function readModules(json: unknown): readonly { readonly kind: string; readonly path: string }[] {
  if (!Array.isArray(json)) throw new FoveaError("invalid_config", `${MODULES} must be a list of modules.`);
  return json.map((entry: unknown, i) => {
    const c = createConfigReader(entry, `[${i}]`, MODULES);
    // Versions keep their classes in different packages.
    return { kind: c.string("type").replace(/^.*\./, ""), path: c.string("path", "") };
  });
}

/** True when a Normalize comes last. @throws FoveaError `invalid_config` for any other pipeline than the usual one */
function readNormalize(json: unknown): boolean {
  if (json === undefined) return false;
  const modules = readModules(json);
  const kinds = modules.map((m) => m.kind);
  const usual = ["Transformer", "Pooling", "Normalize"];
  const pooling = modules[1]?.path ?? "";
  if (kinds.length < 2 || kinds.length > 3 || kinds.some((kind, i) => kind !== usual[i])) {
    throw new FoveaError(
      "invalid_config",
      `${MODULES} lists ${kinds.join(", ") || "no modules"}; expected Transformer, Pooling and perhaps Normalize. Take ${MODULES} and ${POOLING} away to use the hidden states alone.`,
    );
  }
  if (pooling.replace(/\/$/, "") !== POOLING_FOLDER) {
    throw new FoveaError(
      "invalid_config",
      `${MODULES}: the field \`[1].path\` holds "${pooling}"; expected "${POOLING_FOLDER}".`,
    );
  }
  return kinds.length === 3;
}

/**
 * How the folder's texts are embedded; nothing when it has no `1_Pooling/config.json`.
 * @throws FoveaError `invalid_config` that names the field or the module
 */
export function readSentenceConfig(files: ModelFiles): SentenceConfig | undefined {
  const pooling = files[POOLING];
  if (pooling === undefined) return undefined;
  return {
    modes: readModes(pooling),
    normalize: readNormalize(files[MODULES]),
  };
}

/**
 * What `sentence_bert_config.json` says of texts; without the file they are taken as they are.
 * @throws FoveaError `invalid_config` that names the field
 */
export function readSentenceTextConfig(files: ModelFiles): SentenceTextConfig {
  const json = files[TEXTS];
  if (json === undefined) return { lowercase: false };
  const c = createConfigReader(json, "", TEXTS);
  return {
    lowercase: c.boolean("do_lower_case", false),
    ...(c.has("max_seq_length") ? { cutTo: c.integer("max_seq_length", undefined, { min: 1 }) } : {}),
  };
}
