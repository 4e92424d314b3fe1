/** Building blocks of WGSL kernels: arguments by name, memory as f32 or as words. */
import { internal } from "../../../runtime/core/diagnostics.ts";
import { type ArgumentKind, type Element, encodeCode, type GpuHeader, wordName } from "../device/code.ts";

/** How a pointer's memory is used, and whether its numbers are f16: two of them are a word then. */
export type Memory = Exclude<ArgumentKind, "word"> | `${Exclude<ArgumentKind, "word">}16`;

export const isHalf = (kind: Memory): boolean => kind.endsWith("16");

export interface KernelArgument {
  readonly name: string;
  readonly kind: ArgumentKind;
  /** Its memory holds f16. */
  readonly half?: boolean;
}

export const pointer = (name: string, kind: Memory): KernelArgument =>
  isHalf(kind) ? { name, kind: kind.slice(0, -2) as ArgumentKind, half: true } : { name, kind: kind as ArgumentKind };
export const words = (...names: readonly string[]): readonly KernelArgument[] =>
  names.map((name) => ({ name, kind: "word" }));

/** How WGSL refers to the arguments of a kernel. */
export interface KernelScope {
  /** A word argument, u32. */
  word(name: string): string;
  /** Word of a pointer's memory, `index` in words from where the pointer is. */
  at(name: string, index: string): string;
  /** The number at `index`, f32. */
  load(name: string, index: string): string;
  /** Four neighbours as `vec4<f32>`; of f16, `index` is a multiple of 2. */
  load4(name: string, index: string): string;
  /** Statement that writes a number of a pointer to f32. */
  store(name: string, index: string, value: string): string;
  /** Statement that writes two neighbours from an even `index` on, to a pointer to either type. */
  storePair(name: string, index: string, first: string, second: string): string;
  /** A pointer's memory as it is declared. */
  memory(name: string): string;
  /** A byte of a pointer's memory, which is seen as u32; `index` in bytes from where the pointer is. */
  byte(name: string, index: string): string;
}

export interface KernelText {
  /** What the kernel computes, for people. */
  readonly name: string;
  readonly args: readonly KernelArgument[];
  /** What all memory of the kernel is seen as; words where some of it holds f16, unless given otherwise. */
  readonly element: Element;
  /** Invocations of a workgroup. */
  readonly workgroup: number;
  /** Module scope, then `fn run(item: u32, lane: u32)`. */
  readonly write: (scope: KernelScope) => string;
  /** Extensions of WGSL that it needs. */
  readonly enables?: readonly string[];
  /** How launches are dealt out over pieces of large weights, by names of arguments; f16 have two bytes. */
  readonly windows?: NamedLines | { readonly read: string };
}

export interface NamedLines {
  readonly units: string;
  readonly each: number;
  readonly spans: readonly {
    readonly pointer: string;
    readonly step?: string;
    readonly batch?: string;
    readonly bytes: number;
  }[];
}

/** The code blob of a kernel. */
export function gpuKernel({ name: kernel, args, workgroup, write, enables, windows, ...text }: KernelText): Uint8Array {
  const isWords = text.element === "f32" && args.some(({ half }) => half === true);
  const element = isWords ? "u32" : text.element;
  const pointers = args.filter(({ kind }) => kind !== "word").map(({ name }) => name);
  const indexOf = (name: string): number => args.findIndex((a) => a.name === name);
  const word = (name: string): string => wordName(indexOf(name));
  const memory = (name: string): string => `@${pointers.indexOf(name)}@`;
  const at = (name: string, index: string): string => `${memory(name)}[(${word(name)} >> 2u) + ${index}]`;
  const isHalfMemory = (name: string): boolean => args[indexOf(name)].half === true;
  const load = (name: string, index: string): string => {
    if (!isHalfMemory(name)) return isWords ? `bitcast<f32>(${at(name, index)})` : at(name, index);
    const place = `((${word(name)} >> 1u) + ${index})`;
    return `unpack2x16float(${memory(name)}[${place} >> 1u])[${place} & 1u]`;
  };
  const store = (name: string, index: string, value: string): string =>
    `${at(name, index)} = ${isWords ? `bitcast<u32>(${value})` : value};`;
  const scope: KernelScope = {
    word,
    at,
    load,
    load4: (name, index) => {
      if (!isHalfMemory(name))
        return `vec4<f32>(${[0, 1, 2, 3].map((i) => load(name, `${index} + ${i}u`)).join(", ")})`;
      const half = (i: number): string => `unpack2x16float(${at(name, `((${index}) >> 1u) + ${i}u`)})`;
      return `vec4<f32>(${half(0)}, ${half(1)})`;
    },
    store,
    storePair: (name, index, first, second) =>
      isHalfMemory(name)
        ? `${at(name, `((${index}) >> 1u)`)} = pack2x16float(vec2<f32>(${first}, ${second}));`
        : `${store(name, index, first)} ${store(name, `${index} + 1u`, second)}`,
    memory,
    byte: (name, index) => {
      const at = `(${word(name)} + ${index})`;
      return `((${memory(name)}[${at} >> 2u] >> (8u * (${at} & 3u))) & 255u)`;
    },
  };
  const wgsl = `${write(scope).trim()}\n`;
  const header = { name: kernel, args: args.map(({ kind }) => kind), element, workgroup };
  return encodeCode({
    ...header,
    ...(enables === undefined ? {} : { enables }),
    ...(windows === undefined ? {} : { windows: placedWindows(windows, indexOf) }),
    wgsl,
  });
}

/** Windows by positions of arguments. */
function placedWindows(
  windows: NonNullable<KernelText["windows"]>,
  indexOf: (name: string) => number,
): NonNullable<GpuHeader["windows"]> {
  if ("read" in windows) return { read: indexOf(windows.read) };
  const spans = windows.spans.map(({ pointer: name, step, batch, bytes }) => ({
    pointer: indexOf(name),
    ...(step === undefined ? {} : { step: indexOf(step) }),
    ...(batch === undefined ? {} : { batch: indexOf(batch) }),
    bytes,
  }));
  return { units: indexOf(windows.units), each: windows.each, spans };
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
