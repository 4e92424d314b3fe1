/** Results as files: one tensor for all inputs where they fit, each by itself where not. */
import type { Tensor } from "../abi/encoder.ts";
import { encodeNpy, encodeSafetensors, type RawTensor } from "../exec/weights/writer.ts";
import { joinedParts, type NamedTensor } from "../session/inputs/joined_parts.ts";
import type { Encoder } from "../session.ts";
import { HttpError } from "./http_error.ts";
import { encodeTorch } from "./torch_file.ts";
import { typed } from "./vllm.ts";
import type { WorkResult } from "./work.ts";

/**
 * Results by name, those of all inputs below each other in their order; `name.0`, `name.1` where their sizes differ. Towers that
 * share a name are told apart by their modality before it.
 */
export function joinedResults(results: readonly WorkResult[], encoder: Encoder): readonly NamedTensor[] {
  const modalities = [...new Set(results.map((r) => r.modality))];
  const ofModality = modalities.map((modality) => {
    const own = results.filter((r) => r.modality === modality).map((r) => r.outputs);
    return { modality, own, names: Object.keys(own[0]) };
  });
  const all = ofModality.flatMap(({ names }) => names);
  return ofModality.flatMap(({ modality, own, names }) => {
    const { joinAxes = {} } = encoder.tower(modality).spec;
    return names.flatMap((name) => {
      const label = all.indexOf(name) === all.lastIndexOf(name) ? name : `${modality}.${name}`;
      const parts = own.map((outputs) => outputs[name]);
      const axis = Object.hasOwn(joinAxes, name) ? joinAxes[name] : 0;
      return joinedParts(label, parts, axis);
    });
  });
}

/** @throws HttpError `one_tensor` */
function single(named: readonly NamedTensor[], format: string): Tensor {
  if (named.length === 1) return named[0].tensor;
  throw new HttpError(
    400,
    "one_tensor",
    `The answer has ${named.length} tensors (${named.map(({ name }) => name).join(", ")}), and a file of format ${format} holds one; name one in \`outputs\` and give inputs of one kind and size, or ask for safetensors.`,
    { param: "outputs" },
  );
}

export interface FileAnswer {
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** @throws HttpError `one_tensor` */
export function fileAnswer(
  named: readonly NamedTensor[],
  format: "npy" | "safetensors" | "torch",
  dtype: "f32" | "bf16",
): FileAnswer {
  if (format === "npy") return { type: "application/x-npy", bytes: encodeNpy(single(named, format)) };
  if (format === "torch") {
    return { type: "application/x-torch", bytes: encodeTorch(typed(single(named, format), dtype)) };
  }
  const tensors: Readonly<Record<string, RawTensor>> = Object.fromEntries(
    named.map(({ name, tensor }) => [name, typed(tensor, dtype)]),
  );
  return { type: "application/vnd.safetensors", bytes: encodeSafetensors(tensors) };
}
