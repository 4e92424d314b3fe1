/** Steps of a tokenizer.json as the package `@huggingface/tokenizers` has to read them to do what the Rust library does. */
import { literalPattern } from "../core/literal_pattern.ts";

type Json = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `change` of a step, and of all steps of a sequence, which lists them under `field`. */
function changeSteps(step: unknown, field: string, change: (step: Json) => Json): unknown {
  if (!isRecord(step)) return step;
  const inner = step[field];
  return Array.isArray(inner) ? { ...step, [field]: inner.map((s) => changeSteps(s, field, change)) } : change(step);
}

/** `\w` of Rust (UTS 18, annex C); JavaScript's has the letters and digits of ASCII alone. */
export const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";
/** What Unicode calls white space; JavaScript's `\s` has U+FEFF as well and lacks U+0085. */
const SPACE = "\\p{White_Space}";

const replacing = (Regex: string, content: string): Json => ({ type: "Replace", pattern: { Regex }, content });
const removing = (Regex: string): Json => replacing(Regex, "");
const sequence = (...normalizers: readonly Json[]): Json => ({ type: "Sequence", normalizers });

/** Rust lowers one letter at a time, JavaScript a sigma by its place in the word. */
const SIGMA = replacing("Σ", "σ");

const span = (first: number, last: number): string => `${String.fromCodePoint(first)}-${String.fromCodePoint(last)}`;

/** The package looks for Chinese characters among single units, and so misses those of two. */
const APART = replacing(
  `[${span(0x20000, 0x2a6df)}${span(0x2a700, 0x2ceaf)}${span(0x2f800, 0x2fa1f)}]`,
  // What was found, between spaces.
  " $& ",
);

/** SentencePiece's NMT rules, which the package does not know: control characters go, what stands for space becomes one. */
const NMT = sequence(
  removing("[\\x01-\\x08\\x0b\\x0e-\\x1f\\x7f\\x8f\\x9f]"),
  replacing("[\\t\\n\\x0c\\r\\u1680\\u200b-\\u200f\\u2028\\u2029\\u2581\\ufeff\\ufffd]", " "),
);

/** JavaScript's `trim` goes by its `\s`. A run at the end is tried once, and not from each of its characters. */
function stripping(step: Json): Json {
  const left = step.strip_left === true ? [removing(`\\A${SPACE}+`)] : [];
  const right = step.strip_right === true ? [removing(`(?<!${SPACE})${SPACE}+\\z`)] : [];
  return sequence(...left, ...right);
}

function normalizing(step: Json): Json {
  switch (step.type) {
    case "Strip":
      return stripping(step);
    case "Nmt":
      return NMT;
    case "Lowercase":
      return sequence(SIGMA, step);
    case "BertNormalizer":
      return sequence(
        ...(step.handle_chinese_chars === false ? [] : [APART]),
        ...(step.lowercase === true ? [SIGMA] : []),
        step,
      );
    default:
      return step;
  }
}

/** Splits into what matches, and leaves out the rest. */
const matches = (Regex: string): Json => ({ type: "Split", pattern: { Regex }, behavior: "Removed", invert: true });

/** ASCII's signs count as punctuation, whatever Unicode calls them. */
const SIGN = "\\p{P}\\u0021-\\u002F\\u003A-\\u0040\\u005B-\\u0060\\u007B-\\u007E";

/** Pieces of GPT-2, which byte-level tokenizers cut unless they say `use_regex: false`. */
const GPT2_PIECES = [
  "'s|'t|'re|'ve|'m|'ll|'d",
  ` ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+`,
  `${SPACE}+(?![^${SPACE}])|${SPACE}+`,
].join("|");

/** What is left of a text before the next match of a pattern. */
const before = (pattern: string): string => `(?:(?!${pattern})[\\s\\S])`;

const ISOLATED = (p: string): string => `${p}|${before(p)}+`;
const CONTIGUOUS = (p: string): string => `(?:${p})+|${before(p)}+`;
const REMOVED = "removed";

/** Ways of splitting at a pattern, as patterns of the pieces. */
const PIECES: ReadonlyMap<string, (pattern: string) => string> = new Map([
  ["isolated", ISOLATED],
  [REMOVED, (p) => `${before(p)}+`],
  ["contiguous", CONTIGUOUS],
  ["mergedwithprevious", (p) => `${before(p)}*${p}|${before(p)}+`],
  ["mergedwithnext", (p) => `${p}${before(p)}*|${before(p)}+`],
]);

/** The same where what does not match counts as the match. */
const INVERTED: typeof PIECES = new Map([
  ...PIECES,
  [REMOVED, (p) => p],
  ["mergedwithprevious", PIECES.get("mergedwithnext") ?? ISOLATED],
  ["mergedwithnext", PIECES.get("mergedwithprevious") ?? ISOLATED],
]);

const behaviorOf = ({ behavior }: Json): string =>
  typeof behavior === "string" ? behavior.toLowerCase().replaceAll("_", "") : "isolated";

/** The package takes matches apart, whatever else is asked of them; of what it leaves out a text (not an expression) stays. */
function splitAt(step: Json): Json {
  const behavior = behaviorOf(step);
  const { pattern, invert } = step;
  if (behavior === "isolated") return { ...step, invert: false };
  const pieces = (invert === true ? INVERTED : PIECES).get(behavior);
  if (!isRecord(pattern) || pieces === undefined) return step;
  const source = typeof pattern.String === "string" ? literalPattern(pattern.String) : pattern.Regex;
  return typeof source === "string" ? matches(pieces(`(?:${source})`)) : step;
}

/** Cuts pieces here, since the package's pattern goes by JavaScript's `\s`. */
function byteLevel(step: Json): Json {
  if (step.use_regex === false) return step;
  const prefix = step.add_prefix_space === true ? [replacing("\\A(?! )", " ")] : [];
  const bytes = { ...step, use_regex: false, add_prefix_space: false };
  return { type: "Sequence", pretokenizers: [...prefix, matches(GPT2_PIECES), bytes] };
}

function splitting(step: Json): Json {
  switch (step.type) {
    case "Whitespace":
      return matches(`[${WORD}]+|[^${WORD}${SPACE}]+`);
    case "WhitespaceSplit":
      return matches(`[^${SPACE}]+`);
    case "BertPreTokenizer":
      return matches(`[^${SPACE}${SIGN}]+|[${SIGN}]`);
    case "Punctuation":
      return matches((PIECES.get(behaviorOf(step)) ?? ISOLATED)(`[${SIGN}]`));
    case "Digits":
      return matches((step.individual_digits === true ? ISOLATED : CONTIGUOUS)("\\p{N}"));
    case "CharDelimiterSplit":
      return splitAt({ type: "Split", pattern: { String: step.delimiter }, behavior: "Removed" });
    case "Split":
      return splitAt(step);
    case "ByteLevel":
      return byteLevel(step);
    default:
      return step;
  }
}

/** A parsed tokenizer.json for the package. */
export function packageJson(tokenizer: Json): Json {
  return {
    ...tokenizer,
    normalizer: changeSteps(tokenizer.normalizer, "normalizers", normalizing),
    pre_tokenizer: changeSteps(tokenizer.pre_tokenizer, "pretokenizers", splitting),
  };
}

/** A parsed tokenizer_config.json for the package, which asks it for the unknown token of a plain list of words. */
export function packageConfig(model: Json, config: Json): Json {
  return model.type === "WordLevel" && typeof model.unk_token === "string"
    ? { ...config, unk_token: model.unk_token }
    : config;
}
