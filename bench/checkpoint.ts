/** Made-up weights of a tower as a checkpoint in memory, of which both sides read the same bytes. */
import type { TowerSpec } from "../runtime/abi/encoder.ts";
import { nameSeed } from "../runtime/core/fill.ts";
import { fillNormal } from "../runtime/core/random.ts";
import { splitRanges } from "../runtime/core/range.ts";
import { parseSafetensors } from "../runtime/exec/weights/safetensors.ts";
import { encodeSafetensors, type RawTensor } from "../runtime/exec/weights/writer.ts";
import { createGraphBuilder } from "../runtime/ir/builder.ts";
import { nodesOf } from "../runtime/ir/graph.ts";
import type { Node } from "../runtime/ir/node.ts";
import type { WeightPlace } from "./onnx/export.ts";

/** Standard deviation of every weight. */
const STD = 0.02;

/** Name of the checkpoint's file. */
export const WEIGHTS_FILE = "model.safetensors";

export interface Checkpoint {
  /** A safetensors file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where the file keeps a tensor. */
  readonly place: WeightPlace;
}

/** Whether a weight scales channels: a norm's first parameter, or a factor. */
function scales(weight: Node, users: readonly Node[]): boolean {
  return users.some(
    ({ op, inputs }) => ((op === "layer_norm" || op === "rms_norm") && inputs[1] === weight) || op === "mul",
  );
}

/**
 * All weights of a tower: normal with standard deviation 0.02, seeded by name; around 1 for scales, as in trained models,
 * where they would drown what the layers compute around 0.
 */
export function makeCheckpoint(tower: TowerSpec): Checkpoint {
  const tensors: Record<string, RawTensor> = {};
  for (const { tag, symbols, ranges, instances, build } of tower.components) {
    const [box] = splitRanges(symbols, ranges ?? {}, { tag });
    const b = createGraphBuilder({ symbols: box });
    build(b);
    const nodes = nodesOf(b.finish());
    for (const node of nodes) {
      if (node.op !== "weight") continue;
      const users = nodes.filter((n) => n.inputs.includes(node));
      const mean = node.shape.length === 1 && scales(node, users) ? 1 : 0;
      const shape = node.shape as readonly number[];
      for (const instance of instances) {
        const name = instance + String(node.attributes.name);
        const data = new Float32Array(shape.reduce((x, y) => x * y, 1));
        fillNormal(data, nameSeed(name), 0, STD);
        if (mean !== 0) for (let i = 0; i < data.length; i++) data[i] += mean;
        tensors[name] = { dtype: "f32", shape, data };
      }
    }
  }
  const bytes = encodeSafetensors(tensors) as Uint8Array<ArrayBuffer>;
  const stored = parseSafetensors(WEIGHTS_FILE, bytes).tensors;
  const place: WeightPlace = (name) => {
    const found = stored.get(name);
    if (found === undefined) throw new Error(`The checkpoint has no weight "${name}".`);
    return { file: WEIGHTS_FILE, offset: found.offset, length: found.bytes };
  };
  return { bytes, place };
}
