/** Bytes, and f32 values, as text: base64 (RFC 4648). */

/** Bytes that become text at once: arguments of a call are few. */
const PIECE = 8192;

/** Bytes in base64. */
export function bytesToBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += PIECE) {
    const some: ArrayLike<number> = bytes.subarray(at, at + PIECE);
    // Engines take the elements out of a typed array without iterating over it.
    text += String.fromCharCode.apply(null, some as number[]);
  }
  return btoa(text);
}

/** Little-endian f32 in base64. */
export function encodeFloats(values: Float32Array): string {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  for (let i = 0; i < values.length; i++) view.setFloat32(i * 4, values[i], true);
  return bytesToBase64(new Uint8Array(view.buffer));
}

/** The inverse of {@link bytesToBase64}. @throws DOMException for what is not base64 */
export function base64ToBytes(text: string): Uint8Array<ArrayBuffer> {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

/** The inverse of {@link encodeFloats}. */
export function decodeFloats(text: string): Float32Array {
  const view = new DataView(base64ToBytes(text).buffer);
  const values = new Float32Array(view.byteLength >> 2);
  for (let i = 0; i < values.length; i++) values[i] = view.getFloat32(i * 4, true);
  return values;
}
