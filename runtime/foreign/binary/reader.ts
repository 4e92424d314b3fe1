/** Reading WebAssembly's binary format, with the place in every complaint. */
import { FoveaError } from "../../core/diagnostics.ts";

/** What cannot be read, or may not be there. @throws FoveaError `refused_module` always */
export type Refuse = (sentence: string) => never;

/** A refusal that names the file. */
export function refuserOf(file: string): Refuse {
  return (sentence) => {
    throw new FoveaError("refused_module", `${file} cannot be used as a kernel: ${sentence}`);
  };
}

/** Bytes with a position. */
export class Reader {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;
  readonly refuse: Refuse;

  constructor(bytes: Uint8Array, refuse: Refuse, at: number = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.refuse = refuse;
    this.at = at;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  byte(): number {
    if (this.at >= this.end) this.refuse(`it ends early, at byte ${this.at}.`);
    return this.bytes[this.at++];
  }

  /** LEB128, unsigned 32-bit. */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value <= 0xffffffff ? value : this.#tooLong();
    }
    return this.#tooLong();
  }

  /** LEB128, signed; exact up to 53 bits. */
  signed(bits: 32 | 33 | 64): number {
    let value = 0;
    for (let shift = 0; shift < bits; shift += 7) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return (byte & 64) === 0 ? value : value - 2 ** (shift + 7);
    }
    return this.#tooLong();
  }

  skip(count: number): void {
    if (count > this.end - this.at) this.refuse(`it ends early, at byte ${this.end}.`);
    this.at += count;
  }

  text(): string {
    const length = this.u32();
    const from = this.at;
    this.skip(length);
    return new TextDecoder().decode(this.bytes.slice(from, this.at));
  }

  /** The next `count` bytes as a reader of their own. */
  part(count: number): Reader {
    const from = this.at;
    this.skip(count);
    return new Reader(this.bytes, this.refuse, from, this.at);
  }

  #tooLong(): never {
    return this.refuse(`the number at byte ${this.at} is too long.`);
  }
}
