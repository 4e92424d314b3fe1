/**
 * Kernels that are one function over the device's memory become functions of one module: compressed by itself, each would take
 * three times as much, and a place loads one file instead of dozens.
 */
import { digestBytes } from "../core/digest.ts";
import type { SharedFunction } from "../edge/frozen.ts";

const MAGIC_BYTES = 8;
const [IMPORT, FUNCTION, EXPORT, CODE] = [2, 3, 7, 10];
/** Type, import, function, export and code, and nothing else. */
const PLAIN = [1, IMPORT, FUNCTION, EXPORT, CODE];
/** One function of the first type; exported as `f`. */
const ONE_FUNCTION = "1,0";
const EXPORTED = "1,1,102,0,0";

/** LEB128, unsigned. */
const unsigned = (value: number): number[] =>
  value < 128 ? [value] : [(value & 127) | 128, ...unsigned(Math.floor(value / 128))];

/** A number and the position behind it. */
function readUnsigned(bytes: Uint8Array, at: number): readonly [value: number, end: number] {
  let value = 0;
  for (let i = at, scale = 1; ; i++, scale *= 128) {
    value += (bytes[i] & 127) * scale;
    if (bytes[i] < 128) return [value, i + 1];
  }
}

/** Contents of sections, in their order; the engine has taken the module already. */
function sectionsOf(code: Uint8Array): readonly (readonly [id: number, content: Uint8Array])[] {
  const found: (readonly [number, Uint8Array])[] = [];
  for (let at = MAGIC_BYTES; at < code.length; ) {
    const [length, begin] = readUnsigned(code, at + 1);
    found.push([code[at], code.subarray(begin, begin + length)]);
    at = begin + length;
  }
  return found;
}

/** A kernel that can stand beside others. */
interface PlainKernel {
  /** Of what comes before its code: magic, type and import. */
  readonly head: string;
  /** Size and body of its function. */
  readonly body: Uint8Array;
}

function plainKernel(code: Uint8Array): PlainKernel | undefined {
  const sections = sectionsOf(code);
  if (sections.map(([id]) => id).join() !== PLAIN.join()) return undefined;
  const [type, imported, functions, exported, bodies] = sections.map(([, content]) => content);
  if (functions.join() !== ONE_FUNCTION || exported.join() !== EXPORTED || bodies[0] !== 1) return undefined;
  return { head: `${type.join()};${imported.join()}`, body: bodies.subarray(1) };
}

/** A module of such kernels, which are exported under their positions. */
function moduleOf(like: Uint8Array, kernels: readonly PlainKernel[]): Uint8Array {
  const [[, type], [, imported]] = sectionsOf(like);
  const count = unsigned(kernels.length);
  const names = kernels.flatMap((_, i) => {
    const digits = [...String(i)].map((digit) => digit.charCodeAt(0));
    return [digits.length, ...digits, 0, ...unsigned(i)];
  });
  const bodyBytes = kernels.reduce((sum, { body }) => sum + body.length, 0);
  const section = (id: number, content: ArrayLike<number>): number[] => [
    id,
    ...unsigned(content.length),
    ...Array.from(content),
  ];
  const head = [
    ...like.subarray(0, MAGIC_BYTES),
    ...section(1, type),
    ...section(IMPORT, imported),
    ...section(FUNCTION, [...count, ...kernels.map(() => 0)]),
    ...section(EXPORT, [...count, ...names]),
    ...[CODE, ...unsigned(count.length + bodyBytes), ...count],
  ];
  const bytes = new Uint8Array(head.length + bodyBytes);
  bytes.set(head);
  let at = head.length;
  for (const { body } of kernels) {
    bytes.set(body, at);
    at += body.length;
  }
  return bytes;
}

/** Code in as few modules as it takes. */
export interface MergedCode {
  /** By the digests of their bytes. */
  readonly modules: ReadonlyMap<string, Uint8Array>;
  /** Of kernels that share a module, by their digests. */
  readonly functions: Readonly<Record<string, SharedFunction>>;
}

/**
 * Merges kernels of one form; all others, such as foreign ones with their sandbox, stay as they are.
 * @param code by digest
 */
export function mergeCode(code: ReadonlyMap<string, Uint8Array>): MergedCode {
  const modules = new Map<string, Uint8Array>();
  const groups = new Map<string, [digest: string, kernel: PlainKernel][]>();
  for (const [digest, bytes] of code) {
    const kernel = plainKernel(bytes);
    if (kernel === undefined) modules.set(digest, bytes);
    else groups.set(kernel.head, [...(groups.get(kernel.head) ?? []), [digest, kernel]]);
  }
  const functions: Record<string, SharedFunction> = {};
  for (const group of groups.values()) {
    const like = code.get(group[0][0]) as Uint8Array;
    const merged = moduleOf(
      like,
      group.map(([, kernel]) => kernel),
    );
    const module = digestBytes(merged);
    modules.set(module, merged);
    for (const [i, [digest]] of group.entries()) functions[digest] = [module, String(i)];
  }
  return { modules, functions };
}
