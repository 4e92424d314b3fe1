/** Steps of a tokenizer.json as the package `@huggingface/tokenizers` has to read them to do what the Rust library does. */

type Json = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `change` of a step, and of all steps of a sequence, which lists them under `field`. */
function changeSteps(step: unknown, field: string, change: (step: Json) => Json): unknown {
  if (!isRecord(step)) return step;
  const inner = step[field];
  return Array.isArray(inner) ? { ...step, [field]: inner.map((s) => changeSteps(s, field, change)) } : change(step);
}

/** Rust lowers one letter at a time, JavaScript a sigma by its place in the word. */
const SIGMA = { type: "Replace", pattern: { String: "Σ" }, content: "σ" };

function lowering(step: Json): Json {
  const lowers = step.type === "Lowercase" || (step.type === "BertNormalizer" && step.lowercase === true);
  return lowers ? { type: "Sequence", normalizers: [SIGMA, step] } : step;
}

/** `\w` of Rust (UTS 18, annex C); JavaScript's has the letters and digits of ASCII alone. */
const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";
/** What Unicode calls white space; JavaScript's `\s` has U+FEFF as well and lacks U+0085. */
const SPACE = "\\p{White_Space}";

/** Splits into what matches. */
const matches = (Regex: string): Json => ({ type: "Split", pattern: { Regex }, behavior: "Removed", invert: true });

function splitting(step: Json): Json {
  if (step.type === "Whitespace") return matches(`[${WORD}]+|[^${WORD}${SPACE}]+`);
  return step.type === "WhitespaceSplit" ? matches(`[^${SPACE}]+`) : step;
}

/** A parsed tokenizer.json for the package. */
export function packageJson(tokenizer: Json): Json {
  return {
    ...tokenizer,
    normalizer: changeSteps(tokenizer.normalizer, "normalizers", lowering),
    pre_tokenizer: changeSteps(tokenizer.pre_tokenizer, "pretokenizers", splitting),
  };
}
