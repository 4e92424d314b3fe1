/** Wrong modules made from right ones: one constant of the code changed in place. */
import type { KernelModule } from "../../kernels/wasm/asm/module.ts";
import type { KernelCase } from "./emit_kit.ts";

/** A constant that may be changed without any visible effect. */
export interface Equivalent {
  /** Name of the case. */
  readonly kernel: string;
  /** Position among the module's constants, and what stands there. */
  readonly index: number;
  readonly constant: string;
  readonly reason: string;
}

function decodeSigned(bytes: Uint8Array): number {
  let value = 0;
  bytes.forEach((b, i) => {
    value |= (b & 127) << (7 * i);
  });
  const shift = 32 - Math.min(32, 7 * bytes.length);
  return (value << shift) >> shift;
}

/** LEB128 of `value` in as many bytes as there are; nothing when it does not fit. */
function encodeSigned(value: number, length: number): number[] | undefined {
  const out = Array.from({ length }, (_, i) => ((value >> Math.min(31, 7 * i)) & 127) | (i + 1 < length ? 128 : 0));
  return decodeSigned(Uint8Array.from(out)) === value ? out : undefined;
}

const isZeroOrNaN = (word: number): boolean => (word & 0x7fffffff) === 0 || (word & 0x7fffffff) > 0x7f800000;

/** Half or twice the number; 1 instead of zero or NaN. */
function changeFloat(bytes: DataView, at: number): void {
  const word = bytes.getInt32(at, true);
  bytes.setInt32(at, isZeroOrNaN(word) ? 0x3f800000 : word ^ 0x00800000, true);
}

/** The module with its constant number `index` changed: visibly, though never to a loop that does not end. */
export function mutate(module: KernelModule, index: number): Uint8Array {
  const { kind, at, length } = module.constants[index];
  const bytes = Uint8Array.from(module.bytes);
  const site = bytes.subarray(at, at + length);
  const view = new DataView(bytes.buffer, at, length);
  switch (kind) {
    case "i32": {
      const value = decodeSigned(site);
      // A step must not become 0.
      const next = value === -1 ? -2 : value + 1;
      site.set(encodeSigned(next, length) ?? (encodeSigned(value - 1, length) as number[]));
      break;
    }
    case "offset":
      site[0] ^= 4;
      break;
    case "lane":
      // Kept below 4, where a lane of 32 bits must be; byte lanes of shuffles move to a neighbour too.
      site[0] ^= 1;
      break;
    case "f32":
      changeFloat(view, 0);
      break;
    case "v128":
      changeFloat(view, (index % 4) * 4);
      break;
  }
  return bytes;
}

/** A constant with its kind: an integer, or the f32 of the first lane. */
export function describeConstant(module: KernelModule, index: number): string {
  const { kind, at, length } = module.constants[index];
  const site = module.bytes.slice(at, at + length);
  const float = kind === "f32" || kind === "v128";
  return `${kind} ${float ? new Float32Array(site.buffer)[0] : decodeSigned(site)}`;
}

/** Positions of constants whose change the case's check does not notice. */
export function survivors(c: KernelCase): readonly number[] {
  return [...c.module.constants.keys()].filter((i) => c.check(mutate(c.module, i)) === undefined);
}
