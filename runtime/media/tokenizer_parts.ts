/** What the package `@huggingface/tokenizers` made of a file, changed where it does something else than the Rust library. */
import { WORD } from "./tokenizer_json.ts";

type Json = Readonly<Record<string, unknown>>;

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

/** A step of the package's normalizer, and of a sequence its steps. */
interface NormalizerPart {
  readonly config?: Json;
  readonly normalizers?: readonly (NormalizerPart | null)[];
  normalize(text: string): string;
}

function precompiledParts(part: NormalizerPart | null | undefined): readonly NormalizerPart[] {
  if (part === null || part === undefined) return [];
  if (part.normalizers !== undefined) return part.normalizers.flatMap(precompiledParts);
  return part.config?.type === "Precompiled" ? [part] : [];
}

/** Has the package's steps go by the table of characters that the file holds, in whose place it has one of its own. */
export async function useCharsmaps(tokenizer: object): Promise<void> {
  const { normalizer } = tokenizer as { readonly normalizer?: NormalizerPart | null };
  for (const part of precompiledParts(normalizer)) {
    const table = part.config?.precompiled_charsmap;
    if (typeof table !== "string") continue;
    const { createCharsmap } = await import("./charsmap.ts");
    part.normalize = createCharsmap(table);
  }
}

/** The package's model: the pieces of words, by name. */
interface ModelPart {
  readonly tokens_to_ids: ReadonlyMap<string, number>;
  encode(words: readonly string[]): string[];
}

/** Writes runs that the vocabulary lacks as bytes where it has them all, which the package does not know of Unigram models. */
export function spellUnknown(tokenizer: object, model: Json): void {
  if (model.type !== "Unigram" || model.byte_fallback !== true) return;
  const part = (tokenizer as { readonly model: ModelPart }).model;
  const { tokens_to_ids: known } = part;
  const encode = part.encode.bind(part);
  const encoder = new TextEncoder();
  const spelled = (run: string): readonly string[] => {
    const bytes = Array.from(encoder.encode(run), (b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
    return bytes.every((token) => known.has(token)) ? bytes : [run];
  };
  const ofWord = (word: string): readonly string[] => {
    const pieces: string[] = [];
    let run = "";
    const endRun = (): void => {
      if (run !== "") pieces.push(...spelled(run));
      run = "";
    };
    for (const piece of encode([word])) {
      if (!known.has(piece)) {
        run += piece;
        continue;
      }
      endRun();
      pieces.push(piece);
    }
    endRun();
    return pieces;
  };
  part.encode = (words) => words.flatMap(ofWord);
}
