/** Where results are put: new memory, or what the caller gave to be used again. */
import type { Tensor } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import type { DType } from "../core/dtype.ts";
import type { FreshMemory } from "./runner_memory.ts";

/** Memory for results by name, of the results' types and sizes. After an error it may hold anything. */
export type ResultMemory = Readonly<Record<string, Tensor["data"]>>;

interface Result {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

function arrayOf(dtype: DType): typeof Float32Array | typeof Int32Array | typeof Uint8Array {
  if (dtype === "u8") return Uint8Array;
  return dtype === "i32" ? Int32Array : Float32Array;
}

/**
 * Memory that a caller gave for a result; nothing where they gave none.
 * @throws FoveaError `invalid_input` for memory of another type or size
 */
export function givenMemory(
  name: string,
  { dtype, shape }: Result,
  into: ResultMemory = {},
): Tensor["data"] | undefined {
  const count = shape.reduce((a, b) => a * b, 1);
  const array = arrayOf(dtype);
  if (!Object.hasOwn(into, name)) return undefined;
  const given = into[name];
  if (given instanceof array && given.length === count) return given;
  throw new FoveaError(
    "invalid_input",
    `\`into\` has ${given.length} numbers of a ${given.constructor.name} for "${name}"; this call's result is a ${array.name} of ${count} numbers, [${shape.join(", ")}].`,
  );
}

/** @throws FoveaError `invalid_input` for given memory of another type or size */
export function memoryFor(name: string, result: Result, fresh: FreshMemory, into?: ResultMemory): Tensor["data"] {
  const given = givenMemory(name, result, into);
  if (given !== undefined) return given;
  const array = arrayOf(result.dtype);
  const count = result.shape.reduce((a, b) => a * b, 1);
  return new array(fresh(count * array.BYTES_PER_ELEMENT));
}

function overlap(a: ArrayBufferView, b: ArrayBufferView): boolean {
  return (
    a.buffer === b.buffer && a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength
  );
}

/** @throws FoveaError `invalid_input` for memory that two results would share */
export function checkApart(into: ResultMemory): void {
  const given = Object.entries(into);
  given.forEach(([name, memory], i) => {
    const [other] = given.slice(0, i).find(([, earlier]) => overlap(earlier, memory)) ?? [];
    if (other === undefined) return;
    throw new FoveaError(
      "invalid_input",
      `\`into\` has memory for "${name}" that overlaps that for "${other}"; give each result memory of its own.`,
    );
  });
}

/** The results in the memory that was given for them. */
export function movedInto(results: Readonly<Record<string, Tensor>>, into: ResultMemory): Record<string, Tensor> {
  const moved = Object.entries(results).map(([name, tensor]): [string, Tensor] => {
    const data = givenMemory(name, tensor, into);
    if (data === undefined || data === tensor.data) return [name, tensor];
    data.set(tensor.data);
    return [name, { ...tensor, data }];
  });
  return Object.fromEntries(moved);
}
