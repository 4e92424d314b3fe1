/** ONNX models in memory and as files (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, whose field numbers these are). */
import { createMessage, type MessageWriter } from "./protobuf.ts";

export type OnnxType = "f32" | "i32" | "i64";

/** Values of `TensorProto.DataType`. */
const DATA_TYPES: Readonly<Record<OnnxType, number>> = { f32: 1, i32: 6, i64: 7 };

/** Version of the operators; `Gelu` came with 20. */
const OPSET = 20;
/** Version of the file format that has this operator set. */
const IR_VERSION = 9;

/** Values of `TensorProto.DataLocation` and of `AttributeProto.AttributeType`. */
const EXTERNAL = 1;
const ATTRIBUTE = { float: 1, int: 2, text: 3, ints: 7 } as const;

/** A whole number, a number of 32 bits, a text or a list of whole numbers. */
export type OnnxAttribute = number | { readonly float: number } | string | readonly number[];

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** A tensor's name, type and sizes. */
export interface OnnxValue {
  readonly name: string;
  readonly type: OnnxType;
  readonly shape: readonly number[];
}

/** A constant: its bytes, or the place in a file beside the model. */
export interface OnnxInitializer extends OnnxValue {
  readonly data: Uint8Array | { readonly file: string; readonly offset: number; readonly length: number };
}

export interface OnnxModel {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly initializers: readonly OnnxInitializer[];
  /** Operands before users. */
  readonly nodes: readonly OnnxNode[];
}

/** StringStringEntryProto: key 1, value 2. */
function entry(key: string, value: string): MessageWriter {
  return createMessage().text(1, key).text(2, value);
}

/** TensorProto: dims 1, data_type 2, name 8, raw_data 9, external_data 13, data_location 14. */
function tensorProto({ name, type, shape, data }: OnnxInitializer): MessageWriter {
  const tensor = createMessage();
  for (const size of shape) tensor.int(1, size);
  tensor.int(2, DATA_TYPES[type]).text(8, name);
  if (data instanceof Uint8Array) return tensor.bytes(9, data);
  return tensor
    .message(13, entry("location", data.file))
    .message(13, entry("offset", String(data.offset)))
    .message(13, entry("length", String(data.length)))
    .int(14, EXTERNAL);
}

/** AttributeProto: name 1, f 2, i 3, s 4, ints 8, type 20. */
function attributeProto(name: string, value: OnnxAttribute): MessageWriter {
  const attribute = createMessage().text(1, name);
  if (typeof value === "number") return attribute.int(3, value).int(20, ATTRIBUTE.int);
  if (typeof value === "string") return attribute.text(4, value).int(20, ATTRIBUTE.text);
  if ("float" in value) return attribute.float(2, value.float).int(20, ATTRIBUTE.float);
  for (const one of value) attribute.int(8, one);
  return attribute.int(20, ATTRIBUTE.ints);
}

/** NodeProto: input 1, output 2, op_type 4, attribute 5. */
function nodeProto({ op, inputs, outputs, attributes }: OnnxNode): MessageWriter {
  const node = createMessage();
  for (const input of inputs) node.text(1, input);
  for (const output of outputs) node.text(2, output);
  node.text(4, op);
  for (const [name, value] of Object.entries(attributes)) node.message(5, attributeProto(name, value));
  return node;
}

/** ValueInfoProto: name 1, type 2; TypeProto: tensor_type 1; Tensor: elem_type 1, shape 2; Shape: dim 1; Dimension: dim_value 1. */
function valueInfo({ name, type, shape }: OnnxValue): MessageWriter {
  const sizes = createMessage();
  for (const size of shape) sizes.message(1, createMessage().int(1, size));
  const tensor = createMessage().int(1, DATA_TYPES[type]).message(2, sizes);
  return createMessage().text(1, name).message(2, createMessage().message(1, tensor));
}

/**
 * The model's file. ModelProto: ir_version 1, producer_name 2, graph 7, opset_import 8; OperatorSetIdProto: domain 1,
 * version 2; GraphProto: node 1, name 2, initializer 5, input 11, output 12.
 */
export function encodeOnnx({ inputs, outputs, initializers, nodes }: OnnxModel): Uint8Array<ArrayBuffer> {
  const graph = createMessage();
  for (const node of nodes) graph.message(1, nodeProto(node));
  graph.text(2, "tower");
  for (const tensor of initializers) graph.message(5, tensorProto(tensor));
  for (const value of inputs) graph.message(11, valueInfo(value));
  for (const value of outputs) graph.message(12, valueInfo(value));
  return createMessage()
    .int(1, IR_VERSION)
    .text(2, "fovea-bench")
    .message(7, graph)
    .message(8, createMessage().text(1, "").int(2, OPSET))
    .finish();
}
