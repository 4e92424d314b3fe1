/** SHA-1 (FIPS 180-4) where the runtime has none that answers at once: git names files by it. */
import type { Digest } from "./digest.ts";

const turn = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));

/** The function of a round and its constant, by quarters of the 80 rounds. */
const QUARTERS: readonly (readonly [(b: number, c: number, d: number) => number, number])[] = [
  [(b, c, d) => d ^ (b & (c ^ d)), 0x5a827999],
  [(b, c, d) => b ^ c ^ d, 0x6ed9eba1],
  [(b, c, d) => (b & c) | (d & (b | c)), 0x8f1bbcdc],
  [(b, c, d) => b ^ c ^ d, 0xca62c1d6],
];

/** Absorbs a block of 64 bytes; `w` is room for the message schedule. */
function compress(state: Int32Array, w: Int32Array, block: DataView): void {
  for (let i = 0; i < 16; i++) w[i] = block.getInt32(4 * i);
  for (let i = 16; i < 80; i++) w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  let [a, b, c, d, e] = state;
  for (let i = 0; i < 80; i++) {
    const [mix, constant] = QUARTERS[Math.floor(i / 20)];
    [a, b, c, d, e] = [(turn(a, 5) + mix(b, c, d) + e + w[i] + constant) | 0, a, turn(b, 30), c, d];
  }
  for (const [i, word] of [a, b, c, d, e].entries()) state[i] += word;
}

export function createSha1(): Digest {
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0);
  const w = new Int32Array(80);
  const block = new Uint8Array(64);
  const view = new DataView(block.buffer);
  let length = 0;

  const update = (bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length; ) {
      const filled = length % 64;
      const part = bytes.subarray(at, at + 64 - filled);
      block.set(part, filled);
      at += part.length;
      length += part.length;
      if (length % 64 === 0) compress(state, w, view);
    }
  };

  return {
    update,
    hex: () => {
      const bits = 8 * length;
      const end = new Uint8Array(8);
      new DataView(end.buffer).setBigUint64(0, BigInt(bits));
      update(Uint8Array.of(0x80));
      update(new Uint8Array((120 - (length % 64)) % 64));
      update(end);
      return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
    },
  };
}
