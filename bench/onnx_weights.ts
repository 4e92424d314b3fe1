/** Made-up values for the weights that a graph keeps in a file of its own. */
import { nameSeed } from "../runtime/core/fill.ts";
import { fillNormal } from "../runtime/core/random.ts";
import { type ExternalTensor, ONNX_FLOAT, ONNX_INT64, type OnnxGraph } from "./onnx_graph.ts";

/** Standard deviation of every float tensor. */
const STD = 0.02;

/** A graph's external file. */
export interface ExternalData {
  readonly file: string;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Scales of norms, whose mean is 1 as in trained models: around 0 they would drown what the layers compute. */
function normScales(graph: OnnxGraph): ReadonlySet<string> {
  return new Set(graph.nodes.filter((node) => node.op === "LayerNormalization").map((node) => node.inputs[1]));
}

/** The values of a float tensor in an external file, without copying. */
export function floatsOf(tensor: ExternalTensor, { data }: ExternalData): Float32Array<ArrayBuffer> {
  return new Float32Array(data.buffer, data.byteOffset + tensor.offset, tensor.length / 4);
}

/**
 * Fills a graph's external file: float tensors normal with standard deviation 0.02, seeded by name; int64 tensors 0, 1, 2, ...
 * @throws Error when the graph uses several files or other types
 */
export function makeExternalData(graph: OnnxGraph): ExternalData {
  const tensors = [...graph.external.values()];
  const files = [...new Set(tensors.map((t) => t.file))];
  if (files.length !== 1) throw new Error(`The graph must keep its weights in one file; found ${files.join(", ")}.`);
  const external = { file: files[0], data: new Uint8Array(Math.max(...tensors.map((t) => t.offset + t.length))) };
  const scales = normScales(graph);
  for (const tensor of tensors) {
    if (tensor.type === ONNX_FLOAT) {
      const values = floatsOf(tensor, external);
      fillNormal(values, nameSeed(tensor.name), 0, STD);
      if (scales.has(tensor.name)) for (let i = 0; i < values.length; i++) values[i] += 1;
    } else if (tensor.type === ONNX_INT64) {
      const values = new BigInt64Array(external.data.buffer, tensor.offset, tensor.length / 8);
      for (let i = 0; i < values.length; i++) values[i] = BigInt(i);
    } else throw new Error(`The tensor "${tensor.name}" has the ONNX type ${tensor.type}; expected float or int64.`);
  }
  return external;
}
