/** Bytes as text and back (RFC 4648). */

import { base64ToBytes, bytesToBase64 } from "../core/base64.ts";

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
    return FROM_BASE64 === undefined ? base64ToBytes(text) : FROM_BASE64(text);
  } catch {
    return undefined;
  }
}
