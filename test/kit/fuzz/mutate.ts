/** Damaged files out of good ones, by number: the same number gives the same bytes on every runtime. */
import { hash32 } from "../../../runtime/core/random.ts";

/** Bytes and words that readers stumble over: ends of ranges, signs, white space, quotes, braces. */
const BYTES = [0x00, 0xff, 0x7f, 0x80, 0x01, 0x20, 0x22, 0x7b, 0x7d, 0x5b, 0x5d, 0x2c, 0x30, 0x39, 0x2d, 0x65];
const WORDS = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff, 0x10000, 0x4000_0000];
const TEXTS = [
  "1e999",
  "-1",
  "9007199254740993",
  "null",
  "{}",
  "[]",
  '""',
  "true",
  "\\u0000",
  "../../etc/passwd",
  "__proto__",
];

/** Numbers below a bound, one after another. */
type Draw = (bound: number) => number;

const CHANGES: readonly ((bytes: Uint8Array, other: Uint8Array, draw: Draw) => Uint8Array)[] = [
  // A few bits.
  (bytes, _, draw) => {
    for (let i = 0; i <= draw(8); i++) bytes[draw(bytes.length)] ^= 1 << draw(8);
    return bytes;
  },
  // Bytes that matter.
  (bytes, _, draw) => {
    for (let i = 0; i <= draw(6); i++) bytes[draw(bytes.length)] = BYTES[draw(BYTES.length)];
    return bytes;
  },
  // A word, in either order of its bytes, mostly near the start, where lengths stand.
  (bytes, _, draw) => {
    const within = draw(3) === 0 ? bytes.length : Math.min(bytes.length, 64);
    const at = draw(Math.max(1, within - 4));
    if (bytes.length >= at + 4) new DataView(bytes.buffer).setUint32(at, WORDS[draw(WORDS.length)], draw(2) === 0);
    return bytes;
  },
  (bytes, _, draw) => bytes.slice(0, draw(bytes.length)),
  // A stretch is lost.
  (bytes, _, draw) => {
    const at = draw(bytes.length);
    return joined(bytes.subarray(0, at), bytes.subarray(at + 1 + draw(64)));
  },
  // A stretch comes twice.
  (bytes, _, draw) => {
    const at = draw(bytes.length);
    return joined(bytes.subarray(0, at + draw(256)), bytes.subarray(at));
  },
  // The start of one file, the rest of another.
  (bytes, other, draw) => joined(bytes.subarray(0, draw(bytes.length)), other.subarray(draw(other.length))),
  // Words of formats that are texts.
  (bytes, _, draw) => {
    const at = draw(bytes.length);
    const text = new TextEncoder().encode(TEXTS[draw(TEXTS.length)]);
    return joined(bytes.subarray(0, at), text, bytes.subarray(at + draw(text.length + 1)));
  },
  // Noise for a stretch.
  (bytes, _, draw) => {
    const at = draw(bytes.length);
    for (let i = at; i < Math.min(bytes.length, at + 1 + draw(32)); i++) bytes[i] = draw(256);
    return bytes;
  },
];

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** One of `files`, damaged one to three times as `seed` says. */
export function damaged(files: readonly Uint8Array[], seed: number): Uint8Array {
  let index = 0;
  const draw: Draw = (bound) => (bound <= 1 ? 0 : hash32(seed, index++) % bound);
  let bytes: Uint8Array = files[draw(files.length)].slice();
  for (let i = 0; i <= draw(3) && bytes.length > 0; i++) {
    bytes = CHANGES[draw(CHANGES.length)](bytes, files[draw(files.length)], draw);
  }
  return bytes;
}
