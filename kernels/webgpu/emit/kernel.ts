/** Building blocks of WGSL kernels: arguments by name, memory as f32 or as words. */
import { internal } from "../../../runtime/core/diagnostics.ts";
import { type ArgumentKind, encodeCode, wordName } from "../device/code.ts";

export interface KernelArgument {
  readonly name: string;
  readonly kind: ArgumentKind;
}

export const pointer = (name: string, kind: Exclude<ArgumentKind, "word">): KernelArgument => ({ name, kind });
export const words = (...names: readonly string[]): readonly KernelArgument[] =>
  names.map((name) => ({ name, kind: "word" }));

/** How WGSL refers to the arguments of a kernel. */
export interface KernelScope {
  /** A word argument, u32. */
  word(name: string): string;
  /** Element of a pointer's memory, `index` in elements from where the pointer is. */
  at(name: string, index: string): string;
  /** A byte of a pointer's memory, which is seen as u32; `index` in bytes from where the pointer is. */
  byte(name: string, index: string): string;
}

export interface KernelText {
  /** What the kernel computes, for people. */
  readonly name: string;
  readonly args: readonly KernelArgument[];
  /** What all memory of the kernel is seen as. */
  readonly element: "f32" | "u32";
  /** Invocations of a workgroup. */
  readonly workgroup: number;
  /** Module scope, then `fn run(item: u32, lane: u32)`. */
  readonly write: (scope: KernelScope) => string;
}

/** The code blob of a kernel. */
export function gpuKernel({ name: kernel, args, element, workgroup, write }: KernelText): Uint8Array {
  const pointers = args.filter(({ kind }) => kind !== "word").map(({ name }) => name);
  const indexOf = (name: string): number => args.findIndex((a) => a.name === name);
  const word = (name: string): string => wordName(indexOf(name));
  const memory = (name: string): string => `@${pointers.indexOf(name)}@`;
  const scope: KernelScope = {
    word,
    at: (name, index) => `${memory(name)}[(${word(name)} >> 2u) + ${index}]`,
    byte: (name, index) => {
      const at = `(${word(name)} + ${index})`;
      return `((${memory(name)}[${at} >> 2u] >> (8u * (${at} & 3u))) & 255u)`;
    },
  };
  const wgsl = `${write(scope).trim()}\n`;
  return encodeCode({ name: kernel, args: args.map(({ kind }) => kind), element, workgroup, wgsl });
}

/** Below all that is computed: WGSL has no spelling for an infinity. */
export const LOWEST = "-3.4028234e38f";

/** An f32 as a WGSL literal; infinities become the largest number, NaN cannot be told. */
export function f32(value: number): string {
  if (Number.isNaN(value)) internal("WGSL has no NaN");
  if (!Number.isFinite(value)) return value > 0 ? LOWEST.slice(1) : LOWEST;
  const text = String(Math.fround(value));
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}
