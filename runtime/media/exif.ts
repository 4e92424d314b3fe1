/** The one EXIF field that matters to pixels: orientation. */

/**
 * Reads the orientation from a TIFF block as EXIF carries it (after `Exif\0\0`).
 * @returns 1 to 8, and 1 when the field is absent or the block is damaged
 */
export function exifOrientation(tiff: Uint8Array): number {
  if (tiff.length < 8) return 1;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.length);
  const order = view.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return 1;
  const little = order === 0x4949;
  const directory = view.getUint32(4, little);
  if (directory + 2 > tiff.length) return 1;
  const entries = view.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const at = directory + 2 + i * 12;
    if (at + 12 > tiff.length) return 1;
    if (view.getUint16(at, little) !== 0x0112) continue;
    const value = view.getUint16(at + 8, little);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/** Drops the `Exif\0\0` that JPEG, and some WebP writers, put before the TIFF block. */
export function withoutExifPrefix(block: Uint8Array): Uint8Array {
  const marked = block[0] === 0x45 && block[1] === 0x78 && block[2] === 0x69 && block[3] === 0x66 && block[4] === 0;
  return marked ? block.subarray(6) : block;
}
