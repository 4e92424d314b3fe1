/** Loops whose number of turns follows from locals before the first turn: they are paid for at once. */

import { internal } from "../core/diagnostics.ts";
import type { FunctionBody, Module } from "./binary/module.ts";
import { type Instruction, OP } from "./binary/opcodes.ts";
import { Reader } from "./binary/reader.ts";

/** A local, or a constant, that a loop's counter is compared with. */
export type Bound = { readonly local: number } | { readonly constant: number };

/**
 * `do … while ((counter += step) <comparison> bound)`, the one way back to its head. Nothing else in the loop writes the counter,
 * nor the bound.
 */
export interface CountedLoop {
  readonly counter: number;
  readonly step: number;
  readonly comparison: "ne" | "lt_u" | "lt_s";
  readonly bound: Bound;
}

const GET = 0x20;
const SET = 0x21;
const TEE = 0x22;
const CONSTANT = 0x41;
const ADD = 0x6a;
const BRANCH_IF = 0x0d;
const BRANCHES: readonly number[] = [0x0c, BRANCH_IF, 0x0e];
const COMPARISONS: Readonly<Record<number, CountedLoop["comparison"]>> = { 71: "ne", 72: "lt_s", 73: "lt_u" };

/** The first immediate of an instruction, as it is written. */
const immediate = (module: Module, { at }: Instruction): Reader => new Reader(module.bytes, internal, at + 1);

/** Labels of a branch. */
export function labelsOf(module: Module, instruction: Instruction): readonly number[] {
  const reader = immediate(module, instruction);
  const count = instruction.op === 0x0e ? reader.u32() + 1 : 1;
  return Array.from({ length: count }, () => reader.u32());
}

/** Calls `each` with the instructions between two positions, and how many blocks begun there each is inside of. */
export function walk(
  instructions: readonly Instruction[],
  from: number,
  to: number,
  each: (instruction: Instruction, depth: number) => void,
): void {
  let depth = 0;
  for (let i = from; i < to; i++) {
    const { op } = instructions[i];
    if (op === OP.end) depth--;
    each(instructions[i], depth);
    if (op === OP.block || op === OP.if || op === OP.loop) depth++;
  }
}

/** Whether code of a loop goes back to its head. @param from first position of its body */
export function goesBack(module: Module, { instructions }: FunctionBody, from: number, to: number): boolean {
  let found = false;
  walk(instructions, from, to, (instruction, depth) => {
    if (BRANCHES.includes(instruction.op)) found ||= labelsOf(module, instruction).includes(depth);
  });
  return found;
}

/** What is known of the loop whose instruction stands at `start` and whose `end` at `end`; nothing of others. */
export function countedLoop(module: Module, body: FunctionBody, start: number, end: number): CountedLoop | undefined {
  const { instructions } = body;
  const back = instructions[end - 1];
  if (back.op !== BRANCH_IF || labelsOf(module, back)[0] !== 0) return undefined;
  // counter, step, add, tee; then bound and comparison, unless it counts towards 0.
  const towardsZero = instructions[end - 2].op === TEE;
  const first = towardsZero ? end - 5 : end - 7;
  if (first <= start) return undefined;
  const [get, step, add, tee, bound, compare] = instructions.slice(first, end - 1);
  if (get.op !== GET || step.op !== CONSTANT || add.op !== ADD || tee.op !== TEE) return undefined;
  const counter = immediate(module, get).u32();
  if (immediate(module, tee).u32() !== counter) return undefined;
  const by = immediate(module, step).signed(32);
  let comparison: CountedLoop["comparison"] | undefined = "ne";
  let against: Bound = { constant: 0 };
  if (!towardsZero) {
    comparison = COMPARISONS[compare.op];
    if (bound.op === GET) against = { local: immediate(module, bound).u32() };
    else if (bound.op === CONSTANT) against = { constant: immediate(module, bound).signed(32) };
    else return undefined;
  }
  if (comparison === undefined || by === 0 || (comparison !== "ne" && by < 0)) return undefined;
  if (goesBack(module, body, start + 1, end - 1)) return undefined;
  for (const written of instructions.slice(start + 1, end)) {
    if ((written.op !== SET && written.op !== TEE) || written === tee) continue;
    const local = immediate(module, written).u32();
    if (local === counter || ("local" in against && local === against.local)) return undefined;
  }
  if ("local" in against && against.local === counter) return undefined;
  return { counter, step: by, comparison, bound: against };
}
