/** Rows found by an index: `gather` (rows of a table) and `take_row` (one row of each batch); patches of pictures. */
import { type Memory, pointer, words } from "./kernel.ts";
import { type MovedBytes, moveKernel } from "./move.ts";

/** Arguments: output, rows, indices; elements of the output, width, elements from entry to entry of an index, and from row to row. */
export function lookupKernel(bytes: MovedBytes, rows: Memory, indices: Memory): Uint8Array {
  const args = [
    pointer("out", "write"),
    pointer("rows", rows),
    pointer("indices", indices),
    ...words("elements", "width", "entry", "row"),
  ];
  return moveKernel(
    "lookup",
    bytes,
    args,
    "rows",
    ({ word, at }) => `let number = element / ${word("width")};
  let source = number * ${word("entry")} + ${at("indices", "number")} * ${word("row")} + element % ${word("width")};`,
  );
}

export interface PatchifyOptions {
  readonly patchHeight: number;
  readonly patchWidth: number;
  readonly bytes: MovedBytes;
  readonly pixels: Memory;
}

/**
 * [batch, channels, height, width] to [batch, patches, channels * patch]. Arguments: output, pixels; elements of the output,
 * channels, patches down and across, elements from picture to picture, channel to channel and line to line.
 */
export function patchifyKernel({ patchHeight, patchWidth, bytes, pixels }: PatchifyOptions): Uint8Array {
  const args = [
    pointer("out", "write"),
    pointer("pixels", pixels),
    ...words("elements", "channels", "down", "across", "picture", "channel", "line"),
  ];
  const patch = patchHeight * patchWidth;
  return moveKernel(
    "patchify",
    bytes,
    args,
    "pixels",
    ({ word }) => `let own = ${word("channels")} * ${patch}u;
  let inside = element % own;
  let number = element / own;
  let plane = inside / ${patch}u;
  let dy = (inside / ${patchWidth}u) % ${patchHeight}u;
  let dx = inside % ${patchWidth}u;
  let across = number % ${word("across")};
  let down = (number / ${word("across")}) % ${word("down")};
  let picture = number / (${word("across")} * ${word("down")});
  let source = picture * ${word("picture")} + plane * ${word("channel")}
    + (down * ${patchHeight}u + dy) * ${word("line")} + across * ${patchWidth}u + dx;`,
  );
}
