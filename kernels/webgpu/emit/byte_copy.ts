/** Bytes in another order, and bytes put between others. */
import { type Memory, pointer, words } from "./kernel.ts";
import { byteKernel, moveKernel } from "./move.ts";

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** Words of a copy behind its pointers; axes are counted from the outermost. */
export const byteCopyNames = (outer: number): readonly string[] => [
  ...["elements", "inner", "step"],
  ...range(outer).flatMap((axis) => [`size${axis}`, `stride${axis}`]),
];

/** A dense output of bytes that are read through strides. */
export function byteCopyKernel(outer: number, from: Memory): Uint8Array {
  const args = [pointer("out", "write"), pointer("from", from), ...words(...byteCopyNames(outer))];
  return moveKernel("copy", 1, args, "from", ({ word }) => {
    const axes = [...range(outer)].reverse();
    return `var rest = element / ${word("inner")};
  var source = (element % ${word("inner")}) * ${word("step")};
  ${axes
    .map(
      (axis) =>
        `source += (rest % ${word(`size${axis}`)}) * ${word(`stride${axis}`)}; rest = rest / ${word(`size${axis}`)};`,
    )
    .join("\n  ")}`;
  });
}

/**
 * Puts dense bytes [outer, size, inner] into [outer, whole, inner] from `start` on and keeps the others. Arguments: output,
 * bytes; elements of the whole output, its size along the axis, that of the bytes, inner size, start.
 */
export function byteInsertKernel(from: Memory): Uint8Array {
  const args = [
    pointer("out", "write"),
    pointer("from", from),
    ...words("elements", "whole", "size", "inner", "start"),
  ];
  return byteKernel(
    "concat",
    args,
    ({ word, byte }) => `fn byte_of(element: u32, old: u32) -> u32 {
  let along = (element / ${word("inner")}) % ${word("whole")};
  if (along < ${word("start")} || along >= ${word("start")} + ${word("size")}) { return old; }
  let outer = element / (${word("inner")} * ${word("whole")});
  let source = (outer * ${word("size")} + along - ${word("start")}) * ${word("inner")} + element % ${word("inner")};
  return ${byte("from", "source")};
}`,
  );
}
