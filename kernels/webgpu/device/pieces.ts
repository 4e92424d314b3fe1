/**
 * Memory that is larger than what a shader sees of one buffer lies in several, the pieces, all of one size but the last. Modules
 * reach it through functions that find an entry's piece; other memory is an array, as ever.
 */
import type { Element } from "../../../runtime/abi/gpu_code.ts";
import { internal } from "../../../runtime/core/diagnostics.ts";

/** Pieces begin at multiples of so many bytes: of entries of every element, and of what copies and bindings want. */
const PIECE_ALIGNMENT = 256;

/** Indices of numbers of two bytes, u32, reach so far. */
export const MOST_BYTES: number = 2 ** 33;

/** Bytes of a piece: the most that one buffer holds and kernels see whole. */
export const pieceBytesOf = ({ limits }: GPUDevice): number => {
  const most = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
  return most - (most % PIECE_ALIGNMENT);
};

/** Calls `each` with the parts of a stretch of bytes: which piece, and from where in it and in the stretch. */
export function eachPart(
  pieceBytes: number,
  offset: number,
  bytes: number,
  each: (piece: number, at: number, from: number, end: number) => void,
): void {
  for (let from = 0; from < bytes; ) {
    const at = (offset + from) % pieceBytes;
    const end = Math.min(bytes, from + pieceBytes - at);
    each(Math.floor((offset + from) / pieceBytes), at, from, end);
    from = end;
  }
}

export const ELEMENT_BYTES: Readonly<Record<Element, number>> = {
  f32: 4,
  u32: 4,
  "vec2<u32>": 8,
  "vec4<f32>": 16,
  "vec4<u32>": 16,
};

/** How a module reaches one memory. */
export interface Reached {
  /** Of the variable, or the beginning of its pieces' names. */
  readonly name: string;
  /** It is read through a function. */
  readonly reads: boolean;
  /** It is written through a function. */
  readonly writes: boolean;
}

/** Where the bracket that opens at `from` closes. */
function closing(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === "[") depth++;
    if (text[at] === "]" && --depth === 0) return at;
  }
  return internal("WGSL of a kernel leaves a bracket open");
}

/** Replaces `@0@[index]` and `@0@[index] = value;` by how the pointer's memory is reached. */
export function reachMemory(wgsl: string, reachedOf: (pointer: number) => Reached): string {
  let text = "";
  let rest = wgsl;
  for (;;) {
    const found = /@(\d+)@/.exec(rest);
    if (found === null) return text + rest;
    const { name, reads, writes } = reachedOf(Number(found[1]));
    const open = found.index + found[0].length;
    const close = closing(rest, open);
    const index = reachMemory(rest.slice(open + 1, close), reachedOf);
    text += rest.slice(0, found.index);
    rest = rest.slice(close + 1);
    const store = /^ = ([^;]*);/.exec(rest);
    if (store !== null && writes) {
      text += `write_${name}(${index}, ${reachMemory(store[1], reachedOf)});`;
      rest = rest.slice(store[0].length);
    } else text += reads && store === null ? `read_${name}(${index})` : `${name}[${index}]`;
  }
}

export interface PieceFunctions {
  readonly name: string;
  readonly element: Element;
  /** Entries of a piece. */
  readonly entries: number;
  /** Names of the pieces that are bound. */
  readonly pieces: readonly string[];
  /** WGSL: the first piece that is bound. */
  readonly first?: string;
  /** What reads behind or before the pieces is remembered as such. */
  readonly isWindow: boolean;
  readonly writable: boolean;
  /** Invocations that read elsewhere write nothing. */
  readonly isMasked: boolean;
}

/** WGSL functions that read and write one memory. */
export function pieceFunctions(memory: PieceFunctions): string {
  const { name, element, entries, pieces, first, isWindow, writable, isMasked } = memory;
  const own = first === undefined ? "let own = i;" : `let own = i - ${first} * ${entries}u;`;
  const places = pieces.map((piece, p) => ({
    when: p === pieces.length - 1 ? "" : `if (own < ${(p + 1) * entries}u) `,
    place: `${piece}[own - ${p * entries}u]`,
  }));
  const guard = isWindow ? `if (own >= ${pieces.length * entries}u) { fovea_seen = false; return ${element}(); }` : "";
  return [
    `fn read_${name}(i: u32) -> ${element} { ${own} ${guard} ${places.map(({ when, place }) => `${when}{ return ${place}; }`).join(" ")} }`,
    ...(writable
      ? [
          `fn write_${name}(i: u32, value: ${element}) { ${isMasked ? "if (!fovea_seen) { return; } " : ""}${own} ${places.map(({ when, place }) => `${when}{ ${place} = value; return; }`).join(" ")} }`,
        ]
      : []),
  ].join("\n");
}
