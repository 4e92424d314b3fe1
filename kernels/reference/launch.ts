/** One launch: operands out of memory, the evaluator's function, the result back into memory. */
import type { Address, Launch } from "../../runtime/abi/device.ts";
import { internal } from "../../runtime/core/diagnostics.ts";
import {
  countElements,
  DTYPE_BYTES,
  type DType,
  decodeToF32,
  encodeFromF32,
  type HalfDType,
  viewAs,
} from "../../runtime/core/dtype.ts";
import { evaluatorOf, type RefTensor, refTensor } from "../../runtime/ir/evaluate/mod.ts";
import { stridedCopy } from "../../runtime/ir/evaluate/tensor.ts";
import { argumentCount, type ReferenceCode } from "./code.ts";
import type { ReferenceMemory } from "./memory.ts";

type Values = Float32Array | Int32Array | Uint8Array | Int8Array;

function bytesAt(memory: ReferenceMemory, at: Address, dtype: DType, count: number): Uint8Array {
  const bytes = memory.window(at.buffer, at.offset, count * DTYPE_BYTES[dtype]);
  if (bytes.byteOffset % DTYPE_BYTES[dtype] !== 0) internal(`${dtype} values at the odd offset ${at.offset}`);
  return bytes;
}

const isHalf = (dtype: DType): dtype is HalfDType => dtype === "f16" || dtype === "bf16";

function read(memory: ReferenceMemory, at: Address, dtype: DType, count: number): Values {
  const bytes = bytesAt(memory, at, dtype, count);
  if (!isHalf(dtype)) return viewAs(dtype, bytes) as Values;
  const values = new Float32Array(count);
  decodeToF32(dtype, bytes, values);
  return values;
}

function write(memory: ReferenceMemory, at: Address, dtype: DType, values: RefTensor["data"]): void {
  const bytes = bytesAt(memory, at, dtype, values.length);
  if (isHalf(dtype)) bytes.set(encodeFromF32(dtype, Float32Array.from(values)));
  else (viewAs(dtype, bytes) as Values).set(values);
}

/** Elements between the first and the end of the last one that the strides reach. */
function reach(shape: readonly number[], strides: readonly number[]): number {
  if (shape.includes(0)) return 0;
  return shape.reduce((n, d, i) => n + (d - 1) * strides[i], 1);
}

/** @throws Error `internal:` for arguments that do not fit the code or reach out of their buffers. */
export function runLaunch(memory: ReferenceMemory, code: ReferenceCode, launch: Launch): void {
  const { args } = launch;
  if (args.length !== argumentCount(code)) {
    internal(`${launch.kernel} takes ${argumentCount(code)} arguments, found ${args.length}`);
  }
  let next = 0;
  const address = (): Address => {
    const a = args[next++];
    return typeof a === "number" ? internal(`${launch.kernel}: argument ${next - 1} must be an address`) : a;
  };
  const numbers = (count: number): number[] =>
    Array.from({ length: count }, () => {
      const a = args[next++];
      return typeof a === "number" ? a : internal(`${launch.kernel}: argument ${next - 1} must be a size`);
    });

  const operands = code.operands.map((o): RefTensor => {
    if ("constant" in o) return refTensor("f32", [], [o.constant]);
    const at = address();
    const shape = numbers(o.rank);
    const strides = numbers(o.rank);
    const values = read(memory, at, o.dtype, reach(shape, strides));
    // The evaluator knows numbers by what they are computed with.
    const held = isHalf(o.dtype) ? "f32" : o.dtype;
    return stridedCopy(refTensor(held, [values.length], values), shape, strides);
  });
  const at = address();
  const shape = numbers(code.output.rank);
  const evaluate = evaluatorOf(code.op) ?? internal(`the evaluator has no "${code.op}"`);
  const result = evaluate(operands, code.attributes, {});
  const count = countElements(shape);
  if (result.data.length !== count) {
    internal(`${launch.kernel} computed ${result.data.length} values for an output of [${shape.join(", ")}]`);
  }
  write(memory, at, code.output.dtype, result.data);
}
