/**
 * The weights of CLIP's ONNX vision graph as a Hugging Face checkpoint, so that both sides run the same model.
 *
 * The exporter folded transposes into the weights of linear layers, gave them numbers for names and merged tensors that
 * were equal before training (all norms, most biases), so names follow from the order of the nodes.
 */
import { fillNormal } from "../runtime/core/random.ts";
import { encodeSafetensors, type RawTensor } from "../runtime/exec/weights/writer.ts";
import type { ExternalTensor, OnnxGraph } from "./onnx_graph.ts";
import { type ExternalData, floatsOf } from "./onnx_weights.ts";

/** Sizes of the vision tower, from `config.json`. */
export interface ClipVisionSizes {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly image_size: number;
  readonly patch_size: number;
  readonly projection_dim: number;
}

interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

const PREFIX = "vision_model.";

/** Linear layers of a block in the order of the graph. */
const LINEAR = [
  "self_attn.q_proj",
  "self_attn.k_proj",
  "self_attn.v_proj",
  "self_attn.out_proj",
  "mlp.fc1",
  "mlp.fc2",
] as const;

/** Rows and columns handled together, so that both sides stay in the cache. */
const TILE = 32;

/** [rows, columns] -> [columns, rows]. */
function transpose(from: Float32Array, rows: number, columns: number): Float32Array<ArrayBuffer> {
  const to = new Float32Array(from.length);
  for (let r0 = 0; r0 < rows; r0 += TILE) {
    for (let c0 = 0; c0 < columns; c0 += TILE) {
      const [r1, c1] = [Math.min(rows, r0 + TILE), Math.min(columns, c0 + TILE)];
      for (let c = c0; c < c1; c++) for (let r = r0; r < r1; r++) to[c * rows + r] = from[r * columns + c];
    }
  }
  return to;
}

/** Names of the norms before a block's attention and its MLP, and of the one before the first block. */
function normName(index: number): string {
  if (index === 0) return "pre_layrnorm";
  return `encoder.layers.${Math.floor((index - 1) / 2)}.layer_norm${index % 2 === 1 ? 1 : 2}`;
}

/** The tensors under their checkpoint's names. @throws Error when the graph is not the expected one */
function* clipTensors(graph: OnnxGraph, external: ExternalData, sizes: ClipVisionSizes): Generator<NamedTensor> {
  const tensor = (name: string): ExternalTensor => {
    const found = graph.external.get(name);
    if (found === undefined) throw new Error(`The graph has no weight "${name}".`);
    return found;
  };
  const same = (name: string, source: string): NamedTensor => {
    const found = tensor(source);
    return { name: PREFIX + name, shape: found.shape, data: floatsOf(found, external) };
  };

  for (const name of ["class_embedding", "patch_embedding.weight", "position_embedding.weight"]) {
    yield same(`embeddings.${name}`, `m.embeddings.${name}`);
  }

  const norms = graph.nodes.filter((node) => node.op === "LayerNormalization");
  const linear = graph.nodes.filter((node) => node.op === "MatMul" && graph.external.has(node.inputs[1]));
  const layers = sizes.num_hidden_layers;
  if (norms.length !== 1 + 2 * layers || linear.length !== LINEAR.length * layers) {
    throw new Error(`The graph has ${norms.length} norms and ${linear.length} linear layers, too few or too many.`);
  }
  for (const [index, { inputs }] of norms.entries()) {
    yield same(`${normName(index)}.weight`, inputs[1]);
    yield same(`${normName(index)}.bias`, inputs[2]);
  }
  for (const [index, { inputs, outputs }] of linear.entries()) {
    const name = `encoder.layers.${Math.floor(index / LINEAR.length)}.${LINEAR[index % LINEAR.length]}`;
    const weight = tensor(inputs[1]);
    const [rows, columns] = weight.shape;
    const data = transpose(floatsOf(weight, external), rows, columns);
    yield { name: `${PREFIX}${name}.weight`, shape: [columns, rows], data };
    const add = graph.nodes.find((node) => node.op === "Add" && node.inputs[0] === outputs[0]);
    yield same(`${name}.bias`, add?.inputs[1] ?? "");
  }

  // The graph ends before these; the model has them, although the output that is compared does not need them.
  const width = sizes.hidden_size;
  const unused = (name: string, shape: readonly number[]): NamedTensor => {
    const data = new Float32Array(shape.reduce((a, b) => a * b));
    fillNormal(data, 1, 0, 0.02);
    return { name, shape, data };
  };
  yield unused(`${PREFIX}post_layernorm.weight`, [width]);
  yield unused(`${PREFIX}post_layernorm.bias`, [width]);
  yield unused("visual_projection.weight", [sizes.projection_dim, width]);
}

/** The checkpoint as a safetensors file. @throws Error when the graph is not CLIP's vision tower of these sizes */
export function clipCheckpoint(graph: OnnxGraph, external: ExternalData, sizes: ClipVisionSizes): Uint8Array {
  const tensors: Record<string, RawTensor> = {};
  for (const { name, shape, data } of clipTensors(graph, external, sizes))
    tensors[name] = { dtype: "f32", shape, data };
  return encodeSafetensors(tensors);
}

/** Floating-point operations of the vision tower up to `last_hidden_state`: two for each multiplication of a matrix product. */
export function clipVisionFlops(sizes: ClipVisionSizes, batch: number): number {
  const { hidden_size: width, intermediate_size: inner, num_hidden_layers: layers, patch_size: patch } = sizes;
  const patches = (sizes.image_size / patch) ** 2;
  const tokens = patches + 1;
  const block = tokens * (4 * width * width + 2 * width * inner) + 2 * tokens * tokens * width;
  return 2 * batch * (patches * width * 3 * patch * patch + layers * block);
}
