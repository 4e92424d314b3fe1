/** Bytes of a page of memory, or a part of one. */
const PAGE = 4096;

/**
 * Writes into each page of memory that is about to be overwritten as a whole: the first touch of fresh pages can take longer
 * than the copy, and costs nothing while the device computes.
 */
export function touchPages(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += PAGE) bytes[at] = 0;
}
