/** Numbers that a two-byte type cannot hold: found after rounding, named by the tensor that they come from. */
import { FoveaError } from "../core/diagnostics.ts";
import { type HalfDType, viewAs } from "../core/dtype.ts";

/** Bits of the exponent, all of them set in infinities and NaN. */
const EXPONENT: Readonly<Record<HalfDType, number>> = { f16: 0x7c00, bf16: 0x7f80 };

const LARGEST: Readonly<Record<HalfDType, string>> = { f16: "65504", bf16: "3.39e38" };

const REMEDY: Readonly<Record<HalfDType, string>> = {
  f16: 'Load the model with dtype "bf16", which has the range of f32',
  bf16: 'Load the model with dtype "f32"',
};

/** True when an element of `bytes` is infinite or NaN. */
export function holdsNonFinite(dtype: HalfDType, bytes: Uint8Array): boolean {
  const exponent = EXPONENT[dtype];
  const values = viewAs(dtype, bytes);
  for (let i = 0; i < values.length; i++) if ((values[i] & exponent) === exponent) return true;
  return false;
}

/** The refusal for a weight that was made of these tensors: it names the one with the largest magnitude. */
export function overflow(
  dtype: HalfDType,
  tensors: readonly { readonly name: string; readonly values: Float32Array }[],
): FoveaError {
  let worst = { name: "", value: 0 };
  for (const { name, values } of tensors) {
    // NaN counts as larger than anything.
    for (const value of values) if (!(Math.abs(value) <= Math.abs(worst.value))) worst = { name, value };
  }
  return new FoveaError(
    "weight_overflow",
    `Tensor "${worst.name}" holds ${worst.value}, or leads to a number, that ${dtype} cannot hold: its largest is ${LARGEST[dtype]}. ${REMEDY[dtype]}.`,
  );
}
