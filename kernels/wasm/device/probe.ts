/** What this engine's WebAssembly can do. */

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** A module that exports `f: () -> v128 lane 0 as i32` with the given body. */
function probeModule(body: readonly number[]): Uint8Array<ArrayBuffer> {
  const code = [0x00, ...body, 0x0b];
  return Uint8Array.from([
    ...HEADER,
    ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7f],
    ...[0x03, 0x02, 0x01, 0x00],
    ...[0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00],
    ...[0x0a, code.length + 2, 0x01, code.length, ...code],
  ]);
}

/** `f32.const bits`, then `f32x4.splat`. */
function splat(bits: number): number[] {
  return [0x43, bits & 255, (bits >>> 8) & 255, (bits >>> 16) & 255, bits >>> 24, 0xfd, 0x13];
}

const EXTRACT_LANE_0 = [0xfd, 0x1b, 0x00];

/** Answers `f32x4.add(1, 1)`: plain simd128. */
const SIMD_MODULE = probeModule([...splat(0x3f800000), ...splat(0x3f800000), 0xfd, 0xe4, 0x01, ...EXTRACT_LANE_0]);

/**
 * Answers (1 + 2^-23) * (1 - 2^-23) - 1 by `f32x4.relaxed_madd`: -2^-46 when fused; 0 when the product is rounded
 * first, for then it is 1.
 */
const MADD_MODULE = probeModule([
  ...splat(0x3f800001),
  ...splat(0x3f7ffffe),
  ...splat(0xbf800000),
  ...[0xfd, 0x85, 0x02],
  ...EXTRACT_LANE_0,
]);

export type MultiplyAdd = "absent" | "unfused" | "fused";

function answer(bytes: Uint8Array<ArrayBuffer>): number | undefined {
  if (!WebAssembly.validate(bytes)) return undefined;
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  return (instance.exports.f as () => number)();
}

/** True where 128-bit vectors compute. */
export function hasSimd128(): boolean {
  return typeof WebAssembly === "object" && answer(SIMD_MODULE) === 0x40000000;
}

/** Some engines accept relaxed madd and round twice, which is slower than plain simd128 code. */
export function relaxedMultiplyAdd(): MultiplyAdd {
  const bits = answer(MADD_MODULE);
  if (bits === undefined) return "absent";
  return bits === 0 ? "unfused" : "fused";
}
