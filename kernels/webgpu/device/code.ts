/**
 * Code blobs of this device: a line of JSON that says what the kernel takes, then WGSL. A pointer's memory is written `@0@`,
 * `@1@`, … in the order of the pointers; which of them are one buffer is known when a step is bound, and WebGPU wants one name
 * for one buffer then.
 */
import { FoveaError } from "../../../runtime/core/diagnostics.ts";

/** Types that a kernel may see memory as. */
export type Element = "f32" | "u32" | "vec2<u32>" | "vec4<u32>";

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
}

export interface GpuCode extends GpuHeader {
  readonly wgsl: string;
}

/** Name of an argument's word in WGSL: a size, or where a pointer begins in bytes. */
export const wordName = (index: number): string => `W[${index >> 2}u].${"xyzw"[index & 3]}`;

/** Index of the first grid item's word, and of the end of the grid, behind the arguments'. */
export const gridWords = ({ args }: GpuHeader): readonly [number, number] => [args.length, args.length + 1];

export function encodeCode({ wgsl, ...header }: GpuCode): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(header)}\n${wgsl}`);
}

/** @throws FoveaError `invalid_code` */
export function decodeCode(digest: string, bytes: Uint8Array): GpuCode {
  const text = new TextDecoder().decode(bytes);
  const end = text.indexOf("\n");
  try {
    return { ...(JSON.parse(text.slice(0, end)) as GpuHeader), wgsl: text.slice(end + 1) };
  } catch (cause) {
    throw new FoveaError("invalid_code", `The code blob ${digest} is none of the device "webgpu".`, { cause });
  }
}

/** Which buffer each pointer is: equal numbers are one buffer, counted in the order of their first pointers. */
export type Sharing = readonly number[];

/** The pointers' positions among the arguments. */
export const pointersOf = ({ args }: GpuHeader): readonly number[] =>
  args.flatMap((kind, i) => (kind === "word" ? [] : [i]));

/** Sharing in programs: values lie in one arena, and each weight in a buffer of its own. */
export function usualSharing(code: GpuHeader): Sharing {
  let buffers = 0;
  let arena: number | undefined;
  return pointersOf(code).map((at) => {
    if (code.args[at] === "weight") return buffers++;
    arena ??= buffers++;
    return arena;
  });
}

/** The whole module for pointers that share buffers so. */
export function moduleFor(code: GpuCode, sharing: Sharing): string {
  const pointers = pointersOf(code);
  const buffers = Math.max(-1, ...sharing) + 1;
  const declarations = Array.from({ length: buffers }, (_, buffer) => {
    const written = pointers.some((at, i) => sharing[i] === buffer && code.args[at] === "write");
    return `@group(0) @binding(${buffer}) var<storage, ${written ? "read_write" : "read"}> m${buffer}: array<${code.element}>;`;
  });
  const words = Math.ceil((code.args.length + 2) / 4);
  const [first, end] = gridWords(code).map(wordName);
  const body = code.wgsl.replaceAll(/@(\d+)@/g, (_, pointer: string) => `m${sharing[Number(pointer)]}`);
  return [
    ...(code.enables ?? []),
    ...declarations,
    `@group(1) @binding(0) var<uniform> W: array<vec4<u32>, ${words}>;`,
    body,
    `@compute @workgroup_size(${code.workgroup})`,
    "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {",
    `  let item = ${first} + group.x + group.y * groups.x;`,
    `  if (item >= ${end}) { return; }`,
    "  run(item, lane);",
    "}",
    "",
  ].join("\n");
}
