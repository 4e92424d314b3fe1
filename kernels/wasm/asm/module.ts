/** One-function modules: import the memory `e.m`, export `f(args, begin, end, scratch)`. */
import { type Code, type Immediate, type Local, unsigned, type ValueType } from "./code.ts";

/** Names of locals of one kernel while it is written. */
export interface KernelFrame {
  /** Address of the argument table, 32-bit words. */
  readonly args: Local;
  /** First grid item. */
  readonly begin: Local;
  /** End of the grid items, exclusive. */
  readonly end: Local;
  /** Address of the worker's private scratch. */
  readonly scratch: Local;
  local(type: ValueType): Local;
  /** `count` locals of one type. */
  locals(type: ValueType, count: number): readonly Local[];
}

/** Position of a constant inside a module's bytes. */
export interface ConstantSite {
  readonly kind: Immediate["kind"];
  readonly at: number;
  readonly length: number;
}

export interface KernelModule {
  readonly bytes: Uint8Array;
  /** Every immediate of the function's body, in order. */
  readonly constants: readonly ConstantSite[];
}

const TYPE_BYTES: Readonly<Record<ValueType, number>> = { i32: 0x7f, f32: 0x7d, v128: 0x7b };
const PARAMETERS = 4;
/** 4 GiB, so that every memory of the device links. */
const MAX_PAGES = 65536;

const text = (s: string): number[] => [s.length, ...[...s].map((c) => c.charCodeAt(0))];

const section = (id: number, bytes: readonly number[]): number[] => [id, ...unsigned(bytes.length), ...bytes];

/** Bytes that grow. */
class Bytes {
  #data = new Uint8Array(1 << 12);
  length = 0;

  push(byte: number): void {
    if (this.length === this.#data.length) this.#grow(1);
    this.#data[this.length++] = byte;
  }

  append(bytes: ArrayLike<number>): void {
    if (this.length + bytes.length > this.#data.length) this.#grow(bytes.length);
    for (let i = 0; i < bytes.length; i++) this.#data[this.length + i] = bytes[i];
    this.length += bytes.length;
  }

  #grow(by: number): void {
    const larger = new Uint8Array(2 * Math.max(this.#data.length, this.length + by));
    larger.set(this.#data);
    this.#data = larger;
  }

  view(): Uint8Array {
    return this.#data.subarray(0, this.length);
  }
}

function flatten(code: Code, bytes: Bytes, constants: ConstantSite[]): void {
  for (let i = 0; i < code.length; i++) {
    const part = code[i];
    if (typeof part === "number") bytes.push(part);
    else if (Array.isArray(part)) flatten(part, bytes, constants);
    else {
      const immediate = part as Immediate;
      constants.push({ kind: immediate.kind, at: bytes.length, length: immediate.bytes.length });
      bytes.append(immediate.bytes);
    }
  }
}

/** Runs of equal types, as the format wants declarations. */
function localDeclarations(types: readonly ValueType[]): number[] {
  const runs: { type: ValueType; count: number }[] = [];
  for (const type of types) {
    const last = runs[runs.length - 1];
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  return [...unsigned(runs.length), ...runs.flatMap((r) => [...unsigned(r.count), TYPE_BYTES[r.type]])];
}

/** Builds a kernel module; `write` declares locals on the frame and returns the body. */
export function kernelModule(write: (frame: KernelFrame) => Code): KernelModule {
  const types: ValueType[] = [];
  const local = (type: ValueType): Local => {
    types.push(type);
    return { index: PARAMETERS + types.length - 1, type };
  };
  const parameter = (index: number): Local => ({ index, type: "i32" });
  const code = write({
    args: parameter(0),
    begin: parameter(1),
    end: parameter(2),
    scratch: parameter(3),
    local,
    locals: (type, count) => Array.from({ length: count }, () => local(type)),
  });
  const body = new Bytes();
  const found: ConstantSite[] = [];
  flatten(code, body, found);
  const declarations = localDeclarations(types);
  const functionSize = unsigned(declarations.length + body.length + 1);
  const head = [
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [1, 0x60, PARAMETERS, 0x7f, 0x7f, 0x7f, 0x7f, 0]),
    ...section(2, [1, ...text("e"), ...text("m"), 0x02, 0x01, 1, ...unsigned(MAX_PAGES)]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...text("f"), 0x00, 0]),
    0x0a,
    ...unsigned(1 + functionSize.length + declarations.length + body.length + 1),
    1,
    ...functionSize,
    ...declarations,
  ];
  const bytes = new Uint8Array(head.length + body.length + 1);
  bytes.set(head);
  bytes.set(body.view(), head.length);
  bytes[bytes.length - 1] = 0x0b;
  return { bytes, constants: found.map((c) => ({ ...c, at: c.at + head.length })) };
}
