/** Small tensor files, whole in memory: safetensors in both directions, and NumPy's `.npy` for writing. */
import type { Tensor } from "../../abi/encoder.ts";
import { FoveaError, internal } from "../../core/diagnostics.ts";
import {
  allocateDType,
  bytesOf,
  countElements,
  DTYPE_BYTES,
  type DType,
  decodeToF32,
  viewAs,
} from "../../core/dtype.ts";
import { parseSafetensors, readableDType, STORED_NAMES, type StoredTensor } from "./safetensors.ts";

/** A tensor as files hold it. */
export interface RawTensor {
  /** Type of the elements. */
  readonly dtype: DType;
  /** Sizes of the axes, the slowest first. */
  readonly shape: readonly number[];
  /** Dense, row-major, the elements as their type is stored: bf16 and f16 in two bytes, of any array. */
  readonly data: ArrayBufferView;
}

function checkedBytes(name: string, { dtype, shape, data }: RawTensor): Uint8Array {
  const expected = countElements(shape) * DTYPE_BYTES[dtype];
  if (data.byteLength === expected) return bytesOf(data);
  return internal(
    `tensor "${name}", ${dtype} [${shape.join(", ")}], has ${data.byteLength} bytes instead of ${expected}`,
  );
}

/**
 * A safetensors file: the same bytes for the same tensors. Wide types come first and names in order within a width, so
 * that every tensor is aligned; the header is padded with spaces to 8 bytes.
 */
export function encodeSafetensors(
  tensors: Readonly<Record<string, RawTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const width = (name: string): number => DTYPE_BYTES[tensors[name].dtype];
  const names = Object.keys(tensors)
    .sort()
    .sort((a, b) => width(b) - width(a));
  const fields: string[] = [];
  const keys = Object.keys(metadata).sort();
  if (keys.length > 0) {
    fields.push(`"__metadata__":{${keys.map((k) => `${JSON.stringify(k)}:${JSON.stringify(metadata[k])}`).join(",")}}`);
  }
  const parts: Uint8Array[] = [];
  let end = 0;
  for (const name of names) {
    const bytes = checkedBytes(name, tensors[name]);
    const entry = {
      dtype: STORED_NAMES[tensors[name].dtype],
      shape: tensors[name].shape,
      data_offsets: [end, end + bytes.length],
    };
    fields.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    parts.push(bytes);
    end += bytes.length;
  }
  const header = new TextEncoder().encode(`{${fields.join(",")}}`);
  const start = 8 + Math.ceil(header.length / 8) * 8;
  const file = new Uint8Array(start + end).fill(0x20, 8, start);
  new DataView(file.buffer).setUint32(0, start - 8, true);
  file.fill(0, 4, 8);
  file.set(header, 8);
  let at = start;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

/** Floats become f32, whole numbers i32; u8 and bool stay. */
function widen(file: string, tensor: StoredTensor, bytes: Uint8Array): Tensor {
  const { name, shape } = tensor;
  const dtype = readableDType(file, tensor);
  const count = countElements(shape);
  if (dtype === "u8" || dtype === "bool") return { dtype, shape, data: bytes.slice() };
  if (dtype === "i8" || dtype === "i32") {
    return { dtype: "i32", shape, data: Int32Array.from(viewAs(dtype, bytes)) };
  }
  if (dtype === "i64") {
    const wide = viewAs(dtype, bytes);
    const data = allocateDType("i32", count);
    for (let i = 0; i < count; i++) {
      data[i] = Number(wide[i]);
      if (BigInt(data[i]) === wide[i]) continue;
      throw new FoveaError(
        "invalid_tensor",
        `Tensor "${name}" in ${file} holds ${wide[i]} at index ${i}; whole numbers must fit 32 bits.`,
      );
    }
    return { dtype: "i32", shape, data };
  }
  const data = new Float32Array(count);
  decodeToF32(dtype, bytes, data);
  return { dtype: "f32", shape, data };
}

/**
 * All tensors of a small safetensors file: f16 and bf16 as f32, i64 and i8 as i32.
 * @param file for messages
 * @throws FoveaError `invalid_safetensors`, `unsupported_dtype`, `invalid_tensor` for an i64 beyond 32 bits
 */
export function readAllTensors(bytes: Uint8Array, file = "the file"): Readonly<Record<string, Tensor>> {
  const tensors: [string, Tensor][] = [];
  for (const tensor of parseSafetensors(file, bytes).tensors.values()) {
    tensors.push([tensor.name, widen(file, tensor, bytes.subarray(tensor.offset, tensor.offset + tensor.bytes))]);
  }
  return Object.fromEntries(tensors);
}

const NPY_TYPES: Readonly<Record<Exclude<DType, "bf16">, string>> = {
  f32: "<f4",
  f16: "<f2",
  i64: "<i8",
  i32: "<i4",
  u8: "|u1",
  i8: "|i1",
  bool: "|b1",
};

/**
 * A `.npy` file, version 1.0 (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
 * @throws FoveaError `unsupported_dtype` for bf16, which NumPy does not have
 */
export function encodeNpy(tensor: RawTensor): Uint8Array {
  const { dtype, shape } = tensor;
  if (dtype === "bf16") {
    throw new FoveaError("unsupported_dtype", "An .npy file cannot hold bf16; write a .safetensors file.");
  }
  const data = checkedBytes("npy", tensor);
  const sizes = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const text = `{'descr': '${NPY_TYPES[dtype]}', 'fortran_order': False, 'shape': ${sizes}, }`;
  const start = Math.ceil((10 + text.length + 1) / 64) * 64;
  const header = `\x93NUMPY\x01\x00\x00\x00${text}`.padEnd(start - 1, " ");
  const file = new Uint8Array(start + data.length);
  for (let i = 0; i < header.length; i++) file[i] = header.charCodeAt(i);
  file[start - 1] = 0x0a;
  new DataView(file.buffer).setUint16(8, start - 10, true);
  file.set(data, start);
  return file;
}
