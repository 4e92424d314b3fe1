/** Reads whole safetensors files for tests. */
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { type DType, decodeToF32, viewAs } from "../../runtime/core/dtype.ts";
import { type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

const DTYPES: Readonly<Record<string, DType>> = {
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
  I64: "i64",
  I32: "i32",
  U8: "u8",
};

function valuesOf(entry: Entry, bytes: Uint8Array): RefTensor {
  const dtype = DTYPES[entry.dtype];
  if (dtype === "i64") return refTensor("i32", entry.shape, Array.from(viewAs("i64", bytes), Number));
  if (dtype === "i32" || dtype === "u8") return refTensor(dtype, entry.shape, viewAs(dtype, bytes));
  const values = new Float32Array(entry.shape.reduce((a, d) => a * d, 1));
  decodeToF32(dtype, bytes, values);
  return refTensor("f32", entry.shape, values);
}

/** All tensors by name: floats as f32, 64-bit integers as i32. @param path of a file that Brotli packed where it ends with `.br` */
export function readSafetensors(path: string): ReadonlyMap<string, RefTensor> {
  const bytes = readFileSync(path);
  const file = new Uint8Array(path.endsWith(".br") ? brotliDecompressSync(bytes) : bytes);
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length))) as Record<string, Entry>;
  const data = file.subarray(8 + length);
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== "__metadata__")
      .map(([name, entry]) => [name, valuesOf(entry, data.subarray(...entry.data_offsets))]),
  );
}
