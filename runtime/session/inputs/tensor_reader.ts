/** Tensors in memory as a component's weights. */
import type { Tensor } from "../../abi/encoder.ts";
import { FoveaError } from "../../core/diagnostics.ts";
import type { TensorReader } from "../../exec/instance_weights.ts";

/** Reads from tensors in memory. @throws FoveaError `missing_tensor`, `wrong_shape` */
export function tensorReader(weights: Readonly<Record<string, Tensor>>, tag: string): TensorReader {
  return async (name, shape) => {
    const tensor = weights[name];
    if (tensor === undefined) {
      throw new FoveaError(
        "missing_tensor",
        `Component "${tag}" needs the weight "${name}"; given are ${Object.keys(weights).join(", ") || "none"}.`,
      );
    }
    if (tensor.shape.join() !== shape.join() || tensor.data.length !== shape.reduce((a, b) => a * b, 1)) {
      throw new FoveaError(
        "wrong_shape",
        `The weight "${name}" of component "${tag}" has the shape [${tensor.shape.join(", ")}]; expected [${shape.join(", ")}].`,
      );
    }
    return tensor.data instanceof Float32Array ? tensor.data : Float32Array.from(tensor.data);
  };
}
