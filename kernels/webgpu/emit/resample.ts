/** Fixed-point resampling of bytes along one axis. */
import { type Memory, pointer, words } from "./kernel.ts";
import { byteKernel } from "./move.ts";

export interface ResampleOptions {
  /** Pixels [rows, length, 3] to planes of a row [rows, 3, outputs], or lines [length, width] to [outputs, width]. */
  readonly along: "columns" | "rows";
  /** Weights are the low 16 bits, signed. */
  readonly narrow: boolean;
  /** x, starts, weights, bits. */
  readonly kinds: readonly Memory[];
}

/** Arguments: output, x, starts, weights, bits; elements of the output, outputs, length, taps, width (of lines). */
export function resampleKernel({ along, narrow, kinds }: ResampleOptions): Uint8Array {
  const names = ["x", "starts", "weights", "bits"];
  const args = [
    pointer("out", "write"),
    ...names.map((name, i) => pointer(name, kinds[i])),
    ...words("elements", "outputs", "length", "taps", "width"),
  ];
  return byteKernel(`resample_${along}`, args, ({ word, at, byte }) => {
    const [output, place] =
      along === "columns"
        ? [
            `element % ${word("outputs")}`,
            `((element / (3u * ${word("outputs")})) * ${word("length")} + i) * 3u + (element / ${word("outputs")}) % 3u`,
          ]
        : [`element / ${word("width")}`, `i * ${word("width")} + element % ${word("width")}`];
    const weight = `bitcast<i32>(${at("weights", `output * ${word("taps")} + k`)})`;
    return `fn byte_of(element: u32, old: u32) -> u32 {
  let output = ${output};
  let start = ${at("starts", "output")};
  let bits = ${at("bits", "0u")};
  var sum = 1i << (bits - 1u);
  for (var k = 0u; k < ${word("taps")}; k++) {
    let i = start + k;
    if (i >= ${word("length")}) { break; }
    sum += i32(${byte("x", place)}) * ${narrow ? `((${weight} << 16u) >> 16u)` : weight};
  }
  return u32(clamp(sum >> bits, 0i, 255i));
}`;
  });
}
