/**
 * The instructions that kernels may hold: all of WebAssembly 1.0, sign extension, saturating conversions, bulk memory,
 * multi-value, reference types without growing, 128-bit and relaxed vectors. What is not here is refused by its number.
 */
import type { Reader } from "./reader.ts";

export type Feature = "simd128" | "relaxed-simd";

/** What stands behind an opcode. */
type Immediate =
  | "none"
  | "block"
  | "u32"
  | "u32 u32"
  | "labels"
  | "types"
  | "memory"
  | "memory lane"
  | "lane"
  | "i32"
  | "i64"
  | "4 bytes"
  | "8 bytes"
  | "16 bytes";

export interface Instruction {
  /** Opcode; behind the prefixes 0xfc and 0xfd, `prefix * 65536 + opcode`. */
  readonly op: number;
  /** First byte. */
  readonly at: number;
  /** Byte behind its immediates. */
  readonly end: number;
}

const MISC = 0xfc0000;
const VECTOR = 0xfd0000;

export const OP: Readonly<
  Record<"block" | "loop" | "if" | "else" | "end" | "memoryGrow" | "memoryInit" | "memoryCopy" | "memoryFill", number>
> = {
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  memoryGrow: 0x40,
  memoryInit: MISC + 8,
  memoryCopy: MISC + 10,
  memoryFill: MISC + 11,
};

/** Instructions that engines know and kernels may not use. */
const FORBIDDEN: Readonly<Record<number, string>> = {
  [OP.memoryGrow]: "memory.grow, but memory is the host's",
  [MISC + 12]: "table.init, but tables stay as they are",
  [MISC + 13]: "elem.drop, but tables stay as they are",
  [MISC + 14]: "table.copy, but tables stay as they are",
  [MISC + 15]: "table.grow, but tables stay as they are",
  [MISC + 17]: "table.fill, but tables stay as they are",
  38: "table.set, but tables stay as they are",
};

/** Numbers between vector instructions that stand for none. */
const VECTOR_GAPS = new Set([
  154, 162, 165, 166, 175, 176, 178, 179, 180, 187, 194, 197, 198, 207, 208, 210, 211, 212, 226, 238,
]);

function plainImmediate(op: number): Immediate | undefined {
  if (op <= 0x01 || op === 0x05 || op === 0x0b || op === 0x0f || op === 0x1a || op === 0x1b) return "none";
  if (op >= 0x02 && op <= 0x04) return "block";
  if (op === 0x0c || op === 0x0d || op === 0x10 || op === 0x12) return "u32";
  if (op === 0x11 || op === 0x13) return "u32 u32";
  if (op === 0x0e) return "labels";
  if (op === 0x1c) return "types";
  if (op >= 0x20 && op <= 0x25) return "u32";
  if (op >= 0x28 && op <= 0x3e) return "memory";
  if (op === 0x3f || op === OP.memoryGrow) return "u32";
  if (op === 0x41) return "i32";
  if (op === 0x42) return "i64";
  if (op === 0x43) return "4 bytes";
  if (op === 0x44) return "8 bytes";
  if (op >= 0x45 && op <= 0xc4) return "none";
  if (op === 0xd0) return "u32";
  if (op === 0xd1) return "none";
  return op === 0xd2 ? "u32" : undefined;
}

function vectorImmediate(op: number): Immediate | undefined {
  if (op <= 11 || op === 92 || op === 93) return "memory";
  if (op === 12 || op === 13) return "16 bytes";
  if (op >= 21 && op <= 34) return "lane";
  if (op >= 84 && op <= 91) return "memory lane";
  return op <= 275 && !VECTOR_GAPS.has(op) ? "none" : undefined;
}

function immediateOf(op: number): Immediate | undefined {
  if (op >= VECTOR) return vectorImmediate(op - VECTOR);
  if (op < MISC) return plainImmediate(op);
  if (op <= MISC + 7) return "none";
  if (op === OP.memoryInit || op === OP.memoryCopy) return "u32 u32";
  return op === MISC + 9 || op === OP.memoryFill || op === MISC + 16 ? "u32" : undefined;
}

/** Feature beyond WebAssembly's core that an instruction needs. */
export function featureOf(op: number): Feature | undefined {
  if (op < VECTOR) return undefined;
  return op >= VECTOR + 256 ? "relaxed-simd" : "simd128";
}

const opText = (op: number): string =>
  op < MISC ? `0x${op.toString(16)}` : `0x${(op >>> 16).toString(16)} ${op & 0xffff}`;

/**
 * Reads one instruction, of which nobody has read anything. Refuses what is unknown or forbidden.
 * @param grows true where the module's memory is its own, so that it may grow
 */
export function readInstruction(r: Reader, grows: boolean = false): Instruction {
  const at = r.at;
  const first = r.byte();
  const op = first === 0xfc || first === 0xfd ? first * 65536 + r.u32() : first;
  const forbidden = FORBIDDEN[op];
  if (forbidden !== undefined && !(grows && op === OP.memoryGrow)) {
    r.refuse(`byte ${at} is the instruction ${forbidden}.`);
  }
  const immediate = immediateOf(op);
  if (immediate === undefined) {
    const what = first === 0xfe ? "an atomic instruction" : first >= 0x06 && first <= 0x1f ? "an exception" : "unknown";
    return r.refuse(
      `the instruction ${opText(op)} at byte ${at} is ${what}; kernels use WebAssembly 2.0 with 128-bit and relaxed vectors.`,
    );
  }
  skipImmediate(r, immediate);
  return { op, at, end: r.at };
}

function skipImmediate(r: Reader, immediate: Immediate): void {
  switch (immediate) {
    case "none":
      return;
    case "block":
      r.signed(33);
      return;
    case "u32":
      r.u32();
      return;
    case "u32 u32":
      r.u32();
      r.u32();
      return;
    case "labels":
      for (let labels = r.u32() + 1; labels > 0; labels--) r.u32();
      return;
    case "types":
      r.skip(r.u32());
      return;
    case "memory":
    case "memory lane":
      // Bit 6 of the alignment announces the index of one of several memories.
      if (r.u32() >= 32) r.refuse(`the instruction at byte ${r.at} names one of several memories; kernels have one.`);
      r.u32();
      if (immediate === "memory lane") r.byte();
      return;
    case "lane":
      r.byte();
      return;
    case "i32":
      r.signed(32);
      return;
    case "i64":
      // Ten bytes may hold 70 bits, of which the engine has checked the last.
      while (r.byte() >= 128);
      return;
    case "4 bytes":
      r.skip(4);
      return;
    case "8 bytes":
      r.skip(8);
      return;
    case "16 bytes":
      r.skip(16);
  }
}

/** Instructions that take longer than others, in units of a simple one. */
const HEAVY: ReadonlyMap<number, number> = new Map([
  ...[0x10, 0x12].map((op) => [op, 4] as const),
  ...[0x11, 0x13].map((op) => [op, 8] as const),
  ...[0x6d, 0x6e, 0x6f, 0x70].map((op) => [op, 8] as const),
  ...[0x7f, 0x80, 0x81, 0x82].map((op) => [op, 16] as const),
  ...[0x91, 0x95, VECTOR + 227, VECTOR + 231].map((op) => [op, 4] as const),
  ...[0x9f, 0xa3, VECTOR + 239, VECTOR + 243].map((op) => [op, 8] as const),
]);

/** What an instruction counts as: 0 for those that cost an engine nothing, 1 for most. */
export function costOf(op: number): number {
  const heavy = HEAVY.get(op);
  if (heavy !== undefined) return heavy;
  if (op <= 0x05 || op === 0x0b || op === 0x1a || (op >= 0x20 && op <= 0x22) || (op >= 0x41 && op <= 0x44)) return 0;
  return op === VECTOR + 12 ? 0 : 1;
}
