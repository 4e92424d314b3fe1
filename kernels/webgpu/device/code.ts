/** Code blobs of this device, and the modules that they become for the buffers of a step. */
import { type GpuCode, type GpuHeader, wordName } from "../../../runtime/abi/gpu_code.ts";
import { FoveaError } from "../../../runtime/core/diagnostics.ts";

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
  const words = Math.ceil((code.args.length + 3) / 4);
  const [first, end, slot] = gridWords(code).map(wordName);
  const status =
    code.sandbox === true
      ? [
          `@group(0) @binding(${buffers}) var<storage, read_write> fovea_status: array<atomic<u32>>;`,
          `fn fovea_slot() -> u32 { return ${slot}; }`,
        ]
      : [];
  const body = code.wgsl.replaceAll(/@(\d+)@/g, (_, pointer: string) => `m${sharing[Number(pointer)]}`);
  return [
    ...(code.enables ?? []),
    ...declarations,
    `@group(1) @binding(0) var<uniform> W: array<vec4<u32>, ${words}>;`,
    ...status,
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
