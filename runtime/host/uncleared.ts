/** Memory that nobody clears, of Node and Bun: from 64 KB on clearing costs more than the way through a Buffer. */
import { Buffer } from "node:buffer";

const LEAST_BYTES = 2 ** 16;

export function uncleared(bytes: number): ArrayBuffer {
  return bytes < LEAST_BYTES ? new ArrayBuffer(bytes) : Buffer.allocUnsafeSlow(bytes).buffer;
}
