/**
 * Rewrites a foreign module so that its loops and calls are counted: the device sets how much it may do, and code that has
 * used it up stops by itself, on whatever thread it runs. Nothing else of its code changes.
 *
 * Every function counts down in a local, which engines keep in a register, by what one turn of a loop costs; when that runs
 * out, a global, the module's fuel, pays for the next slice. Entering a function pays at once, so that recursion ends too.
 */
import { internal } from "../core/diagnostics.ts";
import type { FunctionBody, Module } from "./binary/module.ts";
import { SECTION } from "./binary/module.ts";
import { costOf, OP } from "./binary/opcodes.ts";

/** Units of a slice: what code does between two looks at the fuel. */
const SLICE = 512;
/** Units of entering a function that has loops, whose first slice is not paid. */
const ENTRY = 64;
/** Memories of devices have up to 4 GiB. */
const MAX_PAGES = 65536;
const I32 = 0x7f;

/** Name of the exported global, i32. */
export const FUEL = "fuel";

function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...unsigned(Math.floor(value / 128))];
}

function signed(value: number): number[] {
  const low = value & 127;
  const rest = value >> 7;
  const ends = (rest === 0 && low < 64) || (rest === -1 && low >= 64);
  return ends ? [low] : [low | 128, ...signed(rest)];
}

const text = (value: string): number[] => [value.length, ...[...value].map((c) => c.charCodeAt(0))];
const constant = (value: number): number[] => [0x41, ...signed(value)];
const getLocal = (index: number): number[] => [0x20, ...unsigned(index)];
const setLocal = (index: number): number[] => [0x21, ...unsigned(index)];
const teeLocal = (index: number): number[] => [0x22, ...unsigned(index)];
const getGlobal = (index: number): number[] => [0x23, ...unsigned(index)];
const setGlobal = (index: number): number[] => [0x24, ...unsigned(index)];
const SUB = 0x6b;
const LESS = 0x48;
const SHIFT_RIGHT = 0x76;

/** Stops when the fuel is below 0. */
const stopWhenEmpty = (fuel: number): number[] => [
  ...[...getGlobal(fuel), ...constant(0), LESS],
  ...[0x04, 0x40, 0x00, 0x0b],
];

/** Takes what `amount` leaves on the stack from the fuel, and stops when none is left. */
const pay = (fuel: number, amount: readonly number[]): number[] => [
  ...[...getGlobal(fuel), ...amount, SUB, ...setGlobal(fuel)],
  ...stopWhenEmpty(fuel),
];

/** At the head of a loop: takes `cost` from the slice, and pays for the next one where it is used up. */
const turn = (fuel: number, left: number, cost: number): number[] => [
  ...[...getLocal(left), ...constant(cost), SUB, ...teeLocal(left), ...constant(0), LESS],
  ...[0x04, 0x40],
  ...pay(fuel, [...constant(SLICE), ...getLocal(left), SUB]),
  ...[...constant(SLICE), ...setLocal(left)],
  0x0b,
];

/** What is put in front of a byte of the code. */
interface Insertion {
  readonly at: number;
  readonly code: readonly number[];
}

interface Frame {
  /** Byte behind a loop's opcode and type; nothing for other blocks. */
  readonly head: number | undefined;
  /** Units of a turn, without those of loops inside. */
  cost: number;
}

interface Locals {
  readonly left: number;
  readonly length: number;
}

function insertionsOf(body: FunctionBody, fuel: number, { left, length }: Locals): readonly Insertion[] {
  const found: Insertion[] = [];
  const whole: Frame = { head: undefined, cost: 0 };
  const frames: Frame[] = [whole];
  for (const { op, at, end } of body.instructions) {
    const top = frames[frames.length - 1] ?? internal("blocks of a checked function do not match");
    top.cost += costOf(op);
    if (op === OP.loop) frames.push({ head: end, cost: 0 });
    // Other blocks are part of what they stand in.
    else if (op === OP.block || op === OP.if) frames.push({ head: undefined, cost: 0 });
    else if (op === OP.end) {
      frames.pop();
      if (top.head !== undefined) found.push({ at: top.head, code: turn(fuel, left, Math.max(1, top.cost)) });
      else if (frames.length > 0) frames[frames.length - 1].cost += top.cost;
    } else if (op === OP.memoryFill || op === OP.memoryCopy || op === OP.memoryInit) {
      // Its length is on top of the stack, and stays there; 16 bytes cost a unit.
      const amount = [...getLocal(length), ...constant(4), SHIFT_RIGHT];
      found.push({ at, code: [...teeLocal(length), ...pay(fuel, amount)] });
    }
  }
  const hasLoops = body.instructions.some((i) => i.op === OP.loop);
  const entry = pay(fuel, constant(Math.max(4, whole.cost) + (hasLoops ? ENTRY : 0)));
  const slice = hasLoops ? [...constant(SLICE), ...setLocal(left)] : [];
  return [{ at: body.from, code: [...entry, ...slice] }, ...found].sort((a, b) => a.at - b.at);
}

function rewrittenBody(module: Module, body: FunctionBody, fuel: number): number[] {
  const parameters = module.types[body.type].parameters.length;
  const first = body.locals.reduce((n, l) => n + l.count, parameters);
  const locals = [...body.locals, { count: 2, type: I32 }];
  const out = [...unsigned(locals.length), ...locals.flatMap((l) => [...unsigned(l.count), l.type])];
  let at = body.from;
  const copyTo = (end: number): void => {
    for (; at < end; at++) out.push(module.bytes[at]);
  };
  for (const insertion of insertionsOf(body, fuel, { left: first, length: first + 1 })) {
    copyTo(insertion.at);
    out.push(...insertion.code);
  }
  copyTo(body.to);
  return out;
}

const section = (id: number, content: readonly number[]): number[] => [id, ...unsigned(content.length), ...content];

const vector = (items: readonly (readonly number[])[]): number[] => [...unsigned(items.length), ...items.flat()];

export interface InstrumentOptions {
  /** Export that becomes the module's only function to be called, `f`. */
  readonly entry: string;
  /** Value of an imported stack pointer. */
  readonly reserved: number;
}

/**
 * A module with one import, the memory `e.m`, and two exports: the entry as `f` and the global `fuel`. What else it imported,
 * the constants of position-independent code, it holds itself.
 * @param module checked by `inspectModule`
 */
export function instrument(module: Module, { entry, reserved }: InstrumentOptions): Uint8Array {
  const importedGlobals = module.imports.filter((i) => i.kind === "global");
  const importedTables = module.imports.filter((i) => i.kind === "table");
  const pages = module.imports.find((i) => i.kind === "memory")?.limits?.min ?? 0;
  const globals = [
    ...importedGlobals.map(({ name, global }) => [
      ...[I32, global?.mutable ? 1 : 0],
      ...[...constant(name === "__stack_pointer" ? reserved : 0), 0x0b],
    ]),
    ...module.globals.map((g) => [g.type, g.mutable ? 1 : 0, ...g.initial.bytes, 0x0b]),
    [I32, 1, ...constant(0), 0x0b],
  ];
  const fuel = globals.length - 1;
  const index = module.exports.find((e) => e.name === entry)?.index ?? internal(`entry "${entry}" is not exported`);
  const bodies = module.functions.map((body) => {
    const bytes = rewrittenBody(module, body, fuel);
    return [...unsigned(bytes.length), ...bytes];
  });
  const kept = (id: number): number[] => {
    const content = module.sections.get(id);
    return content === undefined ? [] : section(id, [...content]);
  };
  // Imported tables come first, so that their indices stay.
  const tables = importedTables.length === 0 ? kept(SECTION.table) : section(SECTION.table, tableItems(module));
  return Uint8Array.from([
    ...module.bytes.subarray(0, 8),
    ...kept(SECTION.type),
    ...section(SECTION.import, [1, ...text("e"), ...text("m"), 0x02, 0x01, ...unsigned(pages), ...unsigned(MAX_PAGES)]),
    ...kept(SECTION.function),
    ...tables,
    ...section(SECTION.global, vector(globals)),
    ...section(
      SECTION.export,
      vector([
        [...text("f"), 0x00, ...unsigned(index)],
        [...text(FUEL), 0x03, ...unsigned(fuel)],
      ]),
    ),
    ...kept(SECTION.element),
    ...kept(SECTION.dataCount),
    ...section(SECTION.code, vector(bodies)),
    ...kept(SECTION.data),
  ]);
}

function tableItems(module: Module): number[] {
  const imported = module.imports.flatMap(({ kind, bytes }) =>
    kind === "table" && bytes !== undefined ? [[...bytes]] : [],
  );
  const own = module.sections.get(SECTION.table);
  if (own === undefined) return vector(imported);
  // More than 127 tables is nothing that a compiler writes.
  if (own[0] >= 128) internal("a module of more than 127 tables");
  return [...unsigned(imported.length + own[0]), ...imported.flat(), ...own.subarray(1)];
}
