/** f32 rounded to the nearest f16 or bf16, ties to even, in integers: WGSL leaves the rounding of its own conversions open. */
import { ceilDiv, type Dim } from "../../../runtime/core/dim.ts";
import type { HalfDType } from "../../../runtime/core/dtype.ts";
import { gpuKernel, type Memory, type NamedLines, pointer, words } from "./kernel.ts";

const WORKGROUP = 256;

export const storedGrid = (elements: Dim): Dim => ceilDiv(elements, WORKGROUP);

const ROUND: Readonly<Record<HalfDType, string>> = {
  bf16: `fn rounded(bits: u32) -> u32 {
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return bits; }
  return (bits + 0x7fffu + ((bits >> 16u) & 1u)) & 0xffff0000u;
}`,
  f16: `fn rounded(bits: u32) -> u32 {
  let sign = bits & 0x80000000u;
  let size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) { return bits; }
  if (size >= 0x477ff000u) { return sign | 0x7f800000u; }
  if (size >= 0x38800000u) { return sign | ((size + 0xfffu + ((size >> 13u) & 1u)) & 0xffffe000u); }
  if (size <= 0x33000000u) { return sign; }
  let shift = 126u - (size >> 23u);
  let fraction = (size & 0x7fffffu) | 0x800000u;
  let kept = fraction >> shift;
  let rest = fraction & ((1u << shift) - 1u);
  let middle = 1u << (shift - 1u);
  let up = rest > middle || (rest == middle && (kept & 1u) == 1u);
  return sign | bitcast<u32>(f32(kept + select(0u, 1u, up)) * 5.9604645e-8f);
}`,
};

/** An item's elements, of both sides. @param bytes of an element of the output */
const itemWindows = (each: number, bytes: number): NamedLines => ({
  units: "count",
  each,
  spans: [
    { pointer: "out", bytes },
    { pointer: "values", bytes: 4 },
  ],
});

/** Arguments: output, values; their count. */
export function storedKernel(dtype: HalfDType, values: Memory): Uint8Array {
  return gpuKernel({
    name: "stored_as",
    args: [pointer("out", "write"), pointer("values", values), ...words("count")],
    element: "u32",
    workgroup: WORKGROUP,
    windows: itemWindows(WORKGROUP, 4),
    write: ({ word, at }) => `${ROUND[dtype]}
fn run(item: u32, lane: u32) {
  let element = item * ${WORKGROUP}u + lane;
  if (element >= ${word("count")}) { return; }
  ${at("out", "element")} = rounded(${at("values", "element")});
}`,
  });
}

/** Two f16 a word. Arguments: output, values, f32; their count. */
export function packedHalfKernel(): Uint8Array {
  return gpuKernel({
    name: "stored_as",
    args: [pointer("out", "write"), pointer("values", "read"), ...words("count")],
    element: "u32",
    workgroup: WORKGROUP,
    windows: itemWindows(2 * WORKGROUP, 2),
    write: ({ word, at }) => `${ROUND.f16}
fn half_of(bits: u32) -> u32 {
  let size = rounded(bits) & 0x7fffffffu;
  let sign = (bits >> 16u) & 0x8000u;
  if (size > 0x7f800000u) { return sign | 0x7e00u; }
  if (size == 0x7f800000u) { return sign | 0x7c00u; }
  if (size >= 0x38800000u) { return sign | ((size - 0x38000000u) >> 13u); }
  return sign | u32(bitcast<f32>(size) * 16777216.0f);
}
fn run(item: u32, lane: u32) {
  let pair = item * ${WORKGROUP}u + lane;
  let first = 2u * pair;
  if (first >= ${word("count")}) { return; }
  var second = 0u;
  if (first + 1u < ${word("count")}) { second = half_of(${at("values", "first + 1u")}); }
  ${at("out", "pair")} = half_of(${at("values", "first")}) | (second << 16u);
}`,
  });
}
