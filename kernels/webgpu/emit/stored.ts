/** f32 rounded to the nearest f16 or bf16, ties to even, in integers: WGSL leaves the rounding of its own conversions open. */
import { ceilDiv, type Dim } from "../../../runtime/core/dim.ts";
import type { HalfDType } from "../../../runtime/core/dtype.ts";
import type { ArgumentKind } from "../device/code.ts";
import { gpuKernel, pointer, words } from "./kernel.ts";

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

/** Arguments: output, values; their count. */
export function storedKernel(dtype: HalfDType, values: Exclude<ArgumentKind, "word">): Uint8Array {
  return gpuKernel({
    name: "stored_as",
    args: [pointer("out", "write"), pointer("values", values), ...words("count")],
    element: "u32",
    workgroup: WORKGROUP,
    write: ({ word, at }) => `${ROUND[dtype]}
fn run(item: u32, lane: u32) {
  let element = item * ${WORKGROUP}u + lane;
  if (element >= ${word("count")}) { return; }
  ${at("out", "element")} = rounded(${at("values", "element")});
}`,
  });
}
