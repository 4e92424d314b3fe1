/**
 * SentencePiece's table of characters and what they become (`Precompiled` in tokenizer.json), as the Rust library applies it:
 * a small grapheme becomes what its shortest beginning in the table says, others go character by character.
 */
import { base64ToBytes } from "../core/base64.ts";
import { FoveaError } from "../core/diagnostics.ts";

/** Bytes of UTF-8 from which a grapheme is not looked up as a whole. */
const LARGE_GRAPHEME = 6;
/** Results that are remembered; texts use few characters. */
const REMEMBERED = 1 << 12;

/** Texts whose graphemes are their characters. */
const PLAIN = /^[ -~\t\n]*$/;

// Units of a double array (Aoe 1989), in the layout of Darts-clone.
const hasLeaf = (unit: number): boolean => ((unit >>> 8) & 1) === 1;
const unitValue = (unit: number): number => unit & 0x7fffffff;
const unitLabel = (unit: number): number => (unit & 0x800000ff) >>> 0;
const unitOffset = (unit: number): number => (unit >>> 10) << ((unit & (1 << 9)) >>> 6);

const invalid = (what: string): FoveaError =>
  new FoveaError("tokenizer.invalid", `tokenizer.json has a \`precompiled_charsmap\` that cannot be read: ${what}.`);

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  try {
    return base64ToBytes(text);
  } catch (cause) {
    throw new FoveaError("tokenizer.invalid", "tokenizer.json has a `precompiled_charsmap` that is not base64.", {
      cause,
    });
  }
}

/**
 * What the table makes of texts.
 * @param base64 bytes of the trie (4, little endian), the trie, and the results, each ending with a 0
 * @throws FoveaError `tokenizer.invalid`
 */
export function createCharsmap(base64: string): (text: string) => string {
  const bytes = bytesOf(base64);
  const view = new DataView(bytes.buffer);
  if (bytes.length < 4) throw invalid("it has no size");
  const size = view.getUint32(0, true);
  if (size % 4 !== 0 || size > bytes.length - 4) throw invalid(`its trie takes ${size} of ${bytes.length - 4} bytes`);
  const units = new Uint32Array(size / 4);
  for (let i = 0; i < units.length; i++) units[i] = view.getUint32(4 + 4 * i, true);
  const results = bytes.subarray(4 + size);
  const [encoder, decoder] = [new TextEncoder(), new TextDecoder()];
  const known = new Map<string, string | undefined>();

  const resultAt = (at: number): string => {
    const end = results.indexOf(0, at);
    return decoder.decode(results.subarray(at, end < 0 ? results.length : end));
  };

  /** Beyond the end, which only a damaged table reaches, everything is absent. */
  const unitAt = (at: number): number => units[at] ?? 0;

  /** The result of the shortest beginning that the table has. */
  const look = (key: Uint8Array): string | undefined => {
    let at = unitOffset(unitAt(0));
    for (const byte of key) {
      at ^= byte;
      const unit = unitAt(at);
      if (byte === 0 || unitLabel(unit) !== byte) return undefined;
      at ^= unitOffset(unit);
      if (hasLeaf(unit)) return resultAt(unitValue(unitAt(at)));
    }
    return undefined;
  };

  const character = (c: string): string => {
    if (known.has(c)) return known.get(c) ?? c;
    const found = look(encoder.encode(c));
    if (known.size >= REMEMBERED) known.clear();
    known.set(c, found);
    return found ?? c;
  };

  const grapheme = (part: string): string => {
    if (part.length === 1) return character(part);
    const key = encoder.encode(part);
    const whole = key.length < LARGE_GRAPHEME ? look(key) : undefined;
    return whole ?? Array.from(part, character).join("");
  };

  const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
  return (text) => {
    if (PLAIN.test(text)) return Array.from(text, character).join("");
    return Array.from(graphemes.segment(text), ({ segment }) => grapheme(segment)).join("");
  };
}
