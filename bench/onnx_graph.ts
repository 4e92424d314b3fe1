/** The part of an ONNX file that says what the weights are and where they go: initializers and nodes. */

/** Values of `TensorProto.DataType` in onnx.proto. */
export const ONNX_FLOAT = 1;
export const ONNX_INT64 = 7;

/** A tensor whose values lie in a file of their own. */
export interface ExternalTensor {
  readonly name: string;
  readonly type: number;
  readonly shape: readonly number[];
  readonly file: string;
  /** Bytes. */
  readonly offset: number;
  readonly length: number;
}

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export interface OnnxGraph {
  /** Initializers with external data, by name; those that the file holds itself are left out. */
  readonly external: ReadonlyMap<string, ExternalTensor>;
  /** In the order of the file, which is the order of execution. */
  readonly nodes: readonly OnnxNode[];
}

/** A field of a protobuf message: a number (`bytes` undefined) or a length-delimited value. */
interface Field {
  readonly id: number;
  readonly value: number;
  readonly bytes?: Uint8Array;
}

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

/** A number of 7 bits a byte, lowest first, and where the next thing begins. */
function readVarint(bytes: Uint8Array, at: number): readonly [value: number, next: number] {
  let value = 0;
  for (let scale = 1; at < bytes.length; scale *= 128) {
    const byte = bytes[at++];
    value += (byte & 127) * scale;
    if (byte < 128) return [value, at];
  }
  throw new Error("The ONNX file is cut off.");
}

/** Fields of one message; fixed-size numbers are passed over, as nothing here needs them. */
function* fields(message: Uint8Array): Generator<Field> {
  let [at, key, value] = [0, 0, 0];
  while (at < message.length) {
    [key, at] = readVarint(message, at);
    const [id, wire] = [key >>> 3, key & 7];
    if (wire === FIXED64) at += 8;
    else if (wire === FIXED32) at += 4;
    else if (wire === VARINT || wire === DELIMITED) {
      [value, at] = readVarint(message, at);
      if (wire === VARINT) yield { id, value };
      else {
        const bytes = message.subarray(at, at + value);
        if (bytes.length < value) throw new Error("The ONNX file is cut off.");
        at += value;
        yield { id, value, bytes };
      }
    } else throw new Error(`The ONNX file has a field of wire type ${wire}, which protobuf 3 does not write.`);
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });
const text = ({ bytes }: Field): string => utf8.decode(bytes);

/** Dimensions come one by one or packed. */
function dimensions({ value, bytes }: Field): number[] {
  if (bytes === undefined) return [value];
  const dims: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const [dim, next] = readVarint(bytes, at);
    dims.push(dim);
    at = next;
  }
  return dims;
}

/** TensorProto: dims 1, data_type 2, name 8, external_data 13 (pairs of key 1 and value 2). */
function readTensor(message: Uint8Array): ExternalTensor | undefined {
  const shape: number[] = [];
  const place = new Map<string, string>();
  let [type, name] = [0, ""];
  for (const field of fields(message)) {
    if (field.id === 1) shape.push(...dimensions(field));
    else if (field.id === 2) type = field.value;
    else if (field.id === 8) name = text(field);
    else if (field.id === 13) {
      const pair = new Map([...fields(field.bytes as Uint8Array)].map((f) => [f.id, text(f)]));
      place.set(pair.get(1) ?? "", pair.get(2) ?? "");
    }
  }
  const file = place.get("location");
  if (file === undefined) return undefined;
  return { name, type, shape, file, offset: Number(place.get("offset") ?? 0), length: Number(place.get("length")) };
}

/** NodeProto: input 1, output 2, op_type 4. */
function readNode(message: Uint8Array): OnnxNode {
  const all = [...fields(message)];
  const texts = (id: number): string[] => all.filter((f) => f.id === id).map(text);
  return { op: texts(4)[0] ?? "", inputs: texts(1), outputs: texts(2) };
}

/** ModelProto: graph 7; GraphProto: node 1, initializer 5. @throws Error for a file that is cut off. */
export function readOnnxGraph(model: Uint8Array): OnnxGraph {
  const external = new Map<string, ExternalTensor>();
  const nodes: OnnxNode[] = [];
  for (const graph of fields(model)) {
    if (graph.id !== 7) continue;
    for (const { id, bytes } of fields(graph.bytes as Uint8Array)) {
      if (id === 1) nodes.push(readNode(bytes as Uint8Array));
      const tensor = id === 5 ? readTensor(bytes as Uint8Array) : undefined;
      if (tensor !== undefined) external.set(tensor.name, tensor);
    }
  }
  return { external, nodes };
}
