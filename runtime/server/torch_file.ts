/** One tensor as `torch.save` writes it: a zip of stored records, of which `data.pkl` says what the numbers mean. */

import { FoveaError } from "../core/diagnostics.ts";
import { bytesOf, type DType } from "../core/dtype.ts";
import type { RawTensor } from "../exec/weights/writer.ts";

/** Class of the storage that `torch` has for a type. */
const STORAGES: Readonly<Partial<Record<DType, string>>> = {
  f32: "FloatStorage",
  f16: "HalfStorage",
  bf16: "BFloat16Storage",
  i64: "LongStorage",
  i32: "IntStorage",
  u8: "ByteStorage",
};

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** Opcodes of pickle protocol 2 (Python's pickletools). */
const PROTO_2 = Uint8Array.of(0x80, 2);
const [MARK, TUPLE, EMPTY_TUPLE, REDUCE, PERSISTENT_ID, FALSE, STOP] = [..."(t)RQ"]
  .map((op) => Uint8Array.of(op.charCodeAt(0)))
  .concat(Uint8Array.of(0x89), Uint8Array.of(0x2e));
const globalOf = (module: string, name: string): Uint8Array => text(`c${module}\n${name}\n`);
const integer = (value: number): Uint8Array => joined([text("J"), u32(value)]);
const unicode = (value: string): Uint8Array => joined([text("X"), u32(text(value).length), text(value)]);
const tuple = (items: readonly Uint8Array[]): Uint8Array => joined([MARK, ...items, TUPLE]);

/** `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`, as `Tensor.__reduce_ex__` makes it. */
function pickled(shape: readonly number[], storage: string): Uint8Array {
  const count = shape.reduce((a, b) => a * b, 1);
  const stride = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const stored = tuple([unicode("storage"), globalOf("torch", storage), unicode("0"), unicode("cpu"), integer(count)]);
  const hooks = joined([globalOf("collections", "OrderedDict"), EMPTY_TUPLE, REDUCE]);
  const parts = [
    joined([stored, PERSISTENT_ID]),
    integer(0),
    tuple(shape.map(integer)),
    tuple(stride.map(integer)),
    FALSE,
    hooks,
  ];
  return joined([PROTO_2, globalOf("torch._utils", "_rebuild_tensor_v2"), tuple(parts), REDUCE, STOP]);
}

let table: Uint32Array | undefined;

/** CRC-32 of ISO 3309, which zip files have. */
function crc32(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, n) => {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    return c;
  });
  let crc = 0xffffffff;
  for (const byte of bytes) crc = table[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** PyTorch aligns the contents of records, so that they can be mapped. */
const ALIGNMENT = 64;
/** 1980-01-01, the first day that zip files know. */
const DAY = 0x21;

interface ZipRecord {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** The fields that a local header and the directory share, from "version needed" on. */
function fields({ name, bytes }: ZipRecord, extra: number): Uint8Array {
  const head = new Uint8Array(26);
  const view = new DataView(head.buffer);
  view.setUint16(0, 10, true);
  view.setUint16(8, DAY, true);
  view.setUint32(10, crc32(bytes), true);
  view.setUint32(14, bytes.length, true);
  view.setUint32(18, bytes.length, true);
  view.setUint16(22, text(name).length, true);
  view.setUint16(24, extra, true);
  return head;
}

/** A zip file of uncompressed records (APPNOTE.TXT 6.3). */
function zipped(records: readonly ZipRecord[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const record of records) {
    const name = text(record.name);
    const before = at + 30 + name.length + 4;
    const padding = (ALIGNMENT - (before % ALIGNMENT)) % ALIGNMENT;
    const extra = joined([text("FB"), Uint8Array.of(padding, 0), new Uint8Array(padding)]);
    const own = [text("PK\x03\x04"), fields(record, extra.length), name, extra, record.bytes];
    const tail = new Uint8Array(14);
    new DataView(tail.buffer).setUint32(10, at, true);
    directory.push(text("PK\x01\x02"), Uint8Array.of(10, 0), fields(record, 0), tail, name);
    parts.push(...own);
    at += own.reduce((sum, part) => sum + part.length, 0);
  }
  const listed = joined(directory);
  const end = new Uint8Array(18);
  const view = new DataView(end.buffer);
  view.setUint16(4, records.length, true);
  view.setUint16(6, records.length, true);
  view.setUint32(8, listed.length, true);
  view.setUint32(12, at, true);
  return joined([...parts, listed, text("PK\x05\x06"), end]);
}

/**
 * A tensor as a file that `torch.load(file, weights_only=True)` reads: the same bytes for the same tensor.
 * @throws FoveaError `unsupported_dtype`
 */
export function encodeTorch(tensor: RawTensor): Uint8Array {
  const storage = STORAGES[tensor.dtype];
  if (storage === undefined) {
    throw new FoveaError(
      "unsupported_dtype",
      `A tensor of ${tensor.dtype} is not written for PyTorch; expected one of ${Object.keys(STORAGES).join(", ")}.`,
    );
  }
  return zipped([
    { name: "archive/data.pkl", bytes: pickled(tensor.shape, storage) },
    { name: "archive/byteorder", bytes: text("little") },
    { name: "archive/data/0", bytes: bytesOf(tensor.data) },
    { name: "archive/version", bytes: text("3\n") },
  ]);
}
