/** Bytes as text and back (RFC 4648). */

/** What newer engines have. */
interface Base64Methods {
  toBase64?(): string;
}
const FROM_BASE64 = (Uint8Array as { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> }).fromBase64;

/** Characters that are joined at once: a call takes only so many arguments. */
const CHUNK = 0x8000;

export function encodeBytes(bytes: Uint8Array): string {
  const own = (bytes as Base64Methods).toBase64?.();
  if (own !== undefined) return own;
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    const some: ArrayLike<number> = bytes.subarray(at, at + CHUNK);
    // Engines take the elements out of a typed array without iterating over it.
    text += String.fromCharCode.apply(null, some as number[]);
  }
  return btoa(text);
}

/** The inverse of {@link encodeBytes}; white space is passed over. Nothing for what is not base64. */
export function decodeBytes(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    if (FROM_BASE64 !== undefined) return FROM_BASE64(text);
    const found = atob(text);
    const bytes = new Uint8Array(found.length);
    for (let i = 0; i < found.length; i++) bytes[i] = found.charCodeAt(i);
    return bytes;
  } catch {
    return undefined;
  }
}
