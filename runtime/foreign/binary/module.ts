/** A WebAssembly module taken apart as far as checking and rewriting need it. The engine has validated its types before. */
import { type Feature, featureOf, type Instruction, readInstruction } from "./opcodes.ts";
import { Reader, type Refuse } from "./reader.ts";

export type ExternalKind = "function" | "table" | "memory" | "global";

const KINDS: readonly ExternalKind[] = ["function", "table", "memory", "global"];

export interface FunctionType {
  /** Value types as bytes. */
  readonly parameters: readonly number[];
  readonly results: readonly number[];
}

export interface Limits {
  readonly shared: boolean;
  readonly min: number;
  readonly max: number | undefined;
}

export interface GlobalType {
  readonly type: number;
  readonly mutable: boolean;
}

export interface Import {
  readonly module: string;
  readonly name: string;
  readonly kind: ExternalKind;
  readonly limits?: Limits;
  readonly global?: GlobalType;
  /** Of a function: its type by index. */
  readonly type?: number;
  /** Of a table: its type's bytes, which may stand in the table section as they are. */
  readonly bytes?: Uint8Array;
}

/** A constant expression: its bytes without the closing `end`, and its value where it is one number. */
export interface Constant {
  readonly bytes: Uint8Array;
  readonly value: number | undefined;
}

export interface Global extends GlobalType {
  readonly initial: Constant;
}

export interface Export {
  readonly name: string;
  readonly kind: ExternalKind;
  readonly index: number;
}

/** Bytes that are there from the start; passive ones, which code copies itself, have no offset. */
export interface DataSegment {
  readonly offset: Constant | undefined;
  readonly size: number;
}

export interface FunctionBody {
  /** Type by index. */
  readonly type: number;
  /** Local declarations as they are: groups of a count and a type. */
  readonly locals: readonly { readonly count: number; readonly type: number }[];
  readonly instructions: readonly Instruction[];
  /** First byte of the code, behind the declarations, and the byte behind its last `end`. */
  readonly from: number;
  readonly to: number;
}

export interface Module {
  readonly bytes: Uint8Array;
  readonly types: readonly FunctionType[];
  readonly imports: readonly Import[];
  readonly globals: readonly Global[];
  readonly exports: readonly Export[];
  readonly data: readonly DataSegment[];
  readonly functions: readonly FunctionBody[];
  /** Memories of its own. */
  readonly memories: readonly Limits[];
  /** True where it has a start function. */
  readonly starts: boolean;
  /** Contents of sections by number, of those that are kept as they are. */
  readonly sections: ReadonlyMap<number, Uint8Array>;
  readonly features: ReadonlySet<Feature>;
}

/** The order in which sections must stand. */
const ORDER = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];

export const SECTION = {
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
} as const;

/** Functions of one module, and instructions of all of them: more is no kernel. */
const MOST_FUNCTIONS = 4096;
const MOST_INSTRUCTIONS = 1_000_000;
const MOST_LOCALS = 10_000;

function list<T>(r: Reader, read: (r: Reader) => T): T[] {
  // Every item takes a byte at least, so that a large count ends soon.
  return Array.from({ length: Math.min(r.u32(), r.end - r.at + 1) }, () => read(r));
}

function functionType(r: Reader): FunctionType {
  const form = r.byte();
  if (form !== 0x60)
    r.refuse(`its types hold one of form ${form}; kernels use functions of numbers and vectors alone.`);
  return { parameters: list(r, (x) => x.byte()), results: list(r, (x) => x.byte()) };
}

function limits(r: Reader): Limits {
  const flags = r.byte();
  if (flags > 3) r.refuse(`a memory or table has limits of kind ${flags}; kernels have 32-bit memory.`);
  const min = r.u32();
  return { shared: (flags & 2) !== 0, min, max: (flags & 1) === 0 ? undefined : r.u32() };
}

const globalType = (r: Reader): GlobalType => ({ type: r.byte(), mutable: r.byte() === 1 });

function imported(r: Reader): Import {
  const [module, name] = [r.text(), r.text()];
  const kind =
    KINDS[r.byte()] ?? r.refuse(`it imports "${module}.${name}", which is no function, table, memory or global.`);
  const from = r.at;
  if (kind === "function") return { module, name, kind, type: r.u32() };
  if (kind === "table") {
    r.byte();
    limits(r);
    return { module, name, kind, bytes: r.bytes.slice(from, r.at) };
  }
  if (kind === "memory") return { module, name, kind, limits: limits(r) };
  return kind === "global" ? { module, name, kind, global: globalType(r) } : { module, name, kind };
}

function constant(r: Reader): Constant {
  const from = r.at;
  const first = r.bytes[from];
  let value: number | undefined;
  let instructions = 0;
  for (;;) {
    const { op, at } = readInstruction(r);
    if (op === 0x0b) {
      if (instructions !== 1 || first !== 0x41) value = undefined;
      return { bytes: r.bytes.slice(from, at), value };
    }
    instructions++;
    if (op === 0x41) value = new Reader(r.bytes, r.refuse, at + 1).signed(32);
  }
}

const KIND_OF_EXPORT = (r: Reader): Export => {
  const name = r.text();
  const kind = KINDS[r.byte()] ?? r.refuse(`it exports "${name}", which is no function, table, memory or global.`);
  return { name, kind, index: r.u32() };
};

function dataSegment(r: Reader): DataSegment {
  const flags = r.u32();
  if (flags > 1) r.refuse(`a data segment has flags ${flags}; kernels have one memory.`);
  const offset = flags === 0 ? constant(r) : undefined;
  const size = r.u32();
  r.skip(size);
  return { offset, size };
}

function functionBody(r: Reader, type: number, features: Set<Feature>, grows: boolean): FunctionBody {
  const locals = list(r, (x) => ({ count: x.u32(), type: x.byte() }));
  if (locals.reduce((n, l) => n + l.count, 0) > MOST_LOCALS)
    r.refuse("a function has more locals than any kernel needs.");
  const from = r.at;
  const instructions: Instruction[] = [];
  while (!r.done) {
    const instruction = readInstruction(r, grows);
    instructions.push(instruction);
    const feature = featureOf(instruction.op);
    if (feature !== undefined) features.add(feature);
  }
  return { type, locals, instructions, from, to: r.at };
}

/**
 * Takes a module apart. Refuses what it cannot read, unknown instructions and sections among it.
 * @param grows true where its memory is its own, so that it may grow
 */
export function parseModule(bytes: Uint8Array, refuse: Refuse, grows: boolean = false): Module {
  const r = new Reader(bytes, refuse);
  const magic = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  if (bytes.length < 8 || magic.some((b, i) => bytes[i] !== b)) {
    const component = bytes.length >= 8 && bytes[4] === 0x0d;
    refuse(
      component ? 'it is a component; its description says `"form": "component"`.' : "it is no WebAssembly module.",
    );
  }
  r.skip(8);
  const sections = new Map<number, Reader>();
  let last = -1;
  while (!r.done) {
    const id = r.byte();
    const content = r.part(r.u32());
    if (id === 0) continue;
    const position = ORDER.indexOf(id);
    if (position < 0) refuse(`it has a section ${id}${id === 13 ? " (exceptions)" : ""}, which kernels do not have.`);
    if (position <= last) refuse(`its section ${id} stands twice or out of order.`);
    last = position;
    sections.set(id, content);
  }
  const kept = new Map([...sections].map(([id, s]) => [id, bytes.slice(s.at, s.end)]));
  const items = <T>(id: number, read: (r: Reader) => T): T[] => {
    const content = sections.get(id);
    if (content === undefined) return [];
    const found = list(content, read);
    if (!content.done) refuse(`its section ${id} is longer than what it holds.`);
    return found;
  };
  const features = new Set<Feature>();
  const types = items(SECTION.type, functionType);
  const imports = items(SECTION.import, imported);
  const typeOf = items(SECTION.function, (x) => x.u32());
  if (typeOf.length > MOST_FUNCTIONS) refuse(`it has ${typeOf.length} functions, more than ${MOST_FUNCTIONS}.`);
  const globals = items(SECTION.global, (x) => ({ ...globalType(x), initial: constant(x) }));
  const exports = items(SECTION.export, KIND_OF_EXPORT);
  let total = 0;
  let next = 0;
  const functions = items(SECTION.code, (x) => {
    const body = functionBody(x.part(x.u32()), typeOf[next++], features, grows);
    total += body.instructions.length;
    if (total > MOST_INSTRUCTIONS) refuse(`it has more than ${MOST_INSTRUCTIONS} instructions.`);
    return body;
  });
  if (functions.length !== typeOf.length) refuse("it declares more functions than it holds, or fewer.");
  return {
    bytes,
    types,
    imports,
    globals,
    exports,
    data: items(SECTION.data, dataSegment),
    functions,
    memories: items(SECTION.memory, limits),
    starts: sections.has(8),
    sections: kept,
    features,
  };
}
