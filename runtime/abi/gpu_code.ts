/**
 * Code blobs of the device "webgpu": a line of JSON that says what the kernel takes, then WGSL with module scope and
 * `fn run(item: u32, lane: u32)`. A pointer's memory is written `@0@`, `@1@`, … in the order of the pointers; which of them are
 * one buffer is known when a step is bound, and WebGPU wants one name for one buffer then.
 */

/** Types that a kernel may see memory as. */
export type Element = "f32" | "u32" | "vec4<f32>" | "vec2<u32>" | "vec4<u32>";

export type ArgumentKind = "read" | "write" | "weight" | "word";

export interface GpuHeader {
  /** What the kernel computes, for people. */
  readonly name: string;
  /** Entries of `args` in order: memory that is read or written, a weight, or a word. */
  readonly args: readonly ArgumentKind[];
  /** What all memory of the kernel is seen as. */
  readonly element: Element;
  /** Invocations of a workgroup. */
  readonly workgroup: number;
  /** Extensions of WGSL that it needs; none where absent. */
  readonly enables?: readonly string[];
  /**
   * True for code from anyone, which was rewritten to stay inside of its operands: the device declares `fovea_status`, atomic
   * words, and `fovea_slot()`, the one where this kernel leaves why it was stopped: a position in {@link STOPS}.
   */
  readonly sandbox?: true;
  /** How a launch may be dealt out where a shader cannot see all pieces of a large weight at once. */
  readonly windows?: LineWindows | ReadWindows;
}

/**
 * Items lie in lines, such as the panels of a product's columns: those at one place of their line read one stretch of a weight.
 * A launch may be several, each over some places of all lines. Numbers are positions in `args` unless said otherwise.
 */
export interface LineWindows {
  /** The word that is the units of a line, such as columns. */
  readonly units: number;
  /** Units of an item; not a position. */
  readonly each: number;
  readonly spans: readonly LineSpan[];
}

/** Of a pointer's memory, unit `u` sees what begins `u * step * bytes` behind the pointer, and as many bytes. */
export interface LineSpan {
  readonly pointer: number;
  /** The word that is the elements of a unit; one where absent. */
  readonly step?: number;
  /** Bytes of an element; not a position. */
  readonly bytes: number;
  /** A word that must be 0: elements from batch to batch. */
  readonly batch?: number;
}

/**
 * An invocation reads one entry of a pointer's memory and then writes one: a launch may be several over all items, each with some
 * pieces, in which what reads others writes nothing.
 */
export interface ReadWindows {
  /** Position of the pointer in `args`. */
  readonly read: number;
}

/** Why code from anyone was stopped, as the end of a sentence; 0 for what was not. */
export const STOPS: readonly string[] = [
  "it was not stopped",
  "it was stopped after the turns of loops that its declared work allows; it may hold a loop without an end",
  "it wrote outside of its result",
];

export interface GpuCode extends GpuHeader {
  readonly wgsl: string;
}

/** Name of an argument's word in WGSL: a size, or where a pointer begins in bytes. */
export const wordName = (index: number): string => `W[${index >> 2}u].${"xyzw"[index & 3]}`;

export function encodeCode({ wgsl, ...header }: GpuCode): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(header)}\n${wgsl}`);
}
