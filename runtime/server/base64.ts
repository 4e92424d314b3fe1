/** Bytes as text and back (RFC 4648). */

import { bytesToBase64 } from "../core/base64.ts";

/** What newer engines have. */
interface Base64Methods {
  toBase64?(): string;
}
const FROM_BASE64 = (Uint8Array as { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> }).fromBase64;

export function encodeBytes(bytes: Uint8Array): string {
  return (bytes as Base64Methods).toBase64?.() ?? bytesToBase64(bytes);
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
