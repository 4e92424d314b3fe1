/**
 * What sentence-transformers writes beside a model: `modules.json`, `1_Pooling/config.json`, `2_Dense/config.json` and
 * `sentence_bert_config.json` say how hidden states become one vector for each text.
 */
import { FoveaError } from "../core/diagnostics.ts";
import { createConfigReader } from "./config.ts";
import type { ModelFiles } from "./encoder.ts";

/** First token, largest value, mean, sum over the root of the number of tokens, or last token. */
export type SentencePoolingMode = "cls" | "max" | "mean" | "mean_sqrt_len_tokens" | "lasttoken";

/** What a dense layer does to its results. */
export type SentenceActivation = "gelu" | "relu" | "sigmoid" | "silu" | "tanh";

/** A dense layer behind pooling. */
export interface SentenceDense {
  /** What its tensors' names begin with, such as `2_Dense.linear.`. */
  readonly prefix: string;
  /** Width of what it reads. */
  readonly inFeatures: number;
  /** Width of its results. */
  readonly outFeatures: number;
  /** It adds a vector. */
  readonly bias: boolean;
  /** Results stay as they are unless given. */
  readonly activation?: SentenceActivation;
}

/** How a text's hidden states become its embedding. */
export interface SentenceConfig {
  /** At least one; their vectors stand side by side in this order. */
  readonly modes: readonly SentencePoolingMode[];
  /** In the order in which they follow pooling. */
  readonly dense: readonly SentenceDense[];
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
/** Folders of dense layers, which are numbered by their place among the modules. */
const DENSE_FOLDERS: readonly string[] = ["2_Dense", "3_Dense"];

/** Files to list in `EncoderSpec.files` for the functions below. */
export const SENTENCE_FILES: readonly string[] = [
  ...[MODULES, POOLING, TEXTS],
  ...DENSE_FOLDERS.map((folder) => `${folder}/config.json`),
];

/** By the names of PyTorch's classes. */
const ACTIVATIONS: Readonly<Record<string, SentenceActivation | undefined>> = {
  GELU: "gelu",
  Identity: undefined,
  ReLU: "relu",
  Sigmoid: "sigmoid",
  SiLU: "silu",
  Tanh: "tanh",
};

/** Older configurations switch each mode on by a field of its own; the order is that of the vectors. */
const MODE_FIELDS: Readonly<Record<SentencePoolingMode, string>> = {
  cls: "pooling_mode_cls_token",
  max: "pooling_mode_max_tokens",
  mean: "pooling_mode_mean_tokens",
  mean_sqrt_len_tokens: "pooling_mode_mean_sqrt_len_tokens",
  lasttoken: "pooling_mode_lasttoken",
};
const MODES = Object.keys(MODE_FIELDS) as SentencePoolingMode[];
const UNSUPPORTED_FIELD = "pooling_mode_weightedmean_tokens";

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
  if (c.boolean(UNSUPPORTED_FIELD, false)) {
    throw c.error(UNSUPPORTED_FIELD, `false; this version pools by ${MODES.join(", ")}`);
  }
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

/** The dense layer of a folder. @throws FoveaError `invalid_config` that names the field */
function readDense(folder: string, json: unknown): SentenceDense {
  const c = createConfigReader(json, "", `${folder}/config.json`);
  const kind = c.string("activation_function", "Tanh").replace(/^.*\./, "");
  if (!Object.hasOwn(ACTIVATIONS, kind)) {
    throw c.error("activation_function", `one of PyTorch's ${Object.keys(ACTIVATIONS).join(", ")}`);
  }
  if (c.boolean("use_residual", false)) throw c.error("use_residual", "false");
  for (const field of ["module_input_name", "module_output_name"])
    c.oneOf(field, ["sentence_embedding"], "sentence_embedding");
  return {
    prefix: `${folder}.linear.`,
    inFeatures: c.integer("in_features", undefined, { min: 1 }),
    outFeatures: c.integer("out_features", undefined, { min: 1 }),
    bias: c.boolean("bias", true),
    activation: ACTIVATIONS[kind],
  };
}

/** A module's folder is the one that is read. @throws FoveaError `invalid_config` */
function checkPath(path: string, at: number, expected: string): void {
  if (path.replace(/\/$/, "") === expected) return;
  throw new FoveaError(
    "invalid_config",
    `${MODULES}: the field \`[${at}].path\` holds "${path}"; expected "${expected}".`,
  );
}

/**
 * What follows pooling: dense layers, and whether a Normalize comes last.
 * @throws FoveaError `invalid_config` for any other pipeline than the usual one
 */
function readFollowing(files: ModelFiles): Pick<SentenceConfig, "dense" | "normalize"> {
  const json = files[MODULES];
  if (json === undefined) return { dense: [], normalize: false };
  const modules = readModules(json);
  const kinds = modules.map((m) => m.kind);
  if (!/^Transformer Pooling( Dense){0,2}( Normalize)?$/.test(kinds.join(" "))) {
    throw new FoveaError(
      "invalid_config",
      `${MODULES} lists ${kinds.join(", ") || "no modules"}; expected Transformer, Pooling, then perhaps one or two of Dense, and perhaps Normalize. Take ${MODULES} and ${POOLING} away to use the hidden states alone.`,
    );
  }
  checkPath(modules[1].path, 1, POOLING_FOLDER);
  const dense = modules.slice(2).filter(({ kind }) => kind === "Dense");
  return {
    dense: dense.map(({ path }, i) => {
      checkPath(path, i + 2, DENSE_FOLDERS[i]);
      return readDense(DENSE_FOLDERS[i], files[`${DENSE_FOLDERS[i]}/config.json`]);
    }),
    normalize: kinds.at(-1) === "Normalize",
  };
}

/** Which places of a text's tokens pooling reads: what `prepareTokens` is to find. */
export const sentencePlaces = (
  sentence: SentenceConfig | undefined,
): { readonly firstToken: boolean; readonly lastToken: boolean } => ({
  firstToken: sentence?.modes.includes("cls") === true,
  lastToken: sentence?.modes.includes("lasttoken") === true,
});

/**
 * Files that hold the dense layers' tensors, with what those tensors' names begin with in {@link SentenceDense.prefix}: an
 * encoder's `weightFiles`.
 */
export function sentenceWeightFiles(sentence: SentenceConfig | undefined): Readonly<Record<string, string>> {
  const folders = (sentence?.dense ?? []).map((_, i) => DENSE_FOLDERS[i]);
  return Object.fromEntries(folders.map((folder) => [`${folder}/model.safetensors`, `${folder}.`]));
}

/**
 * How the folder's texts are embedded; nothing when it has no `1_Pooling/config.json`.
 * @throws FoveaError `invalid_config` that names the field or the module
 */
export function readSentenceConfig(files: ModelFiles): SentenceConfig | undefined {
  const pooling = files[POOLING];
  if (pooling === undefined) return undefined;
  return { modes: readModes(pooling), ...readFollowing(files) };
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
