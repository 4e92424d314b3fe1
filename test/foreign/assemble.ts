/** Plugins of foreign kernels assembled by hand, so that tests need no compiler. */
import { type Code, type Local, unsigned } from "../../kernels/wasm/asm/code.ts";
import { type Sandbox, withSandbox } from "../../runtime/abi/sandbox.ts";
import { digestBytes } from "../../runtime/core/digest.ts";
import { parseModule } from "../../runtime/foreign/binary/module.ts";
import { refuserOf } from "../../runtime/foreign/binary/reader.ts";
import { instrument } from "../../runtime/foreign/instrument.ts";

const text = (s: string): number[] => [s.length, ...[...s].map((c) => c.charCodeAt(0))];
const section = (id: number, bytes: readonly number[]): number[] => [id, ...unsigned(bytes.length), ...bytes];

/** Bytes of nested code. */
export function flat(code: Code): number[] {
  return code.flatMap((part): number[] => {
    if (typeof part === "number") return [part];
    return Array.isArray(part) ? flat(part) : [...(part as { readonly bytes: readonly number[] }).bytes];
  });
}

export interface ModuleParts {
  /** Instructions of the entry: an i32 (the table's address, local 0) to an i32 (the status). */
  readonly code: Code;
  /** Locals beside the parameter: i32, then f32, then v128. */
  readonly locals?: readonly [number, number, number];
  /** Imports instead of the memory alone, as bytes. */
  readonly imports?: readonly (readonly number[])[];
  /** Exports beside `run`, as bytes. */
  readonly exports?: readonly (readonly number[])[];
  /** Whole sections by number, put where they belong. */
  readonly sections?: Readonly<Record<number, readonly number[]>>;
  /** Bodies of functions beside the entry (0), of the same type. */
  readonly more?: readonly Code[];
}

export const MEMORY_IMPORT: readonly number[] = [...text("env"), ...text("memory"), 2, 0, 1];

export const functionImport = (module: string, name: string): number[] => [...text(module), ...text(name), 0, 0];

export const i32At = (index: number): Local => ({ index, type: "i32" });
export const f32At = (index: number): Local => ({ index, type: "f32" });

/** A module with the memory `env.memory` and an entry `run`. */
export function moduleBytes(parts: ModuleParts): Uint8Array {
  const { code, locals = [4, 4, 2], imports = [MEMORY_IMPORT], exports = [], sections = {}, more = [] } = parts;
  const types = [0x7f, 0x7d, 0x7b];
  const groups = locals.flatMap((count, i) => (count === 0 ? [] : [[...unsigned(count), types[i]]]));
  const functions = imports.filter((i) => i[i[0] + i[i[0] + 1] + 2] === 0).length;
  const body = (one: Code): number[] => {
    const bytes = [groups.length, ...groups.flat(), ...flat(one), 0x0b];
    return [...unsigned(bytes.length), ...bytes];
  };
  const all: Record<number, readonly number[]> = {
    1: [1, 0x60, 1, 0x7f, 1, 0x7f],
    2: [imports.length, ...imports.flat()],
    3: [1 + more.length, ...Array<number>(1 + more.length).fill(0)],
    7: [1 + exports.length, ...text("run"), 0, functions, ...exports.flat()],
    10: [1 + more.length, ...body(code), ...more.flatMap(body)],
    ...sections,
  };
  const order = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11, 13];
  const content = order.flatMap((id) => (id in all ? section(id, all[id]) : []));
  return Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...content]);
}

/** How a device runs modules of two operands of rows: how many there are, and their width. */
export function rowsSandbox(memory: Sandbox["memory"]): Sandbox {
  const rows = { kind: "pointer", split: true, dtype: "f32", weight: false } as const;
  return {
    memory,
    reserved: 0,
    arguments: [
      { ...rows, mode: "write" },
      { ...rows, mode: "read" },
      { kind: "count" },
      { kind: "word", isAttribute: false },
    ],
  };
}

/** A module as a device gets it. */
export function emittedCode(module: Uint8Array): Uint8Array {
  const rewritten = instrument(parseModule(module, refuserOf("a module")), { entry: "run", reserved: 0 });
  return withSandbox(rewritten, rowsSandbox("own"));
}

/** Description of a kernel that squares: `mul(x, x)`, rows over the grid. */
export const SQUARE: Readonly<Record<string, unknown>> = {
  name: "square",
  entry: "run",
  pattern: { op: "mul", inputs: ["x", "x"] },
  operands: { x: { shape: ["...rows", "width"] } },
  output: ["...rows", "width"],
  grid: "rows",
  arguments: ["output", "x", "rows", "width"],
  flops: "rows * width",
};

/** Files of a plugin with one build. */
export function pluginFiles(
  module: Uint8Array,
  kernel: object = SQUARE,
  more: object = {},
): ReadonlyMap<string, Uint8Array> {
  const manifest = {
    name: "@test/foreign",
    version: "1.0.0",
    abi: 1,
    form: "wasm",
    memory: { reserved: 0 },
    builds: [{ features: ["simd128"], file: "kernel.wasm", sha256: digestBytes(module) }],
    kernels: [kernel],
    ...more,
  };
  return new Map([
    ["plugin.json", new TextEncoder().encode(JSON.stringify(manifest))],
    ["kernel.wasm", module],
  ]);
}

/** A module as a device gets it, but with nothing counted: what it does without an end is seen by nobody. */
export function uncountedModule(code: Code): Uint8Array {
  const body = [3, ...[4, 0x7f], ...[4, 0x7d], ...[2, 0x7b], ...flat(code), 0x0b];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, 0x7f, 1, 0x7f]),
    ...section(2, [1, ...text("e"), ...text("m"), 2, 1, 1, ...unsigned(65536)]),
    ...section(3, [1, 0]),
    ...section(6, [1, 0x7f, 1, 0x41, 0, 0x0b]),
    ...section(7, [2, ...text("f"), 0, 0, ...text("fuel"), 3, 0]),
    ...section(10, [1, ...unsigned(body.length), ...body]),
  ]);
}
