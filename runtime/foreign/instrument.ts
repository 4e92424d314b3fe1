/**
 * Rewrites a foreign module so that its loops and calls are counted: the device sets how much it may do, and code that has
 * used it up stops by itself, on whatever thread it runs. Nothing else of its code changes.
 *
 * Every function counts down in a local, which engines keep in a register, by what one turn of a loop costs; when that runs
 * out, a global, the module's fuel, pays for the next slice. Entering a function pays at once, so that recursion ends too.
 * Loops that run a number of turns known before the first pay for all of them there; other short loops are written several
 * times, so that counting costs them little.
 */
import { internal } from "../core/diagnostics.ts";
import type { FunctionBody, Module } from "./binary/module.ts";
import { SECTION } from "./binary/module.ts";
import { costOf, type Instruction, OP } from "./binary/opcodes.ts";
import { type CountedLoop, countedLoop, goesBack, labelsOf, walk } from "./turns.ts";

/** Units of a slice: what code does between two looks at the fuel. */
const SLICE = 512;
/** Units that a loop pays at once at most. */
const MOST_AHEAD = 2 ** 30;
const NO_VALUES = 0x40;
/** Units of entering a function that has loops, whose first slice is not paid. */
const ENTRY = 64;
/** Memories of devices have up to 4 GiB. */
const MAX_PAGES = 65536;
const I32 = 0x7f;

/** Name of the exported global, i32. */
export const FUEL = "fuel";

export function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...unsigned(Math.floor(value / 128))];
}

function signed(value: number): number[] {
  const low = value & 127;
  const rest = value >> 7;
  const ends = (rest === 0 && low < 64) || (rest === -1 && low >= 64);
  return ends ? [low] : [low | 128, ...signed(rest)];
}

export const text = (value: string): number[] => [value.length, ...[...value].map((c) => c.charCodeAt(0))];
export const constant = (value: number): number[] => [0x41, ...signed(value)];
const getLocal = (index: number): number[] => [0x20, ...unsigned(index)];
const setLocal = (index: number): number[] => [0x21, ...unsigned(index)];
const teeLocal = (index: number): number[] => [0x22, ...unsigned(index)];
const getGlobal = (index: number): number[] => [0x23, ...unsigned(index)];
const setGlobal = (index: number): number[] => [0x24, ...unsigned(index)];
const SUB = 0x6b;
const ADD = 0x6a;
const MULTIPLY = 0x6c;
const DIVIDE = 0x6e;
const REMAINDER = 0x70;
const OR = 0x72;
const NOT_EQUAL = 0x47;
const LESS = 0x48;
const LESS_UNSIGNED = 0x49;
const GREATER_UNSIGNED = 0x4b;
const SELECT = 0x1b;
const SHIFT_RIGHT = 0x76;
const BRANCH = 0x0c;
const BRANCH_IF = 0x0d;
const BRANCH_TABLE = 0x0e;
const BRANCHES: readonly number[] = [BRANCH, BRANCH_IF, BRANCH_TABLE];
const IS_ZERO = 0x45;

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

/** Takes `cost` from the slice; leaves whether it is used up. */
const take = (left: number, cost: number): number[] => [
  ...[...getLocal(left), ...constant(cost), SUB, ...teeLocal(left), ...constant(0), LESS],
];

/** Pays for what was done, and begins a slice. */
const refill = (fuel: number, left: number): number[] => [
  ...pay(fuel, [...constant(SLICE), ...getLocal(left), SUB]),
  ...[...constant(SLICE), ...setLocal(left)],
];

/** Pays for all turns of a loop before its first: one more than its counter needs. Ends where they are without number. */
function payAhead(
  fuel: number,
  scratch: number,
  { counter, step, comparison, bound }: CountedLoop,
  cost: number,
): number[] {
  const size = Math.abs(step);
  const to = "local" in bound ? getLocal(bound.local) : constant(bound.constant);
  const from = getLocal(counter);
  const less = comparison === "lt_s" ? LESS : LESS_UNSIGNED;
  const isExact = comparison === "ne";
  const way = isExact
    ? [...(step > 0 ? [...to, ...from] : [...from, ...to]), SUB]
    : [...to, ...from, SUB, ...constant(0), ...from, ...to, less, SELECT];
  // What is not met exactly is stepped over; near the end of all numbers anything is.
  const last = constant(comparison === "lt_s" ? 0x7fffffff - size : -1 - size);
  const missed = isExact
    ? [...getLocal(scratch), ...constant(size), REMAINDER, ...constant(0), NOT_EQUAL]
    : [...last, ...to, less, ...last, ...from, less, OR];
  const most = Math.floor(MOST_AHEAD / cost) * size;
  const tooFar = [...getLocal(scratch), ...(isExact ? [...constant(1), SUB] : []), ...constant(most), GREATER_UNSIGNED];
  const turns = [...getLocal(scratch), ...constant(size), DIVIDE, ...constant(1), ADD];
  return [
    ...[...way, ...setLocal(scratch)],
    ...[...missed, ...tooFar, OR],
    ...[OP.if, NO_VALUES, ...constant(-1), ...setGlobal(fuel), 0x00, OP.end],
    ...pay(fuel, [...turns, ...constant(cost), MULTIPLY]),
  ];
}

/** A loop by the position of its instruction in the function. */
interface Loop {
  /** How many turns it takes, where that is known before the first. */
  readonly counted?: CountedLoop;
  /** Position of its `end`. */
  readonly end: number;
  /** Units of a turn, without those of loops inside. */
  readonly cost: number;
  /** Turns between two looks at what is left; their code stands one behind the other. */
  readonly turns: number;
}

interface Frame {
  readonly start: number;
  readonly isLoop: boolean;
  hasLoops: boolean;
  cost: number;
}

/** A turn that costs as much is long enough for a look of its own. */
const LONG_TURN = 64;
const MOST_TURNS = 8;
/** Instructions of a loop that is written several times. */
const SHORT_LOOP = 160;

/** All loops of a function, and what it costs without them. */
function loopsOf(
  module: Module,
  body: FunctionBody,
): { readonly loops: ReadonlyMap<number, Loop>; readonly cost: number } {
  const { instructions } = body;
  const loops = new Map<number, Loop>();
  const whole: Frame = { start: 0, isLoop: false, hasLoops: false, cost: 0 };
  const frames: Frame[] = [whole];
  for (const [i, { op }] of instructions.entries()) {
    const top = frames[frames.length - 1] ?? internal("blocks of a checked function do not match");
    top.cost += costOf(op);
    if (op === OP.loop) for (const frame of frames) frame.hasLoops = true;
    if (op === OP.loop || op === OP.block || op === OP.if) {
      frames.push({ start: i, isLoop: op === OP.loop, hasLoops: false, cost: 0 });
    } else if (op === OP.end) {
      frames.pop();
      // Other blocks are part of what they stand in.
      if (!top.isLoop && frames.length > 0) frames[frames.length - 1].cost += top.cost;
      if (!top.isLoop) continue;
      const cost = Math.max(1, top.cost);
      const counted = countedLoop(module, body, top.start, i);
      if (counted !== undefined) {
        loops.set(top.start, { end: i, cost, turns: 1, counted });
        continue;
      }
      const isPlain = module.bytes[instructions[top.start].at + 1] === NO_VALUES;
      const isShort = !top.hasLoops && isPlain && i - top.start <= SHORT_LOOP;
      const turns = isShort ? Math.max(1, Math.min(MOST_TURNS, Math.floor(LONG_TURN / cost))) : 1;
      loops.set(top.start, { end: i, cost, turns });
    }
  }
  return { loops, cost: whole.cost };
}

interface Locals {
  readonly left: number;
  readonly scratch: number;
}

/** Writes one function's instructions with counting between them. */
class BodyWriter {
  readonly out: number[] = [];
  readonly #module: Module;
  readonly #functionBody: FunctionBody;
  readonly #bytes: Uint8Array;
  readonly #instructions: readonly Instruction[];
  readonly #loops: ReadonlyMap<number, Loop>;
  readonly #fuel: number;
  readonly #locals: Locals;

  constructor(module: Module, body: FunctionBody, loops: ReadonlyMap<number, Loop>, fuel: number, locals: Locals) {
    this.#module = module;
    this.#functionBody = body;
    this.#bytes = module.bytes;
    this.#instructions = body.instructions;
    this.#loops = loops;
    this.#fuel = fuel;
    this.#locals = locals;
  }

  write(from: number, to: number): void {
    for (let i = from; i < to; i++) {
      const loop = this.#loops.get(i);
      if (loop === undefined) this.#one(this.#instructions[i]);
      else if (loop.counted !== undefined) {
        this.out.push(...payAhead(this.#fuel, this.#locals.scratch, loop.counted, loop.cost));
        this.#copy(this.#instructions[i]);
      } else if (loop.turns === 1) {
        this.#copy(this.#instructions[i]);
        const { left } = this.#locals;
        this.out.push(...take(left, loop.cost), OP.if, NO_VALUES, ...refill(this.#fuel, left), OP.end);
      } else {
        this.#unrolled(i, loop);
        i = loop.end;
      }
    }
  }

  #copy({ at, end }: Instruction): void {
    for (let i = at; i < end; i++) this.out.push(this.#bytes[i]);
  }

  #one(instruction: Instruction): void {
    const { op } = instruction;
    if (op === OP.memoryFill || op === OP.memoryCopy || op === OP.memoryInit) {
      // Its length is on top of the stack, and stays there; 16 bytes cost a unit.
      const { scratch } = this.#locals;
      this.out.push(...teeLocal(scratch), ...pay(this.#fuel, [...getLocal(scratch), ...constant(4), SHIFT_RIGHT]));
    }
    this.#copy(instruction);
  }

  /**
   * `turns` copies of a loop's body, one behind the other, with one look at what is left:
   * `block (exit) loop (head) block (slow) take, branch to slow; copies; end; refill; branch to head; end end`. What rarely
   * happens stands behind what often does, so that the usual way has one taken branch.
   */
  #unrolled(at: number, { end, cost, turns }: Loop): void {
    this.out.push(OP.block, NO_VALUES, OP.loop, NO_VALUES, OP.block, NO_VALUES);
    this.out.push(...take(this.#locals.left, cost * turns), BRANCH_IF, 0);
    const last = this.#instructions[end - 1];
    const isTail = (last.op === BRANCH || last.op === BRANCH_IF) && this.#bytes[last.at + 1] === 0;
    const to = isTail ? end - 1 : end;
    // Going on in the middle of a copy leaves a block around it; most loops go on at their ends alone.
    const inner = goesBack(this.#module, this.#functionBody, at + 1, to) ? 1 : 0;
    for (let copy = 1; copy < turns; copy++) {
      if (inner === 1) this.out.push(OP.block, NO_VALUES);
      this.#body(at + 1, to, 0, 2 + inner);
      if (!isTail) this.out.push(BRANCH, 2 + inner);
      else if (last.op === BRANCH_IF) this.out.push(IS_ZERO, BRANCH_IF, 2 + inner);
      if (inner === 1) this.out.push(OP.end);
    }
    this.#body(at + 1, to, 1, 2);
    if (isTail) this.out.push(last.op, 1);
    this.out.push(BRANCH, 2, OP.end);
    this.out.push(...refill(this.#fuel, this.#locals.left), BRANCH, 0, OP.end, OP.end);
  }

  /** A loop's body; branches to its head are `head` labels further away, those out of it `outside`. */
  #body(from: number, to: number, head: number, outside: number): void {
    walk(this.#instructions, from, to, (instruction, depth) => {
      const { op } = instruction;
      if (!BRANCHES.includes(op)) {
        this.#one(instruction);
        return;
      }
      const labels = labelsOf(this.#module, instruction);
      this.out.push(op, ...(op === BRANCH_TABLE ? unsigned(labels.length - 1) : []));
      for (const label of labels) {
        this.out.push(...unsigned(label < depth ? label : label + (label === depth ? head : outside)));
      }
    });
  }
}

/** A function with counting in it, as it stands in the code section. @param fuel index of the global that counts down */
export function rewrittenBody(module: Module, body: FunctionBody, fuel: number): number[] {
  const parameters = module.types[body.type].parameters.length;
  const left = body.locals.reduce((n, l) => n + l.count, parameters);
  const groups = [...body.locals, { count: 2, type: I32 }];
  const { loops, cost } = loopsOf(module, body);
  const writer = new BodyWriter(module, body, loops, fuel, { left, scratch: left + 1 });
  writer.out.push(...unsigned(groups.length), ...groups.flatMap((l) => [...unsigned(l.count), l.type]));
  writer.out.push(...pay(fuel, constant(Math.max(4, cost) + (loops.size > 0 ? ENTRY : 0))));
  if (loops.size > 0) writer.out.push(...constant(SLICE), ...setLocal(left));
  writer.write(0, body.instructions.length);
  return writer.out;
}

export const section = (id: number, content: readonly number[]): number[] => [
  id,
  ...unsigned(content.length),
  ...content,
];

export const vector = (items: readonly (readonly number[])[]): number[] => [...unsigned(items.length), ...items.flat()];

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
