/** GIF's variable-length LZW (GIF89a, appendix F). */

const MAX_CODES = 4096;

/** Tables of one decoder, reused from picture to picture. */
const prefix = new Uint16Array(MAX_CODES);
const suffix = new Uint8Array(MAX_CODES);
const length = new Uint16Array(MAX_CODES);

/**
 * Colour indices of one picture.
 * @param data the sub-blocks of its data, joined
 * @param minCodeSize bits of a colour index, 1 to 8
 * @param out filled from its begin
 * @returns values written: fewer than `out` holds where the data end or a code makes no sense
 */
export function decodeLzw(data: Uint8Array, minCodeSize: number, out: Uint8Array): number {
  const clear = 1 << minCodeSize;
  const end = clear + 1;
  for (let code = 0; code < clear; code++) {
    suffix[code] = code;
    length[code] = 1;
  }
  let next = end + 1;
  let size = minCodeSize + 1;
  let previous = -1;
  let bits = 0;
  let held = 0;
  let at = 0;
  let written = 0;
  while (written < out.length) {
    while (held < size) {
      if (at === data.length) return written;
      bits |= data[at++] << held;
      held += 8;
    }
    const code = bits & ((1 << size) - 1);
    bits >>>= size;
    held -= size;
    if (code === end) return written;
    if (code === clear) {
      next = end + 1;
      size = minCodeSize + 1;
      previous = -1;
      continue;
    }
    // The code about to be made is its predecessor's text and that text's first value.
    const known = code < next && (code < clear || code > end);
    if (!known && (previous < 0 || code !== next || next === MAX_CODES)) return written;
    const own = known ? code : previous;
    const count = length[own];
    const stop = written + count;
    let walk = own;
    for (let to = stop - 1; to >= written; to--) {
      if (to < out.length) out[to] = suffix[walk];
      walk = prefix[walk];
    }
    const first = out[written];
    written = Math.min(stop, out.length);
    if (!known && written < out.length) out[written++] = first;
    if (previous >= 0 && next < MAX_CODES) {
      prefix[next] = previous;
      suffix[next] = first;
      length[next] = length[previous] + 1;
      next++;
      if (next === 1 << size && size < 12) size++;
    }
    previous = code;
  }
  return written;
}
