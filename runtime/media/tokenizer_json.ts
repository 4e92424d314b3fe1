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

const removing = (Regex: string): Json => ({ type: "Replace", pattern: { Regex }, content: "" });

/** JavaScript's `trim` goes by its `\s`. A run at the end is tried once, and not from each of its characters. */
function normalizing(step: Json): Json {
  if (step.type !== "Strip") return lowering(step);
  const left = step.strip_left === true ? [removing(`\\A${SPACE}+`)] : [];
  const right = step.strip_right === true ? [removing(`(?<!${SPACE})${SPACE}+\\z`)] : [];
  return { type: "Sequence", normalizers: [...left, ...right] };
}

/** Splits into what matches. */
const matches = (Regex: string): Json => ({ type: "Split", pattern: { Regex }, behavior: "Removed", invert: true });

function splitting(step: Json): Json {
  if (step.type === "Whitespace") return matches(`[${WORD}]+|[^${WORD}${SPACE}]+`);
  return step.type === "WhitespaceSplit" ? matches(`[^${SPACE}]+`) : step;
}

/** V8 15 does not find `[\p{Alphabetic}]$` in a letter of two units; it does so looking behind. */
const ENDS_IN_WORD = new RegExp(`(?<=[${WORD}])$`, "u");
const BEGINS_WORD = new RegExp(`^[${WORD}]`, "u");

/** What the package's tokenizers are made of: added tokens by their text, and what cuts a text at them. */
interface Parts {
  readonly added_tokens_map: ReadonlyMap<string, { readonly single_word: boolean }>;
  readonly splitter_unnormalized: Splitter;
  readonly splitter_normalized: Splitter;
}

interface Splitter {
  split(text: string): string[];
}

/** Leaves words whole that hold an added token which has to be a word of its own (`single_word`). */
export function keepWords(tokenizer: object): void {
  const { added_tokens_map: tokens, splitter_unnormalized, splitter_normalized } = tokenizer as Parts;
  if (!Array.from(tokens.values()).some((token) => token.single_word)) return;
  for (const splitter of [splitter_unnormalized, splitter_normalized]) {
    const split = splitter.split.bind(splitter);
    splitter.split = (text) => {
      const pieces: string[] = [];
      let [from, at] = [0, 0];
      for (const piece of split(text)) {
        const [start, end] = [at, at + piece.length];
        at = end;
        const token = tokens.get(piece);
        // Two units hold any letter.
        const inWord =
          ENDS_IN_WORD.test(text.slice(Math.max(0, start - 2), start)) || BEGINS_WORD.test(text.slice(end, end + 2));
        if (token === undefined || (token.single_word && inWord)) continue;
        if (start > from) pieces.push(text.slice(from, start));
        pieces.push(piece);
        from = end;
      }
      return from < text.length ? [...pieces, text.slice(from)] : pieces;
    };
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
