/** Reads ONNX files back, as far as the exporter writes them. */
import type { OnnxAttribute, OnnxModel, OnnxNode, OnnxType } from "../../bench/onnx/model.ts";

/** A field of a protobuf message: a number, or the bytes of a text, a float or a message. */
interface Field {
  readonly id: number;
  readonly value: number | Uint8Array;
}

const TYPES: Readonly<Record<number, OnnxType>> = { 1: "f32", 6: "i32", 7: "i64" };

export function readFields(bytes: Uint8Array): readonly Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let [value, shift] = [0n, 0n];
    for (;;) {
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      shift += 7n;
      if (byte < 128) return Number(BigInt.asIntN(64, value));
    }
  };
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw new Error("a field ends behind its message");
    at += length;
    return bytes.slice(at - length, at);
  };
  while (at < bytes.length) {
    const key = varint();
    const wire = key & 7;
    if (wire !== 0 && wire !== 2 && wire !== 5) throw new Error(`wire type ${wire}`);
    fields.push({ id: key >> 3, value: wire === 0 ? varint() : take(wire === 5 ? 4 : varint()) });
  }
  return fields;
}

const decoder = new TextDecoder("utf-8", { fatal: true });
const textOf = (field: Field): string => decoder.decode(field.value as Uint8Array);
const messageOf = (field: Field): readonly Field[] => readFields(field.value as Uint8Array);

function all<T>(message: readonly Field[], id: number, read: (field: Field) => T): T[] {
  return message.filter((field) => field.id === id).map(read);
}

function one<T>(message: readonly Field[], id: number, read: (field: Field) => T): T {
  const found = all(message, id, read);
  if (found.length !== 1) throw new Error(`${found.length} fields ${id}`);
  return found[0];
}

const numberOf = ({ value }: Field): number => value as number;

function readAttribute(message: readonly Field[]): readonly [string, OnnxAttribute] {
  const name = one(message, 1, textOf);
  const type = one(message, 20, numberOf);
  if (type === 2) return [name, one(message, 3, numberOf)];
  if (type === 3) return [name, one(message, 4, textOf)];
  if (type === 7) return [name, all(message, 8, numberOf)];
  const bytes = one(message, 2, ({ value }) => value as Uint8Array);
  return [name, { float: new DataView(bytes.buffer).getFloat32(0, true) }];
}

function readNode(message: readonly Field[]): OnnxNode {
  return {
    op: one(message, 4, textOf),
    inputs: all(message, 1, textOf),
    outputs: all(message, 2, textOf),
    attributes: Object.fromEntries(all(message, 5, (field) => readAttribute(messageOf(field)))),
  };
}

function readInitializer(message: readonly Field[]): OnnxModel["initializers"][number] {
  const described = {
    name: one(message, 8, textOf),
    type: TYPES[one(message, 2, numberOf)],
    shape: all(message, 1, numberOf),
  };
  const entries = all(message, 13, messageOf).map((entry) => [one(entry, 1, textOf), one(entry, 2, textOf)]);
  if (entries.length === 0) return { ...described, data: one(message, 9, ({ value }) => value as Uint8Array) };
  const { location, offset, length } = Object.fromEntries(entries);
  return { ...described, data: { file: location, offset: Number(offset), length: Number(length) } };
}

function readValue(message: readonly Field[]): OnnxModel["inputs"][number] {
  const tensor = readFields(one(one(message, 2, messageOf), 1, (field) => field.value as Uint8Array));
  const shape = all(one(tensor, 2, messageOf), 1, (field) => one(messageOf(field), 1, numberOf));
  return { name: one(message, 1, textOf), type: TYPES[one(tensor, 1, numberOf)], shape };
}

/** @throws Error for a file that is not what the exporter writes */
export function readOnnx(file: Uint8Array): OnnxModel {
  const graph = one(readFields(file), 7, messageOf);
  return {
    nodes: all(graph, 1, (field) => readNode(messageOf(field))),
    initializers: all(graph, 5, (field) => readInitializer(messageOf(field))),
    inputs: all(graph, 11, (field) => readValue(messageOf(field))),
    outputs: all(graph, 12, (field) => readValue(messageOf(field))),
  };
}
