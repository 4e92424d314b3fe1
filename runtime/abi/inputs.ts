/** Checks of the tensors that callers give, for `prepare`. All functions throw FoveaError `invalid_input`. */
import { FoveaError } from "../core/diagnostics.ts";
import { narrowI64 } from "../core/dtype.ts";
import type { CheckLater, Tensor, Tensors } from "./encoder.ts";

/** Refuses what a caller gave. @param sentence what was found, what was expected, what to do */
export function refuseInput(sentence: string): never {
  throw new FoveaError("invalid_input", sentence);
}

/** `[batch, 3, 224, 224]` */
export function sizesText(shape: readonly (number | string)[]): string {
  return `[${shape.join(", ")}]`;
}

/** Every input must be known, and the required one there. */
export function checkInputNames(inputs: Tensors, known: readonly string[], required: string): void {
  for (const name of Object.keys(inputs)) {
    if (!known.includes(name)) refuseInput(`There is no input "${name}"; this tower takes ${known.join(" and ")}.`);
  }
  if (inputs[required] === undefined) {
    refuseInput(`The input "${required}" is missing; this tower cannot run without it.`);
  }
}

/** A tensor's type; where that is the one expected, the array that is not. */
function typeText({ dtype, data }: Tensor, expected: string): string {
  return dtype === expected ? `${dtype} and its values in a ${Object(data).constructor?.name}` : dtype;
}

/** The data must have as many values as the shape says. */
export function checkInputLength(name: string, t: Tensor): void {
  const count = t.shape.reduce((a, d) => a * d, 1);
  if (t.data.length !== count) {
    refuseInput(
      `The input "${name}" holds ${t.data.length} values, but its shape ${sizesText(t.shape)} needs ${count}; give data that fits the shape.`,
    );
  }
}

/**
 * The values of an f32 tensor, all finite.
 * @param later where given, takes the look at every value; type and length are checked at once
 */
export function finiteFloats(name: string, t: Tensor, later: CheckLater = (check) => check()): Float32Array {
  const { data } = t;
  if (t.dtype !== "f32" || !(data instanceof Float32Array)) {
    return refuseInput(
      `The input "${name}" has type ${typeText(t, "f32")}, expected f32 in a Float32Array; convert it first.`,
    );
  }
  checkInputLength(name, t);
  later(() => checkFinite(name, data));
  return data;
}

function checkFinite(name: string, data: Float32Array): void {
  // Sums of f32 numbers in double precision do not leave its range: a sum is finite where all of them are, and only there. By
  // index: an iterator takes twenty times as long; and the four sums do not wait for one another.
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = data.length - (data.length % 8);
  for (let i = 0; i < whole; i += 8) {
    a += data[i] + data[i + 1];
    b += data[i + 2] + data[i + 3];
    c += data[i + 4] + data[i + 5];
    d += data[i + 6] + data[i + 7];
  }
  for (let i = whole; i < data.length; i++) a += data[i];
  if (!Number.isFinite(a + b + c + d)) {
    const at = data.findIndex((v) => !Number.isFinite(v));
    refuseInput(`The input "${name}" holds ${data[at]} at element ${at}; expected finite numbers.`);
  }
}

function narrow(name: string, data: BigInt64Array): Int32Array {
  const { values, unfit } = narrowI64(data);
  if (unfit < 0) return values;
  return refuseInput(`The input "${name}" holds ${data[unfit]} at element ${unfit}; whole numbers must fit 32 bits.`);
}

/** The values of an integer tensor as i32; 64-bit ones are taken from callers who read them from files. */
export function integerValues(name: string, t: Tensor): Int32Array {
  const data: unknown = t.data;
  checkInputLength(name, t);
  if (data instanceof Int32Array) return data;
  if (data instanceof BigInt64Array) return narrow(name, data);
  if (data instanceof Uint8Array) return Int32Array.from(data);
  return refuseInput(
    `The input "${name}" has type ${typeText(t, "i32")}, expected i32 in an Int32Array; convert it first.`,
  );
}
