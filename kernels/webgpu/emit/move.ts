/** Values moved without arithmetic: every element of the output is an element of another value, found by its place. */
import { ceilDiv, type Dim } from "../../../runtime/core/dim.ts";
import { gpuKernel, type KernelArgument, type KernelScope } from "./kernel.ts";

const WORKGROUP = 256;

/** Words of four bytes, or single bytes. */
export type MovedBytes = 1 | 4;

/** Workgroups for an output of so many elements. */
export const moveGrid = (elements: Dim, bytes: MovedBytes): Dim => ceilDiv(elements, WORKGROUP * (4 / bytes));

/**
 * Body of `run` for an output of bytes: an invocation makes a word of four from `fn byte_of(element: u32, old: u32) -> u32`,
 * `old` being what the output held. Bytes behind the last element stay.
 */
export const byteRun = ({ at }: KernelScope, elements: string): string => `
fn run(item: u32, lane: u32) {
  let first = (item * ${WORKGROUP}u + lane) * 4u;
  if (first >= ${elements}) { return; }
  let old = ${at("out", "(first >> 2u)")};
  var bits = 0u;
  for (var b = 0u; b < 4u; b++) {
    let kept = (old >> (8u * b)) & 255u;
    var value = kept;
    if (first + b < ${elements}) { value = byte_of(first + b, kept); }
    bits |= value << (8u * b);
  }
  ${at("out", "(first >> 2u)")} = bits;
}`;

/** A kernel whose output is made of bytes; `write` gives `byte_of` and what it needs. */
export function byteKernel(
  name: string,
  args: readonly KernelArgument[],
  write: (scope: KernelScope) => string,
): Uint8Array {
  return gpuKernel({
    name,
    args,
    element: "u32",
    workgroup: WORKGROUP,
    write: (scope) => `${write(scope)}\n${byteRun(scope, scope.word("elements"))}`,
  });
}

/**
 * Arguments: `out`, pointers and words, among which is `elements`, the size of the output.
 * @param place statements that follow from `element` and define `source`, the element's place in the value `from`
 */
export function moveKernel(
  name: string,
  bytes: MovedBytes,
  args: readonly KernelArgument[],
  from: string,
  place: (scope: KernelScope) => string,
): Uint8Array {
  if (bytes === 1)
    return byteKernel(
      name,
      args,
      (scope) => `fn byte_of(element: u32, old: u32) -> u32 {
  ${place(scope)}
  return ${scope.byte(from, "source")};
}`,
    );
  return gpuKernel({
    name,
    args,
    element: "u32",
    workgroup: WORKGROUP,
    windows: { read: from },
    write: (scope) => `
fn run(item: u32, lane: u32) {
  let element = item * ${WORKGROUP}u + lane;
  if (element >= ${scope.word("elements")}) { return; }
  ${place(scope)}
  ${scope.at("out", "element")} = ${scope.at(from, "source")};
}`,
  });
}
