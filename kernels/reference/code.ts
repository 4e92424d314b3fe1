/** Code blobs of the reference device: JSON that names an op and how its operands lie in memory. */
import { canonicalJson } from "../../runtime/core/canonical_json.ts";
import { FoveaError } from "../../runtime/core/diagnostics.ts";
import type { DType } from "../../runtime/core/dtype.ts";
import { evaluatorOf } from "../../runtime/ir/evaluate/mod.ts";

/** Types of values that the device reads and writes. */
export const HELD_TYPES: readonly DType[] = ["f32", "i32", "u8", "i8", "bool"];

/** Types in memory: weights may have two bytes for each number. */
const MEMORY_TYPES: readonly DType[] = [...HELD_TYPES, "f16", "bf16"];

/** A value in memory. Its launch arguments are an address, `rank` sizes and, for operands, `rank` strides (elements). */
export interface ValueLayout {
  readonly dtype: DType;
  readonly rank: number;
}

/** An operand, or a number known when the code was written. */
export type OperandLayout = ValueLayout | { readonly constant: number };

/**
 * One op of the table. Launch arguments follow the order: each operand that is no constant (address, sizes, strides),
 * then the output (address, sizes), which is dense.
 */
export interface ReferenceCode {
  readonly op: string;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly operands: readonly OperandLayout[];
  readonly output: ValueLayout;
}

export function encodeCode(code: ReferenceCode): Uint8Array {
  return new TextEncoder().encode(canonicalJson(code));
}

const isRecord = (v: unknown): v is Readonly<Record<string, unknown>> =>
  typeof v === "object" && v !== null && !Array.isArray(v);

function isValueLayout(v: unknown): v is ValueLayout {
  return isRecord(v) && MEMORY_TYPES.includes(v.dtype as DType) && Number.isInteger(v.rank) && (v.rank as number) >= 0;
}

function isOperandLayout(v: unknown): v is OperandLayout {
  return isValueLayout(v) || (isRecord(v) && typeof v.constant === "number");
}

function isCode(v: unknown): v is ReferenceCode {
  return (
    isRecord(v) &&
    typeof v.op === "string" &&
    evaluatorOf(v.op) !== undefined &&
    isRecord(v.attributes) &&
    Array.isArray(v.operands) &&
    v.operands.every(isOperandLayout) &&
    isValueLayout(v.output)
  );
}

/** @throws FoveaError `invalid_code` for what {@link encodeCode} did not write. */
export function decodeCode(digest: string, bytes: Uint8Array): ReferenceCode {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new FoveaError("invalid_code", `The reference device cannot read the code blob ${digest} as JSON.`, {
      cause,
    });
  }
  if (isCode(value)) return value;
  throw new FoveaError(
    "invalid_code",
    `The code blob ${digest} is not for the reference device: it needs a known \`op\`, \`attributes\`, \`operands\` and \`output\`.`,
  );
}

/** Launch arguments that a code takes. */
export function argumentCount(code: ReferenceCode): number {
  const operands = code.operands.reduce((n, o) => n + ("constant" in o ? 0 : 1 + 2 * o.rank), 0);
  return operands + 1 + code.output.rank;
}
