/** Code blobs of this device, and the modules that they become for the buffers of a step. */
import { type GpuCode, type GpuHeader, wordName } from "../../../runtime/abi/gpu_code.ts";
import { FoveaError } from "../../../runtime/core/diagnostics.ts";
import { ELEMENT_BYTES, pieceFunctions, reachMemory } from "./pieces.ts";

export type { ArgumentKind, Element, GpuCode, GpuHeader } from "../../../runtime/abi/gpu_code.ts";
export { encodeCode } from "../../../runtime/abi/gpu_code.ts";
export { wordName };

/** Indices of the first grid item's word, of the end of the grid and of the slot of foreign code, behind the arguments'. */
export const gridWords = ({ args }: GpuHeader): readonly [number, number, number] => [
  args.length,
  args.length + 1,
  args.length + 2,
];

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

/** What a module is written for. */
export interface Seen {
  readonly sharing: Sharing;
  /** Pieces of each buffer that are bound; one of each where absent. */
  readonly pieces?: readonly number[];
  /** Launches are windows: those buffers' pieces are not all there. */
  readonly windowed?: readonly number[];
}

/** Tells what modules are written for apart. */
export const seenKey = ({ sharing, pieces, windowed }: Seen): string =>
  pieces === undefined ? sharing.join() : `${sharing.join()} in ${pieces.join()} of ${windowed?.join() ?? ""}`;

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

/** Words of a window behind those of the grid: items of a line, its first and its number of them, and the first pieces. */
export const windowWords = (code: GpuHeader): number => code.args.length + 3;

/** Which bindings there are, by buffer, and whether they are written. */
export function bindingsOf(
  code: GpuHeader,
  { sharing, pieces }: Seen,
): readonly { buffer: number; written: boolean }[] {
  const pointers = pointersOf(code);
  return Array.from({ length: Math.max(-1, ...sharing) + 1 }, (_, buffer) => {
    const written = pointers.some((at, i) => sharing[i] === buffer && code.args[at] === "write");
    return Array.from({ length: pieces?.[buffer] ?? 1 }, () => ({ buffer, written }));
  }).flat();
}

/** The whole module for pointers that see buffers so. */
export function moduleFor(code: GpuCode, seen: Seen, pieceBytes: number): string {
  const { sharing, pieces, windowed = [] } = seen;
  const bindings = bindingsOf(code, seen);
  const isMasked = windowed.length > 0 && code.windows !== undefined && "read" in code.windows;
  const isWhole = (buffer: number): boolean => (pieces?.[buffer] ?? 1) === 1 && !windowed.includes(buffer);
  const nameOf = (binding: number): string => {
    const { buffer } = bindings[binding];
    return isWhole(buffer) ? `m${buffer}` : `m${buffer}_${binding - bindings.findIndex((b) => b.buffer === buffer)}`;
  };
  const declarations = bindings.map(
    ({ written }, binding) =>
      `@group(0) @binding(${binding}) var<storage, ${written ? "read_write" : "read"}> ${nameOf(binding)}: array<${code.element}>;`,
  );
  const firstOf = windowWords(code) + 3;
  const functions = [...new Set(bindings.map(({ buffer }) => buffer))]
    .map((buffer) => ({ buffer, writable: bindings.some((b) => b.buffer === buffer && b.written) }))
    .filter(({ buffer, writable }) => !isWhole(buffer) || (isMasked && writable))
    .map(({ buffer, writable }) =>
      pieceFunctions({
        ...{ name: `m${buffer}`, element: code.element, entries: pieceBytes / ELEMENT_BYTES[code.element] },
        pieces: bindings.flatMap((b, binding) => (b.buffer === buffer ? [nameOf(binding)] : [])),
        ...(windowed.includes(buffer) ? { first: wordName(firstOf + windowed.indexOf(buffer)) } : {}),
        ...{ isWindow: isMasked && windowed.includes(buffer), writable, isMasked },
      }),
    );
  const words = Math.ceil((windowed.length > 0 ? firstOf + windowed.length : code.args.length + 3) / 4);
  const [first, end, slot] = gridWords(code).map(wordName);
  const status =
    code.sandbox === true
      ? [
          `@group(0) @binding(${bindings.length}) var<storage, read_write> fovea_status: array<atomic<u32>>;`,
          `fn fovea_slot() -> u32 { return ${slot}; }`,
        ]
      : [];
  const wordsAt = bindings.length + (code.sandbox === true ? 1 : 0);
  const body = reachMemory(code.wgsl, (pointer) => {
    const buffer = sharing[pointer];
    return { name: `m${buffer}`, reads: !isWhole(buffer), writes: !isWhole(buffer) || isMasked };
  });
  const [line, place, width] = [0, 1, 2].map((i) => wordName(windowWords(code) + i));
  const item = `${first} + group.x + group.y * groups.x`;
  return [
    ...(code.enables ?? []),
    ...declarations,
    `@group(0) @binding(${wordsAt}) var<uniform> W: array<vec4<u32>, ${words}>;`,
    ...(isMasked ? ["var<private> fovea_seen: bool = true;"] : []),
    ...functions,
    ...status,
    body,
    `@compute @workgroup_size(${code.workgroup})`,
    "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {",
    ...(windowed.length > 0
      ? [
          `  let own = ${item};`,
          `  if (own >= ${end}) { return; }`,
          `  let item = own / ${width} * ${line} + ${place} + own % ${width};`,
        ]
      : [`  let item = ${item};`, `  if (item >= ${end}) { return; }`]),
    "  run(item, lane);",
    "}",
    "",
  ].join("\n");
}
