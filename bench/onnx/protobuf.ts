/** Writing protobuf messages: numbers of 7 bits a byte and length-delimited values, which is all that ONNX files need. */

const VARINT = 0;
const DELIMITED = 2;
const FIXED32 = 5;

const utf8 = new TextEncoder();

/** Fields in the order of the calls; each may be given again, which protobuf reads as a list. */
export interface MessageWriter {
  /** @param value a whole number, at least -2^53 */
  int(id: number, value: number): MessageWriter;
  /** 32 bits. */
  float(id: number, value: number): MessageWriter;
  text(id: number, value: string): MessageWriter;
  bytes(id: number, value: Uint8Array): MessageWriter;
  message(id: number, value: MessageWriter): MessageWriter;
  finish(): Uint8Array<ArrayBuffer>;
}

/** Lowest bits first; negative numbers are 64 bits in two's complement. */
function pushVarint(out: number[], value: number): void {
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest >= 128n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  out.push(Number(rest));
}

export function createMessage(): MessageWriter {
  const parts: Uint8Array[] = [];
  const head = (id: number, wire: number, ...value: number[]): void => {
    const bytes: number[] = [];
    pushVarint(bytes, id * 8 + wire);
    for (const one of value) pushVarint(bytes, one);
    parts.push(Uint8Array.from(bytes));
  };
  const writer: MessageWriter = {
    int: (id, value) => {
      head(id, VARINT, value);
      return writer;
    },
    float: (id, value) => {
      head(id, FIXED32);
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setFloat32(0, value, true);
      parts.push(bytes);
      return writer;
    },
    text: (id, value) => writer.bytes(id, utf8.encode(value)),
    bytes: (id, value) => {
      head(id, DELIMITED, value.length);
      parts.push(value);
      return writer;
    },
    message: (id, value) => writer.bytes(id, value.finish()),
    finish: () => {
      const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of parts) {
        all.set(part, at);
        at += part.length;
      }
      return all;
    },
  };
  return writer;
}
